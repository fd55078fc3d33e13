/* Products with a thin operand: the factors of low-rank adapters. */
#include "kernels/cpu/vector/skinny.h"

#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/matrix.h"

/* Few: at most this many, done by fours. */
enum { FEW = 8, GROUP = 4 };

typedef float quad __attribute__((vector_size(4 * sizeof(float))));

/* The sum of a vector's quarters, eighths, ...: four partial sums. */
static inline quad fold(vector v)
{
    quad part[LANES / 4];
    memcpy(part, &v, sizeof v);
    for (int width = LANES / 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++) part[i] += part[i + width];
    return part[0];
}

/* The total of each of four vectors of partial sums. */
static inline quad totals(const quad sum[GROUP])
{
    quad ab_low = __builtin_shufflevector(sum[0], sum[1], 0, 4, 1, 5);
    quad ab_high = __builtin_shufflevector(sum[0], sum[1], 2, 6, 3, 7);
    quad cd_low = __builtin_shufflevector(sum[2], sum[3], 0, 4, 1, 5);
    quad cd_high = __builtin_shufflevector(sum[2], sum[3], 2, 6, 3, 7);
    quad ab = ab_low + ab_high, cd = cd_low + cd_high; /* a0+a2, b0+b2, a1+a3, b1+b3; and of c, d */
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* y[rows, n] = x[rows, k] w[n, k]^T + bias for few n; w stands in scratch as whole groups of rows of whole vectors,
 * filled up with zeros. */
struct narrow {
    int64_t k, n, padded_k, groups;
    const float *x, *w, *bias;
    float *y;
};

static void store_totals(const struct narrow *p, int64_t row, int64_t group, quad value)
{
    float values[GROUP];
    int64_t first = group * GROUP, count = p->n - first < GROUP ? p->n - first : GROUP;
    memcpy(values, &value, sizeof values);
    for (int64_t i = 0; i < count; i++)
        p->y[row * p->n + first + i] = values[i] + (p->bias ? p->bias[first + i] : 0.0f);
}

/* `rows` (a constant at every call) rows of one group of columns. */
static inline __attribute__((always_inline)) void narrow_rows(const struct narrow *p, int rows, int64_t row,
                                                              int64_t group)
{
    vector sum[4][GROUP] = {{{0}}};
    const float *x = p->x + row * p->k, *w = p->w + group * GROUP * p->padded_k;
    int64_t whole = p->k / LANES * LANES;
    for (int64_t k = 0; k < p->padded_k; k += LANES) {
        vector left[4], right[GROUP];
#pragma GCC unroll 4
        for (int j = 0; j < GROUP; j++) right[j] = vector_load(w + j * p->padded_k + k);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            if (k < whole) {
                left[i] = vector_load(x + i * p->k + k);
            } else {
                left[i] = (vector){0};
                memcpy(&left[i], x + i * p->k + k, (size_t)(p->k - whole) * sizeof(float));
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < GROUP; j++) sum[i][j] = multiply_add(left[i], right[j], sum[i][j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        quad folded[GROUP];
#pragma GCC unroll 4
        for (int j = 0; j < GROUP; j++) folded[j] = fold(sum[i][j]);
        store_totals(p, row + i, group, totals(folded));
    }
}

static void narrow_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct narrow *p = context;
    (void)thread;
    for (int64_t group = 0; group < p->groups; group++) {
        int64_t row = begin;
        for (; row + 4 <= end; row += 4) narrow_rows(p, 4, row, group);
        for (; row < end; row++) narrow_rows(p, 1, row, group);
    }
}

static int64_t groups_of(int64_t n)
{
    return (n + GROUP - 1) / GROUP;
}

/* LINEAR with few outputs: W is [n, k]; LINEAR_VJP_INPUT with few inputs: W is [k, n]. */
static status prepare_narrow(struct kernel *kernel, struct kernel_requirements *requirements)
{
    int64_t k = last_dimension(&kernel->operation.input[0].shape),
            n = last_dimension(&kernel->operation.output[0].shape);
    requirements->scratch_bytes = (size_t)(groups_of(n) * GROUP * whole_vectors(k)) * sizeof(float);
    return status_ok();
}

static status run_narrow(const struct call *call)
{
    int64_t k = last_dimension(input_shape(call, 0)), n = last_dimension(output_shape(call, 0));
    bool transposed = call->kernel->operation.kind == OPERATION_LINEAR_VJP_INPUT;
    struct narrow p = {
        .k = k,
        .n = n,
        .padded_k = whole_vectors(k),
        .groups = groups_of(n),
        .x = call->inputs[0],
        .w = call->scratch,
        .bias = transposed ? NULL : call->inputs[2],
        .y = call->outputs[0],
    };
    const float *weight = call->inputs[1];
    float *packed = call->scratch;
    for (int64_t j = 0; j < p.groups * GROUP; j++)
        for (int64_t i = 0; i < p.padded_k; i++) {
            bool inside = j < n && i < k;
            packed[j * p.padded_k + i] = !inside ? 0.0f : transposed ? weight[i * n + j] : weight[j * k + i];
        }
    parallel_for(call->kernel->parallel, row_count(input_shape(call, 0)), row_grain(k), narrow_part, &p);
    return status_ok();
}

/* dW[n, k] = dy[rows, n]^T x[rows, k] with few n or few k: computed as [few, many], the many in vectors, by parts of
 * the many; written transposed where k are the few. */
struct outer {
    int64_t rows, few, many;
    const float *left, *right; /* [rows, few], [rows, many] */
    bool transposed, accumulate;
    float *sums, *dw; /* sums: [few, many in whole vectors] */
};

enum { COLUMN_BLOCK = PANEL };

static void store_outer(const struct outer *p, int64_t begin, int64_t end)
{
    int64_t padded = whole_vectors(p->many);
    for (int64_t i = 0; i < p->few; i++)
        for (int64_t j = begin; j < end; j++) {
            float *to = p->transposed ? p->dw + j * p->few + i : p->dw + i * p->many + j;
            *to = p->accumulate ? *to + p->sums[i * padded + j] : p->sums[i * padded + j];
        }
}

/* The columns past the last whole vector, one at a time. */
static void sum_rest(const struct outer *p, int64_t begin, int64_t end)
{
    int64_t padded = whole_vectors(p->many);
    for (int64_t i = 0; i < p->few; i++)
        for (int64_t j = begin; j < end; j++) p->sums[i * padded + j] = 0.0f;
    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t i = 0; i < p->few; i++)
            for (int64_t j = begin; j < end; j++)
                p->sums[i * padded + j] += p->left[row * p->few + i] * p->right[row * p->many + j];
}

static void outer_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct outer *p = context;
    int64_t whole = p->many / LANES * LANES, padded = whole_vectors(p->many);
    (void)thread;
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * COLUMN_BLOCK, last = first + COLUMN_BLOCK < p->many ? first + COLUMN_BLOCK : p->many;
        int64_t vectors_end = last < whole ? last : whole;
        if (vectors_end > first)
            matrix_multiply(&(struct matrix_product){p->few, vectors_end - first, p->rows, p->left, 1, p->few,
                                                     p->right + first, p->many, p->sums + first, padded, false});
        if (last > vectors_end) sum_rest(p, vectors_end > first ? vectors_end : first, last);
        store_outer(p, first, last);
    }
}

