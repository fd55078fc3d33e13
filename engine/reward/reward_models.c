/* Finds the reward models that a preset asks for and opens each once. */
#include "engine/reward/reward_models.h"

#include "engine/base/memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct opened_model {
    struct opened_model *next;
    char path[PATH_SIZE];    /* with links followed */
    struct clip_model *clip; /* one of them, the other NULL */
    struct owlvit_model *detector;
};

struct reward_models {
    int holders;
    const char *model_path;
    const char *const *search_paths;
    bool listed;
    struct model_library library;
    struct opened_model *opened;
    struct remarks remarks;
};

struct reward_models *reward_models_create(const char *model_path, const char *const *search_paths)
{
    struct reward_models *models = memory_take(1, sizeof *models);
    models->holders = 1;
    models->model_path = model_path;
    models->search_paths = search_paths;
    return models;
}

struct reward_models *reward_models_hold(struct reward_models *models)
{
    if (models) models->holders++;
    return models;
}

static void close_model(struct opened_model *model)
{
    if (model->clip) clip_model_close(model->clip);
    if (model->detector) owlvit_model_close(model->detector);
    free(model);
}

void reward_models_release(struct reward_models *models)
{
    if (!models || --models->holders > 0) return;
    while (models->opened) {
        struct opened_model *first = models->opened;
        models->opened = first->next;
        close_model(first);
    }
    model_library_close(&models->library);
    free(models);
}

/* ---- finding ---- */

static bool find_beside_model(const struct reward_models *models, const char *role, char path[PATH_SIZE])
{
    return models->model_path != NULL &&
           path_format(path, "%s/rewards/%s", models->model_path, role).code == STATUS_OK && path_is_directory(path);
}

static status list(struct reward_models *models)
{
    if (models->listed) return status_ok();
    int places = 0;
    while (models->search_paths != NULL && models->search_paths[places] != NULL) places++;
    TRY(model_library_open(models->search_paths, places, &models->library));
    models->listed = true;
    return status_ok();
}

status reward_models_find(struct reward_models *models, const char *given, enum model_kind kind, char path[PATH_SIZE])
{
    static const char *const roles[MODEL_KIND_COUNT] = {
        [MODEL_KIND_DIFFUSION] = "",
        [MODEL_KIND_CLIP] = "clip",
        [MODEL_KIND_DETECTOR] = "detector",
        [MODEL_KIND_AESTHETIC] = "aesthetic",
    };
    if (given[0] == '\0' && find_beside_model(models, roles[kind], path)) return status_ok();
    TRY(list(models));
    if (given[0] != '\0') return model_library_find(&models->library, given, kind, path);
    const struct model_entry *first = model_library_first(&models->library, kind);
    if (first != NULL) return path_format(path, "%s", first->path);
    return status_error(STATUS_BAD_INPUT,
                        "no %s: the diffusion model has no folder rewards/%s, and none is where models are kept "
                        "(`alignprop models`); name a path in the reward's params. README.md says where to get one",
                        model_kind_description(kind), roles[kind]);
}

/* ---- opening ---- */

/* What was opened from `path`; else a new entry without a model. */
static status entry_of(struct reward_models *models, const char *path, struct opened_model **entry)
{
    char resolved[PATH_MAX];
    const char *real = realpath(path, resolved) ? resolved : path;
    for (*entry = models->opened; *entry; *entry = (*entry)->next)
        if (strcmp((*entry)->path, real) == 0) return status_ok();
    *entry = memory_take(1, sizeof **entry);
    (*entry)->next = models->opened;
    models->opened = *entry;
    return path_format((*entry)->path, "%s", real);
}

static status find_entry(struct reward_models *models, const char *given, enum model_kind kind, char path[PATH_SIZE],
                         struct opened_model **entry)
{
    TRY(reward_models_find(models, given, kind, path));
    return entry_of(models, path, entry);
}

status reward_models_open_clip(struct reward_models *models, const char *given, char path[PATH_SIZE],
                               struct clip_model **model)
{
    struct opened_model *entry;
    TRY(find_entry(models, given, MODEL_KIND_CLIP, path, &entry));
    if (!entry->clip) TRY(clip_model_open(path, &entry->clip));
    remarks_add_all(&models->remarks, clip_model_remarks(entry->clip));
    *model = entry->clip;
    return status_ok();
}

status reward_models_open_detector(struct reward_models *models, const char *given, char path[PATH_SIZE],
                                   struct owlvit_model **model)
{
    struct opened_model *entry;
    TRY(find_entry(models, given, MODEL_KIND_DETECTOR, path, &entry));
    if (!entry->detector) TRY(owlvit_model_open(path, &entry->detector));
    remarks_add_all(&models->remarks, owlvit_model_remarks(entry->detector));
    *model = entry->detector;
    return status_ok();
}

const struct remarks *reward_models_remarks(const struct reward_models *models)
{
    return &models->remarks;
}
