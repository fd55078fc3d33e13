#include "engine/model/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/paths.h"
#include "engine/base/text.h"
#include "engine/model/clip_model.h"
#include "engine/model/config.h"
#include "engine/model/internal.h"
#include "engine/model/owlvit_model.h"

const char *model_kind_words(enum model_kind kind)
{
    static const char *const words[MODEL_KIND_COUNT] = {
        [MODEL_KIND_DIFFUSION] = "text-to-image model",
        [MODEL_KIND_CLIP] = "CLIP model",
        [MODEL_KIND_DETECTOR] = "object detector",
        [MODEL_KIND_AESTHETIC] = "aesthetic predictor",
    };
    return words[kind];
}

const char *model_origin_words(enum model_origin origin)
{
    static const char *const words[] = {
        [MODEL_ORIGIN_GIVEN] = "model path",
        [MODEL_ORIGIN_DATA] = "own models",
        [MODEL_ORIGIN_BUILT_IN] = "built in",
        [MODEL_ORIGIN_CACHE] = "Hugging Face cache",
    };
    return words[origin];
}

/* ---- what is it ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}

static bool has_file(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    return path_format(path, "%s/%s", folder, name).code == STATUS_OK && path_is_file(path);
}

static bool kind_of_config(const struct config *config, enum model_kind *kind)
{
    const cJSON *type = config_find(config, "model_type");
    if (model_class_matches(&clip_model_class, config))
        *kind = MODEL_KIND_CLIP;
    else if (model_class_matches(&owlvit_model_class, config))
        *kind = MODEL_KIND_DETECTOR;
    else if (cJSON_IsString(type) && strcmp(type->valuestring, "aesthetic-predictor") == 0)
        *kind = MODEL_KIND_AESTHETIC;
    else
        return false;
    return true;
}

static bool kind_of_folder(const char *path, enum model_kind *kind)
{
    char file[PATH_SIZE];
    struct config config;
    if (has_file(path, "model_index.json")) {
        *kind = MODEL_KIND_DIFFUSION;
        return true;
    }
    if (path_format(file, "%s/config.json", path).code != STATUS_OK || !path_is_file(file)) return false;
    if (config_open(file, &config).code != STATUS_OK) return false;
    bool known = kind_of_config(&config, kind);
    config_close(&config);
    return known;
}

static bool kind_of_file(const char *path, enum model_kind *kind)
{
    struct safetensors *file;
    if (!ends_with(path, ".safetensors") || safetensors_open(path, &file).code != STATUS_OK) return false;
    bool diffusion = safetensors_find(file, "model.diffusion_model.input_blocks.0.0.weight") != NULL;
    bool aesthetic = safetensors_find(file, "layers.0.weight") != NULL;
    safetensors_close(file);
    *kind = diffusion ? MODEL_KIND_DIFFUSION : MODEL_KIND_AESTHETIC;
    return diffusion || aesthetic;
}

bool model_kind_of(const char *path, enum model_kind *kind)
{
    return path_is_directory(path) ? kind_of_folder(path, kind) : kind_of_file(path, kind);
}

/* ---- where are they ---- */

static status add_model(struct model_list *list, const char *name, const char *path, enum model_kind kind,
                        enum model_origin origin)
{
    void *larger = realloc(list->models, (size_t)(list->count + 1) * sizeof list->models[0]);
    if (!larger) return status_error(STATUS_NO_MEMORY, "no memory to list the models");
    list->models = larger;
    struct found_model *model = &list->models[list->count++];
    snprintf(model->name, sizeof model->name, "%s", name);
    if (ends_with(model->name, ".safetensors")) model->name[strlen(model->name) - strlen(".safetensors")] = '\0';
    model->kind = kind;
    model->origin = origin;
    return path_format(model->path, "%s", path);
}

