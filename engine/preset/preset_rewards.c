/* Reads the list of rewards: names, unique ids, weights, parameters. */
#include "engine/preset/preset_rewards.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/preset/keys.h"
#include "engine/preset/warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const member_names[] = {"name", "id", "weight", "params"};
enum { MEMBER_COUNT = sizeof member_names / sizeof *member_names };

static status check_members(const struct json_object *object, struct preset_warnings *warnings)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, object->value)
    {
        bool known = false;
        for (int i = 0; i < MEMBER_COUNT; i++) known = known || strcmp(member->string, member_names[i]) == 0;
        if (known) continue;
        const char *nearest = text_nearest(member->string, member_names, MEMBER_COUNT);
        char message[500];
        snprintf(message, sizeof message, "%s: unknown key \"%s.%.100s\"%s%s%s", object->origin, object->path,
                 member->string, nearest ? "; did you mean \"" : "; a parameter of the reward belongs into \"params\"",
                 nearest ? nearest : "", nearest ? "\"?" : "");
        preset_warn(warnings, message);
    }
    return status_ok();
}

/* Names that can stand in a dotted key and in a metrics line. */
static status read_word(const struct json_object *object, const char *key, char word[64])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *text;
    TRY(json_text(object, key, &text));
    size_t length = strlen(text);
    if (length == 0 || length > 63 || strspn(text, allowed) != length) {
        return json_wrong(object, key, "a name of up to 63 letters, digits, '-' and '_'");
    }
    memcpy(word, text, length + 1);
    return status_ok();
}

static status check_unique(const struct preset *preset, const struct json_object *object, const char *id)
{
    if (strcmp(id, "total") == 0) {
        return json_wrong_value(object->origin, object->path, "an id other than \"total\", which is the sum", NULL);
    }
    for (int i = 0; i < preset->reward_count; i++) {
        if (strcmp(preset->rewards[i].id, id) != 0) continue;
        return status_error(STATUS_BAD_INPUT, "%s: %s: the id \"%s\" is used twice; give one of them another \"id\"",
                            object->origin, object->path, id);
    }
    return status_ok();
}

static status read_reward(struct preset *preset, const struct json_object *object, struct preset_warnings *warnings)
{
    struct reward_setting reward = {.weight = 1};
    TRY(check_members(object, warnings));
    TRY(read_word(object, "name", reward.name));
    if (json_has(object, "id")) {
        TRY(read_word(object, "id", reward.id));
    } else {
        memcpy(reward.id, reward.name, sizeof reward.id);
    }
    TRY(check_unique(preset, object, reward.id));
    const struct preset_key *weight = preset_weight_key();
    TRY(json_number_or(object, "weight", weight->low, weight->high, reward.weight, &reward.weight));
    if (json_has(object, "params")) {
        struct json_object params;
        TRY(json_child(object, "params", &params));
        reward.params = cJSON_Duplicate(params.value, true);
    } else {
        reward.params = cJSON_CreateObject();
    }
    preset->rewards[preset->reward_count++] = reward;
    return status_ok();
}

status preset_read_rewards(struct preset *preset, const char *origin, struct preset_warnings *warnings)
{
    struct json_object root;
    TRY(json_root(origin, preset->written, &root));
    const cJSON *list;
    TRY(json_array(&root, "rewards", &list));
    int count = cJSON_GetArraySize(list);
    if (count > MAXIMUM_REWARDS) {
        return status_error(STATUS_BAD_INPUT, "%s: rewards: %d of them, at most %d are allowed", origin, count,
                            MAXIMUM_REWARDS);
    }
    preset->rewards = memory_take((size_t)count, sizeof *preset->rewards);
    for (int i = 0; i < count; i++) {
        struct json_object object;
        TRY(json_element(&root, "rewards", i, &object));
        TRY(read_reward(preset, &object, warnings));
    }
    return status_ok();
}

void preset_resolve_rewards(struct preset *preset)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < preset->reward_count; i++) {
        const struct reward_setting *reward = &preset->rewards[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", reward->name);
        cJSON_AddStringToObject(row, "id", reward->id);
        cJSON_AddNumberToObject(row, "weight", reward->weight);
        cJSON_AddItemToObject(row, "params", cJSON_Duplicate(reward->params, true));
        cJSON_AddItemToArray(list, row);
    }
    cJSON_ReplaceItemInObjectCaseSensitive(preset->resolved, "rewards", list);
}
