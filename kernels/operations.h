/* The one table of operations that every backend implements.
 *
 * A model, a reward and their vector-Jacobian products are lists of these operations over tensors of fixed shape.
 * Three backends implement the table: cpu (oneDNN and own loops, fp32), cuda (bf16, fp16 or fp32) and reference
 * (plain loops in double precision, the oracle of the tests).
 *
 * Conventions
 *  - Tensors are dense and row-major. Feature maps are [batch, height, width, channels] (NHWC), so a map is a token
 *    sequence [batch, height*width, channels] without a copy. "rows" below means the product of all dimensions but
 *    the last.
 *  - Convolution weights are [out, in, kernel height, kernel width], linear weights [out, in]: the order of the files.
 *  - Every operation reads and writes tensors of the backend's compute type, except those marked exact below, which
 *    are fp32 (double in the reference backend), and indices, which are int32. Element-wise operations (UNARY, BINARY,
 *    REDUCE, BROADCAST, CONCATENATE, SLICE, PLACE) convert freely between the two floating types.
 *  - Accumulation, statistics and softmax are in fp32 at least.
 *  - A `_VJP` operation computes a vector-Jacobian product: the gradient of <cotangent, output> by one input. */
#ifndef ALIGNPROP_KERNELS_OPERATIONS_H
#define ALIGNPROP_KERNELS_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum element_type { ELEMENT_F32, ELEMENT_F16, ELEMENT_BF16, ELEMENT_F64, ELEMENT_I32 };

/* Bytes of one element. */
size_t element_size(enum element_type type);

enum { MAXIMUM_RANK = 4, MAXIMUM_INPUTS = 7, MAXIMUM_OUTPUTS = 3 };

struct shape {
    int rank; /* 1..MAXIMUM_RANK */
    int64_t dimension[MAXIMUM_RANK];
};

/* Number of elements; shapes in a graph never overflow int64 (graph_* functions check). */
int64_t shape_elements(const struct shape *shape);

