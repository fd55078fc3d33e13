/* An adapter's tensors and metadata in kohya's or peft's names, written as one file. */
#include "engine/base/memory.h"
#include "engine/base/sha256.h"
#include "engine/base/text.h"
#include "engine/base/version.h"
#include "engine/model/safetensors.h"
#include "engine/run/adapter_file.h"
#include "engine/run/adapter_preset.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- tensors ---- */

struct item_list {
    struct safetensors_item *items;
    size_t count;
    char (*names)[200];
    float *alphas, *scaled; /* storage of values that are not the set's own */
};

static void clear_items(struct item_list *list)
{
    free(list->items);
    free(list->names);
    free(list->alphas);
    free(list->scaled);
    *list = (struct item_list){0};
}

static size_t up_elements(const struct adapter_set *set)
{
    size_t total = 0;
    for (int i = 0; i < set->count; i++) total += (size_t)shape_elements(&set->modules[i].up_shape);
    return total;
}

static status allocate_items(struct item_list *list, const struct adapter_set *set)
{
    size_t capacity = (size_t)set->count * 3;
    *list = (struct item_list){.items = memory_take(capacity, sizeof *list->items),
                               .names = memory_take(capacity, sizeof *list->names),
                               .alphas = memory_take((size_t)set->count, sizeof *list->alphas),
                               .scaled = calloc(up_elements(set) + 1, sizeof *list->scaled)};
    if (list->scaled) return status_ok();
    clear_items(list);
    return status_error(STATUS_NO_MEMORY, "no memory to write an adapter");
}

static void add_item(struct item_list *list, const char *module, const char *ending, const struct shape *shape,
                     const float *values)
{
    struct safetensors_item *item = &list->items[list->count];
    snprintf(list->names[list->count], sizeof *list->names, "%s%s", module, ending);
    item->name = list->names[list->count];
    item->type = SAFETENSORS_F32;
    item->rank = shape ? shape->rank : 0;
    for (int i = 0; i < item->rank; i++) item->dimension[i] = shape->dimension[i];
    item->bytes = values;
    list->count++;
}

/* `from` times `factor`, or `from` itself when that changes nothing. */
static const float *scaled(const float *from, size_t count, double factor, float **storage)
{
    if (factor == 1) return from;
    float *to = *storage;
    for (size_t i = 0; i < count; i++) to[i] = (float)(from[i] * factor);
    *storage += count;
    return to;
}

static status list_items(struct item_list *list, const struct adapter_set *set, enum adapter_format format,
                         double scale)
{
    TRY(allocate_items(list, set));
    float *storage = list->scaled;
    /* Items borrow list->scaled, which the list frees. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    for (int i = 0; i < set->count; i++) {
        const struct adapter_factors *module = &set->modules[i];
        double rank = (double)module->down_shape.dimension[0];
        bool kohya = format == ADAPTER_KOHYA;
        double factor = kohya ? scale : scale * module->alpha / rank;
        const float *up = scaled(module->up, (size_t)shape_elements(&module->up_shape), factor, &storage);
        char name[200];
        snprintf(name, sizeof name, kohya ? "%s" : "unet.%s", kohya ? module->kohya : module->module);
        add_item(list, name, kohya ? ".lora_down.weight" : ".lora_A.weight", &module->down_shape, module->down);
        add_item(list, name, kohya ? ".lora_up.weight" : ".lora_B.weight", &module->up_shape, up);
        if (!kohya) continue;
        list->alphas[i] = (float)module->alpha;
        add_item(list, name, ".alpha", NULL, &list->alphas[i]);
    }
    return status_ok(); /* NOLINT(clang-analyzer-unix.Malloc) */
}

/* modelspec.hash_sha256: of the tensors' bytes in the order of the file. */
static void hash_items(const struct item_list *list, char message[70])
{
    struct sha256 hash;
    sha256_begin(&hash);
    for (size_t i = 0; i < list->count; i++) {
        const struct safetensors_item *item = &list->items[i];
        size_t elements = 1;
        for (int d = 0; d < item->rank; d++) elements *= (size_t)item->dimension[d];
        sha256_add(&hash, item->bytes, elements * sizeof(float));
    }
    memcpy(message, "0x", 2);
    sha256_end(&hash, message + 2);
}

/* ---- metadata ---- */

struct metadata {
    struct safetensors_text *pairs; /* the values are its own */
    int count, capacity;
};

