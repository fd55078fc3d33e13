/* The kernels as the C side sees them: each function queues one operation and returns at once. Failures
 * are seen by cudaGetLastError. Shapes are trusted: operation_check has seen them. */
#ifndef ALIGNPROP_KERNELS_CUDA_LAUNCH_H
#define ALIGNPROP_KERNELS_CUDA_LAUNCH_H

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernels/cuda/queue.h"
#include "kernels/operations.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Device memory and its element type: ELEMENT_F32, ELEMENT_F16 or ELEMENT_BF16. data NULL: absent. */
struct array {
    void *data;
    enum element_type type;
};

/* elementwise.cu */

struct function {
    int kind; /* enum unary_kind or enum binary_kind */
    float alpha, beta;
};
void launch_unary(struct queue queue, struct function function, struct array x, struct array y, int64_t count);
void launch_unary_vjp(struct queue queue, struct function function, struct array dy, struct array x, struct array dx,
                      int64_t count);
/* x[rows, 2 width] -> y[rows, width] */
void launch_geglu(struct queue queue, struct array x, struct array y, int64_t rows, int64_t width);
void launch_geglu_vjp(struct queue queue, struct array dy, struct array x, struct array dx, int64_t rows,
                      int64_t width);

/* Where the elements of a large tensor lie in a small one that is broadcast to it: `stride` is 0 along repeated
 * dimensions. */
struct broadcast_operand {
    int64_t size[MAXIMUM_RANK], stride[MAXIMUM_RANK]; /* of the large tensor; of the small one */
};
void launch_binary(struct queue queue, struct function function, struct array a, struct array b, struct array y,
                   struct broadcast_operand operand, int64_t count);
/* y = alpha x, broadcast */
void launch_broadcast(struct queue queue, float alpha, struct array x, struct array y, struct broadcast_operand operand,
                      int64_t count);

/* layout.cu */

/* `count` blocks of `length` elements: block i goes from from[i from_step + from_first] to to[i to_step + to_first].
 * With `fill` the rest of each step of `to` becomes 0. */
struct block_copy {
    int64_t count, length, from_step, from_first, to_step, to_first;
    bool fill;
};
void launch_copy_blocks(struct queue queue, struct array from, struct array to, struct block_copy copy);
/* Sizes are those of the small map. */
void launch_upsample(struct queue queue, struct array x, struct array y, int64_t batch, int64_t height, int64_t width,
                     int64_t channels);
void launch_upsample_vjp(struct queue queue, struct array dy, struct array dx, int64_t batch, int64_t height,
                         int64_t width, int64_t channels);
/* x[batch, rows, columns, inner] -> y[batch, columns, rows, inner] */
void launch_transpose(struct queue queue, struct array x, struct array y, int64_t batch, int64_t rows, int64_t columns,
                      int64_t inner);
/* y[batch, taken, width] = x[batch, ids[batch, taken], width]; an id outside 0..rows-1 gives NaN. */
void launch_gather(struct queue queue, struct array x, const int32_t *ids, struct array y, int64_t batch, int64_t rows,
                   int64_t taken, int64_t width);
/* The transpose: every element of dx sums its readers in the order of the ids. */
void launch_gather_vjp(struct queue queue, struct array dy, const int32_t *ids, struct array dx, int64_t batch,
                       int64_t rows, int64_t taken, int64_t width);

/* One side of a separable resampling, in device memory: outputs x taps sources and weights. */
struct resample_axis {
    const int32_t *source;
    const float *weight;
    int taps;
    int64_t inputs, outputs;
};
/* x[batch, inputs, inputs', channels] -> y[batch, outputs, outputs', channels] */
void launch_resample(struct queue queue, struct array x, struct array y, int64_t batch, struct resample_axis vertical,
                     struct resample_axis horizontal, int64_t channels);

/* reduce.cu */

/* Where index `outer * size + inner` of the kept or of the summed dimensions of an input lies: at
 * outer * outer_stride + inner * stride. Four dimensions are no more than two of each kind once neighbours of one kind
 * are joined. */
struct joined_dimensions {
    int64_t size, stride, outer_stride;
};
/* Element o of the output sums `terms` elements of the input. Output and summed dimensions are numbered row-major over
 * the kept and over the summed dimensions of the input. */
struct reduction {
    struct joined_dimensions kept, summed;
    int64_t outputs, terms;
    int parts;      /* the terms of an output are summed in so many parts, then the parts in order */
    bool by_column; /* neighbours in memory are other outputs' terms: a thread an output, not a block */
    bool wide;      /* the shape allows eight neighbours to be read at once */
    float alpha;
    bool accumulate;
};
/* Fills sizes, strides and the division into parts. */
struct reduction plan_reduction(const struct shape *x, const struct shape *y, float alpha, bool accumulate);
/* partial: outputs * parts floats. */
void launch_reduce(struct queue queue, struct reduction reduction, struct array x, struct array y, float *partial);

