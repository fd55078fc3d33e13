/* Parses the terminal's bytes: keys in their many spellings, mouse reports, pastes, answers. */
#include "tui/terminal/input.h"

#include <stdlib.h>
#include <string.h>

enum state {
    STATE_GROUND,
    STATE_ESCAPE,        /* ESC read */
    STATE_CONTROL,       /* ESC [ read: parameters, then a final byte */
    STATE_SINGLE_SHIFT,  /* ESC O read */
    STATE_STRING,        /* inside DCS, OSC, APC, PM or SOS */
    STATE_STRING_ESCAPE, /* ESC inside a string: probably ESC \ */
    STATE_CHARACTER      /* inside a UTF-8 character */
};

/* A lone Esc is told from the start of a sequence by the silence after it. While replies are due it may be the first
 * byte of one that a slow link splits, so it waits longer. */
enum {
    ESCAPE_PATIENCE = 25,
    ESCAPE_PATIENCE_STATUS = 75,
    ESCAPE_PATIENCE_REPLIES = 150,
    SEQUENCE_PATIENCE = 200,
    SEQUENCE_PATIENCE_REPLIES = 10000,
    LATE_PATIENCE = 5000
};

void input_parser_init(struct input_parser *parser)
{
    memset(parser, 0, sizeof *parser);
}

bool input_parser_idle(const struct input_parser *parser)
{
    return parser->state == STATE_GROUND;
}

static void emit(struct input_parser *parser, struct input_event event)
{
    if (parser->queue_count == INPUT_QUEUE_CAPACITY) return;
    parser->queue[(parser->queue_head + parser->queue_count) % INPUT_QUEUE_CAPACITY] = event;
    parser->queue_count++;
}

static void emit_key(struct input_parser *parser, uint32_t key, unsigned modifiers)
{
    emit(parser,
         (struct input_event){.kind = parser->pasting ? INPUT_PASTED : INPUT_KEY, .key = key, .modifiers = modifiers});
}

bool input_parser_next(struct input_parser *parser, struct input_event *event)
{
    if (parser->queue_count == 0) return false;
    *event = parser->queue[parser->queue_head];
    parser->queue_head = (parser->queue_head + 1) % INPUT_QUEUE_CAPACITY;
    parser->queue_count--;
    return true;
}

/* Reads up to 16 decimal parameters separated by ; or : */
static int read_numbers(const char *text, int numbers[16])
{
    int count = 0;
    bool inside = false;
    for (const char *at = text; *at; at++) {
        if (*at >= '0' && *at <= '9') {
            if (!inside && count == 16) return count;
            if (!inside) numbers[count++] = 0;
            inside = true;
            int digit = *at - '0';
            if (numbers[count - 1] < 10000000) numbers[count - 1] = numbers[count - 1] * 10 + digit;
        } else if (*at == ';' || *at == ':') {
            if (!inside && count < 16) numbers[count++] = 0;
            inside = false;
        }
    }
    return count;
}

static void emit_reply(struct input_parser *parser, enum reply_kind kind, const char *numbers, const char *text)
{
    struct input_event event = {.kind = INPUT_REPLY, .reply = kind};
    if (numbers) event.number_count = read_numbers(numbers, event.numbers);
    if (text) {
        size_t length = strlen(text);
        if (length >= sizeof event.text) length = sizeof event.text - 1;
        memcpy(event.text, text, length);
    }
    emit(parser, event);
}

static uint32_t key_of_letter(char letter)
{
    switch (letter) {
    case 'A': return KEY_CODE_UP;
    case 'B': return KEY_CODE_DOWN;
    case 'C': return KEY_CODE_RIGHT;
    case 'D': return KEY_CODE_LEFT;
    case 'H': return KEY_CODE_HOME;
    case 'F': return KEY_CODE_END;
    case 'Z': return KEY_CODE_BACK_TAB;
    case 'M': return KEY_CODE_ENTER;
    default: return KEY_CODE_UNKNOWN;
    }
}

