#include "kernels/cuda/activation.h"
#include "kernels/cuda/array.h"
#include "kernels/cuda/divisor.h"

/* Group, layer and Euclidean normalisation. Statistics are fp32 sums in a fixed order: the same bits every time. */

enum { THREADS = 256, WIDTH = 8, ROW_WARPS = 4 };

/* What a backward pass adds to its gradient times a factor; data NULL: nothing. */
struct addition {
    struct array residual;
    float factor;
};

/* For up to 8 elements from `index` on. */
DEVICE void add(const struct addition &addition, int64_t index, int count, bool wide, float value[WIDTH])
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

/* ---- group normalisation ----
 *
 * A thread owns a vector of `width` channels (8, or 1 where 8 do not divide them) at many positions, so that what
 * depends on the channel alone is found once and stays in registers. Three launches: sums by parts of an image;
 * the parts added up, and from them the coefficients of every channel; those applied to every element. */

enum { STEPS_PER_PART = 4, MAXIMUM_PARTS = 512, SUMMING_BLOCKS = 1024, APPLYING_STEPS = 8, APPLYING_BLOCKS = 1024 };

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

/* How a launch lies over the map: block_y is the image, block_x the part of its positions, `span` of them; the block's
 * threads are `rows` positions by `columns` vectors, which go on by so many. */
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

DEVICE struct group_place own_place(const struct group_grid &grid)
{
    struct group_place place;
    int64_t position = (int64_t)block_x() * grid.span, left = grid.positions - position;
    place.first = (block_y() * grid.positions + position) * grid.channels;
    place.count = left < grid.span ? (int)left : grid.span;
    place.row = (int)quotient((uint32_t)thread_index(), grid.by_columns);
    place.column = thread_index() - place.row * grid.columns;
    return place;
}

/* The arrays from a block's part on. */
DEVICE struct group_arrays arrays_from(const struct group_arrays &arrays, int64_t first)
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
DEVICE struct group_inputs<width> fetch_inputs(const struct group_arrays &arrays, int index) {
    struct group_inputs<width> inputs;
    inputs.x = fetch<width>(arrays.x, index);
    if (backward) inputs.dy = fetch<width>(arrays.dy, index);
    return inputs;
}

/* What a thread sums of its channels, and what it needs of them for that. */
template <int width>
struct channel_sums {
    float first[width], second[width];
    float center[width], scale[width], beta[width];
};

/* Forward the center is the group's first element, which keeps the difference of squares accurate where the mean is
 * large against the deviation; backward it is the mean. */
