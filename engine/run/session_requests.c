#include "engine/base/memory.h"
#include "engine/preset/keys.h"
#include "engine/run/session_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char preview_key[] = "preview.rate";

/* ---- live settings by key ---- */

/* The index of the reward that "rewards.ID.weight" means; -1 for other keys. */
static int weight_index(const struct preset *preset, const char *key)
{
    for (int i = 0; i < preset->reward_count; i++) {
        char name[160];
        snprintf(name, sizeof name, "rewards.%s.weight", preset->rewards[i].id);
        if (strcmp(name, key) == 0) return i;
    }
    return -1;
}

/* The present value of a live setting; false if there is none of that name. */
static bool setting_value(const struct session *session, const char *key, double *value)
{
    int index = weight_index(session->preset, key);
    if (index >= 0) {
        *value = session->settings.weights[index];
    } else if (strcmp(key, "optimizer.lr") == 0) {
        *value = session->settings.learning_rate;
    } else if (strcmp(key, "optimizer.clip") == 0) {
        *value = session->settings.clip;
    } else if (strcmp(key, "sample.every") == 0) {
        *value = session->settings.sample_every;
    } else if (strcmp(key, preview_key) == 0) {
        *value = session->settings.preview_rate;
    } else {
        return false;
    }
    return true;
}

static bool is_tuners(const char *key)
{
    return strcmp(key, "sample.every") != 0 && strcmp(key, preview_key) != 0;
}

static status store_setting(struct session *session, const char *key, double value)
{
    if (is_tuners(key)) TRY(tuner_set(session->tuner, key, value));
    int index = weight_index(session->preset, key);
    if (index >= 0) session->settings.weights[index] = value;
    if (strcmp(key, "optimizer.lr") == 0) session->settings.learning_rate = value;
    if (strcmp(key, "optimizer.clip") == 0) session->settings.clip = value;
    if (strcmp(key, "sample.every") == 0) session->settings.sample_every = (int)value;
    if (strcmp(key, preview_key) == 0) session->settings.preview_rate = value;
    if (index >= 0) session_find_best(session);
    return status_ok();
}

status session_push_settings(struct session *session)
{
    for (int i = 0; i < session->preset->reward_count; i++) {
        char key[160];
        snprintf(key, sizeof key, "rewards.%s.weight", session->preset->rewards[i].id);
        TRY(tuner_set(session->tuner, key, session->settings.weights[i]));
    }
    TRY(tuner_set(session->tuner, "optimizer.lr", session->settings.learning_rate));
    return tuner_set(session->tuner, "optimizer.clip", session->settings.clip);
}

status session_check_setting(const struct preset *preset, const char *key, double value)
{
    const struct preset_key *row = preset_key_find(key);
    if (row && !row->live) return status_error(STATUS_BAD_INPUT, "%s: is fixed while a run goes on", key);
    if (!row && weight_index(preset, key) < 0 && strcmp(key, preview_key) != 0)
        return status_error(STATUS_BAD_INPUT,
                            "%s: no such setting; expected rewards.ID.weight, optimizer.lr, "
                            "optimizer.clip, sample.every or preview.rate",
                            key);
    struct key_range range = preset_live_range(key);
    if (value >= range.low && value <= range.high && (!range.whole || value == floor(value))) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: expected a %snumber from %g to %g, found %g", key,
                        range.whole ? "whole " : "", range.low, range.high, value);
}

/* ---- changes that wait for their step ---- */

void session_add_change(struct session *session, int step, const char *key, double value)
{
    session->pending =
        memory_grow(session->pending, session->pending_count, &session->pending_capacity, sizeof *session->pending);
    struct pending_change *change = &session->pending[session->pending_count++];
    change->step = step;
    change->value = value;
    snprintf(change->key, sizeof change->key, "%s", key);
}

status session_apply_changes(struct session *session, int step)
{
    int kept = 0, count = session->pending_count;
    status result = status_ok();
    for (int i = 0; i < count; i++) {
        struct pending_change *change = &session->pending[i];
        if (change->step > step || result.code != STATUS_OK) {
            session->pending[kept++] = *change;
        } else {
            result = store_setting(session, change->key, change->value);
        }
    }
    session->pending_count = kept;
    if (kept < count) session_publish(session);
    return result;
}

/* The value the next change of `key` starts from. */
static double value_before(const struct session *session, const char *key)
{
    double value = NAN;
    setting_value(session, key, &value);
    for (int i = 0; i < session->pending_count; i++) {
        if (strcmp(session->pending[i].key, key) == 0) value = session->pending[i].value;
    }
    return value;
}

/* The next step to begin: what is accepted now is used from there. */
static int next_step(const struct session *session)
{
    return session->step + (session->in_step ? 2 : 1);
}

static void append_by(struct text *members, const struct session_request *request)
{
    text_append(members, ",\"by\":");
    text_append_json_string(members, request->by[0] ? request->by : "client");
}

