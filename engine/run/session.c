/* The loop of a run: steps, evaluations, checkpoints and requests in turn, until it ends. */
#include "engine/run/session.h"

#include "engine/run/session_private.h"

#include "engine/base/clock.h"
#include "engine/base/range.h"
#include "kernels/host_memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TIMED_STEPS = 20 }; /* measured times are means over about this many */

const char *session_phase_name(enum session_phase phase)
{
    switch (phase) {
    case SESSION_STARTING: return "starting";
    case SESSION_RUNNING: return "running";
    case SESSION_PAUSED: return "paused";
    case SESSION_STOPPING: return "stopping";
    case SESSION_ENDED: return "ended";
    }
    return "";
}

bool session_interrupted(const struct session *session, int times)
{
    return session->options.interrupts && *session->options.interrupts >= times;
}

const struct memory_plan *session_plan(const struct session *session)
{
    return tuner_plan(session->tuner);
}

/* ---- telling the watchers ---- */

static double seconds_left(const struct session *session)
{
    if (session->steps_timed == 0) return NAN;
    int left = session->steps - session->step;
    double seconds = left * session->step_seconds;
    if (session->settings.sample_every > 0) {
        seconds += (double)left / session->settings.sample_every * session->evaluation_seconds;
    }
    return seconds;
}

static void publish_message(struct session *session, const char *message)
{
    const struct session_hooks *hooks = &session->options.hooks;
    if (!hooks->state) return;
    struct session_state state = {.phase = session->phase,
                                  .step = session->step,
                                  .steps = session->steps,
                                  .seconds_per_step = session->steps_timed ? session->step_seconds : NAN,
                                  .seconds_left = seconds_left(session),
                                  .plan = session->tuner ? tuner_plan(session->tuner) : NULL,
                                  .memory_used = host_memory_resident(),
                                  .skipped = session->skipped,
                                  .best_step = session->best_step,
                                  .best_total = session->best_total,
                                  .checkpoint_step = session->checkpoint_step,
                                  .preset = session->preset,
                                  .device = session->options.device ? session->options.device : "cpu",
                                  .settings = session->settings,
                                  .run_folder = session->folder->path,
                                  .run_id = session->folder->id,
                                  .message = message};
    hooks->state(hooks->context, &state);
}

void session_publish(struct session *session)
{
    publish_message(session, "");
}

void session_say(struct session *session, const char *message)
{
    log_write(&session->log, "%s", message);
    if (session->options.hooks.log) session->options.hooks.log(session->options.hooks.context, message);
}

/* ---- the tuner's callbacks ---- */

static void on_progress(void *context, const char *phase, int step, int done, int total)
{
    struct session *session = context;
    const struct session_hooks *hooks = &session->options.hooks;
    if (hooks->progress) hooks->progress(hooks->context, phase, step, done, total);
    session_poll(session);
}

static void on_picture(void *context, const struct tuner_picture *picture)
{
    struct session *session = context;
    const struct session_hooks *hooks = &session->options.hooks;
    bool kept = picture->kind == PICTURE_EVALUATION || picture->kind == PICTURE_BASE;
    if (session->evaluating && kept && session->picture_result.code == STATUS_OK) {
        session->picture_result = session_keep_picture(session, picture);
    }
    if (hooks->picture) hooks->picture(hooks->context, picture);
}

/* Pictures can be made again after resuming, so the first Ctrl-C ends an evaluation; a step is finished. */
static bool on_abandon(void *context)
{
    const struct session *session = context;
    return session_interrupted(session, session->evaluating ? 1 : 2);
}

struct tuner_callbacks session_callbacks(struct session *session)
{
    return (struct tuner_callbacks){
        .context = session, .progress = on_progress, .picture = on_picture, .abandon = on_abandon};
}

/* ---- parts of a run ---- */

static void time_step(struct session *session, double seconds)
{
    if (session->steps_timed < TIMED_STEPS) session->steps_timed++;
    session->step_seconds += (seconds - session->step_seconds) / session->steps_timed;
}