static uint32_t key_of_number(int number)
{
    switch (number) {
    case 1:
    case 7: return KEY_CODE_HOME;
    case 4:
    case 8: return KEY_CODE_END;
    case 2: return KEY_CODE_INSERT;
    case 3: return KEY_CODE_DELETE;
    case 5: return KEY_CODE_PAGE_UP;
    case 6: return KEY_CODE_PAGE_DOWN;
    default: return KEY_CODE_UNKNOWN;
    }
}

static unsigned modifiers_of(int parameter)
{
    return parameter > 1 ? (unsigned)(parameter - 1) & 7u : 0;
}

static void emit_mouse(struct input_parser *parser, const char *parameters, char final)
{
    int numbers[16];
    if (read_numbers(parameters, numbers) < 3) return;
    int code = numbers[0];
    struct input_event event = {.kind = INPUT_MOUSE, .column = numbers[1] - 1, .row = numbers[2] - 1};
    event.modifiers =
        ((code & 4) ? MODIFIER_SHIFT : 0u) | ((code & 8) ? MODIFIER_ALT : 0u) | ((code & 16) ? MODIFIER_CONTROL : 0u);
    event.button = code & 3;
    if (code & 64)
        event.action = (code & 1) ? MOUSE_WHEEL_DOWN : MOUSE_WHEEL_UP;
    else if (final == 'm')
        event.action = MOUSE_RELEASE;
    else
        event.action = (code & 32) ? MOUSE_DRAG : MOUSE_PRESS;
    emit(parser, event);
}

/* `sequence` holds what stood between ESC [ and `final`. */
static void finish_control(struct input_parser *parser, char final)
{
    parser->sequence[parser->length] = '\0';
    const char *sequence = parser->sequence;
    parser->state = STATE_GROUND;
    if (sequence[0] == '?') {
        if (final == 'c')
            emit_reply(parser, REPLY_DEVICE_ATTRIBUTES, sequence + 1, NULL);
        else if (final == 'y')
            emit_reply(parser, REPLY_MODE, sequence + 1, NULL);
        else if (final == 'S')
            emit_reply(parser, REPLY_GRAPHICS_ATTRIBUTE, sequence + 1, NULL);
        else
            emit_reply(parser, REPLY_OTHER, sequence + 1, NULL);
        return;
    }
    if (sequence[0] == '<' && (final == 'M' || final == 'm')) {
        emit_mouse(parser, sequence + 1, final);
        return;
    }
    if (sequence[0] == '>' || sequence[0] == '=') {
        emit_reply(parser, REPLY_OTHER, sequence + 1, NULL);
        return;
    }
    int numbers[16] = {0};
    int count = read_numbers(sequence, numbers);
    switch (final) {
    case 'n': emit_reply(parser, REPLY_STATUS, sequence, NULL); return;
    case 't': emit_reply(parser, REPLY_WINDOW, sequence, NULL); return;
    case 'c': emit_reply(parser, REPLY_OTHER, sequence, NULL); return;
    case 'I':
    case 'O':
    case 'R':
    case 'y': emit_reply(parser, REPLY_OTHER, sequence, NULL); return;
    case '~':
        if (numbers[0] == 200)
            parser->pasting = true;
        else if (numbers[0] == 201)
            parser->pasting = false;
        else
            emit_key(parser, key_of_number(numbers[0]), count > 1 ? modifiers_of(numbers[1]) : 0);
        return;
    case 'u': /* CSI code ; modifiers u, sent by terminals with extended keyboards */
        if (count > 0 && numbers[0] > 0)
            emit_key(parser, (uint32_t)numbers[0], count > 1 ? modifiers_of(numbers[1]) : 0);
        return;
    default: break;
    }
    uint32_t key = key_of_letter(final);
    unsigned modifiers = count > 1 ? modifiers_of(numbers[1]) : 0;
    if (key != KEY_CODE_UNKNOWN && final != 'M') emit_key(parser, key, modifiers);
}

