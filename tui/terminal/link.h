/* How fast the way to the terminal is, and how much may be on it at once.
 *
 * After each marked piece of output the terminal is asked for its status; the answer says that the piece has been
 * drawn. From these times follow the rate, the window (bytes that may be under way so that a key never waits long
 * behind them) and the level of detail that pictures are sent with. */
#ifndef ALIGNPROP_TUI_TERMINAL_LINK_H
#define ALIGNPROP_TUI_TERMINAL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_level {
    LINK_SYMBOLS, /* no pixels: character cells only */
    LINK_SMALL,   /* at most 192 pixels a side, 32 colours, one in 5 s */
    LINK_MEDIUM,  /* at most 256 pixels a side, 64 colours, one in 2 s */
    LINK_FULL,    /* the cells' own pixels, 256 colours, as they come */
    LINK_LEVEL_COUNT
};

struct link_level_limits {
    const char *name;
    double least_rate; /* bytes per second from which on this level is used */
    int side;          /* largest side of a picture in pixels */
    int colors;
    int interval; /* least milliseconds between two pictures */
};

enum { LINK_MARKS = 64, LINK_SAMPLES = 16 };

struct link {
    struct {
        int64_t sent; /* milliseconds */
        size_t bytes; /* of this piece */
    } marks[LINK_MARKS];
    int first, count;
    size_t in_flight;
    double rate; /* bytes per second: the best of the recent samples; 0: not known yet */
    struct {
        int64_t taken; /* milliseconds */
        double rate;
    } samples[LINK_SAMPLES]; /* ring: the newest at (sample_next - 1) */
    int sample_next, sample_count;
    double shortest;        /* round trip of an empty link in milliseconds; negative: not known yet */
    double recent_shortest; /* of the present half minute, to follow a changed route */
    int64_t recent_since;
    double delay; /* that the last piece took on the link, milliseconds */
    int late;     /* pieces in a row that took very long */
    int64_t last_answer;
    enum link_level level;
    int votes_up;
    bool ever_answered;
    bool fixed; /* the level stays as it is, whatever is measured */
};

void link_init(struct link *link);
const struct link_level_limits *link_limits(enum link_level level);
/* A piece of `bytes` was handed to the terminal with a status question behind it. */
void link_mark(struct link *link, size_t bytes, int64_t now);
/* A status answer came. */
void link_answer(struct link *link, int64_t now);
/* The time that a small question took, sent on an empty link: the shortest round trip so far. */
void link_note_round_trip(struct link *link, double milliseconds, int64_t now);
/* Bytes that may be sent now; 0: wait for an answer. */
size_t link_room(const struct link *link, int64_t now);
/* An answer is due, from a terminal that has not been found to be silent. */
bool link_waits(const struct link *link, int64_t now);
/* The largest piece that one mark should cover. */
size_t link_piece(const struct link *link);

#endif
