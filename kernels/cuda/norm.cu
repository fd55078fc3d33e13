#include "kernels/cuda/array.h"

/* Group, layer and Euclidean normalisation. Statistics are fp32 sums in a fixed order: the same bits every time. */

enum { THREADS = 256, WIDTH = 8, ROW_WARPS = 4, POSITIONS_PER_PART = 64, MAXIMUM_PARTS = 128 };

DEVICE float sigmoid(float x)
{
    return x >= 0 ? 1.0f / (1.0f + expf(-x)) : expf(x) / (1.0f + expf(x));
}

DEVICE float silu_derivative(float x)
{
    float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

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

/* ---- group normalisation ---- */

/* The two sums of each group that the forward and the backward formula need, by parts of the positions:
 * sums[(item * parts + part) * groups + group] = {first, second}. */
struct group_sums {
    float *sums;
    float *mean, *rstd; /* [batch, groups]: results of the forward pass, inputs of the backward one */
    float *means;       /* backward: {mean(g), mean(g n)} by group, with n normalised and g = dy gamma */
};

struct group_arrays {
    struct array dy, x, gamma, beta, y; /* y: the output, dx in the backward pass */
    struct addition addition;           /* its residual may be y */
};

/* The channels that this thread owns within a block: a vector of `width`, every `rows`-th position from `row` on. */
struct slot {
    int vectors, rows, vector, row;
};

DEVICE struct slot own_slot(const struct group_norm &norm, int width)
{
    struct slot slot;
    int vectors = (int)(norm.channels / width);
    slot.vectors = vectors < THREADS ? vectors : (int)THREADS;
    slot.rows = THREADS / slot.vectors;
    slot.vector = thread_index() % slot.vectors;
    slot.row = thread_index() / slot.vectors;
    return slot;
}

DEVICE int64_t group_index(const struct group_norm &norm, int64_t item, int64_t channel)
{
    return item * norm.groups + channel / (norm.channels / norm.groups);
}

/* g = dy gamma, times the derivative of SiLU where that is fused. */
DEVICE float scaled_cotangent(const struct group_norm &norm, const struct group_arrays &arrays, int64_t channel,
                              float normal, float cotangent)
{
    float gamma = load(arrays.gamma, channel), g = cotangent * gamma;
    return norm.fused_silu ? g * silu_derivative(normal * gamma + load(arrays.beta, channel)) : g;
}

/* Sums of x - s and (x - s)^2 with s the group's first element, which keeps the difference of squares accurate where
 * the mean is large against the deviation. */
DEVICE void add_moments(const struct group_norm &norm, const struct group_arrays &arrays, int64_t item, int64_t channel,
                        const float x[WIDTH], int width, float first[WIDTH], float second[WIDTH])
{
    int64_t group_width = norm.channels / norm.groups;
    for (int i = 0; i < WIDTH; i++) {
        if (i >= width) continue;
        int64_t start = (channel + i) / group_width * group_width;
        float difference = x[i] - load(arrays.x, item * norm.positions * norm.channels + start);
        first[i] += difference;
        second[i] += difference * difference;
    }
}

/* Sums of g and g n. */
DEVICE void add_products(const struct group_norm &norm, const struct group_arrays &arrays,
                         const struct group_sums &result, int64_t item, int64_t channel, int64_t index,
                         const float x[WIDTH], int width, float first[WIDTH], float second[WIDTH])
{
    float cotangent[WIDTH];
    load_some(arrays.dy, index, width, width == WIDTH, cotangent);
    for (int i = 0; i < WIDTH; i++) {
        if (i >= width) continue;
        int64_t group = group_index(norm, item, channel + i);
        float normal = (x[i] - result.mean[group]) * result.rstd[group];
        float g = scaled_cotangent(norm, arrays, channel + i, normal, cotangent[i]);
        first[i] += g;
        second[i] += g * normal;
    }
}

template <bool backward>
KERNEL(THREADS)
group_sums_kernel(struct group_norm norm, struct group_arrays arrays, struct group_sums result, int width)
{
    struct slot slot = own_slot(norm, width);
    int64_t item = block_y(), part = block_x();
    int64_t start = norm.positions * part / norm.parts, end = norm.positions * (part + 1) / norm.parts;
    shared_array<float> first_of = shared_memory<float>(0);
    shared_array<float> second_of = shared_memory<float>((int)(slot.rows * norm.channels * (int64_t)sizeof(float)));
    for (int vector = slot.vector; vector < norm.channels / width && slot.row < slot.rows; vector += slot.vectors) {
        int64_t channel = (int64_t)vector * width;
        float first[WIDTH] = {}, second[WIDTH] = {}, x[WIDTH];
        for (int64_t position = start + slot.row; position < end; position += slot.rows) {
            int64_t index = (item * norm.positions + position) * norm.channels + channel;
            load_some(arrays.x, index, width, width == WIDTH, x);
            if (backward)
                add_products(norm, arrays, result, item, channel, index, x, width, first, second);
            else
                add_moments(norm, arrays, item, channel, x, width, first, second);
        }
        for (int i = 0; i < WIDTH; i++) {
            if (i >= width) continue;
            first_of[(int)(slot.row * norm.channels + channel + i)] = first[i];
            second_of[(int)(slot.row * norm.channels + channel + i)] = second[i];
        }
    }
    synchronize_block();
    int group_width = (int)(norm.channels / norm.groups);
    for (int group = thread_index(); group < norm.groups; group += THREADS) {
        float first = 0.0f, second = 0.0f;
        for (int row = 0; row < slot.rows; row++)
            for (int i = 0; i < group_width; i++) {
                int place = (int)(row * norm.channels) + group * group_width + i;
                first += first_of[place];
                second += second_of[place];
            }
        float *sums = result.sums + 2 * ((item * norm.parts + part) * norm.groups + group);
        sums[0] = first;
        sums[1] = second;
    }
}

/* Adds up the parts, one thread a group. */
template <bool backward>
KERNEL(THREADS)
group_finish_kernel(struct group_norm norm, struct group_arrays arrays, struct group_sums result)
{
    int64_t index = global_thread();
    if (index >= norm.batch * norm.groups) return;
    int64_t item = index / norm.groups, group = index % norm.groups, group_width = norm.channels / norm.groups;
    float first = 0.0f, second = 0.0f, count = (float)(norm.positions * group_width);
    for (int part = 0; part < norm.parts; part++) {
        const float *sums = result.sums + 2 * ((item * norm.parts + part) * norm.groups + group);
        first += sums[0];
        second += sums[1];
    }
    first /= count;
    second /= count;
    if (backward) {
        result.means[2 * index] = first;
        result.means[2 * index + 1] = second;
    } else {
        float variance = fmaxf(second - first * first, 0.0f);
        result.mean[index] = first + load(arrays.x, item * norm.positions * norm.channels + group * group_width);
        result.rstd[index] = 1.0f / sqrtf(variance + norm.epsilon);
    }
}

/* dx = rstd (g - mean(g) - n mean(g n)), or y = n gamma + beta and SiLU of it. */
template <bool backward>
KERNEL(THREADS)
group_apply_kernel(struct group_norm norm, struct group_arrays arrays, struct group_sums result, int width)
{
    int64_t index = global_thread() * width;
    if (index >= norm.batch * norm.positions * norm.channels) return;
    int64_t channel = index % norm.channels, item = index / norm.channels / norm.positions;
    float x[WIDTH], cotangent[WIDTH] = {};
    load_some(arrays.x, index, width, width == WIDTH, x);
    if (backward) load_some(arrays.dy, index, width, width == WIDTH, cotangent);
    for (int i = 0; i < WIDTH; i++) {
        if (i >= width) continue;
        int64_t group = group_index(norm, item, channel + i);
        float normal = (x[i] - result.mean[group]) * result.rstd[group];
        if (backward) {
            float g = scaled_cotangent(norm, arrays, channel + i, normal, cotangent[i]);
            x[i] = result.rstd[group] * (g - result.means[2 * group] - normal * result.means[2 * group + 1]);
        } else {
            float value = normal * load(arrays.gamma, channel + i) + load(arrays.beta, channel + i);
            x[i] = norm.fused_silu ? value * sigmoid(value) : value;
        }
    }
    if (backward) add(arrays.addition, index, width, width == WIDTH, x);
    store_some(arrays.y, index, width, width == WIDTH, x);
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
    norm.parts = blocks_for(norm.positions, POSITIONS_PER_PART);
    if (norm.parts > MAXIMUM_PARTS) norm.parts = MAXIMUM_PARTS;
    return norm;
}

extern "C" size_t group_norm_scratch(const struct group_norm *norm)
{
    size_t groups = (size_t)(norm->batch * norm->groups);
    return (2 * groups * (size_t)norm->parts + 4 * groups) * sizeof(float);
}

template <bool backward>
static void run_group_norm(cudaStream_t stream, struct group_norm norm, struct group_arrays arrays,
                           struct group_sums sums)
{
    bool wide = norm.channels % WIDTH == 0 && is_aligned(arrays.x) && is_aligned(arrays.y) && fits(arrays.dy) &&
                fits(arrays.addition.residual);
    int width = wide ? WIDTH : 1, vectors = (int)(norm.channels / width);
    int rows = THREADS / (vectors < THREADS ? vectors : THREADS);
    size_t shared_bytes = 2 * (size_t)rows * (size_t)norm.channels * sizeof(float);
    launch(group_sums_kernel<backward>, dim3(norm.parts, (unsigned)norm.batch), THREADS, shared_bytes, stream, norm,
           arrays, sums, width);
    launch(group_finish_kernel<backward>, dim3(blocks_for(norm.batch * norm.groups, THREADS)), THREADS, 0, stream, norm,
           arrays, sums);
    launch(group_apply_kernel<backward>, dim3(blocks_for(norm.batch * norm.positions * norm.channels / width, THREADS)),
           THREADS, 0, stream, norm, arrays, sums, width);
}

extern "C" void launch_group_norm(cudaStream_t stream, struct group_norm norm, struct array x, struct array gamma,
                                  struct array beta, struct array y, float *mean, float *rstd, void *scratch)
{
    float *space = (float *)scratch;
    int64_t groups = norm.batch * norm.groups;
    struct group_arrays arrays = {{}, x, gamma, beta, y, {}};
    struct group_sums sums = {space + 4 * groups, mean ? mean : space, rstd ? rstd : space + groups, nullptr};
    run_group_norm<false>(stream, norm, arrays, sums);
}

extern "C" void launch_group_norm_vjp(cudaStream_t stream, struct group_norm norm, struct array dy, struct array x,
                                      struct array gamma, struct array beta, const float *mean, const float *rstd,
                                      struct array residual, float factor, struct array dx, void *scratch)
{
    float *space = (float *)scratch;
    int64_t groups = norm.batch * norm.groups;
    struct group_arrays arrays = {dy, x, gamma, beta, dx, {residual, factor}};
    struct group_sums sums = {space + 4 * groups, (float *)mean, (float *)rstd, space};
    run_group_norm<true>(stream, norm, arrays, sums);
}

/* ---- normalisation of rows: one warp a row ---- */

struct rows {
    struct array dy, x, gamma, beta, y; /* y: the output, dx in the backward pass */
    float *mean, *rstd;
    int64_t count, width;
    float epsilon;
    struct addition addition; /* its residual may be y */
    bool wide;
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

static void launch_rows(cudaStream_t stream, void (*kernel)(struct rows), struct rows rows)
{
    rows.wide = rows.width % WIDTH == 0 && fits(rows.dy) && fits(rows.x) && fits(rows.gamma) && fits(rows.beta) &&
                fits(rows.addition.residual) && fits(rows.y);
    launch(kernel, dim3(blocks_for(rows.count, ROW_WARPS)), ROW_WARPS * WARP_THREADS, 0, stream, rows);
}

extern "C" void launch_layer_norm(cudaStream_t stream, struct array x, struct array gamma, struct array beta,
                                  struct array y, float *mean, float *rstd, int64_t rows, int64_t width, float epsilon)
{
    struct rows arguments = {{}, x, gamma, beta, y, mean, rstd, rows, width, epsilon, {}, false};
    launch_rows(stream, layer_norm_kernel, arguments);
}

extern "C" void launch_layer_norm_vjp(cudaStream_t stream, struct array dy, struct array x, struct array gamma,
                                      const float *mean, const float *rstd, struct array residual, float factor,
                                      struct array dx, int64_t rows, int64_t width)
{
    struct rows arguments = {
        dy, x, gamma, {}, dx, (float *)mean, (float *)rstd, rows, width, 0.0f, {residual, factor}, false};
    launch_rows(stream, layer_norm_vjp_kernel, arguments);
}

extern "C" void launch_normalize(cudaStream_t stream, struct array x, struct array y, int64_t rows, int64_t width,
                                 float epsilon)
{
    struct rows arguments = {{}, x, {}, {}, y, nullptr, nullptr, rows, width, epsilon, {}, false};
    launch_rows(stream, normalize_kernel<false>, arguments);
}

extern "C" void launch_normalize_vjp(cudaStream_t stream, struct array dy, struct array x, struct array dx,
                                     int64_t rows, int64_t width, float epsilon)
{
    struct rows arguments = {dy, x, {}, {}, dx, nullptr, nullptr, rows, width, epsilon, {}, false};
    launch_rows(stream, normalize_kernel<true>, arguments);
}
