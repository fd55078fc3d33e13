/* Frames and messages from an engine, into the model of the run. */
#include "tui/client/frames.h"
#include "tui/client/item.h"
#include "tui/run/run.h"

#include "target.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void take(struct run *run, const struct frame *frame)
{
    if (frame->type == 'J') {
        cJSON *message = item_object(frame->payload, frame->length);
        if (strcmp(item_text(message, "type", ""), "state") == 0)
            run_take_state(run, message);
        else if (message != NULL)
            run_take_message(run, item_text(message, "type", ""), message);
        cJSON_Delete(message);
        return;
    }
    struct picture_frame picture;
    if (!picture_frame_split(frame, &picture)) return;
    cJSON *header = item_object(picture.header, strlen(picture.header));
    int width = 0, height = 0;
    if (picture_frame_size(&picture, header, &width, &height))
        run_take_picture(run, header, width, height, picture.pixels);
    cJSON_Delete(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_reader reader = {0};
    struct frame frame;
    struct run *run = run_new();
    if (run == NULL) return 0;
    for (size_t at = 0; at < size; at += 7) {
        frame_reader_add(&reader, data + at, size - at < 7 ? size - at : 7);
        while (frame_reader_next(&reader, &frame) == FRAME_READY) take(run, &frame);
    }
    frame_reader_free(&reader);
    run_free(run);
    return 0;
}
