/* How fast the way to the terminal is, and how much may be on it at once.
 *
 * After each piece of output the terminal is asked for its status; the answer says that the piece has been drawn. Two
 * things follow from these times, apart from each other. The window is how many bytes may be under way so that a key
 * does not wait long behind them: it shrinks with each piece that was late, whatever made it late, and grows again as
 * soon as pieces are on time. The level of detail that pictures are sent with follows the rate, which is the best of
 * the recent past, so that a terminal that is busy for a moment is not taken for a slow link. */
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
        size_t ahead; /* bytes under way with it */
    } marks[LINK_MARKS];
    int first, count;
    size_t in_flight;
    double window; /* bytes that may be under way */
    double rate;   /* bytes per second: the best of the recent samples; 0: not known yet */
    struct {
        int64_t taken; /* milliseconds */
        double rate;
    } samples[LINK_SAMPLES]; /* ring: the newest at (sample_next - 1) */
    int sample_next, sample_count;
    double run_bytes, run_milliseconds; /* pieces that make up the next sample */
    double shortest;                    /* round trip of an empty link in milliseconds; negative: not known yet */
    double period_shortest;             /* of the present period, to follow a changed route; negative: none yet */
    int64_t period_began;
    int64_t asked;     /* when a small question last went over an empty link */
    size_t unmeasured; /* bytes that went since then */
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
/* It is time to ask a bare question, once nothing is under way: only few bytes tell the empty link's round trip. */
bool link_question_due(const struct link *link, int64_t now);
/* Bytes that may be sent now; 0: wait for an answer. */
size_t link_room(const struct link *link, int64_t now);
/* Looks for an answer that does not come: what is under way then took longer than the link's level allows for, which
 * lowers the level at once. Milliseconds until the next look; -1: nothing is under way. */
int link_watch(struct link *link, int64_t now);
/* An answer is due, from a terminal that has not been found to be silent. */
bool link_waits(const struct link *link, int64_t now);

#endif
