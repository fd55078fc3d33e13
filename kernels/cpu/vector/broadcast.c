/* Element-wise work between tensors of one shape and tensors that repeat along some of its dimensions. */
#include <math.h>

#include "kernels/cpu/vector/kinds.h"

/* The large tensor's dimensions, neighbours of the same fate merged: [size[0], ..., size[count-1]]. `step` is how far
 * the small tensor moves when that index moves: 0 where it repeats. */
struct pattern {
    int count;
    int64_t size[MAXIMUM_RANK], step[MAXIMUM_RANK];
};

static struct pattern pattern_of(const struct shape *large, const struct shape *small)
{
    struct pattern pattern = {0};
    bool moves = false;
    for (int i = 0; i < large->rank; i++) {
        if (large->dimension[i] == 1) continue;
        bool moves_here = small->dimension[i] != 1;
        if (pattern.count > 0 && moves_here == moves)
            pattern.size[pattern.count - 1] *= large->dimension[i];
        else
            pattern.size[pattern.count++] = large->dimension[i];
        pattern.step[pattern.count - 1] = moves_here;
        moves = moves_here;
    }
    if (pattern.count == 0) pattern = (struct pattern){1, {1}, {1}};
    int64_t stride = 1;
    for (int i = pattern.count - 1; i >= 0; i--) {
        if (!pattern.step[i]) continue;
        pattern.step[i] = stride;
        stride *= pattern.size[i];
    }
    return pattern;
}

/* Where the row `row` (all dimensions but the last, flat) begins in the small tensor. */
static int64_t small_offset(const struct pattern *pattern, int64_t row)
{
    int64_t offset = 0;
    for (int i = pattern->count - 2; i >= 0; i--) {
        offset += row % pattern->size[i] * pattern->step[i];
        row /= pattern->size[i];
    }
    return offset;
}

struct row {
    const float *a, *b;
    float *y;
    int64_t count;
    float alpha;
};

/* y = a ? (alpha b) along a row where b moves, and where one value of b stays. */
#define BINARY_LOOPS(name, moving, staying)                                                                            \
    static void name##_moving(const struct row *row)                                                                   \
    {                                                                                                                  \
        const float *a = row->a, *b = row->b;                                                                          \
        float *y = row->y;                                                                                             \
        const float alpha = row->alpha;                                                                                \
        (void)alpha;                                                                                                   \
        _Pragma("omp simd") for (int64_t i = 0; i < row->count; i++) y[i] = moving;                                    \
    }                                                                                                                  \
    static void name##_staying(const struct row *row)                                                                  \
    {                                                                                                                  \
        const float *a = row->a, value = row->alpha * row->b[0];                                                       \
        float *y = row->y;                                                                                             \
        _Pragma("omp simd") for (int64_t i = 0; i < row->count; i++) y[i] = staying;                                   \
    }

BINARY_LOOPS(add, a[i] + alpha * b[i], a[i] + value)
BINARY_LOOPS(subtract, a[i] - alpha * b[i], a[i] - value)
BINARY_LOOPS(multiply, a[i] * (alpha * b[i]), a[i] * value)
BINARY_LOOPS(divide, a[i] / (alpha * b[i]), a[i] / value)

static const struct {
    void (*moving)(const struct row *row);
    void (*staying)(const struct row *row);
} binary_table[BINARY_KIND_COUNT] = {
    [BINARY_ADD] = {add_moving, add_staying},
    [BINARY_SUBTRACT] = {subtract_moving, subtract_staying},
    [BINARY_MULTIPLY] = {multiply_moving, multiply_staying},
    [BINARY_DIVIDE] = {divide_moving, divide_staying},
};

struct work {
    const struct call *call;
    struct pattern pattern;
    int64_t width; /* of a row: the pattern's last dimension */
};

