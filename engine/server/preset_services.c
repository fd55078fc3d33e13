/* `check` and the keeping of own presets. */
#include "engine/base/files.h"
#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/model/model.h"
#include "engine/preset/keys.h"
#include "engine/preset/library.h"
#include "engine/protocol/message.h"
#include "engine/reward/reward.h"
#include "engine/run/run_folder.h"
#include "engine/server/preset_message.h"
#include "engine/server/request_services.h"
#include "engine/tuning/preset_models.h"
#include "engine/tuning/tuner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SETTINGS = 128 };

/* ---- the preset of a request ---------------------------------------------------------------------------------------
 */

struct settings {
    char *texts[MOST_SETTINGS]; /* "KEY=VALUE", owned */
    int count;
};

static void clear_settings(struct settings *settings)
{
    for (int i = 0; i < settings->count; i++) free(settings->texts[i]);
    settings->count = 0;
}

/* A text goes as it is, everything else as JSON, as the command line's --set takes them. */
static status add_setting(struct settings *settings, const cJSON *item)
{
    if (settings->count == MOST_SETTINGS)
        return status_error(STATUS_BAD_INPUT, "'set' has more than %d keys", (int)MOST_SETTINGS);
    struct text text = {0};
    text_append(&text, "%s=", item->string);
    if (cJSON_IsString(item))
        text_append(&text, "%s", item->valuestring);
    else
        json_append(&text, item, false);
    settings->texts[settings->count++] = text_take(&text);
    return status_ok();
}

static status read_settings(const cJSON *request, struct settings *settings)
{
    const cJSON *set = json_get(request, "set");
    if (!set) return status_ok();
    if (!cJSON_IsObject(set)) return status_error(STATUS_USAGE, "'set' must be an object of dotted keys");
    for (const cJSON *item = set->child; item; item = item->next) TRY(add_setting(settings, item));
    return status_ok();
}

static status load(const cJSON *request, const struct settings *settings, struct preset *preset,
                   struct preset_warnings *warnings)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(request, "preset");
    const char *run = json_get_text(request, "run", NULL);
    const char *const *texts = (const char *const *)settings->texts;
    if (cJSON_IsObject(given)) return preset_from_json(given, "preset", NULL, texts, settings->count, preset, warnings);
    if (cJSON_IsString(given)) return preset_load(given->valuestring, texts, settings->count, preset, warnings);
    if (!run) return status_error(STATUS_USAGE, "a 'preset' is needed: a name, a path or an object");
    struct run_folder folder;
    TRY(run_folder_open(run, &folder));
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/preset.json", folder.path));
    return preset_load(path, texts, settings->count, preset, warnings);
}

status request_preset(const cJSON *request, struct preset *preset, struct preset_warnings *warnings)
{
    struct settings settings = {.count = 0};
    status result = read_settings(request, &settings);
    if (result.code == STATUS_OK) result = load(request, &settings, preset, warnings);
    /* What the preset is sent on as has no file that its paths could be relative to. */
    if (result.code == STATUS_OK) result = preset_make_model_paths_absolute(preset, NULL, warnings);
    clear_settings(&settings);
    return result;
}

/* ---- check ---------------------------------------------------------------------------------------------------------
 */

/* The first known key that the words name, or NULL. */
static const char *key_in(const char *message)
{
    int count;
    const struct preset_key *keys = preset_keys(&count);
    const char *best = NULL, *place = NULL;
    for (int i = 0; i < count; i++) {
        const char *at = strstr(message, keys[i].path);
        if (!at) continue;
        bool longer = best && at == place && strlen(keys[i].path) > strlen(best);
        if (!best || at < place || longer) {
            best = keys[i].path;
            place = at;
        }
    }
    return best;
}

static void add_problem(cJSON *problems, const char *message, const char *severity)
{
    cJSON *problem = cJSON_CreateObject();
    const char *key = key_in(message);
    if (key)
        cJSON_AddStringToObject(problem, "key", key);
    else
        cJSON_AddNullToObject(problem, "key");
    cJSON_AddStringToObject(problem, "message", message);
    cJSON_AddStringToObject(problem, "severity", severity);
    cJSON_AddItemToArray(problems, problem);
}

/* Both lists with what their files hold; what does not fit in one message is left out. */
static void add_prompts(cJSON *answer, const struct preset *preset)
{
    enum { ROOM = 512 << 10 };
    cJSON *prompts = cJSON_AddObjectToObject(answer, "prompts");
    const struct prompt_list *lists[2] = {&preset->train, &preset->evaluation};
    size_t bytes = 0;
    for (int which = 0; which < 2; which++) {
        cJSON *texts = cJSON_AddArrayToObject(prompts, which == 0 ? "train" : "eval");
        for (int i = 0; i < lists[which]->count && bytes < ROOM; i++) {
            cJSON_AddItemToArray(texts, cJSON_CreateString(lists[which]->texts[i]));
            bytes += strlen(lists[which]->texts[i]) + 3;
        }
    }
}

