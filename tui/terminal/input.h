/* Bytes from the terminal to keys, mouse, pasted text and replies.
 *
 * One state machine reads everything that the terminal sends, a byte at a time, so that a reply to a question asked at
 * start is never taken for typing, however late and however split it arrives. */
#ifndef ALIGNPROP_TUI_TERMINAL_INPUT_H
#define ALIGNPROP_TUI_TERMINAL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys without a character. Characters are their Unicode code point; Ctrl-A is 1. */
enum special_key {
    KEY_CODE_ESCAPE = 27,
    KEY_CODE_ENTER = 13,
    KEY_CODE_TAB = 9,
    KEY_CODE_BACKSPACE = 127,
    KEY_CODE_UP = 0x110000,
    KEY_CODE_DOWN,
    KEY_CODE_LEFT,
    KEY_CODE_RIGHT,
    KEY_CODE_HOME,
    KEY_CODE_END,
    KEY_CODE_PAGE_UP,
    KEY_CODE_PAGE_DOWN,
    KEY_CODE_DELETE,
    KEY_CODE_INSERT,
    KEY_CODE_BACK_TAB,
    KEY_CODE_UNKNOWN
};

enum { MODIFIER_SHIFT = 1, MODIFIER_ALT = 2, MODIFIER_CONTROL = 4 };

enum reply_kind {
    REPLY_DEVICE_ATTRIBUTES,  /* CSI ? numbers c */
    REPLY_STATUS,             /* CSI 0 n: everything before it has been drawn */
    REPLY_WINDOW,             /* CSI numbers t */
    REPLY_MODE,               /* CSI ? mode ; value $ y */
    REPLY_GRAPHICS_ATTRIBUTE, /* CSI ? item ; status ; values S */
    REPLY_NAME,               /* DCS > | text ST */
    REPLY_KITTY,              /* APC G text ST */
    REPLY_COLOR,              /* OSC 11 ; text ST */
    REPLY_OTHER
};

enum input_kind { INPUT_KEY, INPUT_PASTED, INPUT_MOUSE, INPUT_REPLY };

enum mouse_action { MOUSE_PRESS, MOUSE_RELEASE, MOUSE_DRAG, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN };

struct input_event {
    enum input_kind kind;
    uint32_t key;       /* INPUT_KEY, INPUT_PASTED: code point or special key */
    unsigned modifiers; /* of a special key or the mouse */
    enum mouse_action action;
    int button, row, column; /* INPUT_MOUSE; the first cell is 0, 0 */
    enum reply_kind reply;
    int numbers[16]; /* INPUT_REPLY: its parameters, number_count of them */
    int number_count;
    char text[128]; /* INPUT_REPLY: of a string reply, cut to fit */
};

enum { INPUT_SEQUENCE_CAPACITY = 256, INPUT_QUEUE_CAPACITY = 64 };

struct input_parser {
    int state;
    bool replies_expected; /* set by the owner while a question is open: escape sequences get more time */
    bool status_expected;  /* likewise while a status report is due, as it often is */
    int64_t late_until;    /* until then `[0n` may be the rest of a report whose Esc was taken for the key */
    bool late;             /* inside such a rest */
    bool pasting;
    char sequence[INPUT_SEQUENCE_CAPACITY];
    size_t length;
    char string_kind; /* 'P', ']', '_' and so on */
    uint32_t code_point;
    int continuation;
    int64_t last_byte; /* milliseconds */
    struct input_event queue[INPUT_QUEUE_CAPACITY];
    int queue_head, queue_count;
};

void input_parser_init(struct input_parser *parser);
/* Feeds one byte read at `now` (milliseconds of any steady clock). */
void input_parser_feed(struct input_parser *parser, unsigned char byte, int64_t now);
/* Decides what waits for time: a lone Esc becomes the key. */
void input_parser_tick(struct input_parser *parser, int64_t now);
/* Milliseconds until input_parser_tick has something to decide; -1: nothing waits. */
int input_parser_deadline(const struct input_parser *parser, int64_t now);
/* Takes the next event; false when there is none. */
bool input_parser_next(struct input_parser *parser, struct input_event *event);
/* True while no sequence is half read. */
bool input_parser_idle(const struct input_parser *parser);

#endif
