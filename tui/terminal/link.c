/* Measures the link by the terminal's answers and sets how many bytes may be on the way. */
#include "tui/terminal/link.h"

#include <string.h>

static const struct link_level_limits levels[LINK_LEVEL_COUNT] = {
    [LINK_SYMBOLS] = {"symbols", 0, 0, 0, 100},
    [LINK_SMALL] = {"small", 12e3, 192, 32, 5000},
    [LINK_MEDIUM] = {"medium", 90e3, 256, 64, 2000},
    [LINK_FULL] = {"full", 900e3, 1024, 256, 0},
};

enum {
    LEAST_WINDOW = 600,   /* bytes */
    LEAST_NEAR = 4 << 10, /* what is read from a pseudo terminal at once: fewer bytes would not be there any sooner */
    FIRST_WINDOW = 8 << 10,
    MOST_WINDOW = 64 << 10,
    LEAST_SAMPLE = 300,
    SMALL_PIECE = 1500, /* fewer bytes fit into what lies between: they tell little, be they quick or late */
    RUN_BYTES = 12 << 10,
    LEAST_SAMPLES = 4,
    MOST_GROWTH = 8, /* a single answer makes the rate at most so many times larger */
    VOTES_UP = 3,    /* samples in a row that speak for a higher level */
    SILENCE = 8000,  /* milliseconds after which a terminal that never answered is not waited for */
    ROUTE_PERIOD = 5000,
    QUESTION_PERIOD = 4000,
    QUESTION_BYTES = 2000, /* that went since the last question */
    SMALL_ENOUGH = 100,    /* bytes that take no time to speak of */
    SAMPLE_PERIOD = 5000,
    SMALL_DELAY = 40, /* of a small piece, from which on it tells of the link */
    RUN_TIME = 150,
    STALL = 500,
    LOST = 2000, /* on a long link, and four round trips */
    LOST_NEAR = 1000
};
static const double finest_delay = 2; /* milliseconds: finer ones are not told apart */
/* Where an empty question comes back within so many milliseconds there is no long line between: what is late there is
 * a busy machine, or a terminal that draws slowly, and only a fiftieth of a level's rate counts as too little. */
static const double near_round_trip = 15, near_share = 0.02;

void link_init(struct link *link)
{
    memset(link, 0, sizeof *link);
    link->shortest = -1;
    link->period_shortest = -1;
    link->window = FIRST_WINDOW;
    link->level = LINK_FULL;
}

const struct link_level_limits *link_limits(enum link_level level)
{
    return &levels[level];
}

void link_mark(struct link *link, size_t bytes, int64_t now)
{
    link->in_flight += bytes;
    link->unmeasured += bytes;
    if (link->count == 0 && bytes <= SMALL_ENOUGH) {
        link->asked = now;
        link->unmeasured = 0;
    }
    if (link->count == LINK_MARKS) {
        int last = (link->first + link->count - 1) % LINK_MARKS;
        link->marks[last].bytes += bytes;
        link->marks[last].ahead = link->in_flight;
        return;
    }
    int at = (link->first + link->count++) % LINK_MARKS;
    link->marks[at].sent = now;
    link->marks[at].bytes = bytes;
    link->marks[at].ahead = link->in_flight;
}

/* The shortest of the present and the last period. */
static void follow_route(struct link *link, double round_trip, int64_t now)
{
    if (now - link->period_began > ROUTE_PERIOD) {
        if (link->period_shortest >= 0) link->shortest = link->period_shortest;
        link->period_shortest = -1;
        link->period_began = now;
    }
    if (link->shortest < 0 || round_trip < link->shortest) link->shortest = round_trip;
    if (link->period_shortest < 0 || round_trip < link->period_shortest) link->period_shortest = round_trip;
}

void link_note_round_trip(struct link *link, double milliseconds, int64_t now)
{
    follow_route(link, milliseconds, now);
}

bool link_question_due(const struct link *link, int64_t now)
{
    return link->ever_answered && link->unmeasured > QUESTION_BYTES && now - link->asked > QUESTION_PERIOD;
}

static bool is_near(const struct link *link)
{
    return link->shortest >= 0 && link->shortest < near_round_trip;
}

/* ---- the window ---- */

/* What may wait on the link, in milliseconds: a tenth of a round trip more is not felt by who waits for a whole one. */
static double allowed_queue(const struct link *link)
{
    return 12 + (link->shortest > 0 ? link->shortest / 10 : 0);
}

/* `queued`: milliseconds that `ahead` bytes took beyond the empty link's round trip. */
static void set_window(struct link *link, size_t ahead, double queued)
{
    double allowed = allowed_queue(link);
    if (queued <= allowed) {
        if (2 * (double)ahead > link->window) link->window = 2 * (double)ahead;
    } else {
        double fitting = (double)ahead * allowed / queued;
        if (fitting < link->window) link->window = fitting;
    }
    double least = is_near(link) ? LEAST_NEAR : LEAST_WINDOW;
    if (link->window < least) link->window = least;
    if (link->window > MOST_WINDOW) link->window = MOST_WINDOW;
}

/* ---- the level ---- */

static double least_rate(const struct link *link, int level)
{
    return levels[level].least_rate * (is_near(link) ? near_share : 1);
}

static enum link_level fitting_level(const struct link *link, double rate)
{
    enum link_level fitting = LINK_SYMBOLS;
    for (int level = LINK_SMALL; level < LINK_LEVEL_COUNT; level++)
        if (rate >= least_rate(link, level)) fitting = (enum link_level)level;
    return fitting;
}