/* group_norm.cu, row_norm.cu */

struct group_norm {
    int64_t batch, positions, channels;
    int groups;
    float epsilon;
    bool fused_silu;
    int parts; /* positions are summed in so many parts */
};
struct group_norm plan_group_norm(const struct shape *x, int groups, float epsilon, bool fused_silu);
/* Bytes of `scratch` for the two functions below. */
size_t group_norm_scratch(const struct group_norm *norm);
/* mean and rstd [batch, groups] may be NULL. */
void launch_group_norm(struct queue queue, struct group_norm norm, struct array x, struct array gamma,
                       struct array beta, struct array y, float *mean, float *rstd, void *scratch);
/* dx = factor times the gradient + residual, where there is one; it may be dx. */
void launch_group_norm_vjp(struct queue queue, struct group_norm norm, struct array dy, struct array x,
                           struct array gamma, struct array beta, const float *mean, const float *rstd,
                           struct array residual, float factor, struct array dx, void *scratch);
void launch_layer_norm(struct queue queue, struct array x, struct array gamma, struct array beta, struct array y,
                       float *mean, float *rstd, int64_t rows, int64_t width, float epsilon);
void launch_layer_norm_vjp(struct queue queue, struct array dy, struct array x, struct array gamma, const float *mean,
                           const float *rstd, struct array residual, float factor, struct array dx, int64_t rows,
                           int64_t width);
void launch_normalize(struct queue queue, struct array x, struct array y, int64_t rows, int64_t width, float epsilon);
void launch_normalize_vjp(struct queue queue, struct array dy, struct array x, struct array dx, int64_t rows,
                          int64_t width, float epsilon);

/* product.cu, product_plain.cu: c[m, n] = alpha a[m, k] b[n, k]^T (+ bias[n]) (+ residual[m, n]) (+ c) */

/* Where element (row, depth) of an operand is; rows are m or n, depth is k. */
enum operand_layout {
    OPERAND_ROWS,    /* row * leading + depth */
    OPERAND_COLUMNS, /* depth * leading + row */
    OPERAND_WINDOWS, /* a feature map seen through a convolution's window, never written out */
    OPERAND_TAPS     /* a convolution's packed weight read by its input channels (rows), where the other operand has the
                        window: depth (phase * taps + tap) * padded + channel is at (channel * taps + tap) * leading +
                        row */
};

/* A convolution's window on a feature map [images, height, width, channels]. Pixels number the map on the other side
 * [images, pixel_rows, pixel_columns]; inside a window an element is numbered tap * padded + channel. Tap (r, s) of
 * pixel (i, j) reads row t / divide with t = i * multiply + row_offset + sign * r, if divide divides t and the row is
 * inside; columns likewise.
 * Of a doubled map (nearest-neighbour upsampling that is never written out) row t is t / 2 of the map that there is.
 * The transpose of that sums the four pixels that are one: with four phases, element (phase * taps + tap) * padded +
 * channel is what pixel (2 i + phase / 2, 2 j + phase % 2) of the doubled map reads; multiply is then 2.
 * A 3x3 window on a doubled map sees 2x2 pixels of the map there is, others for each of the four phases of its own
 * pixel: four windows with weights summed beforehand, 16 products where there were 36. By items, item i of the batch is
 * such a window, i / 2 rows and i % 2 columns further. */
struct window {
    int height, width, channels, padded, pixel_rows, pixel_columns;
    int packed_channels; /* OPERAND_TAPS: channels that the packed weight has, of `padded` */
    int kernel_rows, kernel_columns, multiply, row_offset, column_offset, sign, divide;
    int doubled;        /* 1: the map is seen doubled */
    int phases;         /* 1 or 4 */
    int phase_sign;     /* of the phase in the row and column that an element reads */
    int64_t phase_step; /* elements of the packed weight from one phase to the next; 0: all have the same */
    int by_items;       /* 1: the item of the batch is added to the window's corner */
    int shift;          /* set by plan_product: divide and doubled as bits, where divide is a power of two */
};

struct operand_view {
    struct array array;
    int layout;            /* enum operand_layout; of b, WINDOWS has pixels along the depth */
    int64_t leading, step; /* step: from one batch item to the next */
};

/* The plain kernel takes everything; the others take 16-bit operands of which eight neighbours can be copied at once,
 * on the matrix instructions of a warp (tiles of 64 or 128) or of a warpgroup (compute capability 9.0a). */
enum product_kernel { PRODUCT_PLAIN, PRODUCT_SMALL, PRODUCT_LARGE, PRODUCT_WARPGROUP };
enum { PRODUCT_SMALL_TILE = 64, PRODUCT_LARGE_TILE = 128, PRODUCT_WARPGROUP_ROWS = 128 };

