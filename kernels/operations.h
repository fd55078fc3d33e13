/* The one table of operations that every backend implements.
 *
 * A model, a reward and their vector-Jacobian products are lists of these operations over tensors of fixed shape.
 * Three backends implement the table: cpu (oneDNN and own loops, fp32), cuda (bf16, fp16 or fp32) and reference
 * (plain loops in double precision, the oracle of the tests).
 *
 * Conventions
 *  - Tensors are dense and row-major; those that operation_takes_columns names may be columns of a wider tensor, whose
 * rows then lie further apart than they are long. Feature maps are [batch, height, width, channels] (NHWC), so a map is
 * a token sequence [batch, height*width, channels] without a copy. "rows" below means the product of all dimensions but
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

/* What each computes stands beside its row in operations.def. */
enum operation_kind {
#define OPERATION(kind, ...) OPERATION_##kind,
#include "kernels/operations.def"
#undef OPERATION
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
    bool present;     /* false: an optional input or an output that nobody needs */
    bool constant;    /* a frozen weight: its bytes change only between calls of `pack` */
    int64_t row_step; /* elements from one row to the next, where rows do not adjoin; 0: they do */
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

/* Whether an input (or output) may have rows that do not adjoin: columns of a wider tensor. */
bool operation_takes_columns(enum operation_kind kind, bool output, int index);

/* Elements of an operand from one row to the next. */
int64_t operand_row_step(const struct operand *operand);

/* Floating-point operations of one call (2 a multiply-add; element-wise work counted as 0). For plan and bench. */
double operation_flops(const struct operation *operation);

/* Bytes that one call has to move at least: every operand that is present, once, in its own type, frozen weights too.
 * Of an input that is read in part (SLICE; the table of EMBEDDING and GATHER) as many elements count as are written. */
double operation_bytes(const struct operation *operation);

#endif
