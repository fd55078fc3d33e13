/* Group normalisation, with SiLU where that is fused.
 *
 * A thread owns a vector of `width` channels (8, or 1 where 8 do not divide them) at many positions, so that what
 * depends on the channel alone is found once and stays in registers. Three launches: sums by parts of an image;
 * the parts added up, and from them the coefficients of every channel; those applied to every element. */
#include "kernels/cuda/activation.h"
#include "kernels/cuda/divisor.h"
#include "kernels/cuda/norm.h"

enum {
    THREADS = 256,
    STEPS_PER_PART = 4,
    MAXIMUM_PARTS = 512,
    SUMMING_BLOCKS = 1024,
    APPLYING_STEPS = 8,
    APPLYING_BLOCKS = 1024
};

struct group_arrays {
    struct array dy, x, gamma, beta, y; /* y: the output, dx in the backward pass */
    struct addition addition;           /* its residual may be y */
};

struct group_results {
    float *coefficients; /* by pass, [batch, channels] each: enum coefficient */
    float *sums;         /* [batch, groups, parts] of the two sums that the pass needs */
    float *mean, *rstd;  /* [batch, groups]: results of the forward pass or NULL; inputs of the backward one */
};

/* z = scale x + shift is the normalised input times gamma plus beta; dx = scale (gradient by z) + slope x + level. */
enum coefficient { SCALE, SHIFT, SLOPE, LEVEL, COEFFICIENTS };

/* How a launch lies over the map: blockIdx.y is the image, blockIdx.x the part of its positions, `span` of them; the
 * block's threads are `rows` positions by `columns` vectors, which go on by so many. */
struct group_grid {
    int64_t positions;
    int channels, vectors, columns, rows, span;
    struct divisor by_columns, by_group; /* of threads, to rows; of channels, to groups */
};

struct group_place {
    int64_t first; /* element of the tensor where the block's part begins; all in it is near enough for 32 bits */
    int count;     /* positions of the part */
    int row, column;
};

static __device__ __forceinline__ struct group_place own_place(const struct group_grid &grid)
{
    struct group_place place;
    int image = blockIdx.y, part = blockIdx.x;
    int64_t position = (int64_t)part * grid.span, left = grid.positions - position;
    place.first = (image * grid.positions + position) * grid.channels;
    place.count = left < grid.span ? (int)left : grid.span;
    place.row = (int)quotient(threadIdx.x, grid.by_columns);
    place.column = (int)threadIdx.x - place.row * grid.columns;
    return place;
}

/* The arrays from a block's part on. */
static __device__ __forceinline__ struct group_arrays arrays_from(const struct group_arrays &arrays, int64_t first)
{
    struct group_arrays part = arrays;
    part.x = array_from(arrays.x, first);
    part.dy = array_from(arrays.dy, first);
    part.y = array_from(arrays.y, first);
    part.addition.residual = array_from(arrays.addition.residual, first);
    return part;
}

template <int width> struct group_inputs {
    struct packed<width> x, dy, residual;
};

template <bool backward, int width>
static __device__ __forceinline__ group_inputs<width> fetch_inputs(const struct group_arrays &arrays, int index)
{
    struct group_inputs<width> inputs;
    inputs.x = fetch<width>(arrays.x, index);
    if (backward) inputs.dy = fetch<width>(arrays.dy, index);
    return inputs;
}

/* What a thread sums of its channels, and what it needs of them for that. */
template <int width> struct channel_sums {
    float first[width], second[width];
    float center[width], scale[width], beta[width];
};

/* Forward the center is the group's first element, which keeps the difference of squares accurate where the mean is
 * large against the deviation; backward it is the mean. */
template <bool backward, int width>
static __device__ __forceinline__ channel_sums<width>
begin_sums(const struct group_norm &norm, const struct group_grid &grid, const struct group_arrays &arrays,
           const struct group_results &results, int channel)
{
    struct channel_sums<width> sums = {
    };
    int group_width = (int)grid.by_group.value, group = (int)quotient((uint32_t)channel, grid.by_group);
    int64_t image = (int)blockIdx.y * grid.positions * grid.channels,
            statistic = (int)blockIdx.y * (int64_t)norm.groups;
    if (backward) {
        unpack<width>(arrays.gamma, fetch<width>(arrays.gamma, channel), sums.scale);
        unpack<width>(arrays.beta, fetch<width>(arrays.beta, channel), sums.beta);
    }
#pragma unroll
    for (int i = 0; i < width; i++) {
        if (channel + i >= (group + 1) * group_width) group++;
        if (backward) {
            sums.center[i] = results.mean[statistic + group];
            sums.scale[i] *= results.rstd[statistic + group];
        } else {
            sums.center[i] = load(arrays.x, image + group * group_width);
        }
    }
    return sums;
}

