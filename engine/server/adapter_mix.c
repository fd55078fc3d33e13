#include "engine/server/adapter_mix.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    const struct adapter_factors *factors; /* NULL: none */
};

/* One adapter's modules of one rank and one alpha: what the chain takes as an adapter. */
struct part {
    struct slot *by_module; /* one for each of the chain's */
    int64_t rank;
    double alpha, scale;
};

struct mix {
    struct part *parts;
    struct merged_adapter *merged;
    int count, capacity;
};

static void mix_clear(struct mix *mix)
{
    for (int i = 0; i < mix->count; i++) free(mix->parts[i].by_module);
    free(mix->parts);
    free(mix->merged);
}

static const float *factor(void *context, int module, bool up)
{
    const struct part *part = context;
    const struct adapter_factors *factors = part->by_module[module].factors;
    if (!factors) return NULL;
    return up ? factors->up : factors->down;
}

static int find_module(const struct chain *chain, const struct adapter_factors *factors)
{
    for (int i = 0; i < chain_module_count(chain); i++) {
        const char *name = chain_module(chain, i)->name;
        char kohya[160];
        if (factors->module[0]) {
            if (strcmp(name, factors->module) == 0) return i;
            continue;
        }
        adapter_kohya_name(name, kohya);
        if (strcmp(kohya, factors->kohya) == 0) return i;
    }
    return -1;
}

static status check_sizes(const struct chain *chain, int module, const struct adapter_factors *factors,
                          const char *words)
{
    const struct adapter_module *wanted = chain_module(chain, module);
    int64_t window = wanted->kernel ? (int64_t)wanted->kernel * wanted->kernel : 1;
    int64_t rank = factors->down_shape.dimension[0];
    int64_t down = shape_elements(&factors->down_shape), up = shape_elements(&factors->up_shape);
    if (down == rank * wanted->inputs * window && up == rank * wanted->outputs) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: %s has %lld inputs and %lld outputs, the model's has %lld and %lld",
                        words, wanted->name, (long long)(down / rank / window), (long long)(up / rank),
                        (long long)wanted->inputs, (long long)wanted->outputs);
}

/* The part of this adapter (parts from `first` on) for this rank and alpha; made where there is none. */
static struct part *part_for(struct mix *mix, const struct chain *chain, int first,
                             const struct adapter_factors *factors)
{
    int64_t rank = factors->down_shape.dimension[0];
    for (int i = first; i < mix->count; i++)
        if (mix->parts[i].rank == rank && mix->parts[i].alpha == factors->alpha) return &mix->parts[i];
    if (mix->count == mix->capacity) {
        int capacity = mix->capacity ? 2 * mix->capacity : 8;
        struct part *grown = realloc(mix->parts, (size_t)capacity * sizeof *grown);
        if (!grown) return NULL;
        mix->parts = grown;
        mix->capacity = capacity;
    }
    struct part *part = &mix->parts[mix->count];
    *part = (struct part){.rank = rank, .alpha = factors->alpha};
    part->by_module = calloc((size_t)chain_module_count(chain) + 1, sizeof *part->by_module);
    if (!part->by_module) return NULL;
    mix->count++;
    return part;
}

static status add_adapter(struct mix *mix, const struct chain *chain, const struct mixed_adapter *adapter)
{
    int first = mix->count;
    for (int i = 0; i < adapter->set->count; i++) {
        const struct adapter_factors *factors = &adapter->set->modules[i];
        int module = find_module(chain, factors);
        if (module < 0)
            return status_error(STATUS_BAD_INPUT, "%s: the model has no module %s", adapter->words,
                                factors->module[0] ? factors->module : factors->kohya);
        TRY(check_sizes(chain, module, factors, adapter->words));
        struct part *part = part_for(mix, chain, first, factors);
        if (!part) return status_error(STATUS_NO_MEMORY, "no memory to merge adapters");
        part->by_module[module].factors = factors;
    }
    return status_ok();
}

static status merge(struct chain *chain, struct mix *mix)
{
    mix->merged = calloc((size_t)mix->count + 1, sizeof *mix->merged);
    if (!mix->merged) return status_error(STATUS_NO_MEMORY, "no memory to merge adapters");
    for (int i = 0; i < mix->count; i++) {
        const struct part *part = &mix->parts[i];
        mix->merged[i] = (struct merged_adapter){.scale = part->scale * part->alpha / (double)part->rank,
                                                 .rank = (int)part->rank,
                                                 .factor = factor,
                                                 .context = &mix->parts[i]};
    }
    return chain_merge(chain, mix->merged, mix->count);
}

status adapter_mix(struct chain *chain, const struct mixed_adapter *adapters, int count)
{
    struct mix mix = {0};
    status result = status_ok();
    for (int i = 0; i < count && result.code == STATUS_OK; i++) {
        if (adapters[i].scale == 0) continue; /* linear: nothing of it is left */
        int first = mix.count;
        result = add_adapter(&mix, chain, &adapters[i]);
        for (int p = first; p < mix.count; p++) mix.parts[p].scale = adapters[i].scale;
    }
    if (result.code == STATUS_OK) result = merge(chain, &mix);
    mix_clear(&mix);
    return result;
}
