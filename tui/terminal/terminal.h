/* The terminal for the time that the studio has it: raw input, ncurses output, pictures, and everything put back.
 *
 * ncurses writes into memory; what it wrote goes out in one piece, pictures piece by piece between such frames, through
 * a non-blocking descriptor of our own, so a terminal that stops reading stops nothing else. */
#ifndef ALIGNPROP_TUI_TERMINAL_TERMINAL_H
#define ALIGNPROP_TUI_TERMINAL_TERMINAL_H

#include "kernels/status.h"
#include "tui/terminal/input.h"
#include "tui/terminal/link.h"
#include "tui/terminal/probe.h"

#include <stdint.h>

struct terminal;

struct terminal_options {
    bool mouse;
};

/* Takes the terminal over. STATUS_FAILED when there is none or its type is unusable. */
status terminal_open(struct terminal_options options, struct terminal **terminal);
/* Ends what was begun, puts everything back (waiting up to 10 s for a terminal that does not read) and frees. */
void terminal_close(struct terminal *terminal);

int terminal_input_descriptor(const struct terminal *terminal);
int terminal_output_descriptor(const struct terminal *terminal);
/* Reads what has come. False when the terminal is gone (hang-up). */
bool terminal_read(struct terminal *terminal, int64_t now);
bool terminal_next_event(struct terminal *terminal, int64_t now, struct input_event *event);
/* Milliseconds until input needs another look; -1: none. */
int terminal_deadline(const struct terminal *terminal, int64_t now);

const struct capabilities *terminal_capabilities(const struct terminal *terminal);
struct cell_size terminal_cell_size(const struct terminal *terminal);
struct link *terminal_link(struct terminal *terminal);
/* A word on the terminal's type when it had to be replaced by another; NULL otherwise. */
const char *terminal_notice(const struct terminal *terminal);

/* Re-reads the size after SIGWINCH and gives it to ncurses; true when it changed. Pictures are lost in any case. */
bool terminal_resized(struct terminal *terminal);
void terminal_set_mouse(struct terminal *terminal, bool on);

/* One frame of text: `before` (raw bytes), then what ncurses has to change. The terminal is asked to answer when it has
 * drawn it. */
void terminal_frame(struct terminal *terminal, const char *before, size_t before_length, int64_t now);
/* A whole control string with a picture or a part of one, asked for likewise. */
void terminal_picture(struct terminal *terminal, const char *bytes, size_t length, int64_t now);
/* Looks after what is known of the link: asks it, and notices answers that do not come. Milliseconds until the next
 * look; -1: none is needed. */
int terminal_watch_link(struct terminal *terminal, int64_t now);
/* Makes the next frame repaint every cell. */
void terminal_repaint(struct terminal *terminal);
/* Bytes not yet taken by the terminal. */
size_t terminal_pending(const struct terminal *terminal);
/* Writes what the terminal takes; false when it is gone. */
bool terminal_flush(struct terminal *terminal);

/* Ctrl-Z: puts the terminal back, stops the process, and takes the terminal over again. */
void terminal_suspend(struct terminal *terminal);

#endif
