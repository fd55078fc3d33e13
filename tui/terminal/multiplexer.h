/* What tmux says of itself: whether it hands wrapped control strings on to the terminal, and where its pane is there.
 *
 * It is asked by a program of its own, whose answer is read when it comes. */
#ifndef ALIGNPROP_TUI_TERMINAL_MULTIPLEXER_H
#define ALIGNPROP_TUI_TERMINAL_MULTIPLEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct multiplexer {
    bool known;          /* it has answered */
    bool passes_through; /* allow-passthrough is on */
    int row, column;     /* of the pane's first cell on the terminal's screen */
    int descriptor;      /* of an answer that is due; -1: none */
    pid_t process;
    char answer[128];
    size_t length;
};

void multiplexer_init(struct multiplexer *multiplexer);
/* This program runs in a tmux. */
bool multiplexer_present(void);
/* Asks, unless an answer is due already. False when tmux cannot be asked. */
bool multiplexer_ask(struct multiplexer *multiplexer);
/* Reads what has come on the descriptor; true when the answer is complete. */
bool multiplexer_read(struct multiplexer *multiplexer);
/* Reads an answer: pane's column and row, allow-passthrough, the status line's rows and place. False if it is none. */
bool multiplexer_parse(struct multiplexer *multiplexer, const char *answer);
/* Drops an answer that is due. */
void multiplexer_close(struct multiplexer *multiplexer);

#endif
