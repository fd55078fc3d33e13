/* Reads a preset's prompts and files, holds prompts out, and warns of those that are in both lists. */
#include "engine/preset/preset_prompts.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/paths.h"
#include "engine/preset/library.h"
#include "engine/preset/prompts.h"
#include "engine/preset/settings.h"
#include "engine/preset/warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Used when a preset has no prompts at all. */
static const char default_train_file[] = "emoji-train.txt";
static const char default_eval_file[] = "emoji-heldout.txt";
/* Fewer training prompts than this are not split: too little would be left on either side. */
enum { SPLIT_MINIMUM = 8 };

static status append_written(struct prompt_list *list, const cJSON *prompts, const char *origin, const char *key)
{
    const cJSON *element;
    int index = 0;
    cJSON_ArrayForEach(element, prompts)
    {
        char place[PATH_SIZE + 64];
        snprintf(place, sizeof place, "%s: %s[%d]", origin, key, index++);
        TRY(prompt_list_append(list, element->valuestring, strlen(element->valuestring), place));
    }
    return status_ok();
}

static status note_file(struct preset *preset, const char *key, const char *file)
{
    return preset_tree_put(preset->written, key, cJSON_CreateString(file));
}

/* A list of the preset's own becomes an absolute path, so that the preset means the same wherever it is taken; one for
 * all presets stays a name. */
static status find_file(struct preset *preset, const char *key, const char *file, char path[PATH_SIZE],
                        struct preset_warnings *warnings)
{
    if (preset_find_path(preset, key, file, path)) return note_file(preset, key, path);
    if (preset_find_shared_prompts(file, path)) return status_ok();
    if (preset_find_path_elsewhere(preset, key, file, path, warnings)) return note_file(preset, key, path);
    char own[PATH_SIZE];
    return status_error(STATUS_BAD_INPUT, "%.200s: there is no such file beside the preset or in %.250s/prompts", file,
                        paths_config(own).code == STATUS_OK ? own : "the own folder");
}

static status append_file(struct preset *preset, struct prompt_list *list, const char *file, const char *origin,
                          const char *key, struct preset_warnings *warnings)
{
    char path[PATH_SIZE];
    TRY(status_context(find_file(preset, key, file, path, warnings), "%s: %s", origin, key));
    int flags_cut = 0;
    TRY(status_context(prompt_list_read(list, path, &flags_cut), "%s: %s", origin, key));
    if (flags_cut == 0) return status_ok();
    char message[PATH_SIZE + 100];
    snprintf(message, sizeof message, "%s: flags such as --w and --n were cut off %d prompts", path, flags_cut);
    preset_warn(warnings, message);
    return status_ok();
}

static status read_list(struct preset *preset, struct prompt_list *list, const char *key, const char *file_key,
                        const char *origin, struct preset_warnings *warnings)
{
    TRY(append_written(list, preset_tree_at(preset->written, key), origin, key));
    const cJSON *file = preset_tree_at(preset->written, file_key);
    if (!cJSON_IsString(file)) return status_ok();
    char name[PATH_SIZE]; /* the value is replaced where it is a path */
    TRY(path_format(name, "%s", file->valuestring));
    return append_file(preset, list, name, origin, file_key, warnings);
}