template <bool backward, int width>
DEVICE struct channel_sums<width> begin_sums(const struct group_norm &norm, const struct group_grid &grid,
                                             const struct group_arrays &arrays, const struct group_results &results,
                                             int channel) {
    struct channel_sums<width> sums = {
    };
    int group_width = (int)grid.by_group.value, group = (int)quotient((uint32_t)channel, grid.by_group);
    int64_t image = block_y() * grid.positions * grid.channels, statistic = (int64_t)block_y() * norm.groups;
    if (backward) {
        unpack<width>(arrays.gamma, fetch<width>(arrays.gamma, channel), sums.scale);
        unpack<width>(arrays.beta, fetch<width>(arrays.beta, channel), sums.beta);
    }
    UNROLL
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
DEVICE void add_to_sums(const struct group_norm &norm, const struct group_arrays &arrays,
                        const struct group_inputs<width> &inputs, struct channel_sums<width> &sums)
{
    float difference[width], factor[width];
    unpack<width>(arrays.x, inputs.x, difference);
    UNROLL
    for (int i = 0; i < width; i++) difference[i] -= sums.center[i];
    if (backward) {
        unpack<width>(arrays.dy, inputs.dy, factor);
        if (norm.fused_silu) {
            UNROLL
            for (int i = 0; i < width; i++) factor[i] *= silu_derivative(difference[i] * sums.scale[i] + sums.beta[i]);
        }
    }
    UNROLL
    for (int i = 0; i < width; i++) {
        sums.first[i] += backward ? factor[i] : difference[i];
        sums.second[i] += backward ? factor[i] * difference[i] : difference[i] * difference[i];
    }
}

/* Where a channel's sum lies among those of one of the block's rows: apart by vectors, so that the threads of a warp
 * write side by side. */
template <int width> DEVICE int sum_place(const struct group_grid &grid, int channel)
{
    return channel % width * grid.vectors + channel / width;
}

template <bool backward, int width>
DEVICE void store_channel_sums(const struct group_grid &grid, const struct group_arrays &arrays, int row, int channel,
                               const struct channel_sums<width> &sums, shared_array<float> first_of,
                               shared_array<float> second_of)
{
    float gamma[width] = {};
    if (backward) unpack<width>(arrays.gamma, fetch<width>(arrays.gamma, channel), gamma);
    UNROLL
    for (int i = 0; i < width; i++) {
        int place = row * grid.channels + sum_place<width>(grid, channel + i);
        first_of[place] = backward ? sums.first[i] * gamma[i] : sums.first[i];
        second_of[place] = backward ? sums.second[i] * sums.scale[i] : sums.second[i];
    }
}

/* Adds up the block's rows, then the channels of each group. */
template <int width>
DEVICE void store_group_sums(const struct group_norm &norm, const struct group_grid &grid, shared_array<float> first_of,
                             shared_array<float> second_of, float *sums)
{
    for (int place = thread_index(); place < grid.channels; place += block_threads()) {
        float first = 0.0f, second = 0.0f;
        for (int row = 0; row < grid.rows; row++) {
            first += first_of[row * grid.channels + place];
            second += second_of[row * grid.channels + place];
        }
        first_of[place] = first;
        second_of[place] = second;
    }
    synchronize_block();
    int group_width = (int)grid.by_group.value;
    for (int group = thread_index(); group < norm.groups; group += block_threads()) {
        float first = 0.0f, second = 0.0f;
        for (int channel = group * group_width; channel < (group + 1) * group_width; channel++) {
            first += first_of[sum_place<width>(grid, channel)];
            second += second_of[sum_place<width>(grid, channel)];
        }
        float *own = sums + 2 * (((int64_t)block_y() * norm.groups + group) * norm.parts + block_x());
        own[0] = first;
        own[1] = second;
    }
}

template <bool backward, int width>
KERNEL(THREADS)
group_sums_kernel(struct group_norm norm, struct group_grid grid, struct group_arrays arrays,
                  struct group_results results)
{
    struct group_place place = own_place(grid);
    struct group_arrays part = arrays_from(arrays, place.first);
    shared_array<float> first_of = shared_memory<float>(0);
    shared_array<float> second_of = shared_memory<float>(grid.rows * grid.channels * (int)sizeof(float));
    for (int vector = place.column; vector < grid.vectors && place.row < grid.rows; vector += grid.columns) {
        int channel = vector * width, step = grid.rows * grid.channels;
        int index = place.row * grid.channels + channel;
        struct channel_sums<width> sums = begin_sums<backward, width>(norm, grid, arrays, results, channel);
        ROLLED
        for (int position = place.row; position < place.count; position += 2 * grid.rows) {
            bool is_pair = position + grid.rows < place.count;
            struct group_inputs<width> inputs[2] = {};
            inputs[0] = fetch_inputs<backward, width>(part, index);
            if (is_pair) inputs[1] = fetch_inputs<backward, width>(part, index + step);
            add_to_sums<backward, width>(norm, arrays, inputs[0], sums);
            if (is_pair) add_to_sums<backward, width>(norm, arrays, inputs[1], sums);
            index += 2 * step;
        }
        store_channel_sums<backward, width>(grid, arrays, place.row, channel, sums, first_of, second_of);
    }
    synchronize_block();
    store_group_sums<width>(norm, grid, first_of, second_of, results.sums);
}

/* From the means of x and x^2 about the group's first element: y = rstd gamma (x - mean) + beta. */
DEVICE void forward_coefficients(const struct group_norm &norm, const struct group_arrays &arrays,
                                 const struct group_results &results, int64_t statistic, int64_t item, int group,
                                 float first, float second)
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
DEVICE void backward_coefficients(const struct group_norm &norm, const struct group_arrays &arrays,
                                  const struct group_results &results, int64_t statistic, int64_t item, int group,
                                  float first, float second)
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
KERNEL(THREADS)
group_finish_kernel(struct group_norm norm, struct group_arrays arrays, struct group_results results)
{
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
DEVICE struct channel_coefficients<width> load_coefficients(const struct group_norm &norm, float *coefficients,
                                                            int channel) {
    struct channel_coefficients<width> loaded;
    int64_t plane = norm.batch * norm.channels, place = block_y() * norm.channels + channel;
    UNROLL
    for (int i = 0; i < (backward ? LEVEL : SHIFT) + 1; i++) {
        struct array array = {coefficients + i * plane, ELEMENT_F32};
        unpack<width>(array, fetch<width>(array, place), loaded.of[i]);
    }
    return loaded;
}

template <int width>
DEVICE void apply_forward(const struct group_norm &norm, const struct channel_coefficients<width> &coefficients,
                          float x[width])
{
    UNROLL
    for (int i = 0; i < width; i++) x[i] = x[i] * coefficients.of[SCALE][i] + coefficients.of[SHIFT][i];
    if (!norm.fused_silu) return;
    UNROLL
    for (int i = 0; i < width; i++) x[i] *= sigmoid(x[i]);
}

template <int width>
DEVICE void apply_backward(const struct group_norm &norm, const struct channel_coefficients<width> &coefficients,
                           float cotangent[width], float x[width])
{
    if (norm.fused_silu) {
        UNROLL
        for (int i = 0; i < width; i++)
            cotangent[i] *= silu_derivative(x[i] * coefficients.of[SCALE][i] + coefficients.of[SHIFT][i]);
    }
    UNROLL
    for (int i = 0; i < width; i++)
        x[i] =
            cotangent[i] * coefficients.of[SCALE][i] + (x[i] * coefficients.of[SLOPE][i] + coefficients.of[LEVEL][i]);
}

template <bool backward, int width>
DEVICE void apply(const struct group_norm &norm, const struct group_arrays &arrays,
                  const struct channel_coefficients<width> &coefficients, const struct group_inputs<width> &inputs,
                  int index)
{
    float x[width], cotangent[width], residual[width];
    unpack<width>(arrays.x, inputs.x, x);
    if (backward) {
        unpack<width>(arrays.dy, inputs.dy, cotangent);
        apply_backward<width>(norm, coefficients, cotangent, x);
        if (arrays.addition.residual.data) {
            unpack<width>(arrays.addition.residual, inputs.residual, residual);
            UNROLL
            for (int i = 0; i < width; i++) x[i] = arrays.addition.factor * x[i] + residual[i];
        }
    } else {
        apply_forward<width>(norm, coefficients, x);
    }
    store_all<width>(arrays.y, index, x);
}

template <bool backward, int width>
KERNEL(THREADS)
group_apply_kernel(struct group_norm norm, struct group_grid grid, struct group_arrays arrays, float *coefficients)
{
    struct group_place place = own_place(grid);
    struct group_arrays part = arrays_from(arrays, place.first);
    bool adds = backward && part.addition.residual.data;
    for (int vector = place.column; vector < grid.vectors && place.row < grid.rows; vector += grid.columns) {
        int channel = vector * width, step = grid.rows * grid.channels;
        int index = place.row * grid.channels + channel;
        struct channel_coefficients<width> own = load_coefficients<backward, width>(norm, coefficients, channel);
        ROLLED
        for (int position = place.row; position < place.count; position += 2 * grid.rows) {
            bool is_pair = position + grid.rows < place.count;
            struct group_inputs<width> inputs[2] = {};
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
static void launch_group_kernels(cudaStream_t stream, const struct group_norm &norm, const struct group_arrays &arrays,
                                 const struct group_results &results)
{
    struct group_grid grid = plan_grid(norm, width);
    int threads = blocks_for(grid.rows * grid.columns, WARP_THREADS) * WARP_THREADS;
    size_t shared_bytes = 2 * (size_t)grid.rows * (size_t)grid.channels * sizeof(float);
    grid.span = blocks_for(norm.positions, norm.parts);
    launch(group_sums_kernel<backward, width>, dim3(norm.parts, (unsigned)norm.batch), threads, shared_bytes, stream,
           norm, grid, arrays, results);
    launch(group_finish_kernel<backward>, dim3(blocks_for(norm.batch * norm.groups * WARP_THREADS, THREADS)), THREADS,
           0, stream, norm, arrays, results);
    grid.span = grid.rows * applying_steps(norm, grid.rows);
    launch(group_apply_kernel<backward, width>, dim3(blocks_for(norm.positions, grid.span), (unsigned)norm.batch),
           threads, 0, stream, norm, grid, arrays, results.coefficients);
}

template <bool backward>
static void run_group_norm(cudaStream_t stream, const struct group_norm &norm, const struct group_arrays &arrays,
                           float *mean, float *rstd, void *scratch)
{
    float *space = (float *)scratch;
    struct group_results results = {space, space + COEFFICIENTS * norm.batch * norm.channels, mean, rstd};
    bool wide = vector_width(norm) == WIDTH && is_aligned(arrays.x) && is_aligned(arrays.y) && fits(arrays.dy) &&
                is_aligned(arrays.gamma) && is_aligned(arrays.beta) && fits(arrays.addition.residual);
    (wide ? launch_group_kernels<backward, WIDTH> : launch_group_kernels<backward, 1>)(stream, norm, arrays, results);
}

extern "C" void launch_group_norm(cudaStream_t stream, struct group_norm norm, struct array x, struct array gamma,
                                  struct array beta, struct array y, float *mean, float *rstd, void *scratch)
{
    struct group_arrays arrays = {{}, x, gamma, beta, y, {}};
    run_group_norm<false>(stream, norm, arrays, mean, rstd, scratch);
}

extern "C" void launch_group_norm_vjp(cudaStream_t stream, struct group_norm norm, struct array dy, struct array x,
                                      struct array gamma, struct array beta, const float *mean, const float *rstd,
                                      struct array residual, float factor, struct array dx, void *scratch)
{
    struct group_arrays arrays = {dy, x, gamma, beta, dx, {residual, factor}};
    run_group_norm<true>(stream, norm, arrays, (float *)mean, (float *)rstd, scratch);
}

/* ---- normalisation of rows ---- */

struct rows {
    struct array dy, x, gamma, beta, y; /* y: the output, dx in the backward pass */
    float *mean, *rstd;
    int64_t count, width;
    float epsilon;
    struct addition addition; /* its residual may be y */
    bool wide;
    int lane_bits; /* of the kernels that keep a row in registers: 2^lane_bits neighbouring lanes share one */
};

DEVICE int64_t own_row()
{
    return (int64_t)block_x() * ROW_WARPS + warp_index();
}

/* This lane's share of a row: up to 8 elements from `column` on, then the same 256 further. */
DEVICE int share(const struct rows &rows, int64_t column)
{
    int64_t left = rows.width - column;
    return left < WIDTH ? (int)left : (int)WIDTH;
}

KERNEL(ROW_WARPS *WARP_THREADS) layer_norm_kernel(struct rows rows)
{
    int64_t row = own_row();
    if (row >= rows.count) return;
    float value[WIDTH], gamma[WIDTH], beta[WIDTH], sum = 0.0f, squares = 0.0f;
    int64_t step = WIDTH * WARP_THREADS, start = lane_index() * WIDTH;
    for (int64_t column = start; column < rows.width; column += step) {
        load_some(rows.x, row * rows.width + column, share(rows, column), rows.wide, value);
        for (int i = 0; i < WIDTH; i++) sum += value[i];
    }
    float mean = warp_sum(sum) / (float)rows.width;
    for (int64_t column = start; column < rows.width; column += step) {
        int own = share(rows, column);
        load_some(rows.x, row * rows.width + column, own, rows.wide, value);
        for (int i = 0; i < WIDTH; i++)
            if (i < own) squares += (value[i] - mean) * (value[i] - mean);
    }
    float rstd = 1.0f / sqrtf(warp_sum(squares) / (float)rows.width + rows.epsilon);
    for (int64_t column = start; column < rows.width; column += step) {
        int own = share(rows, column);
        load_some(rows.x, row * rows.width + column, own, rows.wide, value);
        load_some(rows.gamma, column, own, rows.wide, gamma);
        load_some(rows.beta, column, own, rows.wide, beta);
        for (int i = 0; i < WIDTH; i++) value[i] = (value[i] - mean) * rstd * gamma[i] + beta[i];
        store_some(rows.y, row * rows.width + column, own, rows.wide, value);
    }
    if (lane_index() != 0) return;
    if (rows.mean) rows.mean[row] = mean;
    if (rows.rstd) rows.rstd[row] = rstd;
}

/* With n = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - n mean(g n)). */
KERNEL(ROW_WARPS *WARP_THREADS) layer_norm_vjp_kernel(struct rows rows)
{
    int64_t row = own_row();
    if (row >= rows.count) return;
    float value[WIDTH], gamma[WIDTH], cotangent[WIDTH], sum = 0.0f, product = 0.0f;
    float mean = rows.mean[row], rstd = rows.rstd[row];
    int64_t step = WIDTH * WARP_THREADS, start = lane_index() * WIDTH;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t column = start; column < rows.width; column += step) {
            int own = share(rows, column);
            int64_t index = row * rows.width + column;
            load_some(rows.x, index, own, rows.wide, value);
            load_some(rows.dy, index, own, rows.wide, cotangent);
            load_some(rows.gamma, column, own, rows.wide, gamma);
            for (int i = 0; i < WIDTH; i++) {
                float g = cotangent[i] * gamma[i], normal = (value[i] - mean) * rstd;
                if (pass == 0) {
                    sum += g; /* past the row's end g is 0 */
                    product += g * normal;
                }
                value[i] = rstd * (g - sum - normal * product);
            }
            if (pass == 0) continue;
            add(rows.addition, index, own, rows.wide, value);
            store_some(rows.y, index, own, rows.wide, value);
        }
        if (pass == 0) {
            sum = warp_sum(sum) / (float)rows.width;
            product = warp_sum(product) / (float)rows.width;
        }
    }
}

DEVICE float row_product(const struct rows &rows, const struct array &a, const struct array &b, int64_t row)
{
    float left[WIDTH], right[WIDTH], sum = 0.0f;
    for (int64_t column = lane_index() * WIDTH; column < rows.width; column += WIDTH * WARP_THREADS) {
        load_some(a, row * rows.width + column, share(rows, column), rows.wide, left);
        load_some(b, row * rows.width + column, share(rows, column), rows.wide, right);
        for (int i = 0; i < WIDTH; i++) sum += left[i] * right[i];
    }
    return warp_sum(sum);
}

/* y = x / (|x| + epsilon); backward, with n = |x|: dx = dy / (n + epsilon) - x <x, dy> / (n (n + epsilon)^2). */
template <bool backward> KERNEL(ROW_WARPS *WARP_THREADS) normalize_kernel(struct rows rows)
{
    int64_t row = own_row();
    if (row >= rows.count) return;
    float norm = sqrtf(row_product(rows, rows.x, rows.x, row)), factor = 1.0f / (norm + rows.epsilon), along = 0.0f;
    if (backward) {
        float product = row_product(rows, rows.x, rows.dy, row);
        along = norm > 0.0f ? product * factor * factor / norm : 0.0f;
        if (norm == 0.0f) factor = 0.0f;
    }
    for (int64_t column = lane_index() * WIDTH; column < rows.width; column += WIDTH * WARP_THREADS) {
        int own = share(rows, column);
        int64_t index = row * rows.width + column;
        float value[WIDTH], cotangent[WIDTH];
        load_some(rows.x, index, own, rows.wide, value);
        if (backward) load_some(rows.dy, index, own, rows.wide, cotangent);
        for (int i = 0; i < WIDTH; i++)
            value[i] = backward ? cotangent[i] * factor - value[i] * along : value[i] * factor;
        store_some(rows.y, index, own, rows.wide, value);
    }
}

/* ---- layer normalisation of rows that fit registers: each is read once ---- */

/* Vectors of 8 that a lane keeps; as many lanes share a row as that needs. 320, 640 and 1280 elements fill 8, 16 and 32
 * lanes. Compiled for each 16-bit type, since a branch for each vector would be a large part of the work; in fp32,
 * where memory leaves twice the time, the kernels above do. */
enum { ROW_VECTORS = 5, KEPT_WIDTH = ROW_VECTORS * WIDTH * WARP_THREADS };

/* This lane's share of its row. Lanes past the last row read the first one, since all must take part in the sums. */
struct row_share {
    int64_t row, first; /* first: element of the tensor */
    bool is_row;
    int lane, lanes, vectors;
};

DEVICE struct row_share own_share(const struct rows &rows)
{
    struct row_share share;
    int64_t row = global_thread() >> rows.lane_bits;
    share.is_row = row < rows.count;
    share.row = share.is_row ? row : 0;
    share.first = share.row * rows.width;
    share.lanes = 1 << rows.lane_bits;
    share.lane = thread_index() & (share.lanes - 1);
    share.vectors = (int)rows.width / WIDTH;
    return share;
}

/* This lane's i-th vector of its row; `vectors` or more: it has none. */
DEVICE int own_vector(const struct row_share &share, int i)
{
    return share.lane + i * share.lanes;
}

DEVICE void fetch_row(const struct array &array, const struct row_share &share, struct packed8 packed[ROW_VECTORS])
{
    struct array row = array_from(array, share.first);
    UNROLL
    for (int i = 0; i < ROW_VECTORS; i++)
        if (own_vector(share, i) < share.vectors) packed[i] = fetch8(row, own_vector(share, i) * WIDTH);
}

/* The mean over a row of what its lanes have summed. */
DEVICE float row_mean(float sum, const struct row_share &share, const struct rows &rows)
{
    ROLLED
    for (int mask = share.lanes / 2; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
    return sum / (float)rows.width;
}

/* The same rows, their type known to the compiler. */
template <enum element_type type> DEVICE struct rows typed(struct rows rows)
{
    rows.x.type = rows.dy.type = rows.gamma.type = rows.beta.type = rows.y.type = rows.addition.residual.type = type;
    return rows;
}

template <enum element_type type> KERNEL(ROW_WARPS *WARP_THREADS) kept_layer_norm_kernel(struct rows any)
{
    struct rows rows = typed<type>(any);
    struct row_share share = own_share(rows);
    struct packed8 packed[ROW_VECTORS];
    float value[ROW_VECTORS][WIDTH], gamma[WIDTH], beta[WIDTH], sum = 0.0f, squares = 0.0f;
    fetch_row(rows.x, share, packed);
    UNROLL
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
        unpack8(rows.x, packed[i], value[i]);
        UNROLL
        for (int j = 0; j < WIDTH; j++) sum += value[i][j];
    }
    float mean = row_mean(sum, share, rows);
    UNROLL
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
        UNROLL
        for (int j = 0; j < WIDTH; j++) {
            value[i][j] -= mean;
            squares += value[i][j] * value[i][j];
        }
    }
    float rstd = 1.0f / sqrtf(row_mean(squares, share, rows) + rows.epsilon);
    if (!share.is_row) return;
    struct array y = array_from(rows.y, share.first);
    UNROLL
    for (int i = 0; i < ROW_VECTORS; i++) {
        int column = own_vector(share, i) * WIDTH;
        if (own_vector(share, i) >= share.vectors) continue;
        struct packed8 packed_gamma = fetch8(rows.gamma, column), packed_beta = fetch8(rows.beta, column);
        unpack8(rows.gamma, packed_gamma, gamma);
        unpack8(rows.beta, packed_beta, beta);
        UNROLL
        for (int j = 0; j < WIDTH; j++) value[i][j] = value[i][j] * rstd * gamma[j] + beta[j];
        store8(y, column, value[i]);
    }
    if (share.lane != 0) return;
    if (rows.mean) rows.mean[share.row] = mean;
    if (rows.rstd) rows.rstd[share.row] = rstd;
}

/* Of one vector: n = (x - mean) rstd in place of x, g = dy gamma in place of dy, and their sums. */
DEVICE void add_row_products(const float gamma[WIDTH], float mean, float rstd, float x[WIDTH], float dy[WIDTH],
                             float &sum, float &product)
{
    UNROLL
    for (int j = 0; j < WIDTH; j++) {
        x[j] = (x[j] - mean) * rstd;
        dy[j] *= gamma[j];
        sum += dy[j];
        product += dy[j] * x[j];
    }
}

/* As layer_norm_vjp_kernel. */
template <enum element_type type> KERNEL(ROW_WARPS *WARP_THREADS) kept_layer_norm_vjp_kernel(struct rows any)
{
    struct rows rows = typed<type>(any);
    struct row_share share = own_share(rows);
    struct packed8 packed_x[ROW_VECTORS], packed_dy[ROW_VECTORS], packed_residual[ROW_VECTORS];
    float normal[ROW_VECTORS][WIDTH], g[ROW_VECTORS][WIDTH], gamma[WIDTH], residual[WIDTH];
    float sum = 0.0f, product = 0.0f, mean = rows.mean[share.row], rstd = rows.rstd[share.row];
    const struct array &added = rows.addition.residual;
    fetch_row(rows.x, share, packed_x);
    fetch_row(rows.dy, share, packed_dy);
    if (added.data) fetch_row(added, share, packed_residual);
    UNROLL
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
        load8(rows.gamma, own_vector(share, i) * WIDTH, gamma);
        unpack8(rows.x, packed_x[i], normal[i]);
        unpack8(rows.dy, packed_dy[i], g[i]);
        add_row_products(gamma, mean, rstd, normal[i], g[i], sum, product);
    }
    sum = row_mean(sum, share, rows);
    product = row_mean(product, share, rows);
    if (!share.is_row) return;
    struct array dx = array_from(rows.y, share.first);
    UNROLL
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
        UNROLL
        for (int j = 0; j < WIDTH; j++) g[i][j] = rstd * (g[i][j] - sum - normal[i][j] * product);
        if (added.data) {
            unpack8(added, packed_residual[i], residual);
            UNROLL
            for (int j = 0; j < WIDTH; j++) g[i][j] = rows.addition.factor * g[i][j] + residual[j];
        }
        store8(dx, own_vector(share, i) * WIDTH, g[i]);
    }
}

