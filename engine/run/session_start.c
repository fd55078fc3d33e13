/* The beginning of a session: a new run, or one that goes on from its newest whole checkpoint. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/run/origin.h"
#include "engine/run/session_private.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status open_files(struct session *session)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/engine.log", session->folder->path));
    TRY(log_open(&session->log, path));
    TRY(path_format(path, "%s/metrics.jsonl", session->folder->path));
    return metrics_open(&session->metrics, path);
}

static status start_tuner(struct session *session)
{
    TRY(tuner_create(session->preset, session->options.backend, session_callbacks(session), &session->tuner));
    session_publish(session);
    return tuner_start(session->tuner);
}

/* ---- going on ---- */

/* True if the run went back behind this checkpoint after it was written. */
static bool is_superseded(const struct run_state *state, const struct metrics_history *history)
{
    for (int i = state->rollbacks; i < history->rollback_count; i++) {
        if (state->step > history->rollbacks[i]) return true;
    }
    return false;
}

/* A damaged checkpoint is passed over, and the words are kept. One that was changed, or says what cannot be, is not: to
 * go on from another would lose work in silence, to go on from this one would go on with other numbers. */
static status try_checkpoint(struct session *session, const struct metrics_history *history, int step, bool *usable,
                             status *damage)
{
    struct run_state state;
    bool whole;
    *usable = false;
    status result = checkpoint_check(session->folder, step, session->preset, &state, &whole);
    if (result.code == STATUS_OK) {
        *usable = !is_superseded(&state, history);
        return status_ok();
    }
    if (whole) return result;
    session_say(session, result.message);
    if (damage->code == STATUS_OK) *damage = result;
    return status_ok();
}

/* The newest whole checkpoint that still counts; -1 if there is none. Where all are damaged there is nothing to go on
 * from. */
static status find_checkpoint(struct session *session, const struct metrics_history *history, int *found)
{
    *found = -1;
    int *steps, count;
    TRY(checkpoint_list(session->folder, &steps, &count));
    status result = status_ok(), damage = status_ok();
    for (int i = count - 1; i >= 0 && *found < 0 && result.code == STATUS_OK; i--) {
        bool usable;
        result = try_checkpoint(session, history, steps[i], &usable, &damage);
        if (usable) *found = steps[i];
    }
    free(steps);
    if (result.code != STATUS_OK || *found >= 0) return result;
    return status_context(damage, "no checkpoint is whole");
}

static status restore(struct session *session, int step)
{
    struct run_state state;
    struct checkpoint *checkpoint;
    TRY(checkpoint_open(session->folder, step, session->preset, &checkpoint, &state));
    status result = checkpoint_restore(checkpoint, session->tuner);
    checkpoint_close(checkpoint);
    TRY(result);
    session->step = state.step;
    session->checkpoint_step = state.step;
    session->settings = state.settings;
    session->skipped = state.skipped;
    session->started = state.started;
    TRY(checkpoint_remove_after(session->folder, step));
    return checkpoint_publish(session->folder, step);
}

static bool read_rewards(const struct session *session, const cJSON *line, const char *key, double *rewards)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(line, key);
    for (int i = 0; i < session->preset->reward_count; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, session->preset->rewards[i].id);
        if (!cJSON_IsNumber(value)) return false;
        rewards[i] = value->valuedouble;
    }
    return true;
}

static void restore_measured(struct session *session, const struct metrics_history *history)
{
    double rewards[MAXIMUM_REWARDS];
    const char *key = session->settings.sample_every > 0 ? "eval_reward" : "reward";
    if (read_rewards(session, history->evaluation_0, "eval_reward", rewards)) session_measure(session, 0, rewards);
    for (int i = 0; i < history->record_count && history->records[i].step <= session->step; i++) {
        const struct metrics_record *record = &history->records[i];
        if (read_rewards(session, record->value, key, rewards)) session_measure(session, record->step, rewards);
    }
}

