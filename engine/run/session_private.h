/* What the files of the session share. */
#ifndef ALIGNPROP_RUN_SESSION_PRIVATE_H
#define ALIGNPROP_RUN_SESSION_PRIVATE_H

#include "engine/base/log.h"
#include "engine/run/checkpoint.h"
#include "engine/run/metrics.h"
#include "engine/run/session.h"

/* A change that was accepted and waits for its step. */
struct pending_change {
    int step;
    char key[160];
    double value;
};

/* Raw rewards at a step, kept to find the best step under the present weights. */
struct measured_step {
    int step;
    double reward[MAXIMUM_REWARDS];
};

struct session {
    const struct preset *preset;
    struct run_folder *folder;
    struct session_options options;
    struct tuner *tuner;
    struct metrics_file metrics;
    struct log log;

    enum session_phase phase;
    int step, steps; /* last finished; last of the run */
    bool in_step;
    struct live_settings settings;
    struct pending_change *pending;
    int pending_count, pending_capacity;
    int skipped, rollbacks, checkpoint_step;
    double started; /* seconds since 1970 */

    bool pause, stop, sample_now, save_now;
    const char *skipped_what; /* of the last skipped step of this process; static; NULL: none */
    bool rollback_waits;
    struct session_request rollback;

    struct measured_step *measured;
    int measured_count, measured_capacity, best_step;
    double best_total;

    /* While pictures of an evaluation are being kept. */
    bool evaluating;
    status picture_result;

    status folder_error; /* what became of the run's folder while the run went on */
    bool folder_moved;

    cJSON *unfinished; /* metrics line of the step resumed from, when its held-out rewards are still to be measured */

    double step_seconds, evaluation_seconds; /* means over the last ones; 0: none yet */
    int steps_timed, evaluations_timed;
};

/* ---- session_record.c: what is written ---- */

/* STATUS_FAILED once the run's folder was removed or moved: nothing is to be made where it was. Of one that was moved
 * the session knows the new place then. */
status session_check_folder(struct session *session);

/* Appends an event line, syncs it, and tells the watchers. `members` is the JSON after "event" and "step", such as
 * ",\"to\":3", or "". */
status session_event(struct session *session, const char *event, int step, const char *members);
/* The metrics line of one step; `evaluation` (raw rewards, then total in `evaluation_total`) may be NULL. */
char *session_metrics_line(const struct session *session, const struct step_report *report, const double *evaluation,
                           double evaluation_total);
/* {"ID": value, ..., "total": value} */
void session_append_rewards(const struct session *session, struct text *text, const double *rewards, double total);
/* {"dark": share, "edges": share, "saturation": mean, "diversity": mean} of the newest evaluation's pictures */
void session_append_statistics(const struct session *session, struct text *text);
/* Keeps a picture of an evaluation in samples/. */
status session_keep_picture(struct session *session, const struct tuner_picture *picture);
status session_save(struct session *session);

/* ---- session_requests.c: what watchers ask for ---- */

/* Takes what has arrived: accepts or refuses; nothing takes effect yet. */
void session_poll(struct session *session);
/* Puts the changes whose step has come into effect. */
void session_apply_changes(struct session *session, int step);
/* Gives a line to the hook for metrics of that step, or (step negative) to that for events. */
void session_hand_line(const struct session *session, const char *text, int step);
/* Queues a change for `step`. */
void session_add_change(struct session *session, int step, const char *key, double value);
/* Goes back to the checkpoint that was asked for, and answers. */
status session_do_rollback(struct session *session);

/* ---- session_best.c ---- */

void session_measure(struct session *session, int step, const double *rewards);
void session_forget_after(struct session *session, int step);
void session_find_best(struct session *session);

/* ---- session.c ---- */

void session_publish(struct session *session);
/* To the log and the watchers. */
void session_say(struct session *session, const char *message);
struct tuner_callbacks session_callbacks(struct session *session);
bool session_interrupted(const struct session *session, int times);

#endif