typedef void row_kernel(struct rows rows);

/* Whether all rows can be read and written eight elements at a time. */
static bool allow_vectors(const struct rows &rows)
{
    return rows.width % WIDTH == 0 && fits(rows.dy) && fits(rows.x) && fits(rows.gamma) && fits(rows.beta) &&
           fits(rows.addition.residual) && fits(rows.y);
}

static void launch_rows(cudaStream_t stream, row_kernel *kernel, struct rows rows)
{
    rows.wide = allow_vectors(rows);
    launch(kernel, dim3(blocks_for(rows.count, ROW_WARPS)), ROW_WARPS * WARP_THREADS, 0, stream, rows);
}

/* The type of all arrays that there are; fp32 for a mixture, which the kernels for any types take. */
static enum element_type common_type(const struct rows &rows)
{
    const struct array arrays[] = {rows.dy, rows.gamma, rows.beta, rows.y, rows.addition.residual};
    for (const struct array &array : arrays)
        if (array.data && array.type != rows.x.type) return ELEMENT_F32;
    return rows.x.type;
}

/* By the kernel that keeps rows in registers where they fit. */
static void launch_layer(cudaStream_t stream, row_kernel *bfloat16, row_kernel *float16, row_kernel *any,
                         struct rows rows)
{
    enum element_type type = common_type(rows);
    if (type == ELEMENT_F32 || rows.width > KEPT_WIDTH || !allow_vectors(rows)) {
        launch_rows(stream, any, rows);
        return;
    }
    while (ROW_VECTORS * WIDTH << rows.lane_bits < rows.width) rows.lane_bits++;
    launch(type == ELEMENT_BF16 ? bfloat16 : float16,
           dim3(blocks_for(rows.count, ROW_WARPS * WARP_THREADS >> rows.lane_bits)), ROW_WARPS * WARP_THREADS, 0,
           stream, rows);
}

