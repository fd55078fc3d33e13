#include "engine/reward/model_search.h"

static bool find_beside_model(const struct reward_request *request, const char *role, char path[PATH_SIZE])
{
    return request->model_path != NULL &&
           path_format(path, "%s/rewards/%s", request->model_path, role).code == STATUS_OK && path_is_directory(path);
}

/* The first model of that kind in `place` (may be NULL) or where models are kept; false if there is none. */
static bool find_listed(const char *place, enum model_kind kind, char path[PATH_SIZE])
{
    struct model_list list;
    if (model_list_find(place, &list).code != STATUS_OK) return false;
    bool found = false;
    for (int i = 0; i < list.count && !found; i++)
        found = list.models[i].kind == kind && path_format(path, "%s", list.models[i].path).code == STATUS_OK;
    model_list_clear(&list);
    return found;
}

static status find_by_name(const struct reward_request *request, const char *name, enum model_kind kind,
                           char path[PATH_SIZE])
{
    for (const char *const *place = request->search_paths; place != NULL && *place != NULL; place++)
        if (path_is_directory(*place) && model_resolve(name, kind, *place, path).code == STATUS_OK) return status_ok();
    return model_resolve(name, kind, NULL, path);
}

status reward_model_find(const struct reward_request *request, const char *given, enum model_kind kind,
                         char path[PATH_SIZE])
{
    static const char *const roles[MODEL_KIND_COUNT] = {
        [MODEL_KIND_DIFFUSION] = "",
        [MODEL_KIND_CLIP] = "clip",
        [MODEL_KIND_DETECTOR] = "detector",
        [MODEL_KIND_AESTHETIC] = "aesthetic",
    };
    if (given[0] != '\0') return find_by_name(request, given, kind, path);
    if (find_beside_model(request, roles[kind], path)) return status_ok();
    for (const char *const *place = request->search_paths; place != NULL && *place != NULL; place++)
        if (path_is_directory(*place) && find_listed(*place, kind, path)) return status_ok();
    if (find_listed(NULL, kind, path)) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "no %s: the diffusion model has no folder rewards/%s, and none is where models are kept; name "
                        "one by its parameter",
                        model_kind_words(kind), roles[kind]);
}
