/* Requests on their way from clients to a run's loop, and who is to be answered.
 *
 * The server's thread posts, the engine's thread takes between the parts of a step and waits while paused. */
#ifndef ALIGNPROP_SERVER_MAILBOX_H
#define ALIGNPROP_SERVER_MAILBOX_H

#include "engine/run/session.h"

#include <stdint.h>

enum { MAILBOX_ROOM = 64 };

struct mailbox;

struct mailbox *mailbox_create(void);
void mailbox_destroy(struct mailbox *mailbox);

/* False when the mailbox is full. `request.token` is given here. */
bool mailbox_post(struct mailbox *mailbox, struct session_request request, uint64_t client, int64_t id);
/* Oldest first; false when there is none. */
bool mailbox_take(struct mailbox *mailbox, struct session_request *request);
/* Waits for a request, a nudge, or `seconds`. */
void mailbox_wait(struct mailbox *mailbox, double seconds);
/* Ends a wait. */
void mailbox_nudge(struct mailbox *mailbox);
/* Who sent the request with this token, once; false when nobody of a client did. */
bool mailbox_sender(struct mailbox *mailbox, unsigned long long token, uint64_t *client, int64_t *id);

#endif
