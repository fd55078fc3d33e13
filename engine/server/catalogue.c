/* `catalogue`: everything a screen offers to choose from, straight from the engine's own tables. */
#include "engine/base/text.h"
#include "engine/model/library.h"
#include "engine/preset/keys.h"
#include "engine/preset/library.h"
#include "engine/protocol/message.h"
#include "engine/reward/reward.h"
#include "engine/server/device_queue.h"
#include "engine/server/model_rows.h"
#include "engine/server/page.h"
#include "engine/server/plan_cache.h"
#include "engine/server/preset_message.h"
#include "engine/server/request_services.h"
#include "engine/server/speed.h"
#include "kernels/host_memory.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- device --------------------------------------------------------------------------------------------------------
 */

/* The value of a line "KEY   : VALUE" or "KEY:   VALUE" in a file of the kernel; false when there is none. */
static bool kernel_value(const char *path, const char *key, char *value, size_t room)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof line, file)) {
        size_t length = strlen(key);
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, length) != 0 || !colon || strspn(line + length, " \t") < (size_t)(colon - line) - length)
            continue;
        colon++;
        colon += strspn(colon, " \t");
        snprintf(value, room, "%.*s", (int)strcspn(colon, "\n"), colon);
        found = true;
    }
    fclose(file);
    return found;
}

static void add_device_facts(cJSON *answer, const struct service_facts *facts)
{
    cJSON *device = cJSON_AddObjectToObject(answer, "device");
    cJSON_AddStringToObject(device, "name", facts->device);
    long threads = facts->threads > 0 ? facts->threads : sysconf(_SC_NPROCESSORS_ONLN);
    cJSON_AddNumberToObject(device, "threads", (double)threads);
    char processor[256];
    if (kernel_value("/proc/cpuinfo", "model name", processor, sizeof processor))
        cJSON_AddStringToObject(device, "words", processor);
    size_t free_bytes, total_bytes;
    bool known = host_memory_free(&free_bytes, &total_bytes).code == STATUS_OK;
    cJSON_AddNumberToObject(device, "memory_total", known ? (double)total_bytes : -1);
    cJSON_AddNumberToObject(device, "memory_free", known ? (double)free_bytes : -1);
    struct device_holder holder;
    bool busy = device_is_busy(facts->device, &holder) &&
                !(facts->run_folder && strcmp(holder.run_folder, facts->run_folder) == 0);
    if (!busy) {
        cJSON_AddNullToObject(device, "busy");
        return;
    }
    cJSON *by = cJSON_AddObjectToObject(device, "busy");
    cJSON_AddStringToObject(by, "run", holder.run_folder);
    cJSON_AddNumberToObject(by, "pid", (double)holder.pid);
}

/* ---- rewards -------------------------------------------------------------------------------------------------------
 */

static const char *parameter_kind(enum reward_parameter_kind kind)
{
    switch (kind) {
    case PARAMETER_NUMBER: return "number";
    case PARAMETER_INTEGER: return "integer";
    case PARAMETER_TEXT: return "text";
    case PARAMETER_COLOR: return "color";
    case PARAMETER_MODEL: return "model";
    }
    return "text";
}

static cJSON *describe_parameter(const struct reward_parameter *parameter)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", parameter->name);
    cJSON_AddStringToObject(row, "meaning", parameter->meaning);
    cJSON_AddStringToObject(row, "kind", parameter_kind(parameter->kind));
    bool number = parameter->kind == PARAMETER_NUMBER || parameter->kind == PARAMETER_INTEGER;
    if (number) {
        json_add_number(row, "low", parameter->low);
        json_add_number(row, "high", parameter->high);
        json_add_number(row, "default", parameter->fallback);
    } else if (parameter->text_fallback) {
        cJSON_AddStringToObject(row, "default", parameter->text_fallback);
    } else {
        cJSON_AddNullToObject(row, "default");
    }
    return row;
}

/* A reward with a model of its own is there or not by the preset's model: unknown here. */
static bool needs_model(const struct reward_kind *kind)
{
    for (int i = 0; i < kind->parameter_count; i++)
        if (kind->parameters[i].kind == PARAMETER_MODEL) return true;
    return false;
}

static void add_rewards(cJSON *answer)
{
    cJSON *rewards = cJSON_AddArrayToObject(answer, "rewards");
    for (int i = 0; reward_kind_at(i) != NULL; i++) {
        const struct reward_kind *kind = reward_kind_at(i);
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", kind->name);
        cJSON_AddStringToObject(row, "measures", kind->measures);
        cJSON_AddStringToObject(row, "source", kind->source);
        json_add_number(row, "low", kind->low);
        json_add_number(row, "high", kind->high);
        cJSON_AddItemToObject(row, "available", needs_model(kind) ? cJSON_CreateNull() : cJSON_CreateTrue());
        cJSON *parameters = cJSON_AddArrayToObject(row, "parameters");
        for (int p = 0; p < kind->parameter_count; p++)
            cJSON_AddItemToArray(parameters, describe_parameter(&kind->parameters[p]));
        cJSON_AddItemToArray(rewards, row);
    }
}

/* ---- fields --------------------------------------------------------------------------------------------------------
 */

