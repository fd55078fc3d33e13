/* Frames of the protocol: 4-byte little-endian payload length, 1-byte type, payload (README.md, "Frames").
 *
 * A reader collects bytes as they arrive, in any portions, and hands out whole frames. Memory is bounded by the limits
 * it was made with and grows only as far as bytes really arrive. */
#ifndef ALIGNPROP_PROTOCOL_FRAME_H
#define ALIGNPROP_PROTOCOL_FRAME_H

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

enum { FRAME_HEADER_BYTES = 5 };
enum frame_type { FRAME_JSON = 'J', FRAME_PICTURE = 'P' };

/* Largest payloads, in bytes; 0: that type is refused. */
struct frame_limits {
    size_t json, picture;
};
extern const struct frame_limits frame_limits_of_client; /* what an engine accepts */
extern const struct frame_limits frame_limits_of_engine; /* what a client accepts */

/* Writes the header of a payload of `payload_bytes` (below 2^32). */
void frame_write_header(uint8_t header[FRAME_HEADER_BYTES], enum frame_type type, size_t payload_bytes);

struct frame_stream {
    struct frame_limits limits;
    uint8_t *bytes; /* owned */
    size_t capacity;
    size_t start; /* first byte not yet handed out */
    size_t end;   /* one past the last byte received */
};

struct frame {
    enum frame_type type;
    const char *payload; /* followed by a NUL that is not part of it; valid until the next call on the reader */
    size_t bytes;
};

void frame_stream_init(struct frame_stream *reader, struct frame_limits limits);
void frame_stream_clear(struct frame_stream *reader);

/* Room for at least one more byte: `*room` bytes at the returned address. NULL when memory is short. */
uint8_t *frame_stream_room(struct frame_stream *reader, size_t *room);
/* `count` bytes have been put into the room. */
void frame_stream_received(struct frame_stream *reader, size_t count);

/* Copies `count` bytes into it; false when memory is short. */
bool frame_stream_add(struct frame_stream *reader, const void *bytes, size_t count);

/* Hands out the next whole frame: *found tells whether there is one. STATUS_BAD_INPUT for an unknown type or a length
 * over the limit; the stream cannot be read any further then. */
status frame_stream_next(struct frame_stream *reader, struct frame *frame, bool *found);

#endif