static void put(struct metadata *metadata, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put(struct metadata *metadata, const char *key, const char *format, ...)
{
    struct text value = {0};
    va_list arguments;
    va_start(arguments, format);
    text_append_arguments(&value, format, arguments);
    va_end(arguments);
    metadata->pairs = memory_grow(metadata->pairs, metadata->count, &metadata->capacity, sizeof *metadata->pairs);
    metadata->pairs[metadata->count++] = (struct safetensors_text){key, text_take(&value)};
}

static void clear_metadata(struct metadata *metadata)
{
    for (int i = 0; i < metadata->count; i++) free((char *)metadata->pairs[i].value);
    free(metadata->pairs);
}

static const char *base_version(const char *architecture)
{
    if (strncmp(architecture, "stable-diffusion-xl", 19) == 0) return "sdxl_base_v1-0";
    if (strncmp(architecture, "stable-diffusion-v2", 19) == 0) return "sd_v2";
    return "sd_v1";
}

static void put_network(struct metadata *metadata, const struct preset *preset, const struct adapter_facts *facts,
                        const char *architecture)
{
    put(metadata, "ss_base_model_version", "%s", base_version(architecture));
    put(metadata, "ss_network_module", "networks.lora");
    put(metadata, "ss_network_dim", "%d", preset->rank);
    put(metadata, "ss_network_alpha", "%.17g", preset->alpha);
    put(metadata, "ss_output_name", "%s", preset->name);
    if (facts->step >= 0) put(metadata, "ss_steps", "%d", facts->step);
    put(metadata, "ss_seed", "%llu", (unsigned long long)preset->seed);
    put(metadata, "ss_learning_rate", "%.17g", preset->learning_rate);
    const char *slash = strrchr(preset->model, '/');
    put(metadata, "ss_sd_model_name", "%s", slash && slash[1] ? slash + 1 : preset->model);
    put(metadata, "ss_session_id", "%s", facts->run_id ? facts->run_id : preset->name);
    if (facts->started > 0) put(metadata, "ss_training_started_at", "%.3f", facts->started);
    if (facts->finished > 0) put(metadata, "ss_training_finished_at", "%.3f", facts->finished);
    put(metadata, "ss_training_comment", "%s", preset->notes ? preset->notes : "");
}

static void put_modelspec(struct metadata *metadata, const struct preset *preset, const struct adapter_facts *facts,
                          const char *architecture, const char *hash)
{
    char date[32] = "";
    time_t finished = (time_t)facts->finished;
    struct tm parts;
    if (facts->finished > 0 && gmtime_r(&finished, &parts)) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &parts);
    put(metadata, "modelspec.sai_model_spec", "1.0.1");
    put(metadata, "modelspec.architecture", "%s/lora", architecture);
    put(metadata, "modelspec.implementation", "diffusers");
    put(metadata, "modelspec.title", "%s", preset->name);
    put(metadata, "modelspec.description", "%s", preset->notes ? preset->notes : "");
    if (date[0]) put(metadata, "modelspec.date", "%s", date);
    put(metadata, "modelspec.hash_sha256", "%s", hash);
    put(metadata, "modelspec.usage_hint", "strength 0.5 to 1");
    if (facts->prediction) put(metadata, "modelspec.prediction_type", "%s", facts->prediction);
}

static char *module_names(const struct adapter_set *set)
{
    struct text names = {0};
    for (int i = 0; i < set->count; i++) text_append(&names, "%s%s", i ? " " : "", set->modules[i].module);
    return text_take(&names);
}

static void put_owned(struct metadata *metadata, const char *key, char *value)
{
    put(metadata, key, "%s", value);
    free(value);
}

static void fill_metadata(struct metadata *metadata, const struct adapter_set *set, enum adapter_format format,
                          const struct preset *preset, const struct adapter_facts *facts, const char *hash)
{
    const char *architecture = facts->architecture ? facts->architecture : "stable-diffusion-v1";
    put_network(metadata, preset, facts, architecture);
    put_modelspec(metadata, preset, facts, architecture, hash);
    put(metadata, "format", "%s", format == ADAPTER_PEFT ? "pt" : "kohya");
    put(metadata, "alignprop.version", "%s", ALIGNPROP_VERSION);
    put_owned(metadata, "alignprop.modules", module_names(set));
    put_owned(metadata, "alignprop.preset", adapter_preset_text(preset));
}

status adapter_file_write(const char *path, const struct adapter_set *set, enum adapter_format format, double scale,
                          const struct preset *preset, const struct adapter_facts *facts)
{
    struct item_list list;
    TRY(list_items(&list, set, format, scale));
    char hash[70];
    hash_items(&list, hash);
    struct metadata metadata = {.count = 0};
    fill_metadata(&metadata, set, format, preset, facts, hash);
    status result = safetensors_write(path, list.items, list.count, metadata.pairs, (size_t)metadata.count);
    clear_metadata(&metadata);
    clear_items(&list);
    return result;
}