static void time_evaluation(struct session *session, double seconds)
{
    if (session->evaluations_timed < TIMED_STEPS) session->evaluations_timed++;
    session->evaluation_seconds += (seconds - session->evaluation_seconds) / session->evaluations_timed;
}

/* Samples the held-out prompts and keeps the pictures. */
static status evaluate(struct session *session, double *rewards, double *total)
{
    double start = clock_steady();
    session->evaluating = true;
    session->picture_result = status_ok();
    status result = tuner_evaluate(session->tuner, session->step == 0 ? 0 : 1, rewards, total);
    session->evaluating = false;
    TRY(result);
    TRY(session->picture_result);
    time_evaluation(session, clock_steady() - start);
    session_measure(session, session->step, rewards);
    return status_ok();
}

/* The pictures that everything later is compared with. */
static status evaluate_start(struct session *session)
{
    double rewards[MAXIMUM_REWARDS], total;
    TRY(evaluate(session, rewards, &total));
    struct text members = {0};
    text_append(&members, ",\"eval_reward\":");
    session_append_rewards(session, &members, rewards, total);
    text_append(&members, ",\"eval_extra\":");
    session_append_statistics(session, &members);
    /* The untrained model is what drift is measured from. */
    text_append(&members, ",\"adapter_norm\":0,\"drift\":0");
    status result = session_event(session, "evaluation", 0, members.data);
    text_clear(&members);
    return result;
}

static bool is_due(int step, int every)
{
    return every > 0 && step % every == 0;
}

static bool sample_is_due(const struct session *session)
{
    return is_due(session->step, session->settings.sample_every) ||
           (session->settings.sample_every > 0 && session->step == session->steps);
}

static bool is_ending(const struct session *session)
{
    return session->stop || session_interrupted(session, 1) || session->step >= session->steps;
}

/* Adds the member that `text` holds as JSON. */
static status add_parsed(cJSON *object, const char *key, const struct text *text)
{
    cJSON *value;
    TRY(json_parse(text->data, text->length, key, &value));
    cJSON_AddItemToObject(object, key, value);
    return status_ok();
}

static status add_evaluation(struct session *session, const double *rewards, double total)
{
    struct text object = {0}, statistics = {0};
    session_append_rewards(session, &object, rewards, total);
    session_append_statistics(session, &statistics);
    status result = add_parsed(session->unfinished, "eval_reward", &object);
    if (result.code == STATUS_OK) result = add_parsed(session->unfinished, "eval_extra", &statistics);
    text_clear(&object);
    text_clear(&statistics);
    return result;
}

/* Measures what was still to be measured when the run was cut off. */
static status finish_unfinished(struct session *session)
{
    if (!session->unfinished) return status_ok();
    double rewards[MAXIMUM_REWARDS], total;
    TRY(evaluate(session, rewards, &total));
    TRY(add_evaluation(session, rewards, total));
    char *line = json_print(session->unfinished, false);
    cJSON_Delete(session->unfinished);
    session->unfinished = NULL;
    status result = metrics_append(&session->metrics, line);
    session_hand_line(session, line, session->step);
    free(line);
    return result;
}

/* A failure to save is the run's when the run needs the checkpoint, else that of who asked for it. */
static status save(struct session *session, bool needed)
{
    session->save_now = false;
    status result = session_save(session);
    if (result.code == STATUS_OK || needed || session->folder_error.code != STATUS_OK) return result;
    session_say(session, result.message);
    return status_ok();
}

/* Likewise for pictures that cannot be kept. */
static status sample(struct session *session, bool needed, double *rewards, double *total)
{
    session->sample_now = false;
    status result = evaluate(session, rewards, total);
    bool unkept = result.code != STATUS_OK && session->picture_result.code != STATUS_OK;
    if (!unkept || needed || session->folder_error.code != STATUS_OK) return result;
    session_say(session, result.message);
    return status_error(STATUS_INTERRUPTED, "no pictures");
}

