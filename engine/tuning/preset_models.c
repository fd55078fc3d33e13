/* Where a preset's models are, and what the run's own preset calls them. */
#include "engine/tuning/preset_models.h"

#include "engine/base/memory.h"
#include "engine/preset/preset_rewards.h"
#include "engine/preset/settings.h"
#include "engine/reward/reward.h"
#include "engine/reward/reward_models.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- names and paths ---- */

/* A model library that is opened when it is first asked for. */
struct lazy_library {
    const struct model_library *library;
    struct model_library own;
};

static status is_listed(struct lazy_library *lazy, const char *name, enum model_kind kind, bool *listed)
{
    if (!lazy->library) {
        TRY(model_library_open(NULL, 0, &lazy->own));
        lazy->library = &lazy->own;
    }
    *listed = model_library_lists(lazy->library, name, kind);
    return status_ok();
}

struct model_value {
    const char *key; /* for messages, and to tell what is from the command line */
    const char *value;
    enum model_kind kind;
};

/* `path` is "" for what stays as it is. */
static status absolute_path(const struct preset *preset, struct lazy_library *lazy, const struct model_value *given,
                            char path[PATH_SIZE], struct preset_warnings *warnings)
{
    path[0] = '\0';
    if (given->value[0] == '\0' || given->value[0] == '/') return status_ok();
    char found[PATH_SIZE];
    bool listed, here = preset_find_path(preset, given->key, given->value, found);
    if (!here && !preset_find_path_elsewhere(preset, given->key, given->value, found, NULL)) return status_ok();
    TRY(is_listed(lazy, given->value, given->kind, &listed));
    if (listed) return status_ok();
    if (!here) preset_find_path_elsewhere(preset, given->key, given->value, found, warnings);
    return path_format(path, "%s", found);
}

static status make_diffusion_path_absolute(struct preset *preset, struct lazy_library *lazy,
                                           struct preset_warnings *warnings)
{
    char path[PATH_SIZE];
    struct model_value given = {"model", preset->model, MODEL_KIND_DIFFUSION};
    TRY(absolute_path(preset, lazy, &given, path, warnings));
    if (!path[0]) return status_ok();
    snprintf(preset->model, sizeof preset->model, "%s", path);
    TRY(preset_tree_put(preset->written, "model", cJSON_CreateString(path)));
    return preset_tree_put(preset->resolved, "model", cJSON_CreateString(path));
}

/* A model's name or path among a reward's parameters; "" where it is open. */
static const char *model_of(const struct reward_setting *reward, const struct reward_parameter *parameter)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(reward->params, parameter->name);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static status put_model(struct reward_setting *reward, const struct reward_parameter *parameter, const char *path)
{
    return preset_tree_put(reward->params, parameter->name, cJSON_CreateString(path));
}

/* Called for every parameter of a reward that is a model. */
typedef status (*model_visitor)(void *context, int reward, const struct reward_parameter *parameter);

static status visit_models(const struct preset *preset, model_visitor visit, void *context)
{
    for (int i = 0; i < preset->reward_count; i++) {
        const struct reward_kind *kind = reward_kind_find(preset->rewards[i].name);
        for (int p = 0; kind && p < kind->parameter_count; p++)
            if (kind->parameters[p].kind == PARAMETER_MODEL) TRY(visit(context, i, &kind->parameters[p]));
    }
    return status_ok();
}

struct paths_context {
    struct preset *preset;
    struct lazy_library *lazy;
    struct preset_warnings *warnings;
};

static status make_reward_path_absolute(void *context, int index, const struct reward_parameter *parameter)
{
    struct paths_context *paths = context;
    struct reward_setting *reward = &paths->preset->rewards[index];
    struct model_value given = {"rewards", model_of(reward, parameter), parameter->model_kind};
    char path[PATH_SIZE];
    TRY(absolute_path(paths->preset, paths->lazy, &given, path, paths->warnings));
    return path[0] ? put_model(reward, parameter, path) : status_ok();
}

/* The parameters as they are in preset->rewards, into the list that is shown and saved: its other members stay as
 * written. */
static status write_parameters(struct preset *preset)
{
    cJSON *row = cJSON_GetArrayItem(preset_tree_at(preset->written, "rewards"), 0);
    for (int i = 0; i < preset->reward_count && row; i++, row = row->next) {
        if (!preset->rewards[i].params->child) continue;
        TRY(preset_tree_put(row, "params", cJSON_Duplicate(preset->rewards[i].params, true)));
    }
    return status_ok();
}

status preset_make_model_paths_absolute(struct preset *preset, const struct model_library *library,
                                        struct preset_warnings *warnings)
{
    struct lazy_library lazy = {.library = library};
    struct paths_context context = {preset, &lazy, warnings};
    status result = make_diffusion_path_absolute(preset, &lazy, warnings);
    if (result.code == STATUS_OK) result = visit_models(preset, make_reward_path_absolute, &context);
    if (result.code == STATUS_OK) result = write_parameters(preset);
    if (result.code == STATUS_OK) preset_resolve_rewards(preset);
    model_library_close(&lazy.own);
    return result;
}