static void choose_level(struct link *link)
{
    if (link->fixed || link->sample_count < LEAST_SAMPLES) return;
    enum link_level fitting = fitting_level(link, link->rate);
    if (fitting < link->level) {
        link->level = fitting;
        link->votes_up = 0;
    } else if (fitting > link->level && link->rate >= 1.3 * least_rate(link, (int)link->level + 1)) {
        if (++link->votes_up < VOTES_UP) return;
        link->level++;
        link->votes_up = 0;
    } else {
        link->votes_up = 0;
    }
}

/* The best of the recent samples: a busy machine makes single answers late, a slow link makes all of them. A few newer
 * ones must be there before an old one is forgotten, so that silence does not count as slowness. */
static void add_sample(struct link *link, double rate, int64_t now)
{
    link->samples[link->sample_next].taken = now;
    link->samples[link->sample_next].rate = rate;
    link->sample_next = (link->sample_next + 1) % LINK_SAMPLES;
    if (link->sample_count < LINK_SAMPLES) link->sample_count++;
    link->run_bytes = link->run_milliseconds = 0;
    link->rate = 0;
    for (int age = 0; age < link->sample_count; age++) {
        int at = (link->sample_next - 1 - age + 2 * LINK_SAMPLES) % LINK_SAMPLES;
        if (age >= LEAST_SAMPLES && now - link->samples[at].taken > SAMPLE_PERIOD) break;
        if (link->samples[at].rate > link->rate) link->rate = link->samples[at].rate;
    }
    choose_level(link);
}

/* `delay`: milliseconds that the piece took on the link once it was its turn. One piece on time says that the link is
 * at least so fast; that it is no faster is only said by many bytes, or a long time, together. */
static void learn_rate(struct link *link, size_t bytes, double delay, int64_t now)
{
    if (bytes < LEAST_SAMPLE) return;
    double at_least = (double)bytes / (delay > finest_delay ? delay : finest_delay) * 1000;
    if (at_least > link->rate && bytes >= SMALL_PIECE) {
        double most = MOST_GROWTH * link->rate;
        add_sample(link, link->rate > 0 && at_least > most ? most : at_least, now);
        return;
    }
    if (bytes < SMALL_PIECE && (delay < SMALL_DELAY || is_near(link))) return;
    link->run_bytes += (double)bytes;
    link->run_milliseconds += delay;
    if (link->run_bytes < RUN_BYTES && link->run_milliseconds < RUN_TIME) return;
    double taken = link->run_milliseconds > finest_delay ? link->run_milliseconds : finest_delay;
    add_sample(link, link->run_bytes / taken * 1000, now);
}

/* When the link began with the oldest piece: when it had arrived, or when the one before it was through. */
static double turn_began(const struct link *link)
{
    double arrived = (double)link->marks[link->first].sent + (link->shortest > 0 ? link->shortest : 0);
    return (double)link->last_answer > arrived ? (double)link->last_answer : arrived;
}

void link_answer(struct link *link, int64_t now)
{
    if (link->count == 0) return;
    double round_trip = now > link->marks[link->first].sent ? (double)(now - link->marks[link->first].sent) : 0;
    size_t bytes = link->marks[link->first].bytes, ahead = link->marks[link->first].ahead;
    if (link->shortest < 0 || round_trip < link->shortest || bytes <= SMALL_ENOUGH) follow_route(link, round_trip, now);
    double began = turn_began(link);
    link->first = (link->first + 1) % LINK_MARKS;
    link->count--;
    link->in_flight -= bytes < link->in_flight ? bytes : link->in_flight;
    link->ever_answered = true;
    link->last_answer = now;
    set_window(link, ahead, round_trip - link->shortest);
    learn_rate(link, bytes, (double)now - began, now);
}

bool link_waits(const struct link *link, int64_t now)
{
    /* A terminal that never answers is not waited for. */
    return link->count > 0 && (link->ever_answered || now - link->marks[link->first].sent <= SILENCE);
}

/* An answer that typing tore apart never comes, and every later one would be taken for the one before it. When all has
 * been quiet for long, nothing is under way any more. */
static void forget_lost(struct link *link, int64_t now)
{
    int64_t newest = link->marks[(link->first + link->count - 1) % LINK_MARKS].sent;
    int64_t last_sign = newest > link->last_answer ? newest : link->last_answer;
    double patience = is_near(link) ? LOST_NEAR : LOST + 4 * (link->shortest > 0 ? link->shortest : 0);
    if ((double)(now - last_sign) < patience) return;
    link->count = 0;
    link->in_flight = 0;
}

int link_watch(struct link *link, int64_t now)
{
    if (link->count > 0 && link->ever_answered) forget_lost(link, now);
    if (link->count == 0 || !link->ever_answered) return -1;
    double late = (double)now - turn_began(link);
    if (late < STALL) return (int)(STALL - late) + 1;
    set_window(link, link->marks[link->first].ahead, late);
    /* So few bytes in so long a time: the link is no faster than this, as long as it stays so. */
    double most = (double)link->marks[link->first].bytes / late * 1000;
    enum link_level fitting = fitting_level(link, most);
    if (!link->fixed && fitting < link->level && !is_near(link)) {
        link->level = fitting;
        link->rate = most;
        link->sample_count = 0; /* what was measured before no longer holds */
        link->votes_up = 0;
    }
    return STALL;
}

size_t link_room(const struct link *link, int64_t now)
{
    size_t window = (size_t)link->window;
    if (!link_waits(link, now)) return window;
    if (link_question_due(link, now)) return 0;
    if (link->ever_answered && (double)now - turn_began(link) > 3 * allowed_queue(link)) return 0;
    return link->in_flight < window ? window - link->in_flight : 0;
}