/* A result that is the pixels of square patches that lie side by side on a map without a gap: row is the patch, column
 * (line * size + pixel of the line) * padded + channel; what is past the channels goes nowhere. */
struct patches {
    int size,
        columns; /* size: pixels along a side, 0: the result is a matrix; columns: patches along a line of the map */
    int channels, padded;
};

struct product {
    int64_t m, n, k, batch;
    struct operand_view a, b;
    struct window window;           /* of the operand that has one */
    struct array c, bias, residual; /* c[batch, m, n] = alpha a b^T (+ bias) (+ residual, which is as c and may be c) */
    int64_t c_step;                 /* elements from one row of a matrix c to the next; 0 becomes n in plan_product */
    float alpha;
    bool accumulate;
    int doubled; /* above 0: pixels in a line of the map that the rows are; item i of the batch goes to the pixels
                    (2 y + i / 2, 2 x + i % 2) of a map of twice the size */
    int taps;    /* above 1: column tap * (n / taps) + i of row r goes to place (r * (n / taps) + i) * taps + tap */
    struct patches patches;
    int kernel;            /* enum product_kernel */
    int width;             /* columns of a block's tile, PRODUCT_WARPGROUP: 128 or 160 */
    bool warp_specialized; /* PRODUCT_WARPGROUP: one warpgroup more copies what the others multiply */
    int splits;            /* k is summed in so many parts, then the parts in order */
};
/* What the choice of a kernel depends on. */
struct product_device {
    int multiprocessors;
    bool warpgroups;       /* compute capability 9.0, and the build holds code for 9.0a */
    bool warp_specialized; /* product.warp_specialized, where warpgroups multiply */
};
/* Chooses kernel and splits; the arrays' types must be set, their data need not. (product_plan.c) */
void plan_product(struct product *product, const struct product_device *device);
/* Bytes of the partial sums of a planned product in several parts; 0 for one part. */
size_t product_scratch(const struct product *product);
/* Whether an operand's neighbours in memory are its rows (not its depths). */
bool product_reads_columns(const struct operand_view *view, bool is_b);
void launch_product(struct queue queue, const struct product *product, void *scratch);
/* For product.cu alone: the last pass of a product in several parts; and two kinds of kernels. */
void launch_product_plain(struct queue queue, const struct product *product, float *partial);
/* `wide`: eight neighbours of the result can be written at once. */
void launch_product_finish(struct queue queue, const struct product *product, float *partial, bool wide);
void launch_product_warpgroup(struct queue queue, const struct product *product, float *partial, bool wide);

/* weight[out, in, taps] -> packed[out, taps, padded], zeros past the end. */
void launch_pack_convolution(struct queue queue, struct array weight, struct array packed, int64_t out, int64_t in,
                             int64_t taps, int64_t padded);
/* weight[out, in, 3, 3] of a convolution on a doubled map -> packed[4 phases, out, 2, 2, padded]. */
void launch_pack_phases(struct queue queue, struct array weight, struct array packed, int64_t out, int64_t in,
                        int64_t padded);

/* attention.cu, attention_vjp.cu (matrix instructions), attention_plain.cu (every type and width) */

enum { MAXIMUM_HEAD_WIDTH = 512 };

struct attention {
    int64_t batch, queries, keys;
    int heads, width; /* width of a head */
    float scale;      /* positive */
    bool causal;
    /* Elements from one row to the next: of q; of k and v; of o and its cotangent; of the gradients. */
    int query_step, key_step, result_step, query_gradient_step, key_gradient_step;
    int columns; /* matrix instructions: columns that the kernel has room for, of heads above 160 at a time; 0: plain */
};
/* Arrays of one call; data NULL: an output that nobody needs. */
struct attention_arrays {
    struct array cotangent, q, k, v, o, dq, dk, dv;
    float *lse, *delta; /* delta: scratch of the vjp, [batch, heads, queries] */
};
/* Chooses the kernel for operands of `type`; sizes, steps, scale and causal must be set. */
void plan_attention(struct attention *attention, enum element_type type);
void launch_attention(struct queue queue, const struct attention *attention, struct attention_arrays arrays);
void launch_attention_vjp(struct queue queue, const struct attention *attention, struct attention_arrays arrays);
/* For the files above: one kernel each. */
void launch_attention_plain(struct queue queue, const struct attention *attention, struct attention_arrays arrays);
void launch_attention_vjp_plain(struct queue queue, const struct attention *attention, struct attention_arrays arrays);
/* delta = sum of cotangent o over each head's columns */
void launch_attention_delta(struct queue queue, const struct attention *attention, struct attention_arrays arrays);

/* boxes.cu */

enum { MAXIMUM_BOXES = 8192 };
void launch_select_boxes(struct queue queue, struct array logits, struct array boxes, int32_t *ids, int64_t batch,
                         int count, int wanted, float limit);

#ifdef __cplusplus
}
#endif

#endif