/* Items are elements; a part may begin and end inside a row. */
static void binary_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct work *work = context;
    const struct operation_attributes *attributes = attributes_of(work->call);
    bool moves = work->pattern.step[work->pattern.count - 1] != 0;
    (void)thread;
    for (int64_t at = begin; at < end;) {
        int64_t row = at / work->width, column = at % work->width, count = work->width - column;
        if (count > end - at) count = end - at;
        struct row part = {
            .a = (const float *)work->call->inputs[0] + at,
            .b = (const float *)work->call->inputs[1] + small_offset(&work->pattern, row) + (moves ? column : 0),
            .y = (float *)work->call->outputs[0] + at,
            .count = count,
            .alpha = (float)attributes->alpha,
        };
        if (moves)
            binary_table[attributes->binary].moving(&part);
        else
            binary_table[attributes->binary].staying(&part);
        at += count;
    }
}

static status run_binary(const struct call *call)
{
    struct work work = {call, pattern_of(input_shape(call, 0), input_shape(call, 1)), 0};
    work.width = work.pattern.size[work.pattern.count - 1];
    parallel_for(call->kernel->parallel, shape_elements(input_shape(call, 0)), PARALLEL_GRAIN, binary_part, &work);
    return status_ok();
}

static void broadcast_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct work *work = context;
    const float alpha = (float)attributes_of(work->call)->alpha;
    bool moves = work->pattern.step[work->pattern.count - 1] != 0;
    (void)thread;
    for (int64_t at = begin; at < end;) {
        int64_t row = at / work->width, column = at % work->width, count = work->width - column;
        if (count > end - at) count = end - at;
        const float *x = (const float *)work->call->inputs[0] + small_offset(&work->pattern, row);
        float *y = (float *)work->call->outputs[0] + at;
        const float *from = x + (moves ? column : 0), value = alpha * x[0];
        if (moves) {
#pragma omp simd
            for (int64_t i = 0; i < count; i++) y[i] = alpha * from[i];
        } else {
            for (int64_t i = 0; i < count; i++) y[i] = value;
        }
        at += count;
    }
}

static status run_broadcast(const struct call *call)
{
    struct work work = {call, pattern_of(output_shape(call, 0), input_shape(call, 0)), 0};
    work.width = work.pattern.size[work.pattern.count - 1];
    parallel_for(call->kernel->parallel, shape_elements(output_shape(call, 0)), PARALLEL_GRAIN, broadcast_part, &work);
    return status_ok();
}

enum { SUM_BLOCK = 1024, COLUMN_BLOCK = 64 };

/* Short sums in fp32, their sum in double: the error does not grow with the length. */
static double sum_of(const float *x, int64_t count)
{
    double total = 0;
    for (int64_t begin = 0; begin < count; begin += SUM_BLOCK) {
        int64_t end = begin + SUM_BLOCK < count ? begin + SUM_BLOCK : count;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = begin; i < end; i++) sum += x[i];
        total += (double)sum;
    }
    return total;
}

/* The dimensions of a reduction that stay (of the output) and those that are summed over, outermost first. */
struct reduction {
    const struct call *call;
    int kept, summed;
    int64_t kept_size[MAXIMUM_RANK], kept_stride[MAXIMUM_RANK];
    int64_t summed_size[MAXIMUM_RANK], summed_stride[MAXIMUM_RANK];
    int64_t width;     /* of the innermost dimension of x */
    bool sums_columns; /* it is summed over */
    int64_t column_blocks;
    int64_t summed_rows;
};

