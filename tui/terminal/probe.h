/* What the terminal can show: asked in one burst at start, answered whenever it answers. */
#ifndef ALIGNPROP_TUI_TERMINAL_PROBE_H
#define ALIGNPROP_TUI_TERMINAL_PROBE_H

#include "tui/terminal/input.h"

enum picture_protocol { PROTOCOL_NONE, PROTOCOL_SYMBOLS, PROTOCOL_ITERM2, PROTOCOL_SIXEL, PROTOCOL_KITTY };

struct capabilities {
    char name[64]; /* of the terminal, from XTVERSION or the environment; may be empty */
    bool answered; /* device attributes have arrived: no other reply is due */
    bool sixel, kitty, iterm2;
    bool synchronized_output;                      /* mode 2026 */
    bool inside_multiplexer;                       /* tmux or screen between us and the terminal */
    int sixel_colors;                              /* registers; 256 unless told */
    int images_kept;                               /* sixels that the terminal remembers at once; 0: any number */
    int reported_cell_width, reported_cell_height; /* CSI 16 t; 0: not told */
    int text_width, text_height;                   /* CSI 14 t or sixel geometry; 0: not told */
    bool background_known;
    int background[3]; /* 0..255 */
};

struct cell_size {
    int width, height; /* pixels, never 0 */
    bool measured;     /* false: the fallback of 10 x 20 */
};

/* Names of the formats as `--format` and `--pictures` take them. */
const char *picture_protocol_name(enum picture_protocol protocol);
/* False when there is no protocol of that name; "auto" is no protocol. */
bool picture_protocol_parse(const char *name, enum picture_protocol *protocol);

/* TERM names a terminal that takes text and nothing else ("dumb"), or nothing at all. */
bool terminal_type_is_dumb(void);
/* What the environment alone says. */
void capabilities_init(struct capabilities *capabilities);
/* The questions, to be written in one piece; the device attributes come last as the end marker. Inside tmux and screen,
 * which take kitty's question for a title, it is left out. */
const char *probe_burst(bool inside_multiplexer);
/* Takes in a reply; returns true when something changed. */
bool capabilities_apply(struct capabilities *capabilities, const struct input_event *reply);
/* The best protocol: kitty, sixel, iTerm2, symbols, with the exceptions known by name. */
enum picture_protocol capabilities_choose(const struct capabilities *capabilities);
/* The size of a cell from the window's pixels (0 when not told), the replies and the fallback, in that order. */
struct cell_size cell_size_choose(const struct capabilities *capabilities, int rows, int columns, int width_pixels,
                                  int height_pixels);

#endif