static void report_change(struct session *session, const struct metrics_change *change, status wrong)
{
    struct text message = {0};
    text_append(&message, "%s: the change ordered for step %d is left out: %s", session->metrics.path, change->step,
                wrong.message);
    session_say(session, message.data);
    text_clear(&message);
}

/* Changes that were ordered for steps that come again; of all it is said what this program cannot take. */
static void restore_changes(struct session *session, const struct metrics_history *history)
{
    for (int i = 0; i < history->change_count; i++) {
        const struct metrics_change *change = &history->changes[i];
        status wrong = live_settings_check(session->preset, change->key, change->value);
        if (wrong.code != STATUS_OK) report_change(session, change, wrong);
        if (wrong.code != STATUS_OK || change->step <= session->step) continue;
        session_add_change(session, change->step, change->key, change->value);
    }
}

/* The step the checkpoint is of may lack its held-out pictures: the checkpoint is saved before they are made. */
static void find_unfinished(struct session *session, const struct metrics_history *history)
{
    int every = session->settings.sample_every;
    if (every <= 0 || session->step == 0 || session->step % every != 0) return;
    for (int i = 0; i < history->record_count; i++) {
        const struct metrics_record *record = &history->records[i];
        if (record->step != session->step || cJSON_HasObjectItem(record->value, "eval_reward")) continue;
        session->unfinished = cJSON_Duplicate(record->value, true);
    }
}

static bool is_new(const struct metrics_history *history)
{
    return history->record_count == 0 && !history->evaluation_0 && history->rollback_count == 0 &&
           history->change_count == 0;
}

static status note_other_weights(struct session *session)
{
    if (!session->options.other_weights) return status_ok();
    struct text members = {0};
    text_append(&members, ",\"models\":");
    text_append_json_string(&members, session->options.other_weights);
    status result = session_event(session, "other-weights", session->step + 1, members.data);
    text_clear(&members);
    return result;
}

static status go_on(struct session *session, const struct metrics_history *history)
{
    int step;
    TRY(find_checkpoint(session, history, &step));
    if (step >= 0)
        TRY(restore(session, step));
    else
        TRY(origin_apply(session->folder, session->preset, session->tuner));
    session->rollbacks = history->rollback_count;
    tuner_use_settings(session->tuner, &session->settings);
    restore_measured(session, history);
    restore_changes(session, history);
    find_unfinished(session, history);
    TRY(note_other_weights(session));
    if (step < 0 && is_new(history)) return session_event(session, "start", 0, "");
    return session_event(session, "resume", session->step + 1, "");
}

static status begin(struct session *session)
{
    TRY(open_files(session));
    struct metrics_history history;
    int damaged = 0;
    TRY(metrics_read(session->metrics.path, &history, &damaged));
    status result = start_tuner(session);
    if (result.code == STATUS_OK) result = go_on(session, &history);
    int faulty = history.faulty_changes;
    metrics_history_clear(&history);
    if (damaged > 0) session_say(session, "metrics.jsonl has lines that cannot be read; they are left out");
    if (faulty > 0)
        session_say(session,
                    "metrics.jsonl has changes of settings without a step, a key or a number; they are left out");
    return result;
}

status session_create(const struct preset *preset, struct run_folder *folder, const struct session_options *options,
                      struct session **session)
{
    *session = NULL;
    struct session *created = memory_take(1, sizeof *created);
    created->preset = preset;
    created->folder = folder;
    created->options = *options;
    created->metrics.descriptor = -1;
    created->steps = options->steps > 0 ? options->steps : preset->steps;
    created->checkpoint_step = created->best_step = -1;
    created->best_total = NAN;
    created->started = clock_wall();
    created->settings = live_settings_of(preset);
    status result = begin(created);
    if (result.code != STATUS_OK) {
        session_say(created, result.message);
        session_destroy(created);
        return result;
    }
    *session = created;
    return status_ok();
}
