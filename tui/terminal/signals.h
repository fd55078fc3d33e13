/* Signals as readable bytes, and the terminal's rescue when the program dies. */
#ifndef ALIGNPROP_TUI_TERMINAL_SIGNALS_H
#define ALIGNPROP_TUI_TERMINAL_SIGNALS_H

#include "kernels/status.h"

#include <stddef.h>
#include <termios.h>

/* Catches WINCH, TSTP, CONT, TERM, HUP, INT and QUIT: each is one byte (its number) on `descriptor`, a non-blocking
 * pipe end that the caller polls. PIPE is ignored. */
status signals_open(int *descriptor);
void signals_close(void);

/* What a fatal signal's handler writes and sets before the program dies of it: only async-signal-safe calls are used.
 * `text` must stay valid. */
void signals_rescue(int terminal, const struct termios *saved, const char *text, size_t length);

/* Stops the process as Ctrl-Z would have; returns after it was continued. */
void signals_stop_self(void);

#endif
