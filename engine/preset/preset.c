/* From a JSON tree to a checked preset: migrate, set, warn, fill in defaults, read, check what depends on each other.
 */
#include "engine/preset/preset.h"

#include "engine/base/memory.h"
#include "engine/base/seal.h"
#include "engine/preset/keys.h"
#include "engine/preset/library.h"
#include "engine/preset/migrate.h"
#include "engine/preset/preset_prompts.h"
#include "engine/preset/preset_rewards.h"
#include "engine/preset/prompts.h"
#include "engine/preset/settings.h"
#include "engine/preset/warnings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRESET_FILE_LIMIT = 32 << 20 };

/* ---- warnings ---- */

void preset_warnings_clear(struct preset_warnings *warnings)
{
    for (int i = 0; i < warnings->count; i++) free(warnings->lines[i]);
    free(warnings->lines);
    *warnings = (struct preset_warnings){0};
}

void preset_warn(struct preset_warnings *warnings, const char *message)
{
    if (!warnings) return;
    warnings->lines = memory_resize(warnings->lines, (size_t)warnings->count + 1, sizeof *warnings->lines);
    warnings->lines[warnings->count++] = memory_copy_text(message);
}

/* True if some key lies below `path`, so that an object belongs there. */
static bool is_section(const char *path)
{
    int count;
    const struct preset_key *keys = preset_keys(&count);
    size_t length = strlen(path);
    for (int i = 0; i < count; i++) {
        if (strncmp(keys[i].path, path, length) == 0 && keys[i].path[length] == '.') return true;
    }
    return false;
}

static void warn_unknown_key(const char *origin, const char *path, struct preset_warnings *warnings)
{
    char message[500];
    const char *nearest = preset_key_nearest(path);
    if (nearest) {
        snprintf(message, sizeof message, "%s: unknown key \"%s\"; did you mean \"%s\"?", origin, path, nearest);
    } else {
        snprintf(message, sizeof message, "%s: unknown key \"%s\"", origin, path);
    }
    preset_warn(warnings, message);
}

/* Goes over an object of the tree: unknown keys are warned of, sections must be objects. */
static status check_known(const cJSON *object, const char *origin, const char *prefix, struct preset_warnings *warnings)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        char path[JSON_PATH_SIZE];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", member->string);
        if (preset_key_find(path)) continue;
        if (!is_section(path)) {
            warn_unknown_key(origin, path, warnings);
        } else if (cJSON_IsObject(member)) {
            TRY(check_known(member, origin, path, warnings));
        } else {
            return json_wrong_value(origin, path, "an object", member);
        }
    }
    return status_ok();
}

/* ---- defaults ---- */

static cJSON *fallback_value(const struct preset_key *key)
{
    return key->fallback ? cJSON_Parse(key->fallback) : NULL;
}

/* Builds `written` and `sources` in the table's order. A null in the preset asks for the default. */
static status fill_defaults(const cJSON *tree, const cJSON *set, const char *origin, struct preset *preset)
{
    preset->written = cJSON_CreateObject();
    preset->sources = cJSON_CreateObject();
    int count;
    const struct preset_key *keys = preset_keys(&count);
    for (int i = 0; i < count; i++) {
        const char *path = keys[i].path;
        const cJSON *given = preset_tree_at(tree, path);
        bool absent = !given || cJSON_IsNull(given);
        const char *source = absent ? "default" : cJSON_GetObjectItemCaseSensitive(set, path) ? "--set" : "preset";
        if (absent && !keys[i].fallback) return json_wrong_value(origin, path, "a value (it is required)", given);
        TRY(preset_tree_put(preset->written, path, absent ? fallback_value(&keys[i]) : cJSON_Duplicate(given, true)));
        cJSON_AddStringToObject(preset->sources, path, source);
    }
    return status_ok();
}

static const char *origin_of(const struct preset *preset, const char *path, const char *origin)
{
    const cJSON *source = cJSON_GetObjectItemCaseSensitive(preset->sources, path);
    return cJSON_IsString(source) && strcmp(source->valuestring, "--set") == 0 ? "--set" : origin;
}

