/* How a product's sums leave a kernel: eight neighbours of a row at a time where the result allows it. Those of a
 * block's tile pass through shared memory before. */
#ifndef ALIGNPROP_KERNELS_CUDA_PRODUCT_STORE_H
#define ALIGNPROP_KERNELS_CUDA_PRODUCT_STORE_H

#include "kernels/cuda/product.h"

enum { STORED = 8, STORE_PAD = 8 /* floats: the rows that a warp writes at once lie in different banks */ };

/* Where the sum of a row and column lies. Of eight neighbours, the halves change places in every second 32 columns,
 * counted on from row to row: then the eight threads that read a half of theirs at once ask each bank once. Pairs stay
 * together. */
template <int width> struct tile_sums {
    static const int pitch = width + STORE_PAD;
    static __device__ __forceinline__ int at(int row, int column)
    {
        return row * pitch + (column ^ ((row * (width / 32) + column / 32) & 1) * 4);
    }
};

static __device__ __forceinline__ void add8(const struct array &array, int64_t index, float value[STORED])
{
    float added[STORED];
    load8(array, index, added);
#pragma unroll
    for (int i = 0; i < STORED; i++) value[i] += added[i];
}

/* Eight neighbours of a row, one access to each array. */
static __device__ __forceinline__ void store_eight_results(const struct product &product, int64_t item, int64_t row,
                                                           int64_t column, float value[STORED])
{
    int64_t place = result_place(product, item, row, column);
#pragma unroll
    for (int i = 0; i < STORED; i++) value[i] *= product.alpha;
    if (product.bias.data) add8(product.bias, column, value);
    if (product.residual.data) add8(product.residual, place, value);
    if (product.accumulate) add8(product.c, place, value);
    store8(product.c, place, value);
}

/* The same of a block's sums, which are results or, of a product in several parts, a part of them. */
static __device__ __forceinline__ void store_eight(const struct product &product, const struct block_part &part,
                                                   float *partial, int64_t row, int64_t column, float value[STORED])
{
    if (product.splits > 1)
        store8(array{partial, ELEMENT_F32}, partial_place(product, part, row, column), value);
    else
        store_eight_results(product, part.item, row, column, value);
}

static __device__ __forceinline__ void store_one(const struct product &product, const struct block_part &part,
                                                 float *partial, int64_t row, int64_t column, float value)
{
    if (product.splits > 1)
        partial[partial_place(product, part, row, column)] = value;
    else
        store_result(product, part.item, row, column, value);
}

/* Writes `rows` by `width` sums that lie in shared memory as tile_sums says, where the result has such places. `wide`,
 * from launch_product: eight neighbours of a row can be written at once. */
template <int rows, int width, int threads>
static __device__ __forceinline__ void store_tile(const struct product &product, const struct block_part &part,
                                                  float *partial, int64_t first_row, int64_t first_column,
                                                  shared_array<float> sums, bool wide)
{
    typedef tile_sums<width> place;
    const int columns = width / STORED;
    if (!wide) {
#pragma unroll 1
        for (int i = threadIdx.x; i < rows * width; i += threads) {
            int row = i / width, column = i % width;
            if (first_row + row < product.m && first_column + column < product.n)
                store_one(product, part, partial, first_row + row, first_column + column, sums[place::at(row, column)]);
        }
        return;
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < rows * columns; i += threads) {
        int row = i / columns, column = i % columns * STORED;
        if (first_row + row >= product.m || first_column + column >= product.n) continue;
        float value[STORED];
#pragma unroll
        for (int half = 0; half < 2; half++)
            load_neighbours<4>(value + 4 * half, sums, place::at(row, column + 4 * half));
        store_eight(product, part, partial, first_row + row, first_column + column, value);
    }
}

#endif
