/* How a product is cut into parts of equal work: a smaller product each, and where its operands begin. */
#ifndef ALIGNPROP_KERNELS_CPU_ONEDNN_PARTS_H
#define ALIGNPROP_KERNELS_CPU_ONEDNN_PARTS_H

#include "kernels/operations.h"

enum product_kind {
    PRODUCT_MATMUL,
    PRODUCT_CONVOLUTION,
    PRODUCT_CONVOLUTION_VJP_INPUT,
    PRODUCT_CONVOLUTION_VJP_WEIGHT
};

enum { FIRST, SECOND, BIAS, OUTPUT, OPERANDS }; /* of a product, in the operation's order */

enum { VIEW_RANK = 12 }; /* what oneDNN's arrays of dimensions hold */

/* Sizes and steps of one operand: of matrices [(batch,) rows, columns], of maps [batch, channels, height, width], of
 * convolution weights [out, in, height, width]. */
struct view {
    int rank;
    int64_t size[VIEW_RANK], step[VIEW_RANK];
};

struct product {
    enum product_kind kind;
    struct view view[OPERANDS];
    bool has_bias;
    bool free_second; /* the second operand is a constant weight: its layout may be chosen */
    bool accumulate;
    float alpha;
    int64_t stride[VIEW_RANK], padding_before[VIEW_RANK], padding_after[VIEW_RANK]; /* height, width */
    /* A part: where its operands begin in the whole's, in elements; and how often it is repeated, moving by
     * `repeat_step` each time. */
    int64_t offset[OPERANDS];
    int64_t repeats, repeat_step[OPERANDS];
};

/* An operation of the linear or convolution family, or a MATMUL, as one part. */
struct product product_of(const struct operation *operation);

/* Into how many parts (1..threads) it is worth being cut. */
int product_parts(const struct product *whole, int threads);

/* Part `part` of `parts`. */
struct product product_part(const struct product *whole, int part, int parts);

#endif