static void finish_string(struct input_parser *parser)
{
    parser->sequence[parser->length] = '\0';
    parser->state = STATE_GROUND;
    const char *text = parser->sequence;
    if (parser->string_kind == 'P' && strncmp(text, ">|", 2) == 0)
        emit_reply(parser, REPLY_NAME, NULL, text + 2);
    else if (parser->string_kind == '_' && text[0] == 'G')
        emit_reply(parser, REPLY_KITTY, NULL, text + 1);
    else if (parser->string_kind == ']' && strncmp(text, "11;", 3) == 0)
        emit_reply(parser, REPLY_COLOR, NULL, text + 3);
    else
        emit_reply(parser, REPLY_OTHER, NULL, text);
}

/* What looked like the rest of a report was typed after all. */
static void type_late_bytes(struct input_parser *parser)
{
    parser->late = false;
    parser->state = STATE_GROUND;
    emit_key(parser, '[', 0);
    for (size_t i = 0; i < parser->length; i++) emit_key(parser, (unsigned char)parser->sequence[i], 0);
}

/* After an Esc that was taken for the key: `0n` or `3n` ends the report, all else was typed. */
static bool feed_late(struct input_parser *parser, unsigned char byte)
{
    bool digit = parser->length == 0 && (byte == '0' || byte == '3');
    if (digit) {
        parser->sequence[parser->length++] = (char)byte;
    } else if (parser->length == 1 && byte == 'n') {
        parser->late = false;
        finish_control(parser, 'n');
    } else {
        type_late_bytes(parser);
        return false;
    }
    return true;
}

/* No key starts with CSI ?, so inside one every byte that no reply holds was typed meanwhile. */
static bool belongs_to_private_reply(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || strchr(";:$cSyunRhl", byte);
}

static void feed_control(struct input_parser *parser, unsigned char byte)
{
    if (byte == 27) {
        parser->state = STATE_ESCAPE;
        parser->length = 0;
        return;
    }
    bool private_reply = parser->length > 0 && parser->sequence[0] == '?';
    if (private_reply && (byte == 0 || !belongs_to_private_reply(byte))) {
        if (byte < 128) emit_key(parser, byte, 0);
        return;
    }
    if (byte < 32) {
        parser->state = STATE_GROUND;
        emit_key(parser, byte, 0);
        return;
    }
    if (byte >= 0x40 && byte <= 0x7e) {
        finish_control(parser, (char)byte);
        return;
    }
    if (byte >= 0x7f || parser->length + 1 >= INPUT_SEQUENCE_CAPACITY) {
        parser->state = STATE_GROUND;
        return;
    }
    parser->sequence[parser->length++] = (char)byte;
}

static void feed_string(struct input_parser *parser, unsigned char byte)
{
    if (byte == 27) {
        parser->state = STATE_STRING_ESCAPE;
    } else if (byte == 7 || byte == 0x9c) {
        finish_string(parser);
    } else if (parser->length + 1 < INPUT_SEQUENCE_CAPACITY) {
        parser->sequence[parser->length++] = (char)byte;
    }
}

static void feed_ground(struct input_parser *parser, unsigned char byte)
{
    bool late = byte == '[' && parser->last_byte < parser->late_until;
    parser->late_until = 0;
    if (byte == 27 || late) {
        parser->state = late ? STATE_CONTROL : STATE_ESCAPE;
        parser->late = late;
        parser->length = 0;
    } else if (byte < 0x80) {
        emit_key(parser, byte == 8 ? KEY_CODE_BACKSPACE : byte, 0);
    } else if (byte >= 0xc2 && byte <= 0xf4) {
        parser->continuation = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
        parser->code_point = byte & (byte >= 0xf0 ? 0x07u : byte >= 0xe0 ? 0x0fu : 0x1fu);
        parser->length = (size_t)parser->continuation;
        parser->state = STATE_CHARACTER;
    }
}

