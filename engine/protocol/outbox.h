/* What waits to be sent to one client, within a fixed number of bytes.
 *
 * Frames are shared between clients by reference count. When the queue is full, pictures are dropped first, the oldest
 * before the newest; then the numbered messages, all of them, which leaves one gap for the client to refill from the
 * run's files. Replies, hello and errors are never dropped: a queue full of those alone belongs to a client that does
 * not read.
 *
 * Not locked: the server's lock guards it. */
#ifndef ALIGNPROP_PROTOCOL_OUTBOX_H
#define ALIGNPROP_PROTOCOL_OUTBOX_H

#include "engine/protocol/frame.h"

#include <stdatomic.h>

enum frame_buffer_kind {
    FRAME_BUFFER_CONTROL, /* hello, reply, error, gap: kept */
    FRAME_BUFFER_MESSAGE, /* numbered message */
    FRAME_BUFFER_PICTURE
};

/* A whole frame, header and payload, immutable once made. */
struct frame_buffer {
    atomic_int references;
    enum frame_buffer_kind kind;
    uint64_t sequence; /* of a message */
    int64_t replaces;  /* a waiting picture of the same value is replaced by this one; negative: none is */
    size_t bytes;
    uint8_t frame[];
};

/* Copies `bytes` of payload (two parts, the second may be empty) into a frame buffer with one reference; NULL when
 * memory is short. */
struct frame_buffer *frame_buffer_create(enum frame_buffer_kind kind, enum frame_type type, const void *first,
                                         size_t first_bytes, const void *second, size_t second_bytes);
struct frame_buffer *frame_buffer_keep(struct frame_buffer *frame_buffer);
void frame_buffer_release(struct frame_buffer *frame_buffer); /* NULL is ignored */

struct outbox_entry;

struct outbox {
    size_t limit, bytes;
    struct outbox_entry *first, *last;
    size_t sent;        /* bytes of the first entry already given to the kernel */
    bool first_in_hand; /* the first entry is being sent and must stay */
    bool gap;           /* messages gap_from..gap_to were dropped; further ones are until the queue is empty */
    uint64_t gap_from, gap_to;
    uint64_t pictures_dropped; /* since the beginning */
};

void outbox_init(struct outbox *outbox, size_t limit);
void outbox_clear(struct outbox *outbox);

/* Queues the frame buffer (keeping its own reference) or drops by the rules above. False when the client must be given
 * up. */
bool outbox_push(struct outbox *outbox, struct frame_buffer *frame_buffer);

bool outbox_empty(const struct outbox *outbox);
/* The frame buffer to send next, with a reference of its own for the caller, and how much of it was sent; NULL when
 * empty. It is in hand until outbox_sent. */
struct frame_buffer *outbox_take(struct outbox *outbox, size_t *sent);
/* `count` more bytes of the frame buffer in hand were sent. */
void outbox_sent(struct outbox *outbox, size_t count);
/* True once all that waited was sent and messages were dropped: the caller announces the gap and starts afresh. */
bool outbox_take_gap(struct outbox *outbox, uint64_t *from, uint64_t *to);

#endif