/* ---- finding ---- */

/* True for a name that means the same model in every folder and with any --model-path. */
static bool is_name_for_everybody(const struct model_library *library, const char *name, const char *path)
{
    for (int i = 0; i < library->count; i++) {
        const struct model_entry *entry = &library->entries[i];
        if (entry->place != MODEL_GIVEN && strcmp(entry->path, path) == 0 && strcmp(entry->name, name) == 0)
            return true;
    }
    return false;
}

/* What --model-path found is as relative as the option was. */
static status make_absolute(char path[PATH_SIZE])
{
    char here[PATH_MAX], relative[PATH_SIZE];
    if (path[0] == '/') return status_ok();
    if (!getcwd(here, sizeof here)) return status_errno(STATUS_FAILED, errno, "the current folder");
    TRY(path_format(relative, "%s", path));
    return path_format(path, "%s/%s", here, relative);
}

status preset_find_diffusion_model(struct preset *preset, const struct model_library *library)
{
    TRY(status_context(model_library_find(library, preset->model, MODEL_KIND_DIFFUSION, preset->model_path),
                       "%s: model", preset->origin));
    if (is_name_for_everybody(library, preset->model, preset->model_path)) return status_ok();
    TRY(make_absolute(preset->model_path));
    return preset_tree_put(preset->resolved, "model", cJSON_CreateString(preset->model_path));
}

struct finding {
    struct preset *preset;
    const struct model_library *library;
    struct reward_models *models;
};

/* A model beside the diffusion model goes with that one and stays open. */
static bool goes_with_the_model(const struct preset *preset, const char *path)
{
    size_t length = strlen(preset->model_path);
    return strncmp(path, preset->model_path, length) == 0 && path[length] == '/';
}

static status find_reward_model(void *context, int index, const struct reward_parameter *parameter)
{
    struct finding *finding = context;
    const struct preset *preset = finding->preset;
    struct reward_setting *reward = &finding->preset->rewards[index];
    const char *given = model_of(reward, parameter);
    char path[PATH_SIZE];
    TRY(status_context(reward_models_find(finding->models, given, parameter->model_kind, path),
                       "%s: rewards.%s.params.%s", preset->origin, reward->id, parameter->name));
    bool stays = given[0] ? is_name_for_everybody(finding->library, given, path) : goes_with_the_model(preset, path);
    if (stays) return status_ok();
    TRY(make_absolute(path));
    return put_model(reward, parameter, path);
}

status preset_find_models(struct preset *preset, const struct model_library *library)
{
    TRY(preset_find_diffusion_model(preset, library));
    preset->model_folders = (const char *const *)library->folders;
    struct finding finding = {.preset = preset, .library = library};
    finding.models = reward_models_create(preset->model_path, preset->model_folders);
    status result = visit_models(preset, find_reward_model, &finding);
    reward_models_release(finding.models);
    if (result.code == STATUS_OK) preset_resolve_rewards(preset);
    return result;
}

/* ---- listing ---- */

static status add_use(struct model_uses *models, const char *key, const char *path)
{
    models->uses = memory_resize(models->uses, (size_t)models->count + 1, sizeof *models->uses);
    struct model_use *use = &models->uses[models->count++];
    snprintf(use->key, sizeof use->key, "%s", key);
    return path_format(use->path, "%s", path);
}

struct listing {
    const struct preset *preset;
    struct reward_models *models;
    struct model_uses *uses;
};

static status list_reward_model(void *context, int index, const struct reward_parameter *parameter)
{
    struct listing *listing = context;
    const struct reward_setting *reward = &listing->preset->rewards[index];
    char path[PATH_SIZE], key[160];
    TRY(reward_models_find(listing->models, model_of(reward, parameter), parameter->model_kind, path));
    snprintf(key, sizeof key, "rewards.%s.params.%s", reward->id, parameter->name);
    return add_use(listing->uses, key, path);
}

static status list_reward_models(const struct preset *preset, struct model_uses *models)
{
    struct listing listing = {.preset = preset, .uses = models};
    listing.models = reward_models_create(preset->model_path, preset->model_folders);
    status result = visit_models(preset, list_reward_model, &listing);
    reward_models_release(listing.models);
    return result;
}

status preset_list_models(const struct preset *preset, bool rewards, struct model_uses *models)
{
    *models = (struct model_uses){0};
    status result = add_use(models, "model", preset->model_path);
    if (result.code == STATUS_OK && rewards) result = list_reward_models(preset, models);
    if (result.code != STATUS_OK) model_uses_clear(models);
    return result;
}

void model_uses_clear(struct model_uses *models)
{
    free(models->uses);
    *models = (struct model_uses){0};
}
