/* What clients ask of a run that waits for its device and has no session yet: answered at once, and what the run can do
 * only later is kept for it. */
#ifndef ALIGNPROP_SERVER_WAITING_REQUESTS_H
#define ALIGNPROP_SERVER_WAITING_REQUESTS_H

#include "engine/run/session.h"
#include "engine/server/mailbox.h"

struct waiting_requests {
    struct session_request kept[MAILBOX_ROOM]; /* for the session, oldest first */
    int kept_count;
    bool stop; /* the end was asked for */
};

/* Accepts or refuses the request for a run of this preset; `device` is what it waits for. Accepted requests are kept
 * for the session, but `stop`, which ends the wait, and what the next one takes back (pause by continue). Errors:
 * STATUS_BAD_INPUT for a key that cannot be set or a value out of its range, STATUS_FAILED for what needs a run that
 * has begun. */
status waiting_requests_take(struct waiting_requests *waiting, const struct session_request *request,
                             const struct preset *preset, const char *device);

/* The oldest kept request, without a sender to be answered; false when there is none. */
bool waiting_requests_next(struct waiting_requests *waiting, struct session_request *request);

#endif
