/* The factors that a tuner has at present, as an adapter. */
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/run/adapter_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void adapter_set_release(struct adapter_set *set)
{
    free(set->modules);
    *set = (struct adapter_set){0};
}

static bool same_shape(const struct shape *left, const struct shape *right)
{
    bool same = left->rank == right->rank;
    for (int i = 0; same && i < left->rank; i++) same = left->dimension[i] == right->dimension[i];
    return same;
}

const float *adapter_set_find(const struct adapter_set *set, const char *name, const struct shape *shape)
{
    const char *dot = strrchr(name, '.');
    if (!dot) return NULL;
    bool down = strcmp(dot, ".lora_down") == 0;
    if (!down && strcmp(dot, ".lora_up") != 0) return NULL;
    char module[ADAPTER_MODULE_SIZE], key[ADAPTER_KEY_SIZE];
    snprintf(module, sizeof module, "%.*s", (int)(dot - name), name);
    adapter_key(ADAPTER_NETWORK_UNET, module, key);
    const struct adapter_factors *factors = adapter_set_module(set, key);
    if (!factors || !same_shape(down ? &factors->down_shape : &factors->up_shape, shape)) return NULL;
    return down ? factors->down : factors->up;
}

static struct adapter_factors *module_of(struct adapter_set *set, const char *name, size_t length)
{
    for (int i = 0; i < set->count; i++) {
        const char *module = set->modules[i].module;
        if (strlen(module) == length && strncmp(module, name, length) == 0) return &set->modules[i];
    }
    return NULL;
}

/* The tuner's tensors are const; the set that borrows them is only read. */
static float *borrowed(const float *values)
{
    union {
        const float *from;
        float *to;
    } pointer = {values};
    return pointer.to;
}

static status add_tensor(struct adapter_set *set, const struct tuner_tensor *tensor, double alpha)
{
    static const char down[] = ".lora_down", up[] = ".lora_up";
    bool is_down = text_ends_with(tensor->name, down);
    if (!is_down && !text_ends_with(tensor->name, up)) {
        return status_error(STATUS_FAILED, "adapter tensor %s is neither a down nor an up factor", tensor->name);
    }
    size_t length = strlen(tensor->name) - (is_down ? sizeof down : sizeof up) + 1;
    struct adapter_factors *module = module_of(set, tensor->name, length);
    if (!module) {
        module = &set->modules[set->count++];
        *module = (struct adapter_factors){.alpha = alpha};
        snprintf(module->module, sizeof module->module, "%.*s", (int)length, tensor->name);
        adapter_key(ADAPTER_NETWORK_UNET, module->module, module->kohya);
    }
    if (is_down) {
        module->down_shape = tensor->shape;
        module->down = borrowed(tensor->values);
    } else {
        module->up_shape = tensor->shape;
        module->up = borrowed(tensor->values);
    }
    return status_ok();
}

static status add_tensors(struct adapter_set *set, const struct tuner_tensor *tensors, int count, double alpha)
{
    for (int i = 0; i < count; i++) TRY(add_tensor(set, &tensors[i], alpha));
    for (int i = 0; i < set->count; i++) {
        if (!set->modules[i].down || !set->modules[i].up) {
            return status_error(STATUS_FAILED, "adapter of %s lacks a factor", set->modules[i].module);
        }
    }
    return status_ok();
}

status adapter_set_of_tuner(const struct tuner *tuner, double alpha, struct adapter_set *set)
{
    *set = (struct adapter_set){0};
    int count = tuner_adapter_tensors(tuner, NULL, 0);
    struct tuner_tensor *tensors = memory_take((size_t)count, sizeof *tensors);
    set->modules = memory_take((size_t)count, sizeof *set->modules);
    tuner_adapter_tensors(tuner, tensors, count);
    status result = add_tensors(set, tensors, count, alpha);
    free(tensors);
    if (result.code != STATUS_OK) adapter_set_release(set);
    return result;
}
