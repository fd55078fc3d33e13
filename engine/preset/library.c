/* Lists the user's presets and the program's, and finds one by name or path. */
#include "engine/preset/library.h"

#include "engine/base/memory.h"
#include "engine/base/paths.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffix[] = ".json";

status preset_folder_own(char path[PATH_SIZE])
{
    char config[PATH_SIZE];
    TRY(paths_config(config));
    return path_format(path, "%s/presets", config);
}

status preset_folder_program(char path[PATH_SIZE])
{
    char data[PATH_SIZE];
    TRY(paths_program_data(data));
    return path_format(path, "%s/presets", data);
}

static int compare_entries(const void *left, const void *right)
{
    return strcmp(((const struct preset_entry *)left)->name, ((const struct preset_entry *)right)->name);
}

static bool is_listed(const struct preset_entries *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].name, name) == 0) return true;
    }
    return false;
}

static status add_entry(struct preset_entries *list, const char *folder, const char *file, bool own)
{
    size_t length = strlen(file), suffix_length = strlen(suffix);
    if (length <= suffix_length || strcmp(file + length - suffix_length, suffix) != 0) return status_ok();
    struct preset_entry entry = {.own = own};
    if (length - suffix_length >= sizeof entry.name) return status_ok();
    snprintf(entry.name, sizeof entry.name, "%.*s", (int)(length - suffix_length), file);
    if (is_listed(list, entry.name)) return status_ok();
    TRY(path_format(entry.path, "%s/%s", folder, file));
    if (!path_is_file(entry.path)) return status_ok();
    list->entries = memory_resize(list->entries, (size_t)list->count + 1, sizeof *list->entries);
    list->entries[list->count++] = entry;
    return status_ok();
}

static status add_folder(struct preset_entries *list, const char *folder, bool own)
{
    if (!path_is_directory(folder)) return status_ok();
    struct name_list names;
    TRY(directory_list(folder, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        result = add_entry(list, folder, names.names[i], own);
    }
    name_list_clear(&names);
    return result;
}

status preset_list(struct preset_entries *list)
{
    *list = (struct preset_entries){0};
    char folder[PATH_SIZE];
    status result = preset_folder_own(folder);
    if (result.code == STATUS_OK) result = add_folder(list, folder, true);
    if (result.code == STATUS_OK) result = preset_folder_program(folder);
    if (result.code == STATUS_OK) result = add_folder(list, folder, false);
    if (result.code != STATUS_OK) {
        preset_entries_clear(list);
        return result;
    }
    if (list->count > 1) qsort(list->entries, (size_t)list->count, sizeof *list->entries, compare_entries);
    return result;
}

void preset_entries_clear(struct preset_entries *list)
{
    free(list->entries);
    *list = (struct preset_entries){0};
}

static bool looks_like_path(const char *name)
{
    size_t length = strlen(name), suffix_length = strlen(suffix);
    return strchr(name, '/') || (length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0);
}

static status not_found(const char *name, const struct preset_entries *list)
{
    const char **names = memory_take((size_t)list->count, sizeof *names);
    for (int i = 0; i < list->count; i++) names[i] = list->entries[i].name;
    const char *nearest = text_nearest(name, names, list->count);
    status result =
        nearest ? status_error(STATUS_BAD_INPUT, "%s: no such preset; did you mean \"%s\"?", name, nearest)
                : status_error(STATUS_BAD_INPUT, "%s: no such preset; `alignprop presets list` shows all", name);
    free(names);
    return result;
}

status preset_find(const char *name_or_path, char path[PATH_SIZE])
{
    if (looks_like_path(name_or_path)) return path_format(path, "%s", name_or_path);
    struct preset_entries list;
    TRY(preset_list(&list));
    status result = status_error(STATUS_BAD_INPUT, "no such preset");
    for (int i = 0; i < list.count; i++) {
        if (strcmp(list.entries[i].name, name_or_path) == 0) result = path_format(path, "%s", list.entries[i].path);
    }
    if (result.code != STATUS_OK && path_is_file(name_or_path)) result = path_format(path, "%s", name_or_path);
    if (result.code != STATUS_OK) result = not_found(name_or_path, &list);
    preset_entries_clear(&list);
    return result;
}

static bool holds_prompts(const char *base, const char *name, char found[PATH_SIZE])
{
    return path_format(found, "%s/prompts/%s", base, name).code == STATUS_OK && path_is_file(found);
}

bool preset_find_shared_prompts(const char *name, char found[PATH_SIZE])
{
    char base[PATH_SIZE];
    if (name[0] == '/') return false;
    if (paths_config(base).code == STATUS_OK && holds_prompts(base, name, found)) return true;
    return preset_folder_program(base).code == STATUS_OK && holds_prompts(base, name, found);
}
