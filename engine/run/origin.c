/* Keeps another run's adapter in a run's folder and begins the tuner's factors with it. */
#include "engine/run/origin.h"

#include "engine/base/memory.h"
#include "engine/base/sha256.h"
#include "engine/run/adapter_file.h"
#include "engine/run/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADAPTER_LIMIT = 1 << 30 };

static status origin_path(const struct run_folder *folder, char path[PATH_SIZE])
{
    return path_format(path, "%s/origin.safetensors", folder->path);
}

status origin_keep(const char *adapter_path, const struct run_folder *folder)
{
    char target[PATH_SIZE], *data;
    size_t length;
    TRY(origin_path(folder, target));
    TRY(file_read(adapter_path, ADAPTER_LIMIT, &data, &length));
    status result = file_write_atomic(target, data, length);
    free(data);
    return result;
}

status origin_hash(const struct run_folder *folder, char digits[65])
{
    char path[PATH_SIZE];
    digits[0] = '\0';
    TRY(origin_path(folder, path));
    return path_is_file(path) ? sha256_file(path, digits) : status_ok();
}

/* ---- into the new run's factors ---- */

/* The adapter, and the tuner's own fresh factors where it has none. */
struct origin {
    const char *path;
    const struct adapter_set *adapter;
    const struct preset *preset;
    struct tuner_tensor *fresh;
    int fresh_count;
    float *values; /* of the tensor at hand */
};

static const struct tuner_tensor *find_fresh(const struct origin *origin, const char *name)
{
    for (int i = 0; i < origin->fresh_count; i++)
        if (strcmp(origin->fresh[i].name, name) == 0) return &origin->fresh[i];
    return NULL;
}

static double strength(double alpha, double rank)
{
    return alpha / rank;
}

/* down [rank, ...]: the origin's rows come first. */
static void fill_down(struct origin *origin, const struct adapter_factors *factors)
{
    memcpy(origin->values, factors->down, (size_t)shape_elements(&factors->down_shape) * sizeof *origin->values);
}

/* up [outputs, rank, ...]: the origin's columns come first, the others are zero. */
static void fill_up(struct origin *origin, const struct adapter_factors *factors, const struct shape *shape)
{
    int64_t outputs = shape->dimension[0], rank = shape->dimension[1], own = factors->up_shape.dimension[1];
    double factor = strength(factors->alpha, (double)own) / strength(origin->preset->alpha, origin->preset->rank);
    for (int64_t row = 0; row < outputs; row++)
        for (int64_t r = 0; r < rank; r++) {
            float value = r < own ? factors->up[row * own + r] : 0;
            origin->values[row * rank + r] = factor == 1 ? value : (float)(factor * value);
        }
}

static const float *find(void *context, const char *name, const struct shape *shape)
{
    struct origin *origin = context;
    const struct tuner_tensor *fresh = find_fresh(origin, name);
    const char *dot = strrchr(name, '.');
    if (!fresh || !dot) return NULL;
    char module[ADAPTER_MODULE_SIZE], key[ADAPTER_KEY_SIZE];
    snprintf(module, sizeof module, "%.*s", (int)(dot - name), name);
    adapter_key(ADAPTER_NETWORK_UNET, module, key);
    free(origin->values);
    origin->values = memory_take((size_t)shape_elements(shape), sizeof *origin->values);
    memcpy(origin->values, fresh->values, (size_t)shape_elements(shape) * sizeof *origin->values);
    const struct adapter_factors *factors = adapter_set_module(origin->adapter, key);
    if (factors && strcmp(dot, ".lora_down") == 0) fill_down(origin, factors);
    if (factors && strcmp(dot, ".lora_up") == 0) fill_up(origin, factors, shape);
    return origin->values;
}

/* ---- what would be lost ---- */

