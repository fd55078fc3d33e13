/* The state that a client gets when it attaches, kept up to date by every message that is published.
 *
 * Not locked: the server's lock guards it. */
#ifndef ALIGNPROP_SERVER_LIVE_STATE_H
#define ALIGNPROP_SERVER_LIVE_STATE_H

#include "engine/protocol/outbox.h"

#include <cjson/cJSON.h>

enum { KEPT_LOG_LINES = 50, KEPT_PICTURES = 64, KEPT_PICTURE_BYTES = 32 << 20 };

struct kept_picture {
    int64_t key; /* kind and index */
    struct frame_buffer *frame_buffer;
};

struct live_state {
    cJSON *state;                                /* the message `state` without what differs by client */
    struct kept_picture pictures[KEPT_PICTURES]; /* oldest first */
    int picture_count;
    size_t picture_bytes;
};

void live_state_init(struct live_state *live);
void live_state_clear(struct live_state *live);

/* Replaces or adds the keys of `changes`, which is deleted. */
void live_state_merge(struct live_state *live, cJSON *changes);
/* Notes what a published message changes. */
void live_state_follow(struct live_state *live, const cJSON *message);
/* Keeps the newest picture of each key, dropping the oldest over the limits. */
void live_state_keep_picture(struct live_state *live, int64_t key, struct frame_buffer *frame_buffer);

#endif