/* Forward the sums of d and d^2 with d = x - center; backward of g and g d with g the gradient by z. */
template <bool backward, int width>
static __device__ __forceinline__ void add_to_sums(const struct group_norm &norm, const struct group_arrays &arrays,
                                                   const struct group_inputs<width> &inputs,
                                                   struct channel_sums<width> &sums)
{
    float difference[width], factor[width];
    unpack<width>(arrays.x, inputs.x, difference);
#pragma unroll
    for (int i = 0; i < width; i++) difference[i] -= sums.center[i];
    if (backward) {
        unpack<width>(arrays.dy, inputs.dy, factor);
        if (norm.fused_silu) {
#pragma unroll
            for (int i = 0; i < width; i++) factor[i] *= silu_derivative(difference[i] * sums.scale[i] + sums.beta[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < width; i++) {
        sums.first[i] += backward ? factor[i] : difference[i];
        sums.second[i] += backward ? factor[i] * difference[i] : difference[i] * difference[i];
    }
}

/* Where a channel's sum lies among those of one of the block's rows: apart by vectors, so that the threads of a warp
 * write side by side. */
template <int width> static __device__ __forceinline__ int sum_place(const struct group_grid &grid, int channel)
{
    return channel % width * grid.vectors + channel / width;
}

template <bool backward, int width>
static __device__ __forceinline__ void
store_channel_sums(const struct group_grid &grid, const struct group_arrays &arrays, int row, int channel,
                   const struct channel_sums<width> &sums, shared_array<float> first_of, shared_array<float> second_of)
{
    float gamma[width] = {};
    if (backward) unpack<width>(arrays.gamma, fetch<width>(arrays.gamma, channel), gamma);
#pragma unroll
    for (int i = 0; i < width; i++) {
        int place = row * grid.channels + sum_place<width>(grid, channel + i);
        first_of[place] = backward ? sums.first[i] * gamma[i] : sums.first[i];
        second_of[place] = backward ? sums.second[i] * sums.scale[i] : sums.second[i];
    }
}

/* Adds up the block's rows, then the channels of each group. */
template <int width>
static __device__ __forceinline__ void store_group_sums(const struct group_norm &norm, const struct group_grid &grid,
                                                        shared_array<float> first_of, shared_array<float> second_of,
                                                        float *sums)
{
    for (int place = threadIdx.x; place < grid.channels; place += (int)blockDim.x) {
        float first = 0.0f, second = 0.0f;
        for (int row = 0; row < grid.rows; row++) {
            first += first_of[row * grid.channels + place];
            second += second_of[row * grid.channels + place];
        }
        first_of[place] = first;
        second_of[place] = second;
    }
    __syncthreads();
    int group_width = (int)grid.by_group.value;
    for (int group = threadIdx.x; group < norm.groups; group += (int)blockDim.x) {
        float first = 0.0f, second = 0.0f;
        for (int channel = group * group_width; channel < (group + 1) * group_width; channel++) {
            first += first_of[sum_place<width>(grid, channel)];
            second += second_of[sum_place<width>(grid, channel)];
        }
        float *own = sums + 2 * (((int)blockIdx.y * (int64_t)norm.groups + group) * norm.parts + (int)blockIdx.x);
        own[0] = first;
        own[1] = second;
    }
}

template <bool backward, int width>
static __global__ void __launch_bounds__(THREADS)
    group_sums_kernel(struct group_norm norm, struct group_grid grid, struct group_arrays arrays,
                      struct group_results results)
{
    await_earlier_kernels();
    struct group_place place = own_place(grid);
    struct group_arrays part = arrays_from(arrays, place.first);
    shared_array<float> first_of = shared_memory<float>(0);
    shared_array<float> second_of = shared_memory<float>(grid.rows * grid.channels * (int)sizeof(float));
    for (int vector = place.column; vector < grid.vectors && place.row < grid.rows; vector += grid.columns) {
        int channel = vector * width, step = grid.rows * grid.channels;
        int index = place.row * grid.channels + channel;
        struct channel_sums<width> sums = begin_sums<backward, width>(norm, grid, arrays, results, channel);
#pragma unroll 1
        for (int position = place.row; position < place.count; position += 2 * grid.rows) {
            bool is_pair = position + grid.rows < place.count;
            struct group_inputs<width> inputs[2] = {
            };
            inputs[0] = fetch_inputs<backward, width>(part, index);
            if (is_pair) inputs[1] = fetch_inputs<backward, width>(part, index + step);
            add_to_sums<backward, width>(norm, arrays, inputs[0], sums);
            if (is_pair) add_to_sums<backward, width>(norm, arrays, inputs[1], sums);
            index += 2 * step;
        }
        store_channel_sums<backward, width>(grid, arrays, place.row, channel, sums, first_of, second_of);
    }
    __syncthreads();
    store_group_sums<width>(norm, grid, first_of, second_of, results.sums);
}

/* From the means of x and x^2 about the group's first element: y = rstd gamma (x - mean) + beta. */
static __device__ __forceinline__ void forward_coefficients(const struct group_norm &norm,
                                                            const struct group_arrays &arrays,
                                                            const struct group_results &results, int64_t statistic,
                                                            int64_t item, int group, float first, float second)
{
    int group_width = (int)(norm.channels / norm.groups);
    float mean = first + load(arrays.x, item * norm.positions * norm.channels + (int64_t)group * group_width);
    float rstd = 1.0f / sqrtf(fmaxf(second - first * first, 0.0f) + norm.epsilon);
    if (lane_index() == 0 && results.mean) results.mean[statistic] = mean;
    if (lane_index() == 0 && results.rstd) results.rstd[statistic] = rstd;
    for (int i = lane_index(); i < group_width; i += WARP_THREADS) {
        int64_t channel = (int64_t)group * group_width + i, place = item * norm.channels + channel;
        float scale = rstd * load(arrays.gamma, channel);
        results.coefficients[SCALE * norm.batch * norm.channels + place] = scale;
        results.coefficients[SHIFT * norm.batch * norm.channels + place] = load(arrays.beta, channel) - mean * scale;
    }
}

/* With n = (x - mean) rstd and g = gamma times the gradient by z: dx = rstd (g - mean(g) - n mean(g n)). */
static __device__ __forceinline__ void backward_coefficients(const struct group_norm &norm,
                                                             const struct group_arrays &arrays,
                                                             const struct group_results &results, int64_t statistic,
                                                             int64_t item, int group, float first, float second)
{
    int group_width = (int)(norm.channels / norm.groups);
    float mean = results.mean[statistic], rstd = results.rstd[statistic], slope = -rstd * rstd * second;
    for (int i = lane_index(); i < group_width; i += WARP_THREADS) {
        int64_t channel = (int64_t)group * group_width + i, place = item * norm.channels + channel;
        float scale = rstd * load(arrays.gamma, channel);
        results.coefficients[SCALE * norm.batch * norm.channels + place] = scale;
        results.coefficients[SHIFT * norm.batch * norm.channels + place] = load(arrays.beta, channel) - mean * scale;
        results.coefficients[SLOPE * norm.batch * norm.channels + place] = slope;
        results.coefficients[LEVEL * norm.batch * norm.channels + place] = -rstd * first - mean * slope;
    }
}

/* Adds up the parts, one warp a group. */
template <bool backward>
static __global__ void __launch_bounds__(THREADS)
    group_finish_kernel(struct group_norm norm, struct group_arrays arrays, struct group_results results)
{
    await_earlier_kernels();
    int64_t statistic = global_thread() / WARP_THREADS;
    if (statistic >= norm.batch * norm.groups) return;
    int64_t item = (uint32_t)statistic / (uint32_t)norm.groups;
    float first = 0.0f, second = 0.0f;
    for (int part = lane_index(); part < norm.parts; part += WARP_THREADS) {
        const float *sums = results.sums + 2 * (statistic * norm.parts + part);
        first += sums[0];
        second += sums[1];
    }
    float count = (float)(norm.positions * (norm.channels / norm.groups));
    first = warp_sum(first) / count;
    second = warp_sum(second) / count;
    int group = (int)(statistic - item * norm.groups);
    if (backward)
        backward_coefficients(norm, arrays, results, statistic, item, group, first, second);
    else
        forward_coefficients(norm, arrays, results, statistic, item, group, first, second);
}

template <int width> struct channel_coefficients {
    float of[COEFFICIENTS][width];
};

template <bool backward, int width>
static __device__ __forceinline__ channel_coefficients<width> load_coefficients(const struct group_norm &norm,
                                                                                float *coefficients, int channel)
{
    struct channel_coefficients<width> loaded;
    int64_t plane = norm.batch * norm.channels, place = (int)blockIdx.y * norm.channels + channel;
#pragma unroll
    for (int i = 0; i < (backward ? LEVEL : SHIFT) + 1; i++) {
        struct array array = {coefficients + i * plane, ELEMENT_F32};
        unpack<width>(array, fetch<width>(array, place), loaded.of[i]);
    }
    return loaded;
}

template <int width>
static __device__ __forceinline__ void
apply_forward(const struct group_norm &norm, const struct channel_coefficients<width> &coefficients, float x[width])
{
#pragma unroll
    for (int i = 0; i < width; i++) x[i] = x[i] * coefficients.of[SCALE][i] + coefficients.of[SHIFT][i];
    if (!norm.fused_silu) return;
#pragma unroll
    for (int i = 0; i < width; i++) x[i] *= sigmoid(x[i]);
}

template <int width>
static __device__ __forceinline__ void apply_backward(const struct group_norm &norm,
                                                      const struct channel_coefficients<width> &coefficients,
                                                      float cotangent[width], float x[width])
{
    if (norm.fused_silu) {
#pragma unroll
        for (int i = 0; i < width; i++)
            cotangent[i] *= silu_derivative(x[i] * coefficients.of[SCALE][i] + coefficients.of[SHIFT][i]);
    }
#pragma unroll
    for (int i = 0; i < width; i++)
        x[i] =
            cotangent[i] * coefficients.of[SCALE][i] + (x[i] * coefficients.of[SLOPE][i] + coefficients.of[LEVEL][i]);
}

template <bool backward, int width>
static __device__ __forceinline__ void apply(const struct group_norm &norm, const struct group_arrays &arrays,
                                             const struct channel_coefficients<width> &coefficients,
                                             const struct group_inputs<width> &inputs, int index)
{
    float x[width], cotangent[width], residual[width];
    unpack<width>(arrays.x, inputs.x, x);
    if (backward) {
        unpack<width>(arrays.dy, inputs.dy, cotangent);
        apply_backward<width>(norm, coefficients, cotangent, x);
        if (arrays.addition.residual.data) {
            unpack<width>(arrays.addition.residual, inputs.residual, residual);
#pragma unroll
            for (int i = 0; i < width; i++) x[i] = arrays.addition.factor * x[i] + residual[i];
        }
    } else {
        apply_forward<width>(norm, coefficients, x);
    }
    store_all<width>(arrays.y, index, x);
}

template <bool backward, int width>
static __global__ void __launch_bounds__(THREADS)
    group_apply_kernel(struct group_norm norm, struct group_grid grid, struct group_arrays arrays, float *coefficients)
{
    await_earlier_kernels();
    struct group_place place = own_place(grid);
    struct group_arrays part = arrays_from(arrays, place.first);
    bool adds = backward && part.addition.residual.data;
    for (int vector = place.column; vector < grid.vectors && place.row < grid.rows; vector += grid.columns) {
        int channel = vector * width, step = grid.rows * grid.channels;
        int index = place.row * grid.channels + channel;
        struct channel_coefficients<width> own = load_coefficients<backward, width>(norm, coefficients, channel);
#pragma unroll 1
        for (int position = place.row; position < place.count; position += 2 * grid.rows) {
            bool is_pair = position + grid.rows < place.count;
            struct group_inputs<width> inputs[2] = {
            };
            inputs[0] = fetch_inputs<backward, width>(part, index);
            if (adds) inputs[0].residual = fetch<width>(part.addition.residual, index);
            if (is_pair) {
                inputs[1] = fetch_inputs<backward, width>(part, index + step);
                if (adds) inputs[1].residual = fetch<width>(part.addition.residual, index + step);
            }
            apply<backward, width>(norm, part, own, inputs[0], index);
            if (is_pair) apply<backward, width>(norm, part, own, inputs[1], index + step);
            index += 2 * step;
        }
    }
}

/* Threads over channels and positions; `span` is left to the launch. */
static struct group_grid plan_grid(const struct group_norm &norm, int width)
{
    struct group_grid grid = {};
    grid.positions = norm.positions;
    grid.channels = (int)norm.channels;
    grid.vectors = grid.channels / width;
    int passes = blocks_for(grid.vectors, THREADS);
    grid.columns = blocks_for(grid.vectors, passes);
    grid.rows = THREADS / grid.columns;
    grid.by_columns = divisor_of(grid.columns);
    grid.by_group = divisor_of(norm.channels / norm.groups);
    return grid;
}

static int vector_width(const struct group_norm &norm)
{
    return norm.channels % WIDTH == 0 ? WIDTH : 1;
}

/* Parts so small that one image fills a device, so large that their sums cost little, and no more of them over all
 * images than fill it several times. They depend on the shape alone, and with them the bits of the result. */
static int count_parts(const struct group_norm &norm)
{
    int rows = plan_grid(norm, vector_width(norm)).rows, most = blocks_for(SUMMING_BLOCKS, (int)norm.batch);
    int parts = blocks_for(norm.positions, rows * STEPS_PER_PART);
    if (parts > most) parts = most;
    if (parts > MAXIMUM_PARTS) parts = MAXIMUM_PARTS;
    return blocks_for(norm.positions, blocks_for(norm.positions, parts));
}

extern "C" struct group_norm plan_group_norm(const struct shape *x, int groups, float epsilon, bool fused_silu)
{
    struct group_norm norm = {};
    norm.batch = x->dimension[0];
    norm.channels = x->dimension[x->rank - 1];
    norm.positions = 1;
    for (int i = 1; i < x->rank - 1; i++) norm.positions *= x->dimension[i];
    norm.groups = groups;
    norm.epsilon = epsilon;
    norm.fused_silu = fused_silu;
    norm.parts = count_parts(norm);
    return norm;
}

extern "C" size_t group_norm_scratch(const struct group_norm *norm)
{
    size_t coefficients = COEFFICIENTS * (size_t)(norm->batch * norm->channels);
    return (coefficients + 2 * (size_t)(norm->batch * norm->groups) * (size_t)norm->parts) * sizeof(float);
}

/* Steps of a thread that applies: fewer where the blocks would not fill a device. */
static int applying_steps(const struct group_norm &norm, int rows)
{
    int steps = APPLYING_STEPS;
    while (steps > 2 && norm.batch * blocks_for(norm.positions, rows * steps) < APPLYING_BLOCKS) steps /= 2;
    return steps;
}

template <bool backward, int width>
static void launch_group_kernels(struct queue queue, const struct group_norm &norm, const struct group_arrays &arrays,
                                 const struct group_results &results)
{
    struct group_grid grid = plan_grid(norm, width);
    int threads = blocks_for(grid.rows * grid.columns, WARP_THREADS) * WARP_THREADS;
    size_t shared_bytes = 2 * (size_t)grid.rows * (size_t)grid.channels * sizeof(float);
    grid.span = blocks_for(norm.positions, norm.parts);
    launch(group_sums_kernel<backward, width>, dim3(norm.parts, (unsigned)norm.batch), threads, shared_bytes, queue,
           norm, grid, arrays, results);
    launch(group_finish_kernel<backward>, dim3(blocks_for(norm.batch * norm.groups * WARP_THREADS, THREADS)), THREADS,
           0, queue, norm, arrays, results);
    grid.span = grid.rows * applying_steps(norm, grid.rows);
    launch(group_apply_kernel<backward, width>, dim3(blocks_for(norm.positions, grid.span), (unsigned)norm.batch),
           threads, 0, queue, norm, grid, arrays, results.coefficients);
}

template <bool backward>
static void run_group_norm(struct queue queue, const struct group_norm &norm, const struct group_arrays &arrays,
                           float *mean, float *rstd, void *scratch)
{
    float *space = (float *)scratch;
    struct group_results results = {space, space + COEFFICIENTS * norm.batch * norm.channels, mean, rstd};
    bool wide = vector_width(norm) == WIDTH && is_aligned(arrays.x) && is_aligned(arrays.y) && fits(arrays.dy) &&
                is_aligned(arrays.gamma) && is_aligned(arrays.beta) && fits(arrays.addition.residual);
    (wide ? launch_group_kernels<backward, WIDTH> : launch_group_kernels<backward, 1>)(queue, norm, arrays, results);
}

extern "C" void launch_group_norm(struct queue queue, struct group_norm norm, struct array x, struct array gamma,
                                  struct array beta, struct array y, float *mean, float *rstd, void *scratch)
{
    struct group_arrays arrays = {{}, x, gamma, beta, y, {}};
    run_group_norm<false>(queue, norm, arrays, mean, rstd, scratch);
}

extern "C" void launch_group_norm_vjp(struct queue queue, struct group_norm norm, struct array dy, struct array x,
                                      struct array gamma, struct array beta, const float *mean, const float *rstd,
                                      struct array residual, float factor, struct array dx, void *scratch)
{
    struct group_arrays arrays = {dy, x, gamma, beta, dx, {residual, factor}};
    run_group_norm<true>(queue, norm, arrays, (float *)mean, (float *)rstd, scratch);
}
