/* Several adapters at scales, merged linearly into a chain's weights: W + sum of scale_i (alpha_i / rank_i) up_i
 * down_i, in the U-Net and in the text encoder.
 *
 * Files need not agree on rank, alpha or the modules they cover. What an adapter has for layers that the model lacks is
 * left out with a warning; an adapter of which nothing is left, or whose sizes differ, is an error. */
#ifndef ALIGNPROP_SERVER_ADAPTER_MIX_H
#define ALIGNPROP_SERVER_ADAPTER_MIX_H

#include "engine/run/adapter_file.h"
#include "engine/sampling/chain.h"

struct mixed_adapter {
    const struct adapter_set *set; /* borrowed */
    double scale;
    const char *name; /* names it in messages, such as its path */
};

/* Merges them into the chain of that model; none gives the base model back. STATUS_BAD_INPUT names adapter and module.
 */
status adapter_mix(const struct model *model, struct chain *chain, const struct mixed_adapter *adapters, int count,
                   struct adapter_warnings *warnings);

#endif
