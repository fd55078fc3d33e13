/* The beginning of a session: a new run, or one that goes on from its newest whole checkpoint. */
#include "engine/run/origin.h"
#include "engine/run/session_private.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double default_preview_rate = 30;

static void settings_of_preset(const struct preset *preset, struct live_settings *settings)
{
    for (int i = 0; i < preset->reward_count; i++) settings->weights[i] = preset->rewards[i].weight;
    settings->learning_rate = preset->learning_rate;
    settings->clip = preset->clip;
    settings->sample_every = preset->sample_every;
    settings->preview_rate = default_preview_rate;
}

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

static bool is_usable(struct session *session, const struct metrics_history *history, int step)
{
    struct run_state state;
    status result = checkpoint_load(session->folder, step, session->preset, NULL, &state);
    if (result.code != STATUS_OK) {
        session_say(session, result.message);
        return false;
    }
    return state.step == step && !is_superseded(&state, history);
}

/* The newest whole checkpoint that still counts; -1 if there is none. */
static status find_checkpoint(struct session *session, const struct metrics_history *history, int *found)
{
    *found = -1;
    int *steps, count;
    TRY(checkpoint_list(session->folder, &steps, &count));
    for (int i = count - 1; i >= 0 && *found < 0; i--) {
        if (is_usable(session, history, steps[i])) *found = steps[i];
    }
    free(steps);
    return status_ok();
}

static status restore(struct session *session, int step)
{
    struct run_state state;
    TRY(checkpoint_load(session->folder, step, session->preset, session->tuner, &state));
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

static status restore_measured(struct session *session, const struct metrics_history *history)
{
    double rewards[MAXIMUM_REWARDS];
    const char *key = session->settings.sample_every > 0 ? "eval_reward" : "reward";
    if (read_rewards(session, history->evaluation_0, "eval_reward", rewards)) TRY(session_measure(session, 0, rewards));
    for (int i = 0; i < history->record_count && history->records[i].step <= session->step; i++) {
        const struct metrics_record *record = &history->records[i];
        if (read_rewards(session, record->value, key, rewards)) TRY(session_measure(session, record->step, rewards));
    }
    return status_ok();
}

/* Changes that were ordered for steps that come again. */
static status restore_changes(struct session *session, const struct metrics_history *history)
{
    for (int i = 0; i < history->change_count; i++) {
        const struct metrics_change *change = &history->changes[i];
        if (change->step <= session->step) continue;
        TRY(session_add_change(session, change->step, change->key, change->value));
    }
    return status_ok();
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

static status go_on(struct session *session, const struct metrics_history *history)
{
    int step;
    TRY(find_checkpoint(session, history, &step));
    if (step >= 0)
        TRY(restore(session, step));
    else
        TRY(origin_apply(session->folder, session->preset, session->tuner));
    session->rollbacks = history->rollback_count;
    TRY(session_push_settings(session));
    TRY(restore_measured(session, history));
    TRY(restore_changes(session, history));
    find_unfinished(session, history);
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
    metrics_history_clear(&history);
    if (damaged > 0) session_say(session, "metrics.jsonl has lines that cannot be read; they are left out");
    return result;
}

status session_create(const struct preset *preset, struct run_folder *folder, const struct session_options *options,
                      struct session **session)
{
    *session = NULL;
    struct session *created = calloc(1, sizeof *created);
    if (!created) return status_error(STATUS_NO_MEMORY, "no memory for a session");
    created->preset = preset;
    created->folder = folder;
    created->options = *options;
    created->metrics.descriptor = -1;
    created->steps = options->steps > 0 ? options->steps : preset->steps;
    created->checkpoint_step = created->best_step = -1;
    created->best_total = NAN;
    created->started = session_time();
    settings_of_preset(preset, &created->settings);
    status result = begin(created);
    if (result.code != STATUS_OK) {
        session_say(created, result.message);
        session_destroy(created);
        return result;
    }
    *session = created;
    return status_ok();
}