static struct reduction reduction_of(const struct call *call)
{
    struct pattern pattern = pattern_of(input_shape(call, 0), output_shape(call, 0));
    struct reduction r = {.call = call, .width = pattern.size[pattern.count - 1], .summed_rows = 1};
    int64_t stride[MAXIMUM_RANK], running = 1;
    for (int i = pattern.count - 1; i >= 0; i--) {
        stride[i] = running;
        running *= pattern.size[i];
    }
    for (int i = 0; i + 1 < pattern.count; i++) {
        if (pattern.step[i]) {
            r.kept_size[r.kept] = pattern.size[i];
            r.kept_stride[r.kept++] = stride[i];
        } else {
            r.summed_size[r.summed] = pattern.size[i];
            r.summed_stride[r.summed++] = stride[i];
            r.summed_rows *= pattern.size[i];
        }
    }
    r.sums_columns = pattern.step[pattern.count - 1] == 0;
    r.column_blocks = r.sums_columns ? 1 : (r.width + COLUMN_BLOCK - 1) / COLUMN_BLOCK;
    return r;
}

static int64_t offset_of(int count, const int64_t *size, const int64_t *stride, int64_t flat)
{
    int64_t offset = 0;
    for (int i = count - 1; i >= 0; i--) {
        offset += flat % size[i] * stride[i];
        flat /= size[i];
    }
    return offset;
}

static void store_sum(const struct reduction *r, int64_t at, double sum)
{
    const struct operation_attributes *attributes = attributes_of(r->call);
    float *y = (float *)r->call->outputs[0] + at;
    double scaled = attributes->alpha * sum;
    *y = (float)(attributes->accumulate ? (double)*y + scaled : scaled);
}

static void sum_columns(const struct reduction *r, int64_t kept, const float *x)
{
    double total = 0;
    for (int64_t row = 0; row < r->summed_rows; row++)
        total += sum_of(x + offset_of(r->summed, r->summed_size, r->summed_stride, row), r->width);
    store_sum(r, kept, total);
}

/* Sums rows of COLUMN_BLOCK columns: blocks of rows in fp32, the blocks in double. */
static void sum_rows(const struct reduction *r, int64_t kept, int64_t block, const float *x)
{
    enum { ROW_BLOCK = 64 };
    int64_t first = block * COLUMN_BLOCK, count = r->width - first < COLUMN_BLOCK ? r->width - first : COLUMN_BLOCK;
    double total[COLUMN_BLOCK] = {0};
    for (int64_t begin = 0; begin < r->summed_rows; begin += ROW_BLOCK) {
        float sum[COLUMN_BLOCK] = {0};
        int64_t end = begin + ROW_BLOCK < r->summed_rows ? begin + ROW_BLOCK : r->summed_rows;
        for (int64_t row = begin; row < end; row++) {
            const float *from = x + first + offset_of(r->summed, r->summed_size, r->summed_stride, row);
#pragma omp simd
            for (int64_t i = 0; i < count; i++) sum[i] += from[i];
        }
        for (int64_t i = 0; i < count; i++) total[i] += (double)sum[i];
    }
    for (int64_t i = 0; i < count; i++) store_sum(r, kept * r->width + first + i, total[i]);
}

static void reduce_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct reduction *r = context;
    (void)thread;
    for (int64_t item = begin; item < end; item++) {
        int64_t kept = item / r->column_blocks;
        const float *x = (const float *)r->call->inputs[0] + offset_of(r->kept, r->kept_size, r->kept_stride, kept);
        if (r->sums_columns)
            sum_columns(r, kept, x);
        else
            sum_rows(r, kept, item % r->column_blocks, x);
    }
}

static status run_reduce(const struct call *call)
{
    struct reduction r = reduction_of(call);
    int64_t items = r.column_blocks; /* no dimension is 0 */
    for (int i = 0; i < r.kept; i++) items *= r.kept_size[i];
    int64_t each = shape_elements(input_shape(call, 0)) / (items > 0 ? items : 1);
    parallel_for(call->kernel->parallel, items, PARALLEL_GRAIN / (each + 1) + 1, reduce_part, &r);
    return status_ok();
}

const struct cpu_kind NAME(cpu_binary) = {.run = run_binary};
const struct cpu_kind NAME(cpu_broadcast) = {.run = run_broadcast};
const struct cpu_kind NAME(cpu_reduce) = {.run = run_reduce};