/* The line of a finished step is written at once, so that a checkpoint never lacks it, and once more with the held-out
 * rewards when there are some: of repeated steps the later line counts. */
static status record_step(struct session *session, const struct step_report *report)
{
    char *line = session_metrics_line(session, report, NULL, 0);
    status result = metrics_append(&session->metrics, line);
    bool save_is_due = is_ending(session) || is_due(session->step, session->preset->checkpoint_every);
    if (result.code == STATUS_OK && (session->save_now || save_is_due)) result = save(session, save_is_due);
    bool asked = session->sample_now;
    if (result.code == STATUS_OK && (asked || sample_is_due(session)) && !session->stop &&
        !session_interrupted(session, 1)) {
        double rewards[MAXIMUM_REWARDS], total;
        result = sample(session, sample_is_due(session), rewards, &total);
        if (result.code == STATUS_INTERRUPTED) {
            result = status_ok();
        } else if (result.code == STATUS_OK) {
            free(line);
            line = session_metrics_line(session, report, rewards, total);
            result = metrics_append(&session->metrics, line);
        }
    } else if (result.code == STATUS_OK && session->settings.sample_every == 0) {
        session_measure(session, session->step, report->reward);
    }
    session_hand_line(session, line, report->step);
    free(line);
    return result;
}

/* A tuner that fails at the end of a step (too many skipped ones in a row, a device lost afterwards) has still counted
 * it, and it is saved; a step that was cut off is not. */
static status note_counted_step(struct session *session, const struct step_report *report, status failure)
{
    if (tuner_step_number(session->tuner) != session->step + 1) return failure;
    session->step++;
    char *line = session_metrics_line(session, report, NULL, 0);
    (void)metrics_append(&session->metrics, line); /* the failure that is told is the one that came first */
    free(line);
    return failure;
}

static status one_step(struct session *session)
{
    TRY(session_check_folder(session));
    session_apply_changes(session, session->step + 1);
    struct step_report report = {0};
    double start = clock_steady();
    session->in_step = true;
    status result = tuner_step(session->tuner, &report);
    session->in_step = false;
    if (result.code != STATUS_OK) return note_counted_step(session, &report, result);
    session->step = report.step;
    if (report.skipped) {
        session->skipped++;
        session->skipped_what = report.skipped_what;
        char message[200];
        snprintf(message, sizeof message, "step %d was skipped: %s is not finite", report.step,
                 report.skipped_what ? report.skipped_what : "a value");
        session_say(session, message);
    }
    time_step(session, clock_steady() - start);
    result = record_step(session, &report);
    session_publish(session);
    return result;
}