static bool few_outputs(const struct operation *o)
{
    return last_dimension(&o->input[0].shape) <= last_dimension(&o->input[1].shape);
}

static status prepare_outer(struct kernel *kernel, struct kernel_requirements *requirements)
{
    const struct operation *o = &kernel->operation;
    int64_t n = last_dimension(&o->input[0].shape), k = last_dimension(&o->input[1].shape);
    int64_t few = n < k ? n : k, many = n < k ? k : n;
    requirements->scratch_bytes = (size_t)(few * whole_vectors(many)) * sizeof(float);
    return status_ok();
}

static status run_outer(const struct call *call)
{
    const struct operation *o = &call->kernel->operation;
    bool by_outputs = few_outputs(o);
    int few = by_outputs ? 0 : 1, many = 1 - few; /* inputs: dy, x */
    struct outer p = {
        .rows = row_count(input_shape(call, 0)),
        .few = last_dimension(input_shape(call, few)),
        .many = last_dimension(input_shape(call, many)),
        .left = call->inputs[few],
        .right = call->inputs[many],
        .transposed = !by_outputs,
        .accumulate = o->attributes.accumulate,
        .sums = call->scratch,
        .dw = call->outputs[0],
    };
    int64_t blocks = (p.many + COLUMN_BLOCK - 1) / COLUMN_BLOCK;
    parallel_for(call->kernel->parallel, blocks, 4 * PARALLEL_GRAIN / (p.rows * COLUMN_BLOCK) + 1, outer_part, &p);
    return status_ok();
}

static const struct cpu_kind narrow_kind = {.prepare = prepare_narrow, .run = run_narrow};
static const struct cpu_kind outer_kind = {.prepare = prepare_outer, .run = run_outer};

const struct cpu_kind *NAME(skinny_kind)(const struct operation *o)
{
    int64_t k = last_dimension(&o->input[0].shape), n = last_dimension(&o->output[0].shape);
    switch (o->kind) {
    case OPERATION_LINEAR:
    case OPERATION_LINEAR_VJP_INPUT: return n <= FEW && k >= 2 * LANES ? &narrow_kind : NULL;
    case OPERATION_LINEAR_VJP_WEIGHT: return k <= FEW || n <= FEW ? &outer_kind : NULL;
    default: return NULL;
    }
}
