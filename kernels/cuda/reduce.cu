/* Sums over dimensions, in a fixed order: the same bits every time. */
#include "kernels/cuda/array.h"
#include "kernels/cuda/divisor.h"

enum {
    THREADS = 256,
    WIDTH = 8,
    AHEAD = 4,             /* terms that a thread asks for at a time */
    TERMS_PER_PART = 4096, /* of a block's output */
    SUMMING_BLOCKS = 512,
    MAXIMUM_PARTS = 256,
    FINISHING_OUTPUTS = WARP_THREADS,
    FINISHING_ROWS = THREADS / FINISHING_OUTPUTS
};

/* Joined dimensions in units of as many elements as are read at once, to be divided by. */
struct unit_walk {
    struct divisor size;
    int64_t stride, outer_stride; /* in elements */
};

static __device__ __forceinline__ int64_t offset_of(const struct unit_walk &walk, int64_t index)
{
    struct division place = divide(index, walk.size);
    return place.quotient * walk.outer_stride + place.remainder * walk.stride;
}

/* Terms one after the other, without dividing for each. */
struct term_place {
    int64_t offset, inner;
};

static __device__ __forceinline__ struct term_place first_term(const struct unit_walk &walk, int64_t term)
{
    struct division place = divide(term, walk.size);
    return term_place{place.quotient * walk.outer_stride + place.remainder * walk.stride, place.remainder};
}

static __device__ __forceinline__ void next_term(const struct unit_walk &walk, struct term_place &place)
{
    place.offset += walk.stride;
    if (++place.inner < walk.size.value) return;
    place.inner = 0;
    place.offset += walk.outer_stride - walk.size.value * walk.stride;
}

/* How the threads of a block that sums columns lie: `columns` neighbouring units of outputs by `rows` ranges of terms.
 */
struct column_grid {
    int64_t units; /* of outputs */
    int64_t span;  /* terms of a range */
    int rows;
    struct divisor columns;
};

/* Sums of a thread's range of terms for its unit of outputs. */
template <int width>
static __device__ __forceinline__ void sum_terms(const struct array &x, const struct unit_walk &summed, int64_t base,
                                                 int64_t term, int64_t end, float sum[width])
{
    struct term_place place = first_term(summed, term);
#pragma unroll 1
    for (; term < end; term += AHEAD) {
        struct packed<width> packed[AHEAD];
        float value[width];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            if (term + i >= end) continue;
            packed[i] = fetch<width>(x, base + place.offset);
            next_term(summed, place);
        }
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            if (term + i >= end) continue;
            unpack<width>(x, packed[i], value);
#pragma unroll
            for (int j = 0; j < width; j++) sum[j] += value[j];
        }
    }
}

/* A thread sums one range of terms for one unit of outputs; the ranges of a block are one part. blockIdx.y is the part.
 */
template <int width>
static __global__ void __launch_bounds__(THREADS)
    sum_columns_kernel(struct reduction reduction, struct unit_walk kept, struct unit_walk summed,
                       struct column_grid grid, struct array x, float *partial)
{
    await_earlier_kernels();
    shared_array<float> sums = shared_memory<float>(0);
    int columns = (int)grid.columns.value, row = (int)quotient(threadIdx.x, grid.columns);
    int column = (int)threadIdx.x - row * columns;
    int64_t first = (int)blockIdx.x * (int64_t)columns, unit = first + column;
    if (row < grid.rows && unit < grid.units) {
        int64_t term = ((int)blockIdx.y * grid.rows + row) * grid.span, end = term + grid.span;
        float sum[width] = {};
        sum_terms<width>(x, summed, offset_of(kept, unit), term, end < reduction.terms ? end : reduction.terms, sum);
#pragma unroll
        for (int i = 0; i < width; i++) sums[(row * width + i) * columns + column] = sum[i];
    }
    __syncthreads();
    if (row != 0 || unit >= grid.units) return;
    float *to = partial + (int)blockIdx.y * reduction.outputs + unit * width;
    for (int i = 0; i < width; i++) {
        float total = 0.0f;
        for (int other = 0; other < grid.rows; other++) total += sums[(other * width + i) * columns + column];
        to[i] = total;
    }
}

/* One block sums one part of one output: strided sums by thread, then by warp, then of the warps in order. `terms` are
 * units, `span` of them a part. */
template <int width>
static __global__ void __launch_bounds__(THREADS)
    sum_block_kernel(struct reduction reduction, struct unit_walk kept, struct unit_walk summed, int64_t terms,
                     int64_t span, struct array x, float *partial)
{
    await_earlier_kernels();
    shared_array<float> by_warp = shared_memory<float>(0);
    int64_t output = (int)blockIdx.x, base = offset_of(kept, output), end = span * ((int)blockIdx.y + 1);
    if (end > terms) end = terms;
    float sum = 0.0f, value[width];
#pragma unroll 1
    for (int64_t term = span * (int)blockIdx.y + (int)threadIdx.x; term < end; term += THREADS) {
        unpack<width>(x, fetch<width>(x, base + offset_of(summed, term)), value);
#pragma unroll
        for (int i = 0; i < width; i++) sum += value[i];
    }
    sum = warp_sum(sum);
    if (lane_index() == 0) by_warp[warp_index()] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float total = 0.0f;
        for (int warp = 0; warp < THREADS / WARP_THREADS; warp++) total += by_warp[warp];
        partial[(int)blockIdx.y * reduction.outputs + output] = total;
    }
}

