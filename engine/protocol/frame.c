/* Cuts a stream of bytes into frames, whatever portions it comes in, and refuses what is over the limits. */
#include "engine/protocol/frame.h"

#include "engine/base/range.h"

#include <stdlib.h>
#include <string.h>

const struct frame_limits frame_limits_of_client = {.json = 64u << 10, .picture = 0};
const struct frame_limits frame_limits_of_engine = {.json = 1u << 20, .picture = 16u << 20};

enum { SMALLEST_BUFFER = 4096, LARGEST_READ = 256 << 10 };

void frame_write_header(uint8_t header[FRAME_HEADER_BYTES], enum frame_type type, size_t payload_bytes)
{
    for (int i = 0; i < 4; i++) header[i] = (uint8_t)(payload_bytes >> (8 * i));
    header[4] = (uint8_t)type;
}

void frame_stream_init(struct frame_stream *reader, struct frame_limits limits)
{
    memset(reader, 0, sizeof *reader);
    reader->limits = limits;
}

void frame_stream_clear(struct frame_stream *reader)
{
    free(reader->bytes);
    frame_stream_init(reader, reader->limits);
}

static size_t payload_length(const uint8_t *header)
{
    size_t length = 0;
    for (int i = 0; i < 4; i++) length |= (size_t)header[i] << (8 * i);
    return length;
}

/* Payload bytes that the frame at the reader's start still waits for; 0 when its header is incomplete or unlawful. */
static size_t bytes_missing(const struct frame_stream *reader)
{
    size_t available = reader->end - reader->start;
    if (available < FRAME_HEADER_BYTES) return 0;
    const uint8_t *header = reader->bytes + reader->start;
    size_t length = payload_length(header);
    size_t limit = header[4] == FRAME_JSON ? reader->limits.json : reader->limits.picture;
    if (length > limit) return 0;
    size_t whole = FRAME_HEADER_BYTES + length;
    return whole > available ? whole - available : 0;
}

uint8_t *frame_stream_room(struct frame_stream *reader, size_t *room)
{
    if (reader->start > 0) {
        memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    size_t wanted = bytes_missing(reader);
    if (wanted > LARGEST_READ) wanted = LARGEST_READ;
    if (wanted < SMALLEST_BUFFER) wanted = SMALLEST_BUFFER;
    size_t needed = reader->end + wanted + 1; /* one for the NUL behind a payload */
    if (needed > reader->capacity) {
        size_t capacity = reader->capacity + reader->capacity / 2;
        if (capacity < needed) capacity = needed;
        uint8_t *grown = realloc(reader->bytes, capacity);
        if (!grown) return NULL;
        reader->bytes = grown;
        reader->capacity = capacity;
    }
    *room = reader->capacity - reader->end - 1;
    return reader->bytes + reader->end;
}

void frame_stream_received(struct frame_stream *reader, size_t count)
{
    reader->end += count;
}

bool frame_stream_add(struct frame_stream *reader, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    while (count > 0) {
        size_t room;
        uint8_t *target = frame_stream_room(reader, &room);
        if (!target) return false;
        size_t part = min_size(room, count);
        memcpy(target, next, part);
        frame_stream_received(reader, part);
        next += part;
        count -= part;
    }
    return true;
}

static status check_header(const struct frame_stream *reader, const uint8_t *header)
{
    size_t length = payload_length(header);
    size_t limit = header[4] == FRAME_JSON      ? reader->limits.json
                   : header[4] == FRAME_PICTURE ? reader->limits.picture
                                                : 0;
    if (limit == 0)
        return status_error(STATUS_BAD_INPUT, "a frame has the type 0x%02x, which is not one of this direction's",
                            header[4]);
    if (length > limit)
        return status_error(STATUS_BAD_INPUT, "a frame of %zu bytes is over the limit of %zu", length, limit);
    return status_ok();
}

status frame_stream_next(struct frame_stream *reader, struct frame *frame, bool *found)
{
    *found = false;
    size_t available = reader->end - reader->start;
    if (available < FRAME_HEADER_BYTES) return status_ok();
    uint8_t *header = reader->bytes + reader->start;
    TRY(check_header(reader, header));
    size_t length = payload_length(header);
    if (available - FRAME_HEADER_BYTES < length) return status_ok();

    /* The next frame's length stands behind the payload: the NUL moves the payload onto its own header instead. */
    uint8_t *payload = header + FRAME_HEADER_BYTES - 1;
    enum frame_type type = (enum frame_type)header[4];
    memmove(payload, payload + 1, length);
    payload[length] = '\0';
    *frame = (struct frame){.type = type, .payload = (const char *)payload, .bytes = length};
    reader->start += FRAME_HEADER_BYTES + length;
    *found = true;
    return status_ok();
}
