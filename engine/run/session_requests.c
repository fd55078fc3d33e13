/* What a session is asked to do: checks settings, accepts changes, and applies them at their step. */
#include "engine/base/memory.h"
#include "engine/run/session_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void apply(struct session *session, const struct pending_change *change)
{
    struct live_setting setting;
    if (!live_setting_find(session->preset, change->key, &setting)) return;
    live_setting_set(&setting, &session->settings, change->value);
    tuner_use_settings(session->tuner, &session->settings);
    if (setting.reward) session_find_best(session);
}

void session_apply_changes(struct session *session, int step)
{
    int kept = 0, count = session->pending_count;
    for (int i = 0; i < count; i++) {
        if (session->pending[i].step > step)
            session->pending[kept++] = session->pending[i];
        else
            apply(session, &session->pending[i]);
    }
    session->pending_count = kept;
    if (kept < count) session_publish(session);
}

/* The value the next change of the setting starts from. */
static double value_before(const struct session *session, const struct live_setting *setting)
{
    double value = live_setting_get(setting, &session->settings);
    for (int i = 0; i < session->pending_count; i++) {
        if (strcmp(session->pending[i].key, setting->key) == 0) value = session->pending[i].value;
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
    struct live_setting setting;
    TRY(live_settings_check(session->preset, request->key, request->value));
    live_setting_find(session->preset, request->key, &setting);
    struct text members = {0};
    text_append(&members, ",\"key\":");
    text_append_json_string(&members, request->key);
    text_append(&members, ",\"from\":");
    text_append_json_number(&members, value_before(session, &setting));
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
    if (session->rollback_waits) return status_error(STATUS_FAILED, "a rollback is already in progress");
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
    tuner_use_settings(session->tuner, &session->settings);
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