/* A warp reads one part of 32 outputs; each of the block's warps sums every eighth part, then the warps in order. */
static __global__ void __launch_bounds__(THREADS)
    reduce_parts_kernel(struct reduction reduction, const float *partial, struct array y)
{
    await_earlier_kernels();
    shared_array<float> by_row = shared_memory<float>(0);
    int64_t output = (int)blockIdx.x * (int64_t)FINISHING_OUTPUTS + lane_index();
    float sum = 0.0f;
    if (output < reduction.outputs)
        for (int part = warp_index(); part < reduction.parts; part += FINISHING_ROWS)
            sum += partial[part * reduction.outputs + output];
    by_row[threadIdx.x] = sum;
    __syncthreads();
    if (warp_index() != 0 || output >= reduction.outputs) return;
    for (int row = 1; row < FINISHING_ROWS; row++) sum += by_row[row * FINISHING_OUTPUTS + lane_index()];
    sum *= reduction.alpha;
    if (reduction.accumulate) sum += load(y, output);
    store(y, output, sum);
}

static int64_t divided_up(int64_t number, int64_t divisor)
{
    return (number + divisor - 1) / divisor;
}

/* Joins a dimension to those after it of its kind, of which there are `count` elements. */
static void join(struct joined_dimensions *joined, int64_t *count, int64_t size, int64_t stride)
{
    if (size == 1) return;
    if (*count == 1) {
        joined->size = size;
        joined->stride = stride;
    } else if (stride == joined->size * joined->stride) {
        joined->size *= size;
    } else if (*count == joined->size) {
        joined->outer_stride = stride;
    }
    *count *= size;
}

static struct column_grid plan_columns(const struct reduction &reduction, int width)
{
    struct column_grid grid = {};
    grid.units = reduction.outputs / width;
    int columns = grid.units < THREADS ? (int)grid.units : (int)THREADS;
    grid.columns = divisor_of(columns);
    grid.rows = THREADS / columns;
    return grid;
}

/* Parts so small that a large sum fills the device, and no more than the last pass reads quickly. */
static int count_parts(const struct reduction &reduction)
{
    int64_t most = MAXIMUM_PARTS, parts = divided_up(reduction.terms, TERMS_PER_PART);
    if (reduction.by_column) {
        struct column_grid grid = plan_columns(reduction, reduction.wide ? WIDTH : 1);
        int64_t filling = divided_up(SUMMING_BLOCKS, divided_up(grid.units, grid.columns.value));
        parts = divided_up(reduction.terms, grid.rows * AHEAD);
        if (most > filling) most = filling;
    }
    return (int)(parts < most ? parts : most);
}

extern "C" struct reduction plan_reduction(const struct shape *x, const struct shape *y, float alpha, bool accumulate)
{
    struct reduction plan = {};
    plan.kept = plan.summed = joined_dimensions{1, 1, 0};
    plan.outputs = plan.terms = 1;
    plan.alpha = alpha;
    plan.accumulate = accumulate;
    int64_t stride = 1;
    bool is_last_kept = true, is_last_found = false;
    for (int i = x->rank - 1; i >= 0; i--) {
        bool summed = y->dimension[i] == 1;
        if (!is_last_found && x->dimension[i] > 1) {
            is_last_found = true;
            is_last_kept = !summed;
        }
        join(summed ? &plan.summed : &plan.kept, summed ? &plan.terms : &plan.outputs, x->dimension[i], stride);
        stride *= x->dimension[i];
    }
    int64_t neighbours = is_last_kept ? plan.kept.size : plan.summed.size;
    plan.by_column = (is_last_kept && neighbours >= WARP_THREADS) || plan.terms < WARP_THREADS;
    plan.wide = plan.by_column == is_last_kept && neighbours % WIDTH == 0;
    plan.parts = count_parts(plan);
    return plan;
}

/* `width`: elements of a unit along these dimensions. */
static struct unit_walk walk_of(const struct joined_dimensions &dimensions, int width)
{
    return unit_walk{divisor_of(dimensions.size / width), dimensions.stride * width, dimensions.outer_stride};
}

template <int width>
static void sum_columns(struct queue queue, const struct reduction &reduction, const struct array &x, float *partial)
{
    struct column_grid grid = plan_columns(reduction, width);
    grid.span = divided_up(reduction.terms, (int64_t)reduction.parts * grid.rows);
    launch(sum_columns_kernel<width>, dim3(blocks_for(grid.units, (int)grid.columns.value), reduction.parts), THREADS,
           THREADS * width * sizeof(float), queue, reduction, walk_of(reduction.kept, width),
           walk_of(reduction.summed, 1), grid, x, partial);
}

template <int width>
static void sum_block(struct queue queue, const struct reduction &reduction, const struct array &x, float *partial)
{
    launch(sum_block_kernel<width>, dim3((unsigned)reduction.outputs, reduction.parts), THREADS,
           THREADS / WARP_THREADS * sizeof(float), queue, reduction, walk_of(reduction.kept, 1),
           walk_of(reduction.summed, width), reduction.terms / width,
           divided_up(reduction.terms / width, reduction.parts), x, partial);
}

extern "C" void launch_reduce(struct queue queue, struct reduction reduction, struct array x, struct array y,
                              float *partial)
{
    bool wide = reduction.wide && is_aligned(x);
    if (reduction.by_column)
        (wide ? sum_columns<WIDTH> : sum_columns<1>)(queue, reduction, x, partial);
    else
        (wide ? sum_block<WIDTH> : sum_block<1>)(queue, reduction, x, partial);
    launch(reduce_parts_kernel, dim3(blocks_for(reduction.outputs, FINISHING_OUTPUTS)), THREADS,
           THREADS * sizeof(float), queue, reduction, partial, y);
}