static const char *field_kind(enum preset_kind kind)
{
    switch (kind) {
    case KEY_TARGETS: return "flags";
    case KEY_SIZE: return "integer";
    case KEY_NAME:
    case KEY_FILE:
    case KEY_BYTES:
    case KEY_AUTO_INTEGER: return "text";
    default: return preset_kind_name(kind);
    }
}

static cJSON *describe_field(const struct preset_key *key)
{
    cJSON *row = cJSON_CreateObject();
    const char *dot = strrchr(key->path, '.');
    cJSON_AddStringToObject(row, "key", key->path);
    cJSON_AddStringToObject(row, "label", key->label ? key->label : dot ? dot + 1 : key->path);
    cJSON_AddStringToObject(row, "unit", key->unit ? key->unit : "");
    cJSON_AddBoolToObject(row, "log", key->logarithmic);
    cJSON_AddStringToObject(row, "group", key->group);
    cJSON_AddStringToObject(row, "kind", field_kind(key->kind));
    bool bounded = key->low < key->high;
    json_add_number(row, "low", bounded ? key->low : NAN);
    json_add_number(row, "high", bounded ? key->high : NAN);
    cJSON *fallback = key->fallback ? cJSON_Parse(key->fallback) : NULL;
    cJSON_AddItemToObject(row, "default", fallback ? fallback : cJSON_CreateNull());
    cJSON *choices = key->choice ? cJSON_AddArrayToObject(row, "choices") : cJSON_AddNullToObject(row, "choices");
    for (int i = 0; key->choice && key->choice(i); i++)
        cJSON_AddItemToArray(choices, cJSON_CreateString(key->choice(i)));
    cJSON_AddStringToObject(row, "meaning", key->meaning);
    cJSON_AddBoolToObject(row, "live", key->live);
    return row;
}

static bool same_group(const struct preset_key *a, const struct preset_key *b)
{
    return a->group && b->group && strcmp(a->group, b->group) == 0;
}

/* Whether the key is the first of its group. */
static bool begins_group(const struct preset_key *keys, int index)
{
    bool begun = !keys[index].group;
    for (int i = 0; i < index && !begun; i++) begun = same_group(&keys[i], &keys[index]);
    return !begun;
}

/* Group by group, in the order in which the table begins them. Lists of prompts and of rewards have screens of their
 * own. */
static void add_fields(cJSON *answer)
{
    cJSON *fields = cJSON_AddArrayToObject(answer, "fields");
    int count;
    const struct preset_key *keys = preset_keys(&count);
    for (int g = 0; g < count; g++)
        for (int i = g; i < count && begins_group(keys, g); i++)
            if (same_group(&keys[g], &keys[i])) cJSON_AddItemToArray(fields, describe_field(&keys[i]));
}

/* ---- presets -------------------------------------------------------------------------------------------------------
 */

/* As far as they are known from plans and runs before. */
static void add_needs(cJSON *row, const struct preset *preset, const char *device)
{
    struct planned planned = {.bytes = NAN, .flops_per_step = NAN};
    bool known = plan_cache_find(preset, device, &planned);
    json_add_number(row, "memory_bytes", planned.bytes);
    json_add_number(row, "seconds_per_step", known ? speed_predict(device, planned.flops_per_step) : NAN);
}

static cJSON *describe_preset(const struct preset_entry *entry, const struct model_library *library, const char *device)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", entry->name);
    cJSON_AddStringToObject(row, "path", entry->path);
    cJSON_AddBoolToObject(row, "own", entry->own);
    struct preset preset = {0};
    status loaded = preset_load(entry->path, NULL, 0, &preset, NULL);
    if (loaded.code != STATUS_OK) {
        cJSON_AddStringToObject(row, "error", loaded.message);
        return row;
    }
    cJSON_AddNullToObject(row, "error");
    cJSON_AddStringToObject(row, "notes", preset.notes ? preset.notes : "");
    cJSON_AddNumberToObject(row, "prompts", preset.train.count);
    add_model_presence(row, preset.model, library);
    add_needs(row, &preset, device);
    preset_message_add(row, preset.written);
    preset_clear(&preset);
    return row;
}

/* The page of presets that is asked for; `answer` has `next` where there are more. */
static void add_presets(const cJSON *request, cJSON *catalogue, const struct model_library *library, const char *device,
                        cJSON *answer)
{
    struct page page = page_of_request(request, cJSON_AddArrayToObject(catalogue, "presets"));
    struct preset_entries list = {0};
    if (preset_list(&list).code != STATUS_OK) return;
    int at = page.from;
    while (at < list.count && page_add(&page, describe_preset(&list.entries[at], library, device))) at++;
    page_finish(&page, at, list.count, answer);
    preset_entries_clear(&list);
}

/* Further pages have presets alone. */
status answer_catalogue(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    struct model_library library = {0};
    TRY(model_library_open(NULL, 0, &library));
    cJSON *catalogue = cJSON_AddObjectToObject(answer, "catalogue");
    if (json_get_integer_in(request, "from", 0, INT_MAX, 0) == 0) {
        cJSON_AddStringToObject(catalogue, "version", facts->version);
        add_device_facts(catalogue, facts);
        add_rewards(catalogue);
        add_models(catalogue, &library);
        add_fields(catalogue);
    }
    add_presets(request, catalogue, &library, facts->device, answer);
    model_library_close(&library);
    return status_ok();
}