/* The tensor of the tuner's for a module of the adapter; NULL where it does not tune the module. */
static const struct tuner_tensor *fresh_factor(const struct origin *origin, const struct adapter_factors *factors,
                                               const char *which)
{
    for (int i = 0; i < origin->fresh_count; i++) {
        const char *name = origin->fresh[i].name, *dot = strrchr(name, '.');
        if (!dot || strcmp(dot, which) != 0) continue;
        char module[ADAPTER_MODULE_SIZE], key[ADAPTER_KEY_SIZE];
        snprintf(module, sizeof module, "%.*s", (int)(dot - name), name);
        adapter_key(ADAPTER_NETWORK_UNET, module, key);
        if (strcmp(key, factors->kohya) == 0) return &origin->fresh[i];
    }
    return NULL;
}

/* Elements a row of the down factor, and rows of the up factor. */
static bool same_module(const struct adapter_factors *factors, const struct shape *down, const struct shape *up)
{
    return shape_elements(&factors->down_shape) / factors->down_shape.dimension[0] ==
               shape_elements(down) / down->dimension[0] &&
           factors->up_shape.dimension[0] == up->dimension[0];
}

static status check_module(const struct origin *origin, const struct adapter_factors *factors)
{
    const struct tuner_tensor *down = fresh_factor(origin, factors, ".lora_down");
    const struct tuner_tensor *up = fresh_factor(origin, factors, ".lora_up");
    if (!down || !up)
        return status_error(STATUS_BAD_INPUT,
                            "%s: changes %s, which the new run does not tune: its part would be lost; expected "
                            "lora.targets that hold it",
                            origin->path, factors->module[0] ? factors->module : factors->kohya);
    if (factors->down_shape.dimension[0] > down->shape.dimension[0])
        return status_error(
            STATUS_BAD_INPUT,
            "%s: has rank %lld, the new run %lld: a part would be lost; expected lora.rank=%lld or more", origin->path,
            (long long)factors->down_shape.dimension[0], (long long)down->shape.dimension[0],
            (long long)factors->down_shape.dimension[0]);
    if (same_module(factors, &down->shape, &up->shape)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: %s is of another size in this model; expected the model it was tuned on",
                        origin->path, factors->kohya);
}

static status check_adapter(const struct origin *origin)
{
    const struct adapter_set *adapter = origin->adapter;
    if (adapter->foreign_count > 0)
        return status_error(STATUS_BAD_INPUT, "%s: changes %s, which this model does not have; that part would be lost",
                            origin->path, adapter->foreign);
    for (int i = 0; i < adapter->count; i++) {
        const struct adapter_factors *factors = &adapter->modules[i];
        if (factors->network == ADAPTER_NETWORK_TEXT)
            return status_error(
                STATUS_BAD_INPUT,
                "%s: changes the text encoder (%s), which is not tuned: its part would be lost; expected "
                "an adapter of the U-Net alone",
                origin->path, factors->kohya);
        TRY(check_module(origin, factors));
    }
    return status_ok();
}

static status begin_with(struct origin *origin, struct tuner *tuner)
{
    origin->fresh_count = tuner_adapter_tensors(tuner, NULL, 0);
    origin->fresh = memory_take((size_t)origin->fresh_count + 1, sizeof *origin->fresh);
    tuner_adapter_tensors(tuner, origin->fresh, origin->fresh_count);
    TRY(check_adapter(origin));
    return status_context(tuner_begin_with(tuner, find, origin), "%s", origin->path);
}

status origin_apply(const struct run_folder *folder, const struct preset *preset, struct tuner *tuner)
{
    char path[PATH_SIZE];
    struct adapter_set adapter;
    TRY(origin_path(folder, path));
    if (!path_is_file(path)) return status_ok();
    TRY(adapter_file_read(path, &adapter));
    struct origin origin = {.path = path, .adapter = &adapter, .preset = preset};
    status result = begin_with(&origin, tuner);
    free(origin.fresh);
    free(origin.values);
    adapter_set_clear(&adapter);
    return result;
}
