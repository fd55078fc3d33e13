#include "engine/reward/model_search.h"

static bool find_beside_model(const struct reward_request *request, const char *role, char path[PATH_SIZE])
{
    return request->model_path != NULL &&
           path_format(path, "%s/rewards/%s", request->model_path, role).code == STATUS_OK && path_is_directory(path);
}

static status find_listed(const struct model_library *library, const char *given, enum model_kind kind,
                          const char *role, char path[PATH_SIZE])
{
    if (given[0] != '\0') return model_library_find(library, given, kind, path);
    const struct model_entry *first = model_library_first(library, kind);
    if (first != NULL) return path_format(path, "%s", first->path);
    return status_error(STATUS_BAD_INPUT,
                        "no %s: the diffusion model has no folder rewards/%s, and none is where models are kept; name "
                        "one by its parameter",
                        model_kind_words(kind), role);
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
    if (given[0] == '\0' && find_beside_model(request, roles[kind], path)) return status_ok();
    int places = 0;
    while (request->search_paths != NULL && request->search_paths[places] != NULL) places++;
    struct model_library library;
    TRY(model_library_open(request->search_paths, places, &library));
    status result = find_listed(&library, given, kind, roles[kind], path);
    model_library_close(&library);
    return result;
}
