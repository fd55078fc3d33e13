/* Reads the text encoder's weights with the products of adapters added row by row. */
#include "engine/sampling/text_merge.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/parallel.h"

enum { MOST_THREADS = 4, ROWS_A_THREAD = 16 };

/* The module whose weight is called `name`; -1 for other tensors. */
static int find_module(const struct text_merge *merge, const char *name)
{
    for (int i = 0; i < merge->module_count; i++) {
        size_t length = strlen(merge->modules[i].name);
        if (strncmp(name, merge->modules[i].name, length) == 0 && strcmp(name + length, ".weight") == 0) return i;
    }
    return -1;
}

static bool has_update(const struct text_merge *merge, int module)
{
    for (int i = 0; i < merge->update_count; i++)
        if (merge->updates[i].module == module) return true;
    return false;
}

/* One weight being merged: values[rows, columns]. */
struct merging {
    const struct text_merge *merge;
    int module;
    int64_t columns;
    float *values;
    double *sums; /* columns of them a thread */
};

/* Sums in double precision, so that a weight is rounded once. */
static void merge_rows(void *context, int64_t begin, int64_t end, int thread)
{
    const struct merging *merging = context;
    double *sums = merging->sums + thread * merging->columns;
    for (int64_t row = begin; row < end; row++) {
        float *values = merging->values + row * merging->columns;
        for (int64_t c = 0; c < merging->columns; c++) sums[c] = values[c];
        for (int u = 0; u < merging->merge->update_count; u++) {
            const struct low_rank_update *update = &merging->merge->updates[u];
            if (update->module != merging->module) continue;
            for (int64_t r = 0; r < update->rank; r++) {
                const float *down = update->down + r * merging->columns;
                double factor = update->scale * update->up[row * update->rank + r];
                for (int64_t c = 0; c < merging->columns; c++) sums[c] += factor * down[c];
            }
        }
        for (int64_t c = 0; c < merging->columns; c++) values[c] = (float)sums[c];
    }
}

static status add_updates(const struct text_merge *merge, int module, const struct shape *shape, float *values)
{
    struct merging merging = {
        .merge = merge, .module = module, .columns = shape->dimension[shape->rank - 1], .values = values};
    struct parallel *threads;
    TRY(parallel_create(parallel_useful(MOST_THREADS), &threads));
    merging.sums = malloc((size_t)(parallel_threads(threads) * merging.columns) * sizeof *merging.sums);
    if (merging.sums)
        parallel_for(threads, shape_elements(shape) / merging.columns, ROWS_A_THREAD, merge_rows, &merging);
    status result = merging.sums ? status_ok()
                                 : status_error(STATUS_NO_MEMORY, "no memory to merge adapters into the text encoder");
    free(merging.sums);
    parallel_destroy(threads);
    return result;
}

static status read_merged(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct text_merge *merge = context;
    int module = find_module(merge, name);
    if (module < 0 || !has_update(merge, module)) return merge->base.read(merge->base.context, name, shape, sink);
    float *values = malloc((size_t)shape_elements(shape) * sizeof *values);
    if (!values) return status_error(STATUS_NO_MEMORY, "no memory to read weight %s", name);
    status result = weight_source_read(merge->base, name, shape, values);
    if (result.code == STATUS_OK) result = add_updates(merge, module, shape, values);
    if (result.code == STATUS_OK) result = weight_sink_give(sink, ELEMENT_F32, values);
    free(values);
    return result;
}

struct weight_source text_merge_source(struct text_merge *merge)
{
    return (struct weight_source){read_merged, merge};
}
