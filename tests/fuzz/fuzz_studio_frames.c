/* Frames and messages from an engine, into the model of the run. */
#include "engine/protocol/message.h"
#include "engine/protocol/picture_frame.h"
#include "tui/run/run.h"

#include "target.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void take(struct run *run, const struct frame *frame)
{
    if (frame->type == FRAME_JSON) {
        cJSON *message = message_object(frame->payload, frame->bytes);
        if (strcmp(json_get_text(message, "type", ""), "state") == 0)
            run_take_state(run, message);
        else if (message != NULL)
            run_take_message(run, json_get_text(message, "type", ""), message);
        cJSON_Delete(message);
        return;
    }
    struct picture_frame picture;
    if (!picture_frame_split(frame, &picture)) return;
    cJSON *header = message_object(picture.header, strlen(picture.header));
    int width = 0, height = 0;
    if (picture_frame_size(&picture, header, &width, &height))
        run_take_picture(run, header, width, height, picture.pixels);
    cJSON_Delete(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_stream reader;
    frame_stream_init(&reader, frame_limits_of_engine);
    struct run *run = run_new();
    if (run == NULL) return 0;
    for (size_t at = 0; at < size; at += 7) {
        struct frame frame;
        bool found = frame_stream_add(&reader, data + at, size - at < 7 ? size - at : 7);
        while (found && frame_stream_next(&reader, &frame, &found).code == STATUS_OK && found) take(run, &frame);
    }
    frame_stream_clear(&reader);
    run_free(run);
    return 0;
}
