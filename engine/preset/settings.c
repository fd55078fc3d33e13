/* Finds and puts values at dotted paths of a preset's tree, a reward by its id among them. */
#include "engine/preset/settings.h"

#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/preset/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE_LIMIT = 200 };

/* Copies the part of `path` up to the next dot; returns what follows the dot, or NULL at the last part. */
static const char *next_part(const char *path, char part[KEY_SIZE_LIMIT])
{
    const char *dot = strchr(path, '.');
    snprintf(part, KEY_SIZE_LIMIT, "%.*s", dot ? (int)(dot - path) : (int)strlen(path), path);
    return dot ? dot + 1 : NULL;
}

cJSON *preset_tree_at(const cJSON *tree, const char *path)
{
    char part[KEY_SIZE_LIMIT];
    const cJSON *at = tree;
    while (path && at) {
        path = next_part(path, part);
        at = cJSON_GetObjectItemCaseSensitive(at, part);
    }
    return (cJSON *)at;
}

static status put_below(cJSON *tree, const char *path, cJSON *value)
{
    char part[KEY_SIZE_LIMIT];
    const char *whole = path;
    cJSON *at = tree;
    while ((path = next_part(path, part))) {
        cJSON *below = cJSON_GetObjectItemCaseSensitive(at, part);
        if (!below) below = cJSON_AddObjectToObject(at, part);
        if (!cJSON_IsObject(below)) {
            return status_error(STATUS_BAD_INPUT, "%s: \"%s\" is there and is no object", whole, part);
        }
        at = below;
    }
    json_put(at, part, value);
    return status_ok();
}

status preset_tree_put(cJSON *tree, const char *path, cJSON *value)
{
    status result = put_below(tree, path, value);
    if (result.code != STATUS_OK) cJSON_Delete(value);
    return result;
}

static const char *id_of(const cJSON *reward)
{
    const char *id = json_get_text(reward, "id", NULL);
    return id ? id : json_get_text(reward, "name", NULL);
}

static const char *after_rewards(const char *key)
{
    static const char start[] = "rewards.";
    return strncmp(key, start, sizeof start - 1) == 0 ? key + sizeof start - 1 : NULL;
}

cJSON *preset_tree_reward(const cJSON *tree, const char *key, const char **rest)
{
    const char *place = after_rewards(key);
    if (!place) return NULL;
    cJSON *reward;
    cJSON_ArrayForEach(reward, cJSON_GetObjectItemCaseSensitive(tree, "rewards"))
    {
        const char *id = id_of(reward);
        size_t length = id ? strlen(id) : 0;
        if (length == 0 || strncmp(place, id, length) != 0 || place[length] != '.') continue;
        *rest = place + length + 1;
        return reward;
    }
    return NULL;
}

/* A text as a JSON value: as written when it is JSON, else as a text. */
static cJSON *value_of(const char *text)
{
    cJSON *value;
    if (json_parse(text, strlen(text), "", &value).code == STATUS_OK) return value;
    return cJSON_CreateString(text);
}

/* A list with the one element `text`, unless the text is a JSON list. */
static cJSON *list_of(const char *text)
{
    cJSON *value = value_of(text);
    if (cJSON_IsArray(value)) return value;
    cJSON_Delete(value);
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
    return list;
}

static cJSON *value_for(const struct preset_key *key, const char *text)
{
    if (strcmp(text, "null") == 0) return cJSON_CreateNull();
    switch (key->kind) {
    case KEY_PROMPTS:
    case KEY_TARGETS: return list_of(text);
    case KEY_NUMBER:
    case KEY_INTEGER:
    case KEY_SIZE:
    case KEY_AUTO_INTEGER:
    case KEY_BYTES:
    case KEY_REWARDS:
    case KEY_SCHEMA: return value_of(text);
    default: return cJSON_CreateString(text);
    }
}

/* The keys below `group`, such as "prompts" of "prompts.train". */
static void list_below(const char *group, struct text *list)
{
    int count;
    const struct preset_key *keys = preset_keys(&count);
    size_t length = strlen(group);
    for (int i = 0; i < count; i++)
        if (strncmp(keys[i].path, group, length) == 0 && keys[i].path[length] == '.')
            text_append(list, "%s%s", list->length ? ", " : "", keys[i].path);
}

static status unknown_key(const char *key, const char *nearest)
{
    struct text below = {0};
    list_below(key, &below);
    status result =
        below.length > 0 ? status_error(STATUS_USAGE, "--set %s: expected one of its keys: %s", key, below.data)
        : nearest        ? status_error(STATUS_USAGE, "--set %s: unknown key; did you mean \"%s\"?", key, nearest)
                         : status_error(STATUS_USAGE, "--set %s: unknown key; `alignprop presets show` lists all", key);
    text_clear(&below);
    return result;
}

static status unknown_reward(const cJSON *tree, const char *key)
{
    struct text ids = {0};
    const cJSON *reward;
    cJSON_ArrayForEach(reward, cJSON_GetObjectItemCaseSensitive(tree, "rewards"))
    {
        const char *id = id_of(reward);
        if (id) text_append(&ids, "%s%s", ids.length ? ", " : "", id);
    }
    status result = status_error(STATUS_USAGE,
                                 "--set %s: expected rewards.ID.weight or rewards.ID.params.NAME with ID "
                                 "one of: %s",
                                 key, ids.data ? ids.data : "(the preset has no rewards)");
    text_clear(&ids);
    return result;
}

static status apply_reward_setting(cJSON *tree, const char *key, const char *text)
{
    const char *rest;
    cJSON *reward = preset_tree_reward(tree, key, &rest);
    if (!reward) return unknown_reward(tree, key);
    bool known = strcmp(rest, "weight") == 0 || strcmp(rest, "id") == 0 ||
                 (strncmp(rest, "params.", 7) == 0 && rest[7] && !strchr(rest + 7, '.'));
    return known ? preset_tree_put(reward, rest, value_of(text)) : unknown_reward(tree, key);
}

status preset_apply_setting(cJSON *tree, cJSON *sources, const char *setting)
{
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting || equals - setting >= KEY_SIZE_LIMIT) {
        return status_error(STATUS_USAGE, "--set %s: expected KEY=VALUE, such as steps=30", setting);
    }
    size_t bad;
    if (!text_is_utf8(setting, strlen(setting), &bad)) return status_error(STATUS_USAGE, "--set: not UTF-8");
    char path[KEY_SIZE_LIMIT];
    snprintf(path, sizeof path, "%.*s", (int)(equals - setting), setting);
    const struct preset_key *key = preset_key_find(path);
    if (key) {
        TRY(preset_tree_put(tree, path, value_for(key, equals + 1)));
    } else if (after_rewards(path)) {
        TRY(apply_reward_setting(tree, path, equals + 1));
    } else {
        return unknown_key(path, preset_key_nearest(path));
    }
    if (sources) json_put(sources, key ? path : "rewards", cJSON_CreateString("--set"));
    return status_ok();
}