/* Adds the models that are in the folder. */
static status add_folder(struct model_list *list, const char *folder, enum model_origin origin)
{
    struct name_list names;
    char path[PATH_SIZE];
    enum model_kind kind;
    if (!path_is_directory(folder)) return status_ok();
    TRY(directory_list(folder, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        if (path_format(path, "%s/%s", folder, names.names[i]).code != STATUS_OK) continue;
        if (model_kind_of(path, &kind)) result = add_model(list, names.names[i], path, kind, origin);
    }
    name_list_clear(&names);
    return result;
}

/* The folder of the snapshot that refs/main names, or else of the only one. */
static bool find_snapshot(const char *repository, char path[PATH_SIZE])
{
    char file[PATH_SIZE], *commit = NULL;
    size_t length;
    if (path_format(file, "%s/refs/main", repository).code == STATUS_OK && path_is_file(file) &&
        file_read(file, 256, &commit, &length).code == STATUS_OK) {
        commit[strcspn(commit, "\r\n/")] = '\0';
        bool found = commit[0] != '\0' && path_format(path, "%s/snapshots/%s", repository, commit).code == STATUS_OK &&
                     path_is_directory(path);
        free(commit);
        if (found) return true;
    }
    struct name_list names;
    if (path_format(file, "%s/snapshots", repository).code != STATUS_OK || !path_is_directory(file)) return false;
    if (directory_list(file, &names).code != STATUS_OK) return false;
    bool only = names.count == 1 && path_format(path, "%s/%s", file, names.names[0]).code == STATUS_OK;
    name_list_clear(&names);
    return only;
}

/* "models--ORGANISATION--NAME" to "ORGANISATION/NAME"; false for another name. */
static bool repository_name(const char *folder, char *name, size_t size)
{
    static const char prefix[] = "models--";
    if (strncmp(folder, prefix, sizeof prefix - 1) != 0) return false;
    snprintf(name, size, "%s", folder + sizeof prefix - 1);
    char *separator = strstr(name, "--");
    if (!separator) return true;
    *separator = '/';
    memmove(separator + 1, separator + 2, strlen(separator + 2) + 1);
    return true;
}

static status add_cache(struct model_list *list, const char *cache)
{
    struct name_list names;
    char repository[PATH_SIZE], path[PATH_SIZE], name[256];
    enum model_kind kind;
    if (!path_is_directory(cache)) return status_ok();
    TRY(directory_list(cache, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        if (!repository_name(names.names[i], name, sizeof name)) continue;
        if (path_format(repository, "%s/%s", cache, names.names[i]).code != STATUS_OK) continue;
        if (find_snapshot(repository, path) && model_kind_of(path, &kind))
            result = add_model(list, name, path, kind, MODEL_ORIGIN_CACHE);
    }
    name_list_clear(&names);
    return result;
}

/* A folder given by the user is a model or holds some. */
static status add_given(struct model_list *list, const char *given)
{
    enum model_kind kind;
    char path[PATH_SIZE];
    if (!path_is_directory(given) && !path_is_file(given))
        return status_error(STATUS_BAD_INPUT, "%s: is not there; expected a model or a folder of models", given);
    if (!model_kind_of(given, &kind)) return add_folder(list, given, MODEL_ORIGIN_GIVEN);
    TRY(path_format(path, "%s", given));
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') path[--length] = '\0';
    const char *slash = strrchr(path, '/');
    return add_model(list, slash && slash[1] ? slash + 1 : path, path, kind, MODEL_ORIGIN_GIVEN);
}

static status add_all(struct model_list *list, const char *given)
{
    char base[PATH_SIZE], folder[PATH_SIZE];
    if (given) TRY(add_given(list, given));
    if (paths_data(base).code == STATUS_OK) {
        TRY(path_format(folder, "%s/models", base));
        TRY(add_folder(list, folder, MODEL_ORIGIN_DATA));
    }
    if (paths_program_data(base).code == STATUS_OK) {
        TRY(path_format(folder, "%s/presets/models", base));
        TRY(add_folder(list, folder, MODEL_ORIGIN_BUILT_IN));
    }
    if (paths_hub_cache(base).code == STATUS_OK) TRY(add_cache(list, base));
    return status_ok();
}

status model_list_find(const char *given, struct model_list *list)
{
    *list = (struct model_list){NULL, 0};
    status result = add_all(list, given);
    if (result.code != STATUS_OK) model_list_clear(list);
    return result;
}

void model_list_clear(struct model_list *list)
{
    free(list->models);
    *list = (struct model_list){NULL, 0};
}

/* ---- what a name stands for ---- */

static const struct found_model *find_by_name(const struct model_list *list, const char *name, enum model_kind kind)
{
    for (int i = 0; i < list->count; i++)
        if (list->models[i].kind == kind && strcmp(list->models[i].name, name) == 0) return &list->models[i];
    return NULL;
}

static status unknown_model(const struct model_list *list, const char *name, enum model_kind kind)
{
    char folder[PATH_SIZE] = "$XDG_DATA_HOME/alignprop";
    const char *nearest = NULL;
    const char **names = calloc((size_t)list->count + 1, sizeof names[0]);
    int count = 0;
    for (int i = 0; names && i < list->count; i++)
        if (list->models[i].kind == kind) names[count++] = list->models[i].name;
    if (names && count) nearest = text_nearest(name, names, count);
    status result;
    paths_data(folder);
    if (nearest)
        result = status_error(STATUS_BAD_INPUT, "there is no %s \"%.200s\"; did you mean \"%s\"?",
                              model_kind_words(kind), name, nearest);
    else
        result = status_error(STATUS_BAD_INPUT, "there is no %s \"%.200s\"; give a path, or put it into %.200s/models",
                              model_kind_words(kind), name, folder);
    free(names);
    return result;
}

/* A path must exist and be of that kind. */
static status check_path(const char *path, enum model_kind kind)
{
    enum model_kind found;
    if (!path_is_directory(path) && !path_is_file(path))
        return status_error(STATUS_BAD_INPUT, "%.300s: is not there; expected: %s", path, model_kind_words(kind));
    if (model_kind_of(path, &found) && found != kind)
        return status_error(STATUS_BAD_INPUT, "%.300s: holds: %s; expected: %s", path, model_kind_words(found),
                            model_kind_words(kind));
    return status_ok(); /* opening it says more about what is not recognised */
}

status model_resolve(const char *name, enum model_kind kind, const char *given, char path[PATH_SIZE])
{
    struct model_list list;
    TRY(model_list_find(given, &list));
    const struct found_model *model = find_by_name(&list, name, kind);
    status result;
    if (model) {
        result = path_format(path, "%s", model->path);
    } else if (strchr(name, '/') || path_is_directory(name) || path_is_file(name)) {
        result = path_format(path, "%s", name);
        if (result.code == STATUS_OK) result = check_path(path, kind);
    } else {
        result = unknown_model(&list, name, kind);
    }
    model_list_clear(&list);
    return result;
}