enum operation_kind {
    /* y[rows, N] = x[rows, K] W[N, K]^T (+ b[N]); with a residual r of y's shape
     * y = alpha x W^T (+ b) + r, where the attribute alpha is not 0; without one alpha means nothing.
     * inputs: x, W, [b], [r]; outputs: y */
    OPERATION_LINEAR,
    /* dx[rows, K] = dy[rows, N] W[N, K]; with a residual alpha dy W + r.  inputs: dy, W, [r]; outputs: dx */
    OPERATION_LINEAR_VJP_INPUT,
    /* dW[N, K] (exact) = dy^T x, added to what dW holds when `accumulate`.  inputs: dy, x; outputs: dW */
    OPERATION_LINEAR_VJP_WEIGHT,
    /* 2-D convolution, zero padding.  inputs: x[B,H,W,I], W[O,I,kh,kw], [b[O]], [r]; outputs: y[B,H',W',O];
     * attributes: stride, padding_top/left/bottom/right; doubled: x is seen as UPSAMPLE would make it, [B,2H,2W,I];
     * residual r and alpha as for LINEAR */
    OPERATION_CONVOLUTION,
    /* inputs: dy, W, [r]; outputs: dx (shape of x); residual r and alpha as for LINEAR */
    OPERATION_CONVOLUTION_VJP_INPUT,
    /* dW[O,I,kh,kw] (exact), `accumulate` as above.  inputs: dy, x; outputs: dW */
    OPERATION_CONVOLUTION_VJP_WEIGHT,
    /* y[B,M,N] = a b, a is [B,M,K] ([B,K,M] when transpose_a), b is [B,K,N] ([B,N,K] when transpose_b).
     * inputs: a, b; outputs: y.  Its products are MATMULs again. attribute alpha scales the result */
    OPERATION_MATMUL,
    /* x[B,...,C] in `groups` groups of channels over all positions, epsilon, gamma[C], beta[C]; SiLU on the result
     * when `fused_silu`.  inputs: x, gamma, beta; outputs: y, mean[B,groups] (exact), rstd[B,groups] (exact) */
    OPERATION_GROUP_NORM,
    /* inputs: dy, x, gamma, beta, mean, rstd, [r]; outputs: dx; residual r and alpha as for LINEAR */
    OPERATION_GROUP_NORM_VJP,
    /* over the last dimension.  inputs: x, gamma, beta; outputs: y, mean[rows] (exact), rstd[rows] (exact) */
    OPERATION_LAYER_NORM,
    /* inputs: dy, x, gamma, mean, rstd, [r]; outputs: dx; residual r and alpha as for LINEAR */
    OPERATION_LAYER_NORM_VJP,
    /* softmax(scale q k^T) v by heads; the T x T matrix is never stored.
     * inputs: q[B,Tq,heads*d], k[B,Tk,heads*d], v[B,Tk,heads*d]; outputs: o[B,Tq,heads*d],
     * lse[B,heads,Tq] (exact; log of the sum of exponentials, natural). attributes: heads, alpha = scale, causal */
    OPERATION_ATTENTION,
    /* inputs: do, q, k, v, o, lse; outputs: dq, dk, dv (an output that nobody needs has a NULL pointer) */
    OPERATION_ATTENTION_VJP,
    /* element-wise, `unary` says which.  inputs: x; outputs: y */
    OPERATION_UNARY,
    /* inputs: dy, x; outputs: dx = dy * f'(x) */
    OPERATION_UNARY_VJP,
    /* x[..., 2C] -> y[..., C] = x[..., :C] * gelu_erf(x[..., C:]).  inputs: x; outputs: y */
    OPERATION_GEGLU,
    /* inputs: dy, x; outputs: dx */
    OPERATION_GEGLU_VJP,
    /* a ? (alpha * b), `binary` says which; b's dimensions equal a's or are 1 (same rank).
     * inputs: a, b; outputs: y (shape of a) */
    OPERATION_BINARY,
    /* y = alpha * sum of x over the dimensions where y's size is 1 (same rank).  inputs: x; outputs: y; `accumulate` */
    OPERATION_REDUCE,
    /* y = alpha * x repeated along dimensions where x's size is 1 (same rank).  inputs: x; outputs: y */
    OPERATION_BROADCAST,
    /* along `axis`.  inputs: a, b; outputs: y */
    OPERATION_CONCATENATE,
    /* y = x[start : start+length] along `axis`.  inputs: x; outputs: y */
    OPERATION_SLICE,
    /* y = zeros with x at [start : start+length] along `axis` (vjp of SLICE).  inputs: x; outputs: y */
    OPERATION_PLACE,
    /* nearest neighbour, both sides times two: x[B,H,W,C] -> y[B,2H,2W,C] */
    OPERATION_UPSAMPLE,
    /* sums of 2x2: dy[B,2H,2W,C] -> dx[B,H,W,C] */
    OPERATION_UPSAMPLE_VJP,
    /* separable resampling x[B,H,W,C] -> y[B,H',W',C], corners not aligned, edges clamped, weights normalised;
     * attributes: filter, antialias */
    OPERATION_RESIZE,
    /* the transpose of RESIZE: dy[B,H',W',C] -> dx[B,H,W,C] */
    OPERATION_RESIZE_VJP,
    /* y[b,t,:] = table[ids[b,t],:].  inputs: ids[B,T] (int32), table[V,C]; outputs: y[B,T,C] */
    OPERATION_EMBEDDING,
    /* y[b,m,:] = x[b,ids[b,m],:].  inputs: x[B,T,C], ids[B,M] (int32); outputs: y[B,M,C] */
    OPERATION_GATHER,
    /* dx[b,ids[b,m],:] += dy[b,m,:], the rest zero.  inputs: dy[B,M,C], ids; outputs: dx[B,T,C] */
    OPERATION_GATHER_VJP,
    /* y = x / (|x| + epsilon) over the last dimension (Euclidean norm).  inputs: x; outputs: y */
    OPERATION_NORMALIZE,
    /* inputs: dy, x; outputs: dx.  At x = 0 the product is 0. */
    OPERATION_NORMALIZE_VJP,
    /* Exchanges dimensions 1 and 2: x[B,M,N,C] -> y[B,N,M,C].  Its own vjp. */
    OPERATION_TRANSPOSE,
    /* Greedy non-maximum suppression: ids[B,M] (int32) of the boxes kept, highest logit first; where fewer are kept
     * than M, the best suppressed ones follow.  inputs: logits[B,P] , boxes[B,P,4] as (centre x, centre y, width,
     * height); attribute alpha: intersection over union above which the lower box goes.  No gradient. */
    OPERATION_SELECT_BOXES,
    OPERATION_KIND_COUNT
};

