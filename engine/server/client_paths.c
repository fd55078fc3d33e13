/* Relative paths in requests, resolved against the folder of whoever asks. */
#include "engine/server/client_paths.h"

#include "engine/base/files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where requests hold paths: of this type (NULL: any), under this key, in an object of this name (NULL: the request).
 */
static const struct path_place {
    const char *type, *object, *key;
    bool may_be_name;
} places[] = {
    {"start", NULL, "run", false},   {"start", "from", "run", true}, {NULL, NULL, "resume", true},
    {"export", NULL, "path", false}, {NULL, NULL, "run", true},      {NULL, NULL, "preset", true},
};

static status folder_of(pid_t process, const char *key, const char *path, char folder[PATH_SIZE])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%ld/cwd", (long)process);
    ssize_t length = process > 0 ? readlink(link, folder, PATH_SIZE - 1) : -1;
    if (length <= 0)
        return status_error(STATUS_BAD_INPUT,
                            "%s: expected an absolute path, found '%.200s'; the client's folder is not known", key,
                            path);
    folder[length] = '\0';
    return status_ok();
}

static status resolve(cJSON *object, const struct path_place *place, pid_t process)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, place->key);
    if (!cJSON_IsString(item)) return status_ok();
    const char *text = item->valuestring;
    if (text[0] == '\0' || text[0] == '/' || (place->may_be_name && !strchr(text, '/'))) return status_ok();
    char folder[PATH_SIZE], path[PATH_SIZE];
    TRY(folder_of(process, place->key, text, folder));
    TRY(path_format(path, "%s/%s", folder, text));
    cJSON_SetValuestring(item, path);
    return status_ok();
}

status client_paths_resolve(cJSON *message, const char *type, pid_t process)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const struct path_place *place = &places[i];
        if (place->type && strcmp(place->type, type) != 0) continue;
        cJSON *object = place->object ? cJSON_GetObjectItemCaseSensitive(message, place->object) : message;
        if (object) TRY(resolve(object, place, process));
    }
    cJSON *adapter;
    cJSON_ArrayForEach(adapter, cJSON_GetObjectItemCaseSensitive(message, "adapters"))
    {
        TRY(resolve(adapter, &(struct path_place){.key = "path"}, process));
    }
    return status_ok();
}
