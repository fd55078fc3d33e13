/* How a product's tile leaves a block: its sums pass through shared memory, from where every thread writes eight
 * neighbours at a time. */
#ifndef ALIGNPROP_KERNELS_CUDA_PRODUCT_STORE_H
#define ALIGNPROP_KERNELS_CUDA_PRODUCT_STORE_H

#include "kernels/cuda/product.h"

enum { STORED = 8, STORE_PAD = 8 /* floats: the rows that a warp writes at once lie in different banks */ };

DEVICE void add8(const struct array &array, int64_t index, float value[STORED])
{
    float added[STORED];
    load8(array, index, added);
    UNROLL for (int i = 0; i < STORED; i++) value[i] += added[i];
}

/* Eight neighbours of a row, or as many as the result has. `wide`: from launch_product, one access each. */
DEVICE void store_some_results(const struct product &product, const struct block_part &part, float *partial,
                               int64_t row, int64_t column, float value[STORED], bool wide)
{
    int count = product.n - column < STORED ? (int)(product.n - column) : (int)STORED;
    if (product.splits > 1) {
        struct array sums = {partial, ELEMENT_F32};
        store_some(sums, partial_place(product, part, row, column), count, wide, value);
        return;
    }
    if (!wide) {
        ROLLED for (int i = 0; i < count; i++) store_result(product, part.item, row, column + i, value[i]);
        return;
    }
    int64_t place = (part.item * product.m + row) * product.n + column;
    UNROLL for (int i = 0; i < STORED; i++) value[i] *= product.alpha;
    if (product.bias.data) add8(product.bias, column, value);
    if (product.residual.data) add8(product.residual, place, value);
    if (product.accumulate) add8(product.c, place, value);
    store8(product.c, place, value);
}

/* Writes `rows` by `width` sums that lie in shared memory, [row][width + STORE_PAD], where the result has such places.
 */
template <int rows, int width, int threads>
DEVICE void store_tile(const struct product &product, const struct block_part &part, float *partial, int64_t first_row,
                       int64_t first_column, shared_array<float> sums, bool wide)
{
    const int columns = width / STORED;
    ROLLED for (int i = thread_index(); i < rows * columns; i += threads)
    {
        int row = i / columns, column = i % columns * STORED;
        if (first_row + row >= product.m || first_column + column >= product.n) continue;
        float value[STORED];
        UNROLL for (int e = 0; e < STORED; e++) value[e] = sums[row * (width + STORE_PAD) + column + e];
        store_some_results(product, part, partial, first_row + row, first_column + column, value, wide);
    }
}

#endif
