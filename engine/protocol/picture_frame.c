/* Pictures on the wire. */
#include "engine/protocol/picture_frame.h"

#include "engine/protocol/message.h"

#include <string.h>

bool picture_frame_split(const struct frame *frame, struct picture_frame *picture)
{
    const char *end = memchr(frame->payload, '\0', frame->bytes);
    if (!end) return false;
    picture->header = frame->payload;
    picture->pixels = (const uint8_t *)end + 1;
    picture->pixel_bytes = frame->bytes - (size_t)(end - frame->payload) - 1;
    return true;
}

bool picture_frame_size(const struct picture_frame *picture, const cJSON *header, int *width, int *height)
{
    enum { LARGEST_SIDE = 1 << 14 };
    *width = (int)json_get_integer_in(header, "width", 1, LARGEST_SIDE, 0);
    *height = (int)json_get_integer_in(header, "height", 1, LARGEST_SIDE, 0);
    return *width > 0 && *height > 0 && (size_t)*width * (size_t)*height * 3 == picture->pixel_bytes;
}
