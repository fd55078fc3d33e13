/* Frames as the tests' engines and recordings make and read them. */
#ifndef ALIGNPROP_TESTS_TUI_FRAMES_H
#define ALIGNPROP_TESTS_TUI_FRAMES_H

#include "engine/protocol/frame.h"
#include "engine/protocol/message.h"
#include "engine/protocol/picture_frame.h"
#include "tui/pictures/bytes.h"

static inline void frame_write(struct bytes *out, char type, const char *payload, size_t length)
{
    uint8_t header[FRAME_HEADER_BYTES];
    frame_write_header(header, (enum frame_type)type, length);
    bytes_add(out, header, sizeof header);
    bytes_add(out, payload, length);
}

/* The next whole frame; false when there is none, or the stream cannot be read. */
static inline bool frame_next(struct frame_stream *stream, struct frame *frame)
{
    bool found;
    return frame_stream_next(stream, frame, &found).code == STATUS_OK && found;
}

#endif