static status read_keys(struct preset *preset, const char *origin)
{
    int count;
    const struct preset_key *keys = preset_keys(&count);
    for (int i = 0; i < count; i++) {
        const cJSON *value = preset_tree_at(preset->written, keys[i].path);
        TRY(preset_key_read(&keys[i], origin_of(preset, keys[i].path, origin), value, preset));
    }
    return status_ok();
}

/* ---- what follows from, and depends on, other keys ---- */

static bool is_open(const struct preset *preset, const char *path)
{
    return cJSON_IsNull(preset_tree_at(preset->written, path));
}

static void fill_dependent(struct preset *preset)
{
    if (is_open(preset, "lora.alpha")) preset->alpha = preset->rank;
    if (is_open(preset, "backprop.max")) preset->draw_maximum = preset->sampler_steps;
}

static status too_many_steps(const char *origin, const char *key, int value, int steps)
{
    return status_error(STATUS_BAD_INPUT, "%s: %s: %d is more than sampler.steps, which is %d", origin, key, value,
                        steps);
}

static status check_truncation(const struct preset *preset, const char *origin)
{
    int steps = preset->sampler_steps;
    if (preset->method == BACKPROP_ALIGNPROP && preset->draw == DRAW_UNIFORM) {
        if (preset->draw_maximum > steps) {
            return too_many_steps(origin_of(preset, "backprop.max", origin), "backprop.max", preset->draw_maximum,
                                  steps);
        }
        if (preset->draw_minimum > preset->draw_maximum) {
            return status_error(STATUS_BAD_INPUT, "%s: backprop.min: %d is more than backprop.max, which is %d", origin,
                                preset->draw_minimum, preset->draw_maximum);
        }
    }
    if (backprop_method_counts(preset->method) && preset->k > steps) {
        return too_many_steps(origin_of(preset, "backprop.k", origin), "backprop.k", preset->k, steps);
    }
    return status_ok();
}

/* ---- paths ---- */

static bool is_from_command_line(const struct preset *preset, const char *key)
{
    return strcmp(origin_of(preset, key, ""), "--set") == 0;
}

/* What is at `value` in `folder` ("": the current one). Links keep their names: the end of a name can tell a format. */
static bool find_in(const char *folder, const char *value, char found[PATH_SIZE])
{
    char here[PATH_MAX];
    if (value[0] == '/') return access(value, F_OK) == 0 && path_format(found, "%s", value).code == STATUS_OK;
    if (!folder[0]) folder = getcwd(here, sizeof here);
    while (strncmp(value, "./", 2) == 0) value += 2;
    return folder && path_format(found, "%s/%s", folder, value).code == STATUS_OK && access(found, F_OK) == 0;
}

bool preset_find_path(const struct preset *preset, const char *key, const char *value, char found[4096])
{
    return find_in(is_from_command_line(preset, key) ? "" : preset->folder, value, found);
}

bool preset_find_path_elsewhere(const struct preset *preset, const char *key, const char *value, char found[4096],
                                struct preset_warnings *warnings)
{
    bool given = is_from_command_line(preset, key);
    if (!find_in(given ? preset->folder : "", value, found)) return false;
    if (given) return true;
    char message[PATH_SIZE];
    snprintf(
        message, sizeof message,
        "%.300s: %s: %.300s is not beside the preset's file, which its paths are relative to; the one in the current "
        "folder is taken",
        preset->origin, key, value);
    preset_warn(warnings, message);
    return true;
}

/* ---- the whole ---- */

static status put_number(cJSON *tree, const char *path, double value)
{
    return preset_tree_put(tree, path, cJSON_CreateNumber(value));
}

static status resolve(struct preset *preset)
{
    preset->resolved = cJSON_Duplicate(preset->written, true);
    TRY(put_number(preset->resolved, "lora.alpha", preset->alpha));
    if (preset->draw_maximum <= preset->sampler_steps) {
        TRY(put_number(preset->resolved, "backprop.max", preset->draw_maximum));
    }
    preset_resolve_rewards(preset);
    return preset_resolve_prompts(preset);
}

