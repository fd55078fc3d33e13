#include "engine/model/safetensors.h"
#include "engine/run/adapter_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the end of a tensor's name says it is. */
enum part { PART_DOWN, PART_UP, PART_ALPHA };

static const struct {
    const char *ending;
    enum part part;
    bool kohya;
} endings[] = {
    {".lora_down.weight", PART_DOWN, true}, {".lora_up.weight", PART_UP, true}, {".alpha", PART_ALPHA, true},
    {".lora_A.weight", PART_DOWN, false},   {".lora_B.weight", PART_UP, false},
};

struct split_name {
    char module[160]; /* kohya name, or diffusers name without "unet." */
    enum part part;
    bool kohya;
};

static bool split(const char *name, struct split_name *out)
{
    static const char unet[] = "unet.";
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending_length = strlen(endings[i].ending);
        if (length <= ending_length || strcmp(name + length - ending_length, endings[i].ending) != 0) continue;
        out->part = endings[i].part;
        out->kohya = endings[i].kohya;
        bool prefixed = !out->kohya && strncmp(name, unet, sizeof unet - 1) == 0;
        const char *start = prefixed ? name + sizeof unet - 1 : name;
        size_t module_length = length - ending_length - (size_t)(start - name);
        if (module_length == 0 || module_length >= sizeof out->module - 16) return false;
        snprintf(out->module, sizeof out->module, "%.*s", (int)module_length, start);
        return true;
    }
    return false;
}

static struct adapter_factors *find_or_add(struct adapter_set *set, const struct split_name *name)
{
    char kohya[160], module[140] = "";
    if (name->kohya) {
        snprintf(kohya, sizeof kohya, "%s", name->module);
    } else {
        adapter_kohya_name(name->module, kohya);
        snprintf(module, sizeof module, "%s", name->module);
    }
    /* Entries come in the order of their names, so a module's tensors are neighbours. */
    if (set->count > 0 && strcmp(set->modules[set->count - 1].kohya, kohya) == 0) return &set->modules[set->count - 1];
    struct adapter_factors *added = &set->modules[set->count++];
    *added = (struct adapter_factors){.alpha = 0};
    snprintf(added->kohya, sizeof added->kohya, "%s", kohya);
    snprintf(added->module, sizeof added->module, "%s", module);
    added->folded = !name->kohya;
    return added;
}

static status read_factor(const struct safetensors *file, const struct safetensors_entry *entry, struct shape *shape,
                          float **values)
{
    if (entry->rank != 2 && entry->rank != 4) {
        return status_error(STATUS_BAD_INPUT, "%s: %s: expected 2 or 4 dimensions, found %d", safetensors_path(file),
                            entry->name, entry->rank);
    }
    if (*values) {
        return status_error(STATUS_BAD_INPUT, "%s: %s: this factor is there in two forms", safetensors_path(file),
                            entry->name);
    }
    *shape = (struct shape){.rank = entry->rank};
    for (int i = 0; i < entry->rank; i++) shape->dimension[i] = entry->dimension[i];
    *values = malloc((size_t)entry->elements * sizeof **values + 1);
    if (!*values) return status_error(STATUS_NO_MEMORY, "%s: no memory for %s", safetensors_path(file), entry->name);
    return safetensors_convert(entry, *values);
}

static status read_entry(const struct safetensors *file, const struct safetensors_entry *entry, struct adapter_set *set)
{
    struct split_name name;
    if (!split(entry->name, &name)) {
        return status_error(STATUS_BAD_INPUT,
                            "%s: %s: is no part of a LoRA adapter (expected names that end in "
                            ".lora_down.weight, .lora_up.weight, .alpha, .lora_A.weight or .lora_B.weight)",
                            safetensors_path(file), entry->name);
    }
    struct adapter_factors *module = find_or_add(set, &name);
    if (name.part == PART_DOWN) return read_factor(file, entry, &module->down_shape, &module->down);
    if (name.part == PART_UP) return read_factor(file, entry, &module->up_shape, &module->up);
    if (entry->elements != 1) {
        return status_error(STATUS_BAD_INPUT, "%s: %s: expected one number, found %lld", safetensors_path(file),
                            entry->name, (long long)entry->elements);
    }
    float alpha;
    TRY(safetensors_convert(entry, &alpha));
    module->alpha = alpha;
    return status_ok();
}

