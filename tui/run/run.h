/* What the studio knows of one run: its state, every step's figures, its newest pictures. Fed by the engine's messages
 * and the run folder; holds no formula but the weighted sum that defines the total. */
#ifndef ALIGNPROP_TUI_RUN_RUN_H
#define ALIGNPROP_TUI_RUN_RUN_H

#include "engine/base/picture_kind.h"
#include "engine/protocol/message.h"
#include "tui/pictures/image.h"

#include <stdint.h>

enum {
    RUN_REWARDS = 16,
    RUN_PICTURES = 16,
    RUN_MARKS = 256,
    RUN_LOG_LINES = 200,
    RUN_CHECKPOINTS = 512,
    LARGEST_PRESET = 1 << 20
};

enum run_phase {
    RUN_UNKNOWN,
    RUN_IDLE,
    RUN_WAITING,
    RUN_STARTING,
    RUN_RUNNING,
    RUN_PAUSING,
    RUN_PAUSED,
    RUN_STOPPING,
    RUN_FINISHED,
    RUN_STOPPED,
    RUN_FAILED,
    RUN_LOST
};

/* Side figures of a step, by the names that metrics lines use. */
enum run_figure {
    FIGURE_ADAPTER_NORM,
    FIGURE_DRIFT,
    FIGURE_DIVERSITY,
    FIGURE_DARK,
    FIGURE_EDGES,
    FIGURE_SATURATION,
    FIGURE_SAMPLING,
    FIGURE_DECODING,
    FIGURE_REWARD,
    FIGURE_BACKWARD,
    FIGURE_COUNT
};

struct run_step {
    int step;
    bool trained;                 /* has `reward`: false for the untrained step 0 */
    bool evaluated;               /* has `eval_reward` */
    double reward[RUN_REWARDS];   /* raw means over the batch; NaN where missing */
    double held_out[RUN_REWARDS]; /* raw means over the held-out prompts */
    double figure[FIGURE_COUNT];  /* NaN where missing */
    double loss, gradient_norm, seconds;
    double time;      /* when its line was written, seconds since 1970 */
    bool after_break; /* the run stood still before it: paused, stopped, gone back */
    int grad_steps;
    bool skipped;
};

struct run_mark {
    int step;
    char text[80]; /* as "weight of jpeg 0.2 to 0.5" */
};

struct run_reward {
    char id[64], name[64];
    double weight;    /* applied */
    double pending;   /* accepted, not yet applied; NaN: none */
    double low, high; /* what the engine allows */
};

struct run_picture {
    struct image image;           /* pixels NULL: none yet */
    int step, index, done, total; /* denoising: done of total steps */
    int full_width, full_height;
    char prompt[512], seed[24];
    double reward; /* weighted, as the engine said; NaN: not known */
    double rewards[RUN_REWARDS];
    uint64_t serial; /* counts pictures: the larger, the newer */
};

struct run_log_line {
    char level[12], text[240];
    double time;
};

struct run {
    char path[4096], name[128], device[32];
    enum run_phase phase;
    char error[400], end_text[240];
    int end_status; /* exit status that `end` told */
    int step, steps, threads, pending_step, clients;
    int waiting_ahead; /* runs that come before this one while it waits for the device */
    double seconds_per_step, seconds_left;
    double memory_planned, memory_used, memory_free; /* bytes; NaN: not known */
    struct run_reward rewards[RUN_REWARDS];
    int reward_count;
    cJSON *preset;            /* as started; owned, may be NULL */
    cJSON *settings;          /* what has been changed since, or the engine tells: numbers by dotted key; owned */
    struct run_step *history; /* ordered by step, count entries */
    int history_count, history_capacity;
    bool broken;         /* the run stands still, or did since the newest step */
    bool looks_held_out; /* figures of how pictures look are of held-out pictures, not of the batch */
    struct run_mark marks[RUN_MARKS];
    int mark_count;
    int checkpoints[RUN_CHECKPOINTS];
    int checkpoint_count;
    struct {
        char phase[16];
        int step, done, total;
    } progress;
    struct run_picture pictures[PICTURE_KIND_COUNT][RUN_PICTURES];
    uint64_t picture_serial;
    struct run_log_line log[RUN_LOG_LINES]; /* ring: line `number` of all stands at number % RUN_LOG_LINES */
    int64_t log_total;                      /* lines ever taken in */
    int log_count;                          /* those that are kept */
    bool paused_by_us;
};

/* The run's name without the "-20261127-194532" that keeps runs of one preset apart, for narrow places. */
const char *run_short_name(const char *name, char *text, size_t size);

struct run *run_new(void);
void run_free(struct run *run);
void run_clear(struct run *run);

/* `state`: replaces what is known, and reads the history from the run folder. */
void run_take_state(struct run *run, const cJSON *message);
/* `progress`, `metrics`, `event`, `log`, `end`; others are ignored. */
void run_take_message(struct run *run, const char *type, const cJSON *message);
/* The newest picture of its kind and index; previews of the denoising last until a decoded picture comes. */
void run_take_picture(struct run *run, const cJSON *header, int width, int height, const unsigned char *pixels);
/* One line of metrics.jsonl. */
void run_take_line(struct run *run, const cJSON *line);
/* Fills the model from a run's folder alone, with no engine alive. False when there is no preset.json. */
bool run_load_folder(struct run *run, const char *path);

/* The present value of a setting such as "optimizer.lr"; NaN where it is not known. */
double run_setting(const struct run *run, const char *key);

/* Weighted sum under the present weights (pending ones where they are set when `pending`). NaN where a value misses. */
double run_total(const struct run *run, const double *raw);
/* The newest step with figures / with held-out figures / with a value of that figure; NULL when there is none. */
const struct run_step *run_newest(const struct run *run);
const struct run_step *run_newest_held_out(const struct run *run);
const struct run_step *run_first_held_out(const struct run *run);
double run_newest_figure(const struct run *run, enum run_figure figure);
double run_first_figure(const struct run *run, enum run_figure figure);
/* The step whose held-out total is highest under the present weights; NULL when none was measured. */
const struct run_step *run_best(const struct run *run);
bool run_alive(const struct run *run);
const char *run_phase_name(enum run_phase phase);
const struct run_picture *run_picture(const struct run *run, enum picture_kind kind, int index);
/* The prompt of the held-out picture of that index; "" where it is not known. */
const char *run_held_out_prompt(const struct run *run, int index);
/* How many pictures of the kind there are, as the highest index with a picture plus one. */
int run_picture_count(const struct run *run, enum picture_kind kind);

/* A picture of the folder "samples/step-%06d/" of the run in `run_path`. Fills `path`; false when there is none of that
 * index. */
bool run_sample_path(const char *run_path, int step, int index, char *path, size_t size);
/* Steps that have a folder of samples, ascending. */
int run_sample_steps(const char *run_path, int *steps, int capacity);

#endif