static status use_size_of_model(struct preset *preset)
{
    struct model *model;
    TRY(model_open(preset->model_path, &model));
    const struct model_facts *facts = model_facts(model);
    status result = preset_fill_size(preset, facts->default_size);
    if (result.code == STATUS_OK) result = model_check_size(facts, preset->width, preset->height);
    model_close(model);
    return result;
}

/* What tuning would refuse, by the check that it makes itself. A model that is not on this machine is no fault of the
 * preset's and only a warning: what depends on it cannot be looked at. */
static status check_tuning(struct preset *preset, cJSON *problems)
{
    struct model_library library;
    TRY(model_library_open(NULL, 0, &library));
    status missing = preset_find_diffusion_model(preset, &library);
    status result = status_ok();
    if (missing.code == STATUS_OK) {
        result = preset_find_models(preset, &library);
        if (result.code == STATUS_OK) result = use_size_of_model(preset);
        if (result.code == STATUS_OK) result = tuner_check(preset);
    }
    preset->model_folders = NULL;
    model_library_close(&library);
    if (missing.code != STATUS_OK) add_problem(problems, missing.message, "warning");
    if (result.code != STATUS_OK) add_problem(problems, result.message, "error");
    return result;
}

status answer_check(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    (void)facts;
    struct preset preset = {0};
    struct preset_warnings warnings = {0};
    status loaded = request_preset(request, &preset, &warnings);
    bool wrong_request = loaded.code == STATUS_USAGE && !cJSON_GetObjectItemCaseSensitive(request, "preset");
    cJSON *problems = cJSON_AddArrayToObject(answer, "problems");
    if (loaded.code != STATUS_OK) add_problem(problems, loaded.message, "error");
    for (int i = 0; i < warnings.count; i++) add_problem(problems, warnings.lines[i], "warning");
    status tunable = loaded.code == STATUS_OK ? check_tuning(&preset, problems) : loaded;
    cJSON_AddBoolToObject(answer, "valid", tunable.code == STATUS_OK);
    if (loaded.code == STATUS_OK) {
        preset_message_add(answer, preset.written);
        cJSON_AddItemToObject(answer, "sources", cJSON_Duplicate(preset.sources, true));
        if (json_get_flag(request, "prompts", false)) add_prompts(answer, &preset);
    } else {
        cJSON_AddNullToObject(answer, "preset");
    }
    preset_warnings_clear(&warnings);
    preset_clear(&preset);
    return wrong_request ? loaded : status_ok();
}

/* ---- own presets ---------------------------------------------------------------------------------------------------
 */

static status own_path(const char *name, char path[PATH_SIZE])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (!name || !*name || strspn(name, allowed) != strlen(name) || name[0] == '.' || strlen(name) > 100)
        return status_error(
            STATUS_BAD_INPUT,
            "'%.100s' is not a valid name for a preset; use letters, digits, '-', '_' and '.', at most 100",
            name ? name : "");
    char folder[PATH_SIZE];
    TRY(preset_folder_own(folder));
    return path_format(path, "%s/%s.json", folder, name);
}

static status own_existing(const char *name, char path[PATH_SIZE])
{
    TRY(own_path(name, path));
    if (path_is_file(path)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "there is no preset '%s' of your own", name);
}

static status write_under_name(const struct preset *preset, const char *name, const char *path)
{
    cJSON *copy = cJSON_Duplicate(preset->written, true);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "name");
    cJSON_AddStringToObject(copy, "name", name);
    char folder[PATH_SIZE];
    status result = preset_folder_own(folder);
    if (result.code == STATUS_OK) result = directory_make(folder);
    if (result.code == STATUS_OK) result = preset_save(copy, path);
    cJSON_Delete(copy);
    return result;
}

status answer_presets_save(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    (void)facts;
    const char *name = json_get_text(request, "name", NULL);
    char path[PATH_SIZE];
    TRY(own_path(name, path));
    if (!json_get_flag(request, "overwrite", true) && path_is_file(path))
        return status_error(STATUS_BAD_INPUT, "a preset '%s' already exists", name);
    struct preset preset = {0};
    status result = request_preset(request, &preset, NULL);
    if (result.code == STATUS_OK) result = write_under_name(&preset, name, path);
    preset_clear(&preset);
    if (result.code == STATUS_OK) cJSON_AddStringToObject(answer, "path", path);
    return result;
}

status answer_presets_delete(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    (void)facts;
    (void)answer;
    char path[PATH_SIZE];
    TRY(own_existing(json_get_text(request, "name", NULL), path));
    return directory_remove(path);
}

status answer_presets_rename(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    (void)facts;
    const char *to = json_get_text(request, "to", NULL);
    char path[PATH_SIZE], target[PATH_SIZE];
    TRY(own_existing(json_get_text(request, "name", NULL), path));
    TRY(own_path(to, target));
    if (path_is_file(target)) return status_error(STATUS_BAD_INPUT, "a preset '%s' already exists", to);
    struct preset preset = {0};
    status result = preset_load(path, NULL, 0, &preset, NULL);
    if (result.code == STATUS_OK) result = write_under_name(&preset, to, target);
    preset_clear(&preset);
    if (result.code == STATUS_OK) result = directory_remove(path);
    if (result.code == STATUS_OK) cJSON_AddStringToObject(answer, "path", target);
    return result;
}