static status note_origin(struct preset *preset, const char *origin, const char *folder)
{
    snprintf(preset->origin, sizeof preset->origin, "%s", origin);
    return folder ? path_format(preset->folder, "%s", folder) : status_ok();
}

static status build(cJSON *tree, const char *origin, const char *folder, const char *const *settings, int setting_count,
                    struct preset *preset, struct preset_warnings *warnings)
{
    TRY(note_origin(preset, origin, folder));
    /* Of a run's own preset; who goes on with the run looks at it. */
    cJSON_DeleteItemFromObjectCaseSensitive(tree, SEAL_MEMBER);
    TRY(preset_migrate(tree, origin));
    cJSON *set = cJSON_CreateObject();
    status result = status_ok();
    for (int i = 0; i < setting_count && result.code == STATUS_OK; i++) {
        result = preset_apply_setting(tree, set, settings[i]);
    }
    if (result.code == STATUS_OK) result = check_known(tree, origin, "", warnings);
    if (result.code == STATUS_OK) result = fill_defaults(tree, set, origin, preset);
    cJSON_Delete(set);
    TRY(result);
    TRY(read_keys(preset, origin));
    fill_dependent(preset);
    TRY(check_truncation(preset, origin));
    TRY(preset_read_rewards(preset, origin_of(preset, "rewards", origin), warnings));
    TRY(preset_read_prompts(preset, origin, warnings));
    return resolve(preset);
}

status preset_from_json(const struct cJSON *value, const char *origin, const char *folder, const char *const *settings,
                        int setting_count, struct preset *preset, struct preset_warnings *warnings)
{
    *preset = (struct preset){0};
    cJSON *tree = cJSON_Duplicate(value, true);
    status result = build(tree, origin, folder, settings, setting_count, preset, warnings);
    cJSON_Delete(tree);
    if (result.code != STATUS_OK) preset_clear(preset);
    return result;
}

/* The absolute path of the folder that a file is in. */
static status folder_of(const char *path, char folder[PATH_SIZE])
{
    char resolved[PATH_MAX];
    TRY(path_format(folder, "%s", path));
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    if (!realpath(slash ? folder : ".", resolved)) return status_errno(STATUS_BAD_INPUT, errno, "%s", path);
    return path_format(folder, "%s", resolved);
}

status preset_load(const char *name_or_path, const char *const *settings, int setting_count, struct preset *preset,
                   struct preset_warnings *warnings)
{
    *preset = (struct preset){0};
    char path[PATH_SIZE], folder[PATH_SIZE];
    TRY(preset_find(name_or_path, path));
    cJSON *tree;
    TRY(json_read_file(path, PRESET_FILE_LIMIT, &tree));
    status result = folder_of(path, folder);
    if (result.code == STATUS_OK)
        result = preset_from_json(tree, path, folder, settings, setting_count, preset, warnings);
    cJSON_Delete(tree);
    return result;
}

void preset_clear(struct preset *preset)
{
    for (int i = 0; i < preset->reward_count; i++) cJSON_Delete(preset->rewards[i].params);
    free(preset->rewards);
    free(preset->notes);
    free(preset->negative);
    prompt_list_clear(&preset->train);
    prompt_list_clear(&preset->evaluation);
    cJSON_Delete(preset->written);
    cJSON_Delete(preset->sources);
    cJSON_Delete(preset->resolved);
    *preset = (struct preset){0};
}

status preset_fill_size(struct preset *preset, struct picture_size size)
{
    if (preset->width == 0) preset->width = size.width;
    if (preset->height == 0) preset->height = size.height;
    TRY(put_number(preset->resolved, "sampler.width", preset->width));
    return put_number(preset->resolved, "sampler.height", preset->height);
}

const struct cJSON *preset_value(const struct preset *preset, const char *key)
{
    const char *rest;
    const cJSON *reward = preset_tree_reward(preset->written, key, &rest);
    return reward ? preset_tree_at(reward, rest) : preset_tree_at(preset->written, key);
}

status preset_save(const struct cJSON *value, const char *path)
{
    return json_write_file(path, value);
}