extern "C" void launch_layer_norm(cudaStream_t stream, struct array x, struct array gamma, struct array beta,
                                  struct array y, float *mean, float *rstd, int64_t rows, int64_t width, float epsilon)
{
    struct rows arguments = {{}, x, gamma, beta, y, mean, rstd, rows, width, epsilon, {}, false, 0};
    launch_layer(stream, kept_layer_norm_kernel<ELEMENT_BF16>, kept_layer_norm_kernel<ELEMENT_F16>, layer_norm_kernel,
                 arguments);
}

extern "C" void launch_layer_norm_vjp(cudaStream_t stream, struct array dy, struct array x, struct array gamma,
                                      const float *mean, const float *rstd, struct array residual, float factor,
                                      struct array dx, int64_t rows, int64_t width)
{
    struct rows arguments = {
        dy, x, gamma, {}, dx, (float *)mean, (float *)rstd, rows, width, 0.0f, {residual, factor}, false, 0};
    launch_layer(stream, kept_layer_norm_vjp_kernel<ELEMENT_BF16>, kept_layer_norm_vjp_kernel<ELEMENT_F16>,
                 layer_norm_vjp_kernel, arguments);
}

extern "C" void launch_normalize(cudaStream_t stream, struct array x, struct array y, int64_t rows, int64_t width,
                                 float epsilon)
{
    struct rows arguments = {{}, x, {}, {}, y, nullptr, nullptr, rows, width, epsilon, {}, false, 0};
    launch_rows(stream, normalize_kernel<false>, arguments);
}

extern "C" void launch_normalize_vjp(cudaStream_t stream, struct array dy, struct array x, struct array dx,
                                     int64_t rows, int64_t width, float epsilon)
{
    struct rows arguments = {dy, x, {}, {}, dx, nullptr, nullptr, rows, width, epsilon, {}, false, 0};
    launch_rows(stream, normalize_kernel<true>, arguments);
}