/* Moves the held-out eighth from the training list to the evaluation list. */
static status split_off(struct prompt_list *train, struct prompt_list *evaluation, const char *origin)
{
    struct prompt_list kept = {0};
    status result = status_ok();
    for (int i = 0; i < train->count && result.code == STATUS_OK; i++) {
        const char *text = train->texts[i];
        result = prompt_list_append(prompt_is_held_out(text) ? evaluation : &kept, text, strlen(text), origin);
    }
    prompt_list_clear(train);
    *train = kept;
    return result;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* How many of the held-out prompts are among the `count` sorted ones, and the first of them. */
static int count_shared(const struct prompt_list *evaluation, const char *const *sorted, int count, const char **first)
{
    int shared = 0;
    for (int i = 0; i < evaluation->count; i++) {
        const char *text = evaluation->texts[i];
        if (!bsearch(&text, sorted, (size_t)count, sizeof *sorted, compare_texts)) continue;
        if (shared++ == 0) *first = text;
    }
    return shared;
}

/* What is trained on says nothing of how it does on what it has not seen. */
static void warn_of_shared(const struct preset *preset, const char *origin, struct preset_warnings *warnings)
{
    int count = preset->train.count;
    if (!warnings || count == 0) return;
    const char **sorted = memory_take((size_t)count, sizeof *sorted), *first = NULL;
    for (int i = 0; i < count; i++) sorted[i] = preset->train.texts[i];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_texts);
    int shared = count_shared(&preset->evaluation, sorted, count, &first);
    free(sorted);
    if (shared == 0) return;
    char message[500];
    snprintf(message, sizeof message, "%.250s: prompts.eval: %d of %d held-out prompts %s too, such as \"%.100s\"",
             origin, shared, preset->evaluation.count, shared == 1 ? "is a training prompt" : "are training prompts",
             first);
    preset_warn(warnings, message);
}

static int held_out_count(const struct prompt_list *list)
{
    int count = 0;
    for (int i = 0; i < list->count; i++) count += prompt_is_held_out(list->texts[i]);
    return count;
}

static status hold_out(struct preset *preset, const char *origin, struct preset_warnings *warnings)
{
    int count = held_out_count(&preset->train);
    if (preset->train.count >= SPLIT_MINIMUM && count > 0 && count < preset->train.count) {
        return split_off(&preset->train, &preset->evaluation, origin);
    }
    char message[500];
    snprintf(message, sizeof message, "%.300s: prompts.eval: no held-out prompts; the training prompts are looked at",
             origin);
    preset_warn(warnings, message);
    for (int i = 0; i < preset->train.count; i++) {
        const char *text = preset->train.texts[i];
        TRY(prompt_list_append(&preset->evaluation, text, strlen(text), origin));
    }
    return status_ok();
}

static status append_default(struct preset *preset, struct prompt_list *list, const char *file, const char *origin,
                             const char *key)
{
    char path[PATH_SIZE];
    if (!preset_find_shared_prompts(file, path))
        return status_error(STATUS_BAD_INPUT, "%s: %s: the program's own list %s is missing", origin, key, file);
    TRY(prompt_list_read(list, path, NULL));
    return note_file(preset, key, file);
}

status preset_read_prompts(struct preset *preset, const char *origin, struct preset_warnings *warnings)
{
    TRY(read_list(preset, &preset->train, "prompts.train", "prompts.train_file", origin, warnings));
    TRY(read_list(preset, &preset->evaluation, "prompts.eval", "prompts.eval_file", origin, warnings));
    if (preset->train.count == 0) {
        TRY(append_default(preset, &preset->train, default_train_file, origin, "prompts.train_file"));
        if (preset->evaluation.count == 0)
            TRY(append_default(preset, &preset->evaluation, default_eval_file, origin, "prompts.eval_file"));
    }
    if (preset->evaluation.count == 0) return hold_out(preset, origin, warnings);
    warn_of_shared(preset, origin, warnings);
    return status_ok();
}

static status put_list(cJSON *tree, const char *key, const char *file_key, const struct prompt_list *list)
{
    cJSON *texts = cJSON_CreateArray();
    for (int i = 0; i < list->count; i++) cJSON_AddItemToArray(texts, cJSON_CreateString(list->texts[i]));
    TRY(preset_tree_put(tree, key, texts));
    return preset_tree_put(tree, file_key, cJSON_CreateNull());
}

status preset_resolve_prompts(struct preset *preset)
{
    TRY(put_list(preset->resolved, "prompts.train", "prompts.train_file", &preset->train));
    return put_list(preset->resolved, "prompts.eval", "prompts.eval_file", &preset->evaluation);
}
