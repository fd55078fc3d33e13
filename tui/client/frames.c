#include "tui/client/frames.h"

#include "tui/client/item.h"
#include "tui/pictures/image.h"

#include <string.h>

void frame_reader_add(struct frame_reader *reader, const void *data, size_t length)
{
    bytes_add(&reader->received, data, length);
}

static uint32_t length_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Drops what was consumed once it is worth moving the rest. */
static void compact(struct frame_reader *reader)
{
    if (reader->start == 0) return;
    size_t left = reader->received.length - reader->start;
    if (left > 0 && reader->start < left) return;
    memmove(reader->received.data, reader->received.data + reader->start, left);
    reader->received.length = left;
    reader->start = 0;
}

enum frame_result frame_reader_next(struct frame_reader *reader, struct frame *frame)
{
    if (reader->has_kept) {
        if (reader->kept_at < reader->received.length) reader->received.data[reader->kept_at] = reader->kept;
        reader->has_kept = false;
    }
    if (reader->received.failed) return FRAME_BROKEN;
    compact(reader);
    size_t available = reader->received.length - reader->start;
    if (available < FRAME_HEADER) return FRAME_NONE;
    const unsigned char *header = (const unsigned char *)reader->received.data + reader->start;
    uint32_t length = length_at(header);
    char type = (char)header[4];
    if (type != 'J' && type != 'P') return FRAME_BROKEN;
    if (length > (type == 'J' ? LARGEST_JSON_FRAME : LARGEST_PICTURE_FRAME)) return FRAME_BROKEN;
    if (available < FRAME_HEADER + (size_t)length) return FRAME_NONE;
    size_t end = reader->start + FRAME_HEADER + length;
    if (end == reader->received.length) {
        bytes_add(&reader->received, "", 1);
        if (reader->received.failed) return FRAME_BROKEN;
        reader->received.length--;
    } else {
        reader->kept = reader->received.data[end];
        reader->kept_at = end;
        reader->has_kept = true;
    }
    reader->received.data[end] = 0;
    *frame = (struct frame){type, reader->received.data + reader->start + FRAME_HEADER, length};
    /* What is handed out lies before `start`, so compact() moves it only in the next call. */
    reader->start = end;
    return FRAME_READY;
}

void frame_reader_free(struct frame_reader *reader)
{
    bytes_free(&reader->received);
    *reader = (struct frame_reader){0};
}

void frame_write(struct bytes *out, char type, const char *payload, size_t length)
{
    unsigned char header[FRAME_HEADER] = {(unsigned char)length, (unsigned char)(length >> 8),
                                          (unsigned char)(length >> 16), (unsigned char)(length >> 24),
                                          (unsigned char)type};
    bytes_add(out, header, sizeof header);
    bytes_add(out, payload, length);
}

bool picture_frame_split(const struct frame *frame, struct picture_frame *picture)
{
    const char *end = memchr(frame->payload, 0, frame->length);
    if (end == NULL) return false;
    size_t header = (size_t)(end - frame->payload);
    picture->header = frame->payload;
    picture->pixels = (const unsigned char *)end + 1;
    picture->pixel_bytes = frame->length - header - 1;
    return true;
}

bool picture_frame_size(const struct picture_frame *picture, const cJSON *header, int *width, int *height)
{
    long long columns = item_integer(header, "width", 0), rows = item_integer(header, "height", 0);
    if (columns <= 0 || rows <= 0 || columns > IMAGE_LARGEST_SIDE || rows > IMAGE_LARGEST_SIDE) return false;
    *width = (int)columns;
    *height = (int)rows;
    return (size_t)columns * (size_t)rows * 3 == picture->pixel_bytes;
}
