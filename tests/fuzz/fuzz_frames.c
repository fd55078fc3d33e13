/* What arrives on an engine's socket: the first byte is how many bytes arrive at once. */
#include "engine/protocol/frame.h"
#include "tests/fuzz/target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    size_t part = data[0] + 1u;
    struct frame_stream stream;
    frame_stream_init(&stream, frame_limits_of_client);
    bool good = true;
    for (size_t at = 1; at < size && good;) {
        size_t room;
        uint8_t *target = frame_stream_room(&stream, &room);
        size_t count = size - at < part ? size - at : part;
        if (!target) break;
        if (count > room) count = room;
        memcpy(target, data + at, count);
        frame_stream_received(&stream, count);
        at += count;
        for (bool found = true; found && good;) {
            struct frame frame;
            found = false;
            good = frame_stream_next(&stream, &frame, &found).code == STATUS_OK;
        }
    }
    frame_stream_clear(&stream);
    return 0;
}
