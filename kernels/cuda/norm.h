/* What the normalisations share. Their statistics are fp32 sums in a fixed order: the same bits every time. */
#ifndef ALIGNPROP_KERNELS_CUDA_NORM_H
#define ALIGNPROP_KERNELS_CUDA_NORM_H

#include "kernels/cuda/array.h"

enum { WIDTH = 8 }; /* elements that a thread reads at a time */

/* What a backward pass adds to its gradient times a factor; data NULL: nothing. */
struct addition {
    struct array residual;
    float factor;
};

/* For up to 8 elements from `index` on. */
static __device__ __forceinline__ void add(const struct addition &addition, int64_t index, int count, bool wide,
                                           float value[WIDTH])
{
    float residual[WIDTH];
    if (!addition.residual.data) return;
    load_some(addition.residual, index, count, wide, residual);
    for (int i = 0; i < WIDTH; i++) value[i] = addition.factor * value[i] + residual[i];
}

static bool fits(const struct array &array)
{
    return !array.data || is_aligned(array);
}

#endif
