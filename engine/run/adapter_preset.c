/* A run's preset cut to what may travel in an adapter: without folders, with the prompts that fit. */
#include "engine/run/adapter_preset.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/sha256.h"

enum { PROMPT_BYTES = 16 << 10 };

/* ---- paths ---- */

static void replace_text(cJSON *item, const char *text)
{
    char *copy = memory_copy_text(text); /* `text` lies in the value that is freed */
    cJSON_SetValuestring(item, copy);
    free(copy);
}

/* Every absolute path in the tree, but in what the user says to the model. */
static void cut_paths(cJSON *item)
{
    cJSON *member;
    if (cJSON_IsString(item) && item->valuestring[0] == '/') {
        const char *last = strrchr(item->valuestring, '/') + 1;
        if (*last) replace_text(item, last);
    }
    cJSON_ArrayForEach(member, item)
    {
        const char *key = member->string ? member->string : "";
        if (strcmp(key, "prompts") != 0 && strcmp(key, "notes") != 0) cut_paths(member);
    }
}

/* ---- prompts ---- */

static void hash_of_list(const cJSON *list, char message[65])
{
    struct sha256 hash;
    const cJSON *prompt;
    sha256_begin(&hash);
    cJSON_ArrayForEach(prompt, list)
    {
        const char *text = cJSON_IsString(prompt) ? prompt->valuestring : "";
        sha256_add(&hash, text, strlen(text));
        sha256_add(&hash, "\n", 1);
    }
    sha256_end(&hash, message);
}

/* How many prompts from the first on fit; at least one. */
static int prompts_that_fit(const cJSON *list)
{
    size_t bytes = 0;
    int count = 0;
    const cJSON *prompt;
    cJSON_ArrayForEach(prompt, list)
    {
        bytes += cJSON_IsString(prompt) ? strlen(prompt->valuestring) + sizeof "\"\"," : 0;
        if (count > 0 && bytes > PROMPT_BYTES) break;
        count++;
    }
    return count;
}

/* The first `count` items; the rest of the chain is freed at once. */
static void keep_first(cJSON *list, int count)
{
    cJSON *first = list->child, *last = cJSON_GetArrayItem(list, count - 1);
    cJSON *rest = last ? last->next : NULL;
    if (!rest) return;
    rest->prev = NULL;
    last->next = NULL;
    first->prev = last; /* cJSON's lists know their end so */
    cJSON_Delete(rest);
}

static void cut_list(cJSON *prompts, const char *key, struct text *notes)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(prompts, key);
    int count = cJSON_GetArraySize(list), kept = prompts_that_fit(list);
    if (!cJSON_IsArray(list) || kept >= count) return;
    char hash[65];
    hash_of_list(list, hash);
    keep_first(list, kept);
    text_append(notes, "%sprompts.%s: the first %d of %d prompts (sha256 of all: %s).", notes->length ? " " : "", key,
                kept, count, hash);
}

static void cut_prompts(cJSON *preset)
{
    cJSON *prompts = cJSON_GetObjectItemCaseSensitive(preset, "prompts");
    const cJSON *written = cJSON_GetObjectItemCaseSensitive(preset, "notes");
    struct text cut = {0}, notes = {0};
    cut_list(prompts, "train", &cut);
    cut_list(prompts, "eval", &cut);
    if (cut.length > 0) {
        if (cJSON_IsString(written) && written->valuestring[0]) text_append(&notes, "%s ", written->valuestring);
        text_append(&notes, "%s", cut.data);
        cJSON_DeleteItemFromObjectCaseSensitive(preset, "notes");
        cJSON_AddStringToObject(preset, "notes", notes.data);
    }
    text_clear(&cut);
    text_clear(&notes);
}

char *adapter_preset_text(const struct preset *preset)
{
    cJSON *copy = cJSON_Duplicate(preset->resolved, true);
    cut_paths(copy);
    cut_prompts(copy);
    char *text = json_print(copy, false);
    cJSON_Delete(copy);
    return text;
}
