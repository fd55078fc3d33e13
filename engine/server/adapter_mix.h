/* Several adapters at scales, merged linearly into a chain's weights: W + sum of scale_i (alpha_i / rank_i) up_i
 * down_i.
 *
 * Files need not agree on rank, alpha or the modules they cover; a module that the model lacks, or whose size differs,
 * is an error. */
#ifndef ALIGNPROP_SERVER_ADAPTER_MIX_H
#define ALIGNPROP_SERVER_ADAPTER_MIX_H

#include "engine/run/adapter_file.h"
#include "engine/sampling/chain.h"

struct mixed_adapter {
    const struct adapter_set *set; /* borrowed */
    double scale;
    const char *words; /* names it in messages, such as its path */
};

/* Merges them into the chain; none gives the base model back. STATUS_BAD_INPUT names adapter and module. */
status adapter_mix(struct chain *chain, const struct mixed_adapter *adapters, int count);

#endif