enum unary_kind {
    UNARY_IDENTITY, /* also converts between element types */
    UNARY_AFFINE,   /* alpha x + beta */
    UNARY_SILU,
    UNARY_GELU_ERF,
    UNARY_GELU_TANH,
    UNARY_QUICK_GELU, /* x sigmoid(1.702 x) */
    UNARY_RELU,
    UNARY_SIGMOID,
    UNARY_LOG_SIGMOID,
    UNARY_TANH,
    UNARY_ELU,
    UNARY_EXP,
    UNARY_LOG,
    UNARY_LOG1P,
    UNARY_SQRT,
    UNARY_SQUARE,
    UNARY_ABS,   /* derivative 0 at 0 */
    UNARY_CLAMP, /* to [alpha, beta]; derivative 1 on the closed interval, 0 outside */
    UNARY_RECIPROCAL,
    UNARY_KIND_COUNT
};

enum binary_kind { BINARY_ADD, BINARY_SUBTRACT, BINARY_MULTIPLY, BINARY_DIVIDE, BINARY_KIND_COUNT };

enum resize_filter {
    RESIZE_NEAREST,
    RESIZE_BILINEAR,
    RESIZE_BICUBIC, /* a = -0.5 when antialiased (as PIL and torch do), -0.75 otherwise (as torch does) */
};

/* Only the fields that an operation's comment names mean anything; the rest are zero. */
struct operation_attributes {
    int stride;
    int padding_top, padding_left, padding_bottom, padding_right;
    bool doubled;
    int groups;
    double epsilon;
    bool fused_silu;
    int heads;
    bool causal;
    bool transpose_a, transpose_b;
    double alpha, beta;
    enum unary_kind unary;
    enum binary_kind binary;
    int axis;
    int64_t start, length;
    enum resize_filter filter;
    bool antialias;
    bool accumulate;
};

struct operand {
    struct shape shape;
    enum element_type type;
    bool present;  /* false: an optional input or an output that nobody needs */
    bool constant; /* a frozen weight: its bytes change only between calls of `pack` */
};

/* What a backend is told once, when a program is prepared. */
struct operation {
    enum operation_kind kind;
    struct operation_attributes attributes;
    int input_count, output_count;
    struct operand input[MAXIMUM_INPUTS];
    struct operand output[MAXIMUM_OUTPUTS];
};

/* Facts of an operation that the graph and the planner need. */
struct operation_facts {
    const char *name;
    int minimum_inputs, maximum_inputs;
    int outputs;
    int in_place_input; /* index of the input whose memory output 0 may share when shape and type agree; -1: none */
    int residual_input; /* index of the optional input that is added to output 0; -1: none */
};

/* The row of the table for `kind`; never NULL for a valid kind. */
const struct operation_facts *operation_facts(enum operation_kind kind);

/* The residual that the operation adds to its result; NULL where it has none. */
const struct operand *operation_residual(const struct operation *operation);

/* Floating-point operations of one call (2 a multiply-add; element-wise work counted as 0). For plan and bench. */
double operation_flops(const struct operation *operation);

/* Bytes that one call has to move at least: every operand that is present, once, in its own type, frozen weights too.
 * Of an input that is read in part (SLICE; the table of EMBEDDING and GATHER) as many elements count as are written. */
double operation_bytes(const struct operation *operation);

#endif
