/* The text encoder's weights with adapters merged in: a weight source over the model's, that adds to each weight what
 * its updates say. Updates are few and change seldom, so they are computed on the host when a weight is read. */
#ifndef ALIGNPROP_SAMPLING_TEXT_MERGE_H
#define ALIGNPROP_SAMPLING_TEXT_MERGE_H

#include "engine/graph/weights.h"
#include "engine/model/adapter.h"

/* One module's update: scale * up down is added to its weight. */
struct low_rank_update {
    int module; /* number of the module in its network */
    int64_t rank;
    double scale;
    const float *down, *up; /* [rank, columns] and [rows, rank] */
};

struct text_merge {
    struct weight_source base;
    const struct adapter_module *modules; /* whose numbers updates name; borrowed */
    int module_count;
    const struct low_rank_update *updates; /* borrowed while weights are read */
    int update_count;
};

/* The source; valid while `merge` is. */
struct weight_source text_merge_source(struct text_merge *merge);

#endif
