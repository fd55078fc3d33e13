/* Sizes, places and steps that attention and its vector-Jacobian product share.
 *
 * Both work on blocks of KEY_BLOCK keys by PANEL queries, one query a vector lane: maxima and sums over the keys need
 * no step across lanes, and keys and values are read where they are. Of the matrix of scores only one block exists at
 * a time. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_ATTENTION_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_ATTENTION_H

#include "kernels/cpu/vector/matrix.h"
#include "kernels/operations.h"

enum { KEY_BLOCK = 128 };

struct attention_sizes {
    int64_t heads; /* of all batch items */
    int64_t heads_of_item;
    int64_t queries, keys, width, stride;
    int64_t padded_width; /* to whole vectors */
    float scale;
    bool causal;
};

/* q is input `first`, k the next. */
static inline struct attention_sizes attention_sizes_of(const struct operation *operation, int first)
{
    const int64_t *q = operation->input[first].shape.dimension, *k = operation->input[first + 1].shape.dimension;
    int64_t heads = operation->attributes.heads, width = q[2] / heads;
    return (struct attention_sizes){
        .heads = q[0] * heads,
        .heads_of_item = heads,
        .queries = q[1],
        .keys = k[1],
        .width = width,
        .stride = q[2],
        .padded_width = whole_vectors(width),
        .scale = (float)operation->attributes.alpha,
        .causal = operation->attributes.causal,
    };
}

/* Where a head begins in a tensor of `rows` rows an item. */
static inline int64_t attention_offset(const struct attention_sizes *s, int64_t head, int64_t rows)
{
    return head / s->heads_of_item * rows * s->stride + head % s->heads_of_item * s->width;
}

/* Keys that a query sees: all, or those up to its own position. */
static inline int64_t attention_visible(const struct attention_sizes *s, int64_t query)
{
    return s->causal && query + 1 < s->keys ? query + 1 : s->keys;
}

/* block[rows, PANEL] = keys[rows, width] (in place, s->stride apart) times panel[width, PANEL]; `lanes` of the PANEL
 * columns (whole vectors) are needed. */
static inline void attention_scores(const struct attention_sizes *s, const float *keys, int64_t rows, int64_t lanes,
                                    const float *panel, float *block)
{
    matrix_multiply(
        &(struct matrix_product){rows, lanes, s->width, keys, s->stride, 1, panel, PANEL, block, PANEL, false});
}

/* sums[width, PANEL] += values[rows, width]^T block[rows, PANEL]. */
static inline void attention_mix(const struct attention_sizes *s, const float *values, int64_t rows, int64_t lanes,
                                 const float *block, float *sums)
{
    matrix_multiply(
        &(struct matrix_product){s->width, lanes, rows, values, 1, s->stride, block, PANEL, sums, PANEL, true});
}

#endif