static void feed_character(struct input_parser *parser, unsigned char byte)
{
    if ((byte & 0xc0) != 0x80) {
        parser->state = STATE_GROUND;
        feed_ground(parser, byte);
        return;
    }
    parser->code_point = parser->code_point << 6 | (byte & 0x3fu);
    if (--parser->continuation > 0) return;
    parser->state = STATE_GROUND;
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    uint32_t code = parser->code_point;
    bool valid = code >= least[parser->length] && code < 0x110000 && (code < 0xd800 || code > 0xdfff);
    if (valid) emit_key(parser, code, 0);
}

static void feed_escape(struct input_parser *parser, unsigned char byte)
{
    switch (byte) {
    case '[':
        parser->state = STATE_CONTROL;
        parser->length = 0;
        return;
    case 'O': parser->state = STATE_SINGLE_SHIFT; return;
    case 'P':
    case ']':
    case '_':
    case '^':
    case 'X':
        parser->state = STATE_STRING;
        parser->string_kind = (char)byte;
        parser->length = 0;
        return;
    case 27: emit_key(parser, KEY_CODE_ESCAPE, 0); return;
    case '\\': parser->state = STATE_GROUND; return;
    default:
        parser->state = STATE_GROUND;
        if (byte >= 32 && byte < 127) {
            emit_key(parser, byte, MODIFIER_ALT);
        } else {
            emit_key(parser, KEY_CODE_ESCAPE, 0);
            feed_ground(parser, byte);
        }
    }
}

void input_parser_feed(struct input_parser *parser, unsigned char byte, int64_t now)
{
    input_parser_tick(parser, now);
    parser->last_byte = now;
    switch ((enum state)parser->state) {
    case STATE_GROUND: feed_ground(parser, byte); return;
    case STATE_ESCAPE: feed_escape(parser, byte); return;
    case STATE_CONTROL:
        if (!parser->late)
            feed_control(parser, byte);
        else if (!feed_late(parser, byte))
            feed_ground(parser, byte);
        return;
    case STATE_SINGLE_SHIFT:
        parser->state = STATE_GROUND;
        if (key_of_letter((char)byte) != KEY_CODE_UNKNOWN)
            emit_key(parser, key_of_letter((char)byte), 0);
        else if (byte >= 'j' && byte <= 'y') /* keypad digits and signs */
            emit_key(parser, (uint32_t)byte - 64, 0);
        return;
    case STATE_STRING: feed_string(parser, byte); return;
    case STATE_STRING_ESCAPE:
        if (byte == '\\') {
            finish_string(parser);
        } else {
            parser->state = STATE_ESCAPE;
            parser->length = 0;
            feed_escape(parser, byte);
        }
        return;
    case STATE_CHARACTER: feed_character(parser, byte); return;
    }
}

static int patience(const struct input_parser *parser)
{
    switch ((enum state)parser->state) {
    case STATE_GROUND: return -1;
    case STATE_ESCAPE:
        if (parser->replies_expected) return ESCAPE_PATIENCE_REPLIES;
        return parser->status_expected ? ESCAPE_PATIENCE_STATUS : ESCAPE_PATIENCE;
    case STATE_CONTROL:
        if (parser->late) return SEQUENCE_PATIENCE;
        if (parser->status_expected) return SEQUENCE_PATIENCE_REPLIES;
        return parser->replies_expected ? SEQUENCE_PATIENCE_REPLIES : SEQUENCE_PATIENCE;
    default: return parser->replies_expected ? SEQUENCE_PATIENCE_REPLIES : SEQUENCE_PATIENCE;
    }
}

int input_parser_deadline(const struct input_parser *parser, int64_t now)
{
    int limit = patience(parser);
    if (limit < 0) return -1;
    int64_t left = parser->last_byte + limit - now;
    return left < 0 ? 0 : (int)left;
}

void input_parser_tick(struct input_parser *parser, int64_t now)
{
    if (input_parser_deadline(parser, now) != 0) return;
    bool lone_escape = parser->state == STATE_ESCAPE;
    if (parser->late) type_late_bytes(parser);
    parser->state = STATE_GROUND;
    if (!lone_escape) return;
    emit_key(parser, KEY_CODE_ESCAPE, 0);
    if (parser->status_expected) parser->late_until = now + LATE_PATIENCE;
}
