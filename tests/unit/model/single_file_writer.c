/* Writing single files whose weights follow from their tensors' names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/config.h"
#include "kernels/convert.h"
#include "model_runner.h"
#include "single_file_writer.h"

static uint64_t splitmix64(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}

/* As tensor_of_name in the oracle script. The caller frees item->bytes. */
static void fill_item(struct safetensors_item *item, int64_t count)
{
    uint64_t seed = 14695981039346656037u;
    for (const char *c = item->name; *c; c++) seed = (seed ^ (unsigned char)*c) * 1099511628211u;
    double deviation = item->rank == 1                            ? 0.2
                       : strstr(item->name, "embeddings") != NULL ? 0.5
                                                                  : sqrt((double)item->dimension[0] / (double)count);
    double mean = item->rank == 1 && ends_with(item->name, "weight") ? 1.0 : 0.0;
    uint16_t *halves = malloc((size_t)count * sizeof halves[0]);
    for (int64_t i = 0; i < count; i++) {
        double uniform = (double)(splitmix64(seed + (uint64_t)i) >> 40) / 0x1p24;
        halves[i] = half_from_float((float)(mean + (uniform - 0.5) * sqrt(12.0) * deviation));
    }
    item->bytes = halves;
}

/* The name that the file gives the tensor; NULL where it is left out. The caller frees it. */
static char *renamed(const char *name, const struct single_file_changes *changes)
{
    char text[300];
    for (int i = 0; changes && i < SINGLE_FILE_RENAMINGS && changes->renamings[i].from; i++) {
        const char *from = changes->renamings[i].from, *to = changes->renamings[i].to, *place = strstr(name, from);
        if (!place) continue;
        if (!to) return NULL;
        snprintf(text, sizeof text, "%.*s%s%s", (int)(place - name), name, to, place + strlen(from));
        return strdup(text);
    }
    return strdup(name);
}

/* Halves to fp32: the same numbers. */
static void widen(struct safetensors_item *item, int64_t count)
{
    float *values = malloc((size_t)count * sizeof *values);
    convert_to_float(ELEMENT_F16, values, item->bytes, count);
    free((void *)(uintptr_t)item->bytes);
    item->type = SAFETENSORS_F32;
    item->bytes = values;
}

static void add_tensor(struct safetensors_item *item, const cJSON *tensor, const struct single_file_changes *changes)
{
    const cJSON *dimension;
    int64_t elements = 1;
    item->name = tensor->string;
    item->type = SAFETENSORS_F16;
    cJSON_ArrayForEach(dimension, tensor)
    {
        item->dimension[item->rank++] = (int64_t)dimension->valuedouble;
        elements *= (int64_t)dimension->valuedouble;
    }
    fill_item(item, elements);
    if (!changes) return;
    if (changes->flat_attention && strstr(item->name, "decoder.mid.attn_1.") && item->rank == 4) item->rank = 2;
    if (changes->fp32) widen(item, elements);
}

void write_single_file(const char *layout_path, const char *path, const struct single_file_changes *changes)
{
    struct config layout;
    assert_success(config_open(layout_path, &layout));
    size_t count = (size_t)cJSON_GetArraySize(layout.root), filled = 0, metadata = 0;
    struct safetensors_item *items = calloc(count + SINGLE_FILE_EXTRAS, sizeof items[0]);
    const cJSON *tensor;
    cJSON_ArrayForEach(tensor, layout.root)
    {
        char *name = renamed(tensor->string, changes);
        if (!name) continue;
        add_tensor(&items[filled], tensor, changes);
        items[filled++].name = name;
    }
    size_t own = filled;
    for (int i = 0; changes && i < SINGLE_FILE_EXTRAS && changes->extras[i].name; i++)
        items[filled++] = changes->extras[i];
    while (changes && metadata < 2 && changes->metadata[metadata].key) metadata++;
    assert_success(safetensors_write(path, items, filled, changes ? changes->metadata : NULL, metadata));
    for (size_t i = 0; i < own; i++) {
        free((void *)(uintptr_t)items[i].bytes);
        free((void *)(uintptr_t)items[i].name);
    }
    free(items);
    config_close(&layout);
}
