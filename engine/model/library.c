/* Lists models from the program, given folders, the data folder and the Hugging Face cache, and finds one by name. */
#include "engine/model/library.h"

#include "engine/base/memory.h"
#include "engine/base/paths.h"
#include "engine/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const file_endings[] = {".safetensors", ".pth", ".pt"};

const char *model_place_name(enum model_place place)
{
    static const char *const names[] = {"built in", "model path", "data folder", "Hugging Face cache"};
    return names[place];
}

/* ---- listing ---- */

static bool is_listed(const struct model_library *library, const char *name, enum model_kind kind)
{
    for (int i = 0; i < library->count; i++)
        if (library->entries[i].kind == kind && strcmp(library->entries[i].name, name) == 0) return true;
    return false;
}

static void cut_ending(char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof file_endings / sizeof file_endings[0]; i++) {
        size_t ending = strlen(file_endings[i]);
        if (length <= ending || strcmp(name + length - ending, file_endings[i]) != 0) continue;
        name[length - ending] = '\0';
        return;
    }
}

/* Nothing is added where `path` holds no model that is known, or one of that name is listed. */
static status add_entry(struct model_library *library, const char *name, const char *path, enum model_place place)
{
    struct model_entry entry = {.place = place};
    if (!model_kind_of(path, &entry.kind) || strlen(name) >= sizeof entry.name) return status_ok();
    snprintf(entry.name, sizeof entry.name, "%s", name);
    cut_ending(entry.name);
    if (is_listed(library, entry.name, entry.kind)) return status_ok();
    TRY(path_format(entry.path, "%s", path));
    library->entries = memory_resize(library->entries, (size_t)library->count + 1, sizeof *library->entries);
    library->entries[library->count++] = entry;
    return status_ok();
}

