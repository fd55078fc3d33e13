#include "tui/terminal/link.h"

#include <string.h>

static const struct link_level_limits levels[LINK_LEVEL_COUNT] = {
    [LINK_SYMBOLS] = {"symbols", 0, 0, 0, 100},
    [LINK_SMALL] = {"small", 12e3, 192, 32, 5000},
    [LINK_MEDIUM] = {"medium", 90e3, 256, 64, 2000},
    [LINK_FULL] = {"full", 900e3, 1024, 256, 0},
};

/* What is under way may take this long to arrive, so a key's echo waits no longer behind it. */
static const double queue_seconds = 0.045;
enum {
    SMALLEST_WINDOW = 600,
    LARGEST_WINDOW = 1 << 20,
    FIRST_WINDOW = 24 << 10,
    SILENCE = 8000,
    ROUTE_PERIOD = 30000,
    SMALLEST_SAMPLE = 300,
    LEAST_SAMPLES = 4,
    SMALL_PIECE = 2000,
    SAMPLE_PERIOD = 5000,
    LATE = 800,
    LATE_ENOUGH = 2,
    VERY_LATE = 2000
};
/* Delays under this are the terminal's own scheduling, not the link's. */
static const double noise_milliseconds = 4;

void link_init(struct link *link)
{
    memset(link, 0, sizeof *link);
    link->shortest = -1;
    link->recent_shortest = -1;
    link->level = LINK_FULL;
}

const struct link_level_limits *link_limits(enum link_level level)
{
    return &levels[level];
}

void link_mark(struct link *link, size_t bytes, int64_t now)
{
    link->in_flight += bytes;
    if (link->count == LINK_MARKS) {
        int last = (link->first + link->count - 1) % LINK_MARKS;
        link->marks[last].bytes += bytes;
        return;
    }
    int at = (link->first + link->count++) % LINK_MARKS;
    link->marks[at].sent = now;
    link->marks[at].bytes = bytes;
}

static void follow_route(struct link *link, double round_trip, int64_t now)
{
    if (link->shortest < 0 || round_trip < link->shortest) link->shortest = round_trip;
    if (link->recent_shortest < 0 || round_trip < link->recent_shortest) link->recent_shortest = round_trip;
    if (now - link->recent_since > ROUTE_PERIOD) {
        link->shortest = link->recent_shortest;
        link->recent_shortest = -1;
        link->recent_since = now;
    }
}

void link_note_round_trip(struct link *link, double milliseconds, int64_t now)
{
    if (link->recent_since == 0) link->recent_since = now;
    follow_route(link, milliseconds, now);
}

static void choose_level(struct link *link)
{
    if (link->fixed || link->sample_count < LEAST_SAMPLES) return;
    enum link_level fitting = LINK_SYMBOLS;
    /* A piece that took very long began on a faster link: what comes next will be slower still. */
    double rate = link->delay > LATE ? link->rate / 3 : link->rate;
    for (int level = LINK_SMALL; level < LINK_LEVEL_COUNT; level++)
        if (rate >= levels[level].least_rate) fitting = (enum link_level)level;
    if (fitting < link->level) {
        link->level = fitting;
        link->votes_up = 0;
    } else if (fitting > link->level && link->rate >= 1.3 * levels[link->level + 1].least_rate) {
        if (++link->votes_up >= 3) {
            link->level++;
            link->votes_up = 0;
        }
    } else {
        link->votes_up = 0;
    }
}

/* The best of the recent samples: a busy terminal makes single answers late, a slow link makes all of them. A few newer
 * ones must be there before an old one is forgotten, so that silence does not count as slowness; fewer do where answers
 * were very late, for then waiting for more of them takes too long. */
static void add_sample(struct link *link, double rate, int64_t now)
{
    link->samples[link->sample_next].taken = now;
    link->samples[link->sample_next].rate = rate;
    link->sample_next = (link->sample_next + 1) % LINK_SAMPLES;
    if (link->sample_count < LINK_SAMPLES) link->sample_count++;
    link->late = link->delay > LATE ? link->late + 1 : 0;
    bool slow = link->late >= LATE_ENOUGH || link->delay > VERY_LATE;
    int kept = slow ? link->late : LEAST_SAMPLES, period = slow ? 0 : SAMPLE_PERIOD;
    link->rate = 0;
    for (int age = 0; age < link->sample_count; age++) {
        int at = (link->sample_next - 1 - age + 2 * LINK_SAMPLES) % LINK_SAMPLES;
        if (age >= kept && now - link->samples[at].taken > period) break;
        if (link->samples[at].rate > link->rate) link->rate = link->samples[at].rate;
    }
}

void link_answer(struct link *link, int64_t now)
{
    if (link->count == 0) return;
    int64_t sent = link->marks[link->first].sent;
    size_t bytes = link->marks[link->first].bytes;
    link->first = (link->first + 1) % LINK_MARKS;
    link->count--;
    link->in_flight -= bytes < link->in_flight ? bytes : link->in_flight;
    link->ever_answered = true;
    follow_route(link, (double)(now - sent), now);
    /* The link began with this piece when it had arrived, or when the one before it was through. */
    double began = (double)sent + link->shortest;
    if ((double)link->last_answer > began) began = (double)link->last_answer;
    link->delay = (double)now - began;
    link->last_answer = now;
    if (bytes < SMALLEST_SAMPLE) return;
    double sample = (double)bytes / (link->delay > noise_milliseconds ? link->delay : noise_milliseconds) * 1000;
    /* A short delay is the terminal's own scheduling: it says that the link is at least this fast, not that it is no
     * faster. The fewer bytes, the longer a delay has to be to tell of the link. */
    bool tells_limit = link->delay > (bytes < SMALL_PIECE ? 100 : 30);
    if (!tells_limit && sample < link->rate) sample = link->rate;
    /* A single answer does not make a slow link fast. */
    double most = link->rate > 0 ? 8 * link->rate : FIRST_WINDOW / queue_seconds;
    add_sample(link, sample < most ? sample : most, now);
    choose_level(link);
}

static size_t window(const struct link *link)
{
    if (link->rate <= 0) return FIRST_WINDOW;
    double bytes = link->rate * queue_seconds;
    if (bytes < SMALLEST_WINDOW) return SMALLEST_WINDOW;
    if (bytes > LARGEST_WINDOW) return LARGEST_WINDOW;
    return (size_t)bytes;
}

size_t link_piece(const struct link *link)
{
    return window(link);
}

bool link_waits(const struct link *link, int64_t now)
{
    /* A terminal that never answers is not waited for. */
    return link->count > 0 && (link->ever_answered || now - link->marks[link->first].sent <= SILENCE);
}

size_t link_room(const struct link *link, int64_t now)
{
    if (link->count == 0) return window(link);
    if (!link_waits(link, now)) return window(link);
    size_t most = window(link);
    return link->in_flight < most ? most - link->in_flight : 0;
}
