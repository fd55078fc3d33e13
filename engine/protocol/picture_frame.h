/* A picture frame in its parts: a JSON header, a NUL, RGB bytes. */
#ifndef ALIGNPROP_PROTOCOL_PICTURE_FRAME_H
#define ALIGNPROP_PROTOCOL_PICTURE_FRAME_H

#include "engine/protocol/frame.h"

#include <cjson/cJSON.h>

struct picture_frame {
    const char *header;    /* JSON text, ends with a NUL; borrowed from the frame, as the pixels */
    const uint8_t *pixels; /* rows from the top, 3 bytes a pixel */
    size_t pixel_bytes;
};

/* False when there is no header. */
bool picture_frame_split(const struct frame *frame, struct picture_frame *picture);

/* The size in pixels that the parsed header names; false when it names none, or the pixels are not as many. */
bool picture_frame_size(const struct picture_frame *picture, const cJSON *header, int *width, int *height);

#endif
