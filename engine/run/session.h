/* One run from start to end: drives the tuner step by step, keeps the run folder, and speaks with whoever watches.
 *
 * A session runs on one thread. It calls its hooks on that thread and never waits for anybody: a hook must return at
 * once (a server copies what it is given into its own queue). Requests are fetched the same way, by a hook that returns
 * what has arrived. They are accepted between the parts of a step and take effect between steps. */
#ifndef ALIGNPROP_RUN_SESSION_H
#define ALIGNPROP_RUN_SESSION_H

#include "engine/run/run_folder.h"
#include "engine/tuning/tuner.h"
#include "kernels/status.h"

#include <signal.h>

struct session;

enum session_phase { SESSION_STARTING, SESSION_RUNNING, SESSION_PAUSED, SESSION_STOPPING, SESSION_ENDED };
/* "starting", "running", "paused", "stopping", "ended". */
const char *session_phase_name(enum session_phase phase);

enum session_request_kind {
    REQUEST_PAUSE, /* after the step in progress */
    REQUEST_CONTINUE,
    REQUEST_STOP, /* saves after the step in progress, then ends */
    REQUEST_SAMPLE_NOW,
    REQUEST_SAVE_NOW,
    REQUEST_SET,
    REQUEST_ROLLBACK
};

struct session_request {
    enum session_request_kind kind;
    char key[160];            /* set: of a setting in preset/live_settings.h */
    double value;             /* set */
    int step;                 /* rollback: the checkpoint to go back to */
    char by[32];              /* who asked, for the event line: "studio", "command", "signal" */
    unsigned long long token; /* given back in `answer` */
};

/* Everything a screen needs beside the preset and the metrics file. Valid during the hook's call. */
struct session_state {
    enum session_phase phase;
    int step, steps;                /* last finished optimiser step; the last one of the run */
    double seconds_per_step;        /* measured over the last steps of this process; NaN before the first */
    double seconds_left;            /* NaN before the first step */
    const struct memory_plan *plan; /* NULL before the tuner is built */
    size_t memory_used;             /* of this process now, bytes */
    int skipped;                    /* non-finite steps so far */
    int best_step;                  /* -1: none yet */
    double best_total;
    int checkpoint_step;         /* newest whole checkpoint; -1: none yet */
    const struct preset *preset; /* as started; the present settings follow */
    struct live_settings settings;
    const char *device;     /* "cpu", "cuda:0" */
    const char *run_folder; /* absolute path */
    const char *run_id;
    const char *message; /* ended: the last message, "" when all went well */
};

/* A line of metrics.jsonl as it stands there, without its newline, and the object that it is. */
struct session_line {
    const char *text;
    const struct cJSON *value;
};

/* Any hook may be NULL. Lines are the session's; an event is on the disk when the hook is called. */
struct session_hooks {
    void *context;
    void (*state)(void *context, const struct session_state *state); /* whenever something in it changed */
    void (*metrics)(void *context, const struct session_line *line, int step);
    void (*event)(void *context, const struct session_line *line);
    void (*progress)(void *context, const char *phase, int step, int done, int total);
    void (*picture)(void *context, const struct tuner_picture *picture);
    void (*log)(void *context, const char *message);
    /* Fetches one request that has arrived; false if there is none. Called often; must not wait. */
    bool (*take_request)(void *context, struct session_request *request);
    /* Waits up to `seconds` for a request to arrive; called only while paused. NULL: the session sleeps. */
    void (*wait_request)(void *context, double seconds);
    /* Between two steps, and every time around while paused: work for watchers that needs this thread (a plan, pictures
     * from an adapter at a scale). The tuner may be read, not changed. */
    void (*between_steps)(void *context, struct tuner *tuner);
    /* Accepted or refused. `step`: the first step that uses it (set), the last finished step (others). */
    void (*answer)(void *context, const struct session_request *request, status result, int step);
};

struct session_options {
    struct backend *backend;   /* borrowed */
    const char *device;        /* for engine.json and state: "cpu", "cuda:0" */
    int threads;               /* for state.json, so that resume takes the same; 0: all cores */
    int steps;                 /* new total; 0: the preset's */
    const char *architecture;  /* of the model, for the adapter's metadata; NULL: "stable-diffusion-v1" */
    const char *prediction;    /* "epsilon", "v"; NULL: unknown */
    const char *other_weights; /* keys of the models whose weights are not those the run began with, which is accepted:
                                  noted in an event; NULL: none */
    bool keep_alive;           /* pause at the end instead of ending, until a stop request (a watching studio) */
    struct session_hooks hooks;
    /* Counts Ctrl-C: at 1 the step is finished and saved, at 2 the session gives up at once. Borrowed; may be NULL. */
    const volatile sig_atomic_t *interrupts;
};

/* Prepares a new run in `folder` (made by run_folder_create and locked) or one that goes on (run_folder_open, locked):
 * builds and starts the tuner, restores the newest whole checkpoint if there is one. Borrows preset and folder.
 * Errors: STATUS_NO_MEMORY from the plan, STATUS_BAD_INPUT naming a damaged file. */
status session_create(const struct preset *preset, struct run_folder *folder, const struct session_options *options,
                      struct session **session);
void session_destroy(struct session *session);

/* Runs to the end. STATUS_OK: all steps done or stopped by request; STATUS_INTERRUPTED: after saving (one Ctrl-C) or at
 * once (two); else what went wrong, with everything up to the last whole checkpoint kept. */
status session_run(struct session *session);

const struct memory_plan *session_plan(const struct session *session);

#endif
