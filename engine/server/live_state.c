/* Merges published messages into the state that new clients get, and keeps the newest pictures. */
#include "engine/server/live_state.h"

#include "engine/base/json_members.h"
#include "engine/protocol/message.h"

#include <string.h>

void live_state_init(struct live_state *live)
{
    memset(live, 0, sizeof *live);
    live->state = message_create("state");
    cJSON_AddItemToObject(live->state, "log", cJSON_CreateArray());
}

void live_state_clear(struct live_state *live)
{
    cJSON_Delete(live->state);
    for (int i = 0; i < live->picture_count; i++) frame_buffer_release(live->pictures[i].frame_buffer);
    memset(live, 0, sizeof *live);
}

static void put(cJSON *object, const char *key, cJSON *value)
{
    if (value) json_put(object, key, value);
}

void live_state_merge(struct live_state *live, cJSON *changes)
{
    while (changes && changes->child) {
        cJSON *item = cJSON_DetachItemViaPointer(changes, changes->child);
        char key[64];
        strncpy(key, item->string ? item->string : "", sizeof key - 1);
        key[sizeof key - 1] = '\0';
        put(live->state, key, item);
    }
    cJSON_Delete(changes);
}

static cJSON *without(const cJSON *message, const char *const *keys)
{
    cJSON *copy = cJSON_Duplicate(message, true);
    for (; *keys; keys++) cJSON_DeleteItemFromObjectCaseSensitive(copy, *keys);
    return copy;
}

static void follow_history(struct live_state *live, const cJSON *message)
{
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(message, "bytes");
    if (!cJSON_IsNumber(bytes)) return;
    cJSON *history = cJSON_CreateObject();
    cJSON_AddNumberToObject(history, "bytes", bytes->valuedouble);
    put(live->state, "history", history);
}

static void follow_log(struct live_state *live, const cJSON *message)
{
    static const char *const envelope[] = {"type", "seq", NULL};
    cJSON *log = cJSON_GetObjectItemCaseSensitive(live->state, "log");
    if (!cJSON_IsArray(log)) return;
    cJSON_AddItemToArray(log, without(message, envelope));
    while (cJSON_GetArraySize(log) > KEPT_LOG_LINES) cJSON_DeleteItemFromArray(log, 0);
}

void live_state_follow(struct live_state *live, const cJSON *message)
{
    static const char *const envelope[] = {"type", "seq", NULL};
    const char *type = json_get_text(message, "type", "");
    if (strcmp(type, "progress") == 0) {
        put(live->state, "progress", without(message, envelope));
    } else if (strcmp(type, "metrics") == 0) {
        follow_history(live, message);
        const cJSON *line = cJSON_GetObjectItemCaseSensitive(message, "line");
        put(live->state, "last", cJSON_Duplicate(line, true));
        put(live->state, "step", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(line, "step"), true));
    } else if (strcmp(type, "event") == 0) {
        follow_history(live, message);
    } else if (strcmp(type, "log") == 0) {
        follow_log(live, message);
    } else if (strcmp(type, "end") == 0) {
        put(live->state, "phase", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(message, "phase"), true));
        put(live->state, "end", without(message, envelope));
    }
}

static void forget_picture(struct live_state *live, int index)
{
    live->picture_bytes -= live->pictures[index].frame_buffer->bytes;
    frame_buffer_release(live->pictures[index].frame_buffer);
    live->picture_count--;
    memmove(live->pictures + index, live->pictures + index + 1,
            (size_t)(live->picture_count - index) * sizeof live->pictures[0]);
}

void live_state_keep_picture(struct live_state *live, int64_t key, struct frame_buffer *frame_buffer)
{
    for (int i = live->picture_count - 1; i >= 0; i--)
        if (live->pictures[i].key == key) forget_picture(live, i);
    while (live->picture_count > 0 &&
           (live->picture_count == KEPT_PICTURES || live->picture_bytes + frame_buffer->bytes > KEPT_PICTURE_BYTES))
        forget_picture(live, 0);
    live->pictures[live->picture_count++] =
        (struct kept_picture){.key = key, .frame_buffer = frame_buffer_keep(frame_buffer)};
    live->picture_bytes += frame_buffer->bytes;
}
