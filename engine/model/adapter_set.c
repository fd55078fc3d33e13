/* The modules of an adapter by network, and the words that say how much it holds. */
#include "engine/model/adapter_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void adapter_set_clear(struct adapter_set *set)
{
    for (int i = 0; i < set->count; i++) {
        free(set->modules[i].down);
        free(set->modules[i].up);
    }
    free(set->modules);
    *set = (struct adapter_set){0};
}

const struct adapter_factors *adapter_set_module(const struct adapter_set *set, const char *key)
{
    for (int i = 0; i < set->count; i++)
        if (strcmp(set->modules[i].kohya, key) == 0) return &set->modules[i];
    return NULL;
}

/* ---- words ---- */

struct range {
    double lowest, highest;
};

static void widen(struct range *range, double value, bool first)
{
    if (first || value < range->lowest) range->lowest = value;
    if (first || value > range->highest) range->highest = value;
}

static void describe_range(const struct range *range, char description[60])
{
    if (range->lowest == range->highest)
        snprintf(description, 60, "%g", range->lowest);
    else
        snprintf(description, 60, "%g to %g", range->lowest, range->highest);
}

static const char *network_description(int unet, int text)
{
    if (unet && text) return "U-Net and text encoder";
    return unet ? "U-Net" : text ? "text encoder" : "networks of other models";
}

void adapter_set_describe(const struct adapter_set *set, char *description, size_t size)
{
    struct range rank = {0, 0}, strength = {0, 0};
    int modules[2] = {0, 0};
    char rank_range[60], strength_range[60];
    for (int i = 0; i < set->count; i++) {
        const struct adapter_factors *factors = &set->modules[i];
        double rows = (double)factors->down_shape.dimension[0];
        widen(&rank, rows, i == 0);
        widen(&strength, factors->alpha / rows, i == 0);
        modules[factors->network == ADAPTER_NETWORK_TEXT]++;
    }
    describe_range(&rank, rank_range);
    describe_range(&strength, strength_range);
    snprintf(description, size, "LoRA adapter of %d modules of %s, rank %s, strength (alpha / rank) %s", set->count,
             network_description(modules[0], modules[1]), rank_range, strength_range);
}
