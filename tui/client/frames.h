/* Frames of the protocol: 4 bytes length (little endian), 1 byte type, payload. */
#ifndef ALIGNPROP_TUI_CLIENT_FRAMES_H
#define ALIGNPROP_TUI_CLIENT_FRAMES_H

#include "tui/pictures/bytes.h"

#include <cjson/cJSON.h>
#include <stdint.h>

enum {
    FRAME_HEADER = 5,
    LARGEST_JSON_FRAME = 1 << 20,
    LARGEST_PICTURE_FRAME = 16 << 20,
    LARGEST_REQUEST_FRAME = 64 << 10
};

struct frame {
    char type;           /* 'J' or 'P' */
    const char *payload; /* length bytes, then a zero; valid until the next frames_ call */
    size_t length;
};

/* Collects a stream's bytes and cuts them into frames. */
struct frame_reader {
    struct bytes received;
    size_t start;
    char kept; /* the byte that the terminating zero replaced */
    size_t kept_at;
    bool has_kept;
};

enum frame_result { FRAME_NONE, FRAME_READY, FRAME_BROKEN };

void frame_reader_add(struct frame_reader *reader, const void *data, size_t length);
/* FRAME_BROKEN: an unknown type or a length over the type's limit; the connection cannot go on. */
enum frame_result frame_reader_next(struct frame_reader *reader, struct frame *frame);
void frame_reader_free(struct frame_reader *reader);

void frame_write(struct bytes *out, char type, const char *payload, size_t length);

/* A picture frame in parts. */
struct picture_frame {
    const char *header;          /* JSON text, zero-terminated */
    const unsigned char *pixels; /* pixel_bytes of them */
    size_t pixel_bytes;
};

/* False when there is no header. */
bool picture_frame_split(const struct frame *frame, struct picture_frame *picture);
/* The size that the parsed header names, in pixels; false when it is no size up to IMAGE_LARGEST_SIDE or the pixels are
 * not as many. */
bool picture_frame_size(const struct picture_frame *picture, const cJSON *header, int *width, int *height);

#endif
