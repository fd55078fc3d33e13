/* Requests to a run that has not begun. */
#include "engine/server/waiting_requests.h"

#include <string.h>

static void remove_at(struct waiting_requests *waiting, int index)
{
    waiting->kept_count--;
    for (int i = index; i < waiting->kept_count; i++) waiting->kept[i] = waiting->kept[i + 1];
}

/* Of what says how things are to be, only the newest counts. `key` is "" but for settings. */
static void forget(struct waiting_requests *waiting, enum session_request_kind kind, const char *key)
{
    for (int i = waiting->kept_count - 1; i >= 0; i--)
        if (waiting->kept[i].kind == kind && strcmp(waiting->kept[i].key, key) == 0) remove_at(waiting, i);
}

static status keep(struct waiting_requests *waiting, const struct session_request *request)
{
    forget(waiting, request->kind, request->key);
    if (waiting->kept_count == MAILBOX_ROOM)
        return status_error(STATUS_FAILED, "%d requests are already waiting for the run", (int)MAILBOX_ROOM);
    waiting->kept[waiting->kept_count] = *request;
    waiting->kept[waiting->kept_count++].token = 0; /* answered by now */
    return status_ok();
}

status waiting_requests_take(struct waiting_requests *waiting, const struct session_request *request,
                             const struct preset *preset, const char *device)
{
    switch (request->kind) {
    case REQUEST_STOP: waiting->stop = true; return status_ok();
    case REQUEST_PAUSE:
    case REQUEST_SAMPLE_NOW: return keep(waiting, request);
    case REQUEST_CONTINUE: forget(waiting, REQUEST_PAUSE, ""); return status_ok();
    case REQUEST_SET: TRY(live_settings_check(preset, request->key, request->value)); return keep(waiting, request);
    case REQUEST_SAVE_NOW:
        return status_error(STATUS_FAILED, "there is nothing new to save: the run waits for %s and has not begun",
                            device);
    case REQUEST_ROLLBACK:
        return status_error(STATUS_FAILED, "the run waits for %s and has not begun; roll back once it goes on", device);
    }
    return status_error(STATUS_BAD_INPUT, "unknown request");
}

bool waiting_requests_next(struct waiting_requests *waiting, struct session_request *request)
{
    if (waiting->kept_count == 0) return false;
    *request = waiting->kept[0];
    remove_at(waiting, 0);
    return true;
}
