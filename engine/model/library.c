#include "engine/model/library.h"

#include "engine/base/paths.h"
#include "engine/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *model_place_name(enum model_place place)
{
    static const char *const names[] = {"built in", "model path", "data folder", "Hugging Face cache"};
    return names[place];
}

static status no_memory(void)
{
    return status_error(STATUS_NO_MEMORY, "no memory for the list of models");
}

static bool has_file(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    return path_format(path, "%s/%s", folder, name).code == STATUS_OK && path_is_file(path);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);
    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

/* ---- listing ---- */

static bool is_listed(const struct model_library *library, const char *name)
{
    for (int i = 0; i < library->count; i++) {
        if (strcmp(library->entries[i].name, name) == 0) return true;
    }
    return false;
}

static status add_entry(struct model_library *library, const char *name, const char *path, enum model_place place,
                        bool diffusion)
{
    if (strlen(name) >= sizeof library->entries->name || is_listed(library, name)) return status_ok();
    struct model_entry *entries = realloc(library->entries, (size_t)(library->count + 1) * sizeof *entries);
    if (!entries) return no_memory();
    library->entries = entries;
    struct model_entry *entry = &entries[library->count];
    *entry = (struct model_entry){.place = place, .diffusion = diffusion};
    snprintf(entry->name, sizeof entry->name, "%s", name);
    TRY(path_format(entry->path, "%s", path));
    library->count++;
    return status_ok();
}

/* One name in a folder of models: a diffusers folder, a single file, or a reward model's folder. */
static status add_candidate(struct model_library *library, const char *folder, const char *name, enum model_place place)
{
    char path[PATH_SIZE], short_name[PATH_SIZE];
    static const char ending[] = ".safetensors";
    TRY(path_format(path, "%s/%s", folder, name));
    if (path_is_file(path) && ends_with(name, ending)) {
        TRY(path_format(short_name, "%.*s", (int)(strlen(name) - strlen(ending)), name));
        return add_entry(library, short_name, path, place, true);
    }
    if (has_file(path, "model_index.json")) return add_entry(library, name, path, place, true);
    if (has_file(path, "config.json")) return add_entry(library, name, path, place, false);
    return status_ok();
}

static status add_folder(struct model_library *library, const char *folder, enum model_place place)
{
    if (!path_is_directory(folder)) return status_ok();
    struct name_list names;
    TRY(directory_list(folder, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        result = add_candidate(library, folder, names.names[i], place);
    }
    name_list_clear(&names);
    return result;
}

/* ---- the Hugging Face cache: models--ORGANISATION--NAME/{refs/main, snapshots/COMMIT} ---- */

static status snapshot_path(const char *repository, char path[PATH_SIZE])
{
    char reference[PATH_SIZE], *commit;
    size_t length;
    TRY(path_format(reference, "%s/refs/main", repository));
    TRY(file_read(reference, 200, &commit, &length));
    commit[strcspn(commit, "\r\n /")] = '\0';
    status result = path_format(path, "%s/snapshots/%s", repository, commit);
    free(commit);
    return result;
}

static status add_repository(struct model_library *library, const char *hub, const char *folder_name)
{
    static const char start[] = "models--";
    char repository[PATH_SIZE], snapshot[PATH_SIZE], name[PATH_SIZE];
    if (strncmp(folder_name, start, sizeof start - 1) != 0) return status_ok();
    TRY(path_format(repository, "%s/%s", hub, folder_name));
    if (snapshot_path(repository, snapshot).code != STATUS_OK) return status_ok();
    TRY(path_format(name, "%s", folder_name + sizeof start - 1));
    char *dashes = strstr(name, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    if (has_file(snapshot, "model_index.json")) return add_entry(library, name, snapshot, MODEL_HUB, true);
    if (has_file(snapshot, "config.json")) return add_entry(library, name, snapshot, MODEL_HUB, false);
    return status_ok();
}

static status add_hub(struct model_library *library)
{
    char hub[PATH_SIZE];
    if (paths_hub_cache(hub).code != STATUS_OK || !path_is_directory(hub)) return status_ok();
    struct name_list names;
    if (directory_list(hub, &names).code != STATUS_OK) return status_ok();
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        result = add_repository(library, hub, names.names[i]);
    }
    name_list_clear(&names);
    return result;
}

static status note_folder(struct model_library *library, int index, const char *folder)
{
    library->folders[index] = strdup(folder);
    return library->folders[index] ? status_ok() : no_memory();
}

static status list_all(struct model_library *library, const char *const *given, int given_count)
{
    library->folders = calloc((size_t)given_count + 3, sizeof *library->folders);
    if (!library->folders) return no_memory();
    int folders = 0;
    char base[PATH_SIZE], folder[PATH_SIZE];
    if (paths_program_data(base).code == STATUS_OK) {
        TRY(path_format(folder, "%s/presets/models", base));
        TRY(add_folder(library, folder, MODEL_BUILT_IN));
        TRY(note_folder(library, folders++, folder));
    }
    for (int i = 0; i < given_count; i++) {
        if (!path_is_directory(given[i])) {
            return status_error(STATUS_BAD_INPUT, "--model-path %s: there is no such folder", given[i]);
        }
        TRY(add_folder(library, given[i], MODEL_GIVEN));
        TRY(note_folder(library, folders++, given[i]));
    }
    if (paths_data(base).code == STATUS_OK) {
        TRY(path_format(folder, "%s/models", base));
        TRY(add_folder(library, folder, MODEL_DATA));
        TRY(note_folder(library, folders++, folder));
    }
    return add_hub(library);
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

static status not_found(const struct model_library *library, const char *name)
{
    const char **names = calloc((size_t)library->count + 1, sizeof *names);
    if (!names) return no_memory();
    int count = 0;
    for (int i = 0; i < library->count; i++) {
        if (library->entries[i].diffusion) names[count++] = library->entries[i].name;
    }
    const char *nearest = text_nearest(name, names, count);
    char base[PATH_SIZE] = "";
    bool known = paths_data(base).code == STATUS_OK;
    status result = nearest
                        ? status_error(STATUS_BAD_INPUT, "model %.200s: not found; did you mean \"%s\"?", name, nearest)
                        : status_error(STATUS_BAD_INPUT,
                                       "model %.200s: not found; put its folder or .safetensors file into "
                                       "%.200s/models, or name its path (`alignprop models` lists what is there)",
                                       name, known ? base : "$XDG_DATA_HOME/alignprop");
    free(names);
    return result;
}

/* "ORGANISATION/NAME" of the cache is also found by NAME. */
static bool is_called(const struct model_entry *entry, const char *name)
{
    const char *slash = strrchr(entry->name, '/');
    return strcmp(entry->name, name) == 0 || (slash && strcmp(slash + 1, name) == 0);
}

status model_library_find(const struct model_library *library, const char *name_or_path, char path[PATH_SIZE])
{
    for (int i = 0; i < library->count; i++) {
        const struct model_entry *entry = &library->entries[i];
        if (entry->diffusion && is_called(entry, name_or_path)) return path_format(path, "%s", entry->path);
    }
    if (path_is_directory(name_or_path) || path_is_file(name_or_path)) {
        char resolved[PATH_MAX];
        return path_format(path, "%s", realpath(name_or_path, resolved) ? resolved : name_or_path);
    }
    return not_found(library, name_or_path);
}