static status add_folder(struct model_library *library, const char *folder, enum model_place place)
{
    struct name_list names;
    char path[PATH_SIZE];
    if (!path_is_directory(folder)) return status_ok();
    TRY(directory_list(folder, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        if (path_format(path, "%s/%s", folder, names.names[i]).code != STATUS_OK) continue;
        result = add_entry(library, names.names[i], path, place);
    }
    name_list_clear(&names);
    return result;
}

/* A pipe or a device under that name holds no model. */
static status check_regular(const char *path)
{
    struct input_file file;
    TRY(input_file_open(path, &file));
    input_file_close(&file);
    return status_ok();
}

/* What the user gives is a model or a folder of some. */
static status add_given(struct model_library *library, const char *given)
{
    enum model_kind kind;
    char path[PATH_SIZE];
    if (access(given, F_OK) != 0)
        return status_error(STATUS_BAD_INPUT, "--model-path %s: is not there; expected a model or a folder of models",
                            given);
    if (!path_is_directory(given)) TRY(status_context(check_regular(given), "--model-path"));
    if (!model_kind_of(given, &kind)) return add_folder(library, given, MODEL_GIVEN);
    TRY(path_format(path, "%s", given));
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') path[--length] = '\0';
    const char *slash = strrchr(path, '/');
    return add_entry(library, slash && slash[1] ? slash + 1 : path, path, MODEL_GIVEN);
}

/* ---- the Hugging Face cache: models--ORGANISATION--NAME/{refs/main, snapshots/COMMIT} ---- */

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

static status add_hub(struct model_library *library, const char *hub)
{
    struct name_list names;
    char repository[PATH_SIZE], path[PATH_SIZE], name[256];
    if (!path_is_directory(hub)) return status_ok();
    TRY(directory_list(hub, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        if (!repository_name(names.names[i], name, sizeof name)) continue;
        if (path_format(repository, "%s/%s", hub, names.names[i]).code != STATUS_OK) continue;
        if (find_snapshot(repository, path)) result = add_entry(library, name, path, MODEL_HUB);
    }
    name_list_clear(&names);
    return result;
}

static status list_given(struct model_library *library, const char *const *given, int given_count)
{
    library->folders = memory_take((size_t)given_count + 1, sizeof *library->folders);
    for (int i = 0; i < given_count; i++) {
        TRY(add_given(library, given[i]));
        library->folders[i] = memory_copy_text(given[i]);
    }
    return status_ok();
}

static status list_all(struct model_library *library, const char *const *given, int given_count)
{
    char base[PATH_SIZE], folder[PATH_SIZE];
    if (paths_program_data(base).code == STATUS_OK) {
        TRY(path_format(folder, "%s/presets/models", base));
        TRY(add_folder(library, folder, MODEL_BUILT_IN));
    }
    TRY(list_given(library, given, given_count));
    if (paths_data(base).code == STATUS_OK) {
        TRY(path_format(folder, "%s/models", base));
        TRY(add_folder(library, folder, MODEL_DATA));
    }
    return paths_hub_cache(base).code == STATUS_OK ? add_hub(library, base) : status_ok();
}

status model_library_open(const char *const *given, int given_count, struct model_library *library)
{
    *library = (struct model_library){0};
    status result = list_all(library, given, given_count);
    if (result.code != STATUS_OK) model_library_close(library);
    return result;
}

void model_library_close(struct model_library *library)
{
    for (char **folder = library->folders; folder && *folder; folder++) free(*folder);
    free(library->folders);
    free(library->entries);
    *library = (struct model_library){0};
}

/* ---- finding ---- */

static status not_found(const struct model_library *library, const char *name, enum model_kind kind)
{
    if (name[0] == '/' || name[0] == '.') /* surely a path; "ORGANISATION/NAME" may be a name */
        return status_error(STATUS_BAD_INPUT, "%.300s: there is no such file or folder; expected a %s", name,
                            model_kind_description(kind));
    const char **names = memory_take((size_t)library->count, sizeof *names);
    int count = 0;
    for (int i = 0; i < library->count; i++)
        if (library->entries[i].kind == kind) names[count++] = library->entries[i].name;
    const char *nearest = text_nearest(name, names, count);
    free(names);
    if (nearest)
        return status_error(STATUS_BAD_INPUT, "there is no %s \"%.200s\"; did you mean \"%s\"?",
                            model_kind_description(kind), name, nearest);
    char base[PATH_SIZE] = "";
    bool known = paths_data(base).code == STATUS_OK;
    return status_error(STATUS_BAD_INPUT,
                        "there is no %s \"%.200s\"; put its folder or .safetensors file into %.200s/models, or name "
                        "its path (`alignprop models` lists what is there)",
                        model_kind_description(kind), name, known ? base : "$XDG_DATA_HOME/alignprop");
}

/* "ORGANISATION/NAME" of the cache is also found by NAME. */
static bool is_called(const struct model_entry *entry, const char *name)
{
    const char *slash = strrchr(entry->name, '/');
    return strcmp(entry->name, name) == 0 || (slash && strcmp(slash + 1, name) == 0);
}

bool model_library_lists(const struct model_library *library, const char *name, enum model_kind kind)
{
    for (int i = 0; i < library->count; i++)
        if (library->entries[i].kind == kind && is_called(&library->entries[i], name)) return true;
    return false;
}

static status take_path(const char *given, enum model_kind kind, char path[PATH_SIZE])
{
    enum model_kind found;
    if (model_kind_of(given, &found) && found != kind)
        return status_error(STATUS_BAD_INPUT, "%.300s: holds: %s; expected: %s", given, model_kind_description(found),
                            model_kind_description(kind));
    /* Opening it says more about what is not recognised. */
    char resolved[PATH_MAX];
    return path_format(path, "%s", realpath(given, resolved) ? resolved : given);
}

status model_library_find(const struct model_library *library, const char *name_or_path, enum model_kind kind,
                          char path[PATH_SIZE])
{
    for (int i = 0; i < library->count; i++) {
        const struct model_entry *entry = &library->entries[i];
        if (entry->kind == kind && is_called(entry, name_or_path)) return path_format(path, "%s", entry->path);
    }
    if (access(name_or_path, F_OK) == 0) {
        if (!path_is_directory(name_or_path)) TRY(check_regular(name_or_path));
        return take_path(name_or_path, kind, path);
    }
    return not_found(library, name_or_path, kind);
}

const struct model_entry *model_library_first(const struct model_library *library, enum model_kind kind)
{
    for (int i = 0; i < library->count; i++)
        if (library->entries[i].kind == kind) return &library->entries[i];
    return NULL;
}