static status check_module(const char *path, struct adapter_factors *module)
{
    if (!module->down || !module->up) {
        return status_error(STATUS_BAD_INPUT, "%s: %s: the %s factor is missing", path, module->kohya,
                            module->down ? "up" : "down");
    }
    int64_t rank = module->down_shape.dimension[0];
    if (rank < 1 || module->up_shape.dimension[1] != rank || module->up_shape.rank != module->down_shape.rank) {
        return status_error(STATUS_BAD_INPUT, "%s: %s: the factors' ranks differ: down has %lld, up has %lld", path,
                            module->kohya, (long long)rank, (long long)module->up_shape.dimension[1]);
    }
    if (module->alpha == 0) module->alpha = (double)rank;
    return status_ok();
}

/* Fills in the diffusers names that the writer left in the metadata. */
static void name_modules(const struct safetensors *file, struct adapter_set *set)
{
    const char *names = safetensors_metadata(file, "alignprop.modules");
    for (int next = 0; names && *names;) {
        size_t length = strcspn(names, " ");
        char module[140], kohya[160];
        snprintf(module, sizeof module, "%.*s", (int)length, names);
        adapter_kohya_name(module, kohya);
        /* Both lists are nearly in the same order, so the search goes on where it stopped. */
        for (int tried = 0; tried < set->count; tried++, next++) {
            struct adapter_factors *candidate = &set->modules[next % set->count];
            if (strcmp(candidate->kohya, kohya) != 0) continue;
            snprintf(candidate->module, sizeof candidate->module, "%s", module);
            break;
        }
        names += length + (names[length] == ' ');
    }
}

static status read_entries(const struct safetensors *file, struct adapter_set *set)
{
    size_t count = safetensors_count(file);
    set->modules = calloc(count + 1, sizeof *set->modules);
    if (!set->modules) return status_error(STATUS_NO_MEMORY, "%s: no memory to read it", safetensors_path(file));
    for (size_t i = 0; i < count; i++) TRY(read_entry(file, safetensors_entry_at(file, i), set));
    for (int i = 0; i < set->count; i++) TRY(check_module(safetensors_path(file), &set->modules[i]));
    if (set->count == 0) return status_error(STATUS_BAD_INPUT, "%s: there is no adapter in it", safetensors_path(file));
    name_modules(file, set);
    return status_ok();
}

status adapter_file_read(const char *path, struct adapter_set *set)
{
    *set = (struct adapter_set){0};
    struct safetensors *file;
    TRY(safetensors_open(path, &file));
    status result = read_entries(file, set);
    safetensors_close(file);
    if (result.code != STATUS_OK) adapter_set_clear(set);
    return result;
}

static bool same_values(const float *expected, const float *found, const struct shape *shape, double factor)
{
    int64_t count = shape_elements(shape);
    for (int64_t i = 0; i < count; i++) {
        float value = factor == 1 ? expected[i] : (float)(expected[i] * factor);
        uint32_t bits[2]; /* a value that is not a number equals itself too */
        memcpy(&bits[0], &value, sizeof bits[0]);
        memcpy(&bits[1], &found[i], sizeof bits[1]);
        if (bits[0] != bits[1]) return false;
    }
    return true;
}

static bool same_shape(const struct shape *left, const struct shape *right)
{
    bool same = left->rank == right->rank;
    for (int i = 0; same && i < left->rank; i++) same = left->dimension[i] == right->dimension[i];
    return same;
}

static const struct adapter_factors *find_kohya(const struct adapter_set *set, const char *kohya)
{
    for (int i = 0; i < set->count; i++) {
        if (strcmp(set->modules[i].kohya, kohya) == 0) return &set->modules[i];
    }
    return NULL;
}

static double up_factor(const struct adapter_factors *expected, const struct adapter_factors *found, double scale)
{
    return found->folded && !expected->folded ? scale * expected->alpha / (double)expected->down_shape.dimension[0]
                                              : scale;
}

status adapter_file_verify(const char *path, const struct adapter_set *set, double scale, int *matching, int *total)
{
    struct adapter_set written;
    TRY(adapter_file_read(path, &written));
    *matching = 0;
    *total = 2 * set->count;
    for (int i = 0; i < set->count; i++) {
        const struct adapter_factors *expected = &set->modules[i];
        const struct adapter_factors *found = find_kohya(&written, expected->kohya);
        if (!found) continue;
        if (same_shape(&expected->down_shape, &found->down_shape) &&
            same_values(expected->down, found->down, &found->down_shape, 1)) {
            (*matching)++;
        }
        if (same_shape(&expected->up_shape, &found->up_shape) &&
            same_values(expected->up, found->up, &found->up_shape, up_factor(expected, found, scale))) {
            (*matching)++;
        }
    }
    adapter_set_clear(&written);
    return status_ok();
}
