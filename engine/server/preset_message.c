/* Presets in messages, whole or abridged. */
#include "engine/server/preset_message.h"

#include "engine/protocol/message.h"

static void abridge_list(cJSON *prompts, const char *key)
{
    enum { SHOWN_PROMPTS = 8 };
    cJSON *list = cJSON_GetObjectItemCaseSensitive(prompts, key), *last = cJSON_GetArrayItem(list, SHOWN_PROMPTS - 1);
    while (last && last->next) cJSON_Delete(cJSON_DetachItemViaPointer(list, last->next));
}

void preset_message_add(cJSON *object, const cJSON *written)
{
    enum { ROOM = 48 << 10 }; /* leaves a client's message of 64 KiB room for what else a request says */
    cJSON *preset = cJSON_Duplicate(written, true);
    bool abridged = message_bytes(preset) > ROOM;
    if (abridged) {
        cJSON *prompts = cJSON_GetObjectItemCaseSensitive(preset, "prompts");
        abridge_list(prompts, "train");
        abridge_list(prompts, "eval");
        cJSON_AddTrueToObject(object, "abridged");
    }
    if (abridged && message_bytes(preset) > ROOM) {
        cJSON_Delete(preset);
        preset = cJSON_CreateNull();
    }
    cJSON_AddItemToObject(object, "preset", preset);
}
