/* `presets`: lists, shows and checks presets, and says where they are. */
#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/cli/work.h"
#include "engine/preset/keys.h"
#include "engine/preset/library.h"
#include "engine/tuning/tuner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status usage(void)
{
    return status_error(STATUS_USAGE, "alignprop presets: expected list, show NAME, check FILE or path");
}

/* ---- list ---- */

/* A preset that cannot be read is listed with what is wrong with it. */
static cJSON *describe_entry(const struct preset_entry *entry)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", entry->name);
    cJSON_AddStringToObject(row, "path", entry->path);
    cJSON_AddBoolToObject(row, "own", entry->own);
    struct preset preset;
    status result = preset_load(entry->path, NULL, 0, &preset, NULL);
    if (result.code == STATUS_OK) {
        cJSON_AddStringToObject(row, "model", preset.model);
        cJSON_AddStringToObject(row, "notes", preset.notes);
        preset_clear(&preset);
    } else {
        cJSON_AddStringToObject(row, "error", result.message);
    }
    return row;
}

static status list_presets(const struct invocation *invocation)
{
    struct preset_entries list;
    TRY(preset_list(&list));
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; i < list.count; i++) {
        cJSON *row = describe_entry(&list.entries[i]);
        cJSON_AddItemToArray(rows, row);
        if (invocation->json) continue;
        const char *error = json_get_text(row, "error", "");
        print_cell(list.entries[i].name);
        putchar('\t');
        print_cell(json_get_text(row, "model", ""));
        printf("\t%s", *error ? "cannot be used: " : "");
        print_cell(*error ? error : json_get_text(row, "notes", ""));
        putchar('\n');
    }
    if (invocation->json) print_json(rows);
    cJSON_Delete(rows);
    preset_entries_clear(&list);
    return status_ok();
}

/* ---- show ---- */

static status load(const struct invocation *invocation, const char *name, struct preset *preset)
{
    int count;
    const char **settings = option_values(invocation, "set", &count);
    struct preset_warnings warnings = {0};
    status result = preset_load(name, settings, count, preset, &warnings);
    for (int i = 0; i < warnings.count; i++) say(invocation, "warning: %s", warnings.lines[i]);
    preset_warnings_clear(&warnings);
    free(settings);
    return result;
}

static void show_as_json(const struct preset *preset)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToObject(object, "preset", cJSON_Duplicate(preset->written, true));
    cJSON_AddItemToObject(object, "sources", cJSON_Duplicate(preset->sources, true));
    print_json(object);
    cJSON_Delete(object);
}

static void show_as_table(const struct preset *preset)
{
    int count;
    const struct preset_key *keys = preset_keys(&count);
    for (int i = 0; i < count; i++) {
        char *value = json_print(preset_value(preset, keys[i].path), false);
        const cJSON *source = cJSON_GetObjectItemCaseSensitive(preset->sources, keys[i].path);
        printf("%-22s %-30s %-8s %s\n", keys[i].path, value, source ? source->valuestring : "", keys[i].meaning);
        free(value);
    }
}

static status show_preset(const struct invocation *invocation, const char *name)
{
    struct preset preset;
    TRY(load(invocation, name, &preset));
    if (invocation->json) {
        show_as_json(&preset);
    } else {
        show_as_table(&preset);
    }
    preset_clear(&preset);
    return status_ok();
}

/* ---- check ---- */

/* A limit of the preset's own that it cannot keep is its fault; what this machine has free is not, and `plan` tells it.
 */
static status check_memory_limit(const struct invocation *invocation, struct work *work)
{
    struct tuner *tuner;
    if (work->preset.memory_limit == 0) return status_ok();
    TRY(work_open_device(invocation, "auto", 0, work));
    TRY(tuner_create(&work->preset, work->backend, (struct tuner_callbacks){0}, &tuner));
    bool fits = tuner_plan(tuner)->total_bytes <= work->preset.memory_limit;
    status result = fits ? status_ok() : tuner_check_memory(tuner);
    tuner_destroy(tuner);
    return status_context(result, "%s: memory.limit", work->preset.origin);
}

static status check_preset(const struct invocation *invocation, const char *name)
{
    struct work work = {0};
    status result = work_load_preset(invocation, name, NULL, 0, &work);
    if (result.code == STATUS_OK) result = work_check_tuning(&work);
    if (result.code == STATUS_OK) result = check_memory_limit(invocation, &work);
    if (result.code == STATUS_OK) result = work_warn_of_cut_prompts(invocation, &work, NULL, 0);
    if (result.code == STATUS_OK && !invocation->json) {
        print_line("%s: good; %d training and %d held-out prompts, %d reward%s", work.preset.name,
                   work.preset.train.count, work.preset.evaluation.count, work.preset.reward_count,
                   work.preset.reward_count == 1 ? "" : "s");
    }
    if (invocation->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddBoolToObject(object, "good", result.code == STATUS_OK);
        if (result.code != STATUS_OK) cJSON_AddStringToObject(object, "error", result.message);
        print_json(object);
        cJSON_Delete(object);
    }
    work_close(&work);
    return result;
}

static status print_folder(void)
{
    char path[PATH_SIZE];
    TRY(preset_folder_own(path));
    print_line("%s", path);
    return status_ok();
}

status command_presets(const struct invocation *invocation)
{
    const char *verb = invocation->argument_count ? invocation->arguments[0] : "list";
    const char *name = invocation->argument_count > 1 ? invocation->arguments[1] : NULL;
    if (strcmp(verb, "list") == 0 && !name) return list_presets(invocation);
    if (strcmp(verb, "path") == 0 && !name) return print_folder();
    if (strcmp(verb, "show") == 0 && name) return show_preset(invocation, name);
    if (strcmp(verb, "check") == 0 && name) return check_preset(invocation, name);
    return usage();
}