static status accept_change(struct session *session, const struct session_request *request)
{
    TRY(session_check_setting(session->preset, request->key, request->value));
    struct text members = {0};
    text_append(&members, ",\"key\":");
    text_append_json_string(&members, request->key);
    text_append(&members, ",\"from\":");
    text_append_json_number(&members, value_before(session, request->key));
    text_append(&members, ",\"to\":");
    text_append_json_number(&members, request->value);
    append_by(&members, request);
    status result = session_event(session, "set", next_step(session), members.data);
    if (result.code == STATUS_OK) session_add_change(session, next_step(session), request->key, request->value);
    text_clear(&members);
    return result;
}

/* ---- requests ---- */

static status note(struct session *session, const char *event, const struct session_request *request)
{
    struct text members = {0};
    append_by(&members, request);
    status result = session_event(session, event, session->step, members.data);
    text_clear(&members);
    return result;
}

static status accept_rollback(struct session *session, const struct session_request *request)
{
    if (session->rollback_waits) return status_error(STATUS_FAILED, "a rollback is being carried out already");
    if (request->step > session->step) {
        return status_error(STATUS_BAD_INPUT, "rollback: step %d is still to come; the last finished step is %d",
                            request->step, session->step);
    }
    struct run_state state;
    TRY(checkpoint_check(session->folder, request->step, session->preset, &state, NULL));
    session->rollback = *request;
    session->rollback_waits = true;
    return status_ok();
}

static status accept(struct session *session, const struct session_request *request)
{
    switch (request->kind) {
    case REQUEST_PAUSE:
        if (session->pause) return status_ok();
        session->pause = true;
        return note(session, "pause", request);
    case REQUEST_CONTINUE:
        if (!session->pause) return status_ok();
        session->pause = false;
        return note(session, "continue", request);
    case REQUEST_STOP:
        if (session->stop) return status_ok();
        session->stop = true;
        session->phase = SESSION_STOPPING;
        session_publish(session);
        return note(session, "stop", request);
    case REQUEST_SAMPLE_NOW: session->sample_now = true; return note(session, "sample", request);
    case REQUEST_SAVE_NOW: session->save_now = true; return note(session, "save", request);
    case REQUEST_SET: return accept_change(session, request);
    case REQUEST_ROLLBACK: return accept_rollback(session, request);
    }
    return status_error(STATUS_BAD_INPUT, "unknown request");
}

static void answer(struct session *session, const struct session_request *request, status result, int step)
{
    const struct session_hooks *hooks = &session->options.hooks;
    if (hooks->answer) hooks->answer(hooks->context, request, result, step);
}

void session_poll(struct session *session)
{
    const struct session_hooks *hooks = &session->options.hooks;
    struct session_request request;
    while (hooks->take_request && hooks->take_request(hooks->context, &request)) {
        status result = accept(session, &request);
        if (request.kind == REQUEST_ROLLBACK && result.code == STATUS_OK) continue; /* answered when done */
        answer(session, &request, result, request.kind == REQUEST_SET ? next_step(session) : session->step);
    }
}

/* ---- going back ---- */

static void take_over(struct session *session, const struct run_state *state)
{
    session->step = state->step;
    session->settings = state->settings;
    session->skipped = state->skipped;
    session->checkpoint_step = state->step;
    session->pending_count = 0;
    session->rollbacks++;
    session_forget_after(session, state->step);
}

/* With the run's line on the disk, the files after the checkpoint count no more, whether or not they can be removed. */
static void tidy_after(struct session *session, int step)
{
    status removed = checkpoint_remove_after(session->folder, step);
    if (removed.code != STATUS_OK) session_say(session, removed.message);
    status published = checkpoint_publish(session->folder, step);
    if (published.code != STATUS_OK) session_say(session, published.message);
}

/* What fails before the tuner is touched is `*refused` and leaves the run as it was; a failure afterwards is the run's.
 */
static status go_back(struct session *session, int to, status *refused)
{
    struct run_state state;
    struct checkpoint *checkpoint = NULL;
    char members[80];
    snprintf(members, sizeof members, ",\"to\":%d", to);
    *refused = checkpoint_open(session->folder, to, session->preset, &checkpoint, &state);
    if (refused->code == STATUS_OK) *refused = session_event(session, "rollback", session->step, members);
    status result = refused->code == STATUS_OK ? checkpoint_restore(checkpoint, session->tuner) : status_ok();
    checkpoint_close(checkpoint);
    if (refused->code != STATUS_OK || result.code != STATUS_OK) return result;
    take_over(session, &state);
    TRY(session_push_settings(session));
    tidy_after(session, to);
    return status_ok();
}

status session_do_rollback(struct session *session)
{
    if (!session->rollback_waits) return status_ok();
    session->rollback_waits = false;
    status refused, result = go_back(session, session->rollback.step, &refused);
    if (refused.code != STATUS_OK) session_say(session, refused.message);
    answer(session, &session->rollback, result.code != STATUS_OK ? result : refused, session->step);
    session_publish(session);
    return result;
}