static void wait_a_little(const struct session *session)
{
    const struct session_hooks *hooks = &session->options.hooks;
    if (hooks->wait_request) {
        hooks->wait_request(hooks->context, 0.2);
    } else {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}

static void let_watchers_work(struct session *session)
{
    const struct session_hooks *hooks = &session->options.hooks;
    if (hooks->between_steps) hooks->between_steps(hooks->context, session->tuner);
}

/* What can be asked for without a step: pictures and a checkpoint of the present state. */
static status serve_while_paused(struct session *session)
{
    TRY(session_check_folder(session));
    if (session->save_now) TRY(save(session, false));
    if (session->sample_now) {
        double rewards[MAXIMUM_REWARDS], total;
        status result = sample(session, false, rewards, &total);
        if (result.code != STATUS_INTERRUPTED) TRY(result);
    }
    return session_do_rollback(session);
}

static status pause_run(struct session *session, bool at_end)
{
    session->phase = SESSION_PAUSED;
    session_publish(session);
    while (!session->stop && !session_interrupted(session, 1)) {
        session_poll(session);
        TRY(serve_while_paused(session));
        let_watchers_work(session);
        if (at_end ? session->step < session->steps : !session->pause) break;
        wait_a_little(session);
    }
    if (!session->stop) session->phase = SESSION_RUNNING;
    session_publish(session);
    return status_ok();
}

static status run_steps(struct session *session)
{
    session->phase = SESSION_RUNNING;
    session_publish(session);
    for (;;) {
        session_poll(session);
        TRY(session_do_rollback(session));
        if (session->stop || session_interrupted(session, 1)) return status_ok();
        if (session->pause) {
            TRY(pause_run(session, false));
            continue;
        }
        if (session->step >= session->steps) {
            if (!session->options.keep_alive) return status_ok();
            TRY(pause_run(session, true));
            if (session->step >= session->steps) return status_ok();
            continue;
        }
        let_watchers_work(session);
        TRY(one_step(session));
    }
}

/* A run that changed nothing has not done what was asked of it. */
static status check_some_step_counted(const struct session *session)
{
    if (session->step == 0 || session->skipped < session->step) return status_ok();
    const char *what = session->skipped_what ? session->skipped_what : "a value";
    return status_error(STATUS_FAILED,
                        "nothing was tuned: each of the %d steps was skipped, because %s was not a finite number; "
                        "`alignprop models check` looks for such values in the model's weights",
                        session->step, what);
}

/* Nothing is to be saved when the user gave up at once, or when there is no room to save. */
static status finish(struct session *session, status result)
{
    bool abandoned = session_interrupted(session, 2);
    if (session->folder_moved) session->folder_error = status_ok(); /* its new place is known */
    if (!abandoned && tuner_step_number(session->tuner) == session->step && session->step > 0) {
        status saved = session_save(session);
        if (result.code == STATUS_OK) result = saved;
    }
    if (result.code == STATUS_OK && session_interrupted(session, 1)) {
        result = abandoned ? status_error(STATUS_INTERRUPTED, "interrupted at once; the last checkpoint is of step %d",
                                          max_int(session->checkpoint_step, 0))
                 : session->step == 0
                     ? status_error(STATUS_INTERRUPTED, "interrupted before the first step")
                     : status_error(STATUS_INTERRUPTED, "interrupted; saved at step %d", session->step);
    }
    return result.code == STATUS_OK ? check_some_step_counted(session) : result;
}

static const char *ending_text(const struct session *session, status result)
{
    if (result.code == STATUS_INTERRUPTED) return "interrupted";
    if (result.code != STATUS_OK) return "failed";
    return session->step >= session->steps ? "done" : "stopped";
}

static status measure_start(struct session *session)
{
    status result = status_ok();
    if (session->unfinished) {
        result = finish_unfinished(session);
    } else if (session->step == 0 && session->measured_count == 0 && session->settings.sample_every > 0) {
        result = evaluate_start(session);
    }
    bool finish_first = result.code == STATUS_INTERRUPTED && !session_interrupted(session, 2);
    return finish_first ? status_ok() : result;
}

static status tell_end(struct session *session, status result)
{
    struct text members = {0};
    text_append(&members, ",\"status\":\"%s\"", ending_text(session, result));
    if (result.code != STATUS_OK && result.code != STATUS_INTERRUPTED) {
        text_append(&members, ",\"reason\":");
        text_append_json_string(&members, result.message);
    }
    status told = session_event(session, "end", session->step, members.data);
    text_clear(&members);
    return told;
}

status session_run(struct session *session)
{
    status result = measure_start(session);
    if (result.code == STATUS_OK) result = run_steps(session);
    result = finish(session, result);
    session->phase = SESSION_ENDED;
    status told = tell_end(session, result);
    if (result.code == STATUS_OK) result = told;
    if (result.code != STATUS_OK) session_say(session, result.message);
    publish_message(session, result.message);
    return result;
}

void session_destroy(struct session *session)
{
    if (!session) return;
    tuner_destroy(session->tuner);
    metrics_close(&session->metrics);
    log_close(&session->log);
    free(session->pending);
    free(session->measured);
    cJSON_Delete(session->unfinished);
    free(session);
}
