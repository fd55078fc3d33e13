/* The studio on a pseudo terminal, played by the test: it answers what a terminal would, late or never, and reads as
 * fast as a link would let it. */
#ifndef ALIGNPROP_TESTS_TUI_PSEUDO_TERMINAL_H
#define ALIGNPROP_TESTS_TUI_PSEUDO_TERMINAL_H

#include "engine/base/clock.h"
#include "tui/pictures/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

enum {
    PATH_ROOM = 256,
    PATIENCE = 60000 /* milliseconds after which what must come is given up, on a machine busy with other things */
};

struct delayed {
    int64_t due; /* milliseconds */
    unsigned char byte;
};

struct session {
    char folder[64], socket_path[100], run[100], request_log[100];
    pid_t engine, studio;
    int master, slave;
    struct termios before;
    struct bytes output;                /* what has arrived at the terminal */
    size_t answered;                    /* of it, searched for questions */
    bool sixel;                         /* answer as a terminal with sixel */
    bool silent;                        /* answer nothing */
    const char *background;             /* answer to the question for it, as rgb:RRRR/GGGG/BBBB; NULL: none */
    double rate;                        /* bytes per second of the link; 0: no limit */
    int delay;                          /* one way, milliseconds */
    struct delayed *arriving, *leaving; /* rings in the two directions */
    size_t arriving_first, arriving_count, leaving_first, leaving_count;
    int64_t link_free; /* when the link has sent what was given to it */
};

/* A session without an engine: a folder, and room for what passes. */
void session_prepare(struct session *session);
/* Starts a fake engine with these further words (NULL-terminated, may be NULL). */
void session_open(struct session *session, const char *const *engine_words);
void session_start_studio(struct session *session, int rows, int columns, bool attach, const char *term);
/* Starts any program, `words` being what main gets, in place of the studio. */
void session_start_program(struct session *session, int rows, int columns, const char *term, const char *const *words);
/* Reads and answers for so long. */
void session_pump(struct session *session, int milliseconds);
/* Until the output from byte `from` on holds `text`; false after `milliseconds`. */
bool session_wait(struct session *session, size_t from, const char *text, int milliseconds);
/* Reads on until nothing has come for `milliseconds`; false when that never was within PATIENCE. */
bool session_settle(struct session *session, int milliseconds);
/* Drops the output seen so far, for sessions too long to keep it. */
void session_forget(struct session *session);
void session_type(struct session *session, const char *keys);
/* Waits for the studio's end, reading on; returns its wait status, -1 when it did not end in time (it is killed then).
 */
int session_end(struct session *session, int milliseconds);
void session_close(struct session *session);
/* The engine's log of requests holds `text`. */
bool session_requested(const struct session *session, const char *text);

#endif
