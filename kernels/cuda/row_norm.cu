/* Layer and Euclidean normalisation: over the last dimension, a row for up to a warp. */
#include "kernels/cuda/norm.h"

enum { ROW_WARPS = 4 };

struct rows {
    struct array dy, x, gamma, beta, y; /* y: the output, dx in the backward pass */
    float *mean, *rstd;
    int64_t count, width;
    float epsilon;
    struct addition addition; /* its residual may be y */
    bool wide;
    int lane_bits; /* of the kernels that keep a row in registers: 2^lane_bits neighbouring lanes share one */
};

static __device__ __forceinline__ int64_t own_row()
{
    return (int)blockIdx.x * (int64_t)ROW_WARPS + warp_index();
}

/* This lane's share of a row: up to 8 elements from `column` on, then the same 256 further. */
static __device__ __forceinline__ int share(const struct rows &rows, int64_t column)
{
    int64_t left = rows.width - column;
    return left < WIDTH ? (int)left : (int)WIDTH;
}

static __global__ void __launch_bounds__(ROW_WARPS *WARP_THREADS) layer_norm_kernel(struct rows rows)
{
    await_earlier_kernels();
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
static __global__ void __launch_bounds__(ROW_WARPS *WARP_THREADS) layer_norm_vjp_kernel(struct rows rows)
{
    await_earlier_kernels();
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

static __device__ __forceinline__ float row_product(const struct rows &rows, const struct array &a,
                                                    const struct array &b, int64_t row)
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
template <bool backward>
static __global__ void __launch_bounds__(ROW_WARPS *WARP_THREADS) normalize_kernel(struct rows rows)
{
    await_earlier_kernels();
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

static __device__ __forceinline__ struct row_share own_share(const struct rows &rows)
{
    struct row_share share;
    int64_t row = global_thread() >> rows.lane_bits;
    share.is_row = row < rows.count;
    share.row = share.is_row ? row : 0;
    share.first = share.row * rows.width;
    share.lanes = 1 << rows.lane_bits;
    share.lane = (int)threadIdx.x & (share.lanes - 1);
    share.vectors = (int)rows.width / WIDTH;
    return share;
}

/* This lane's i-th vector of its row; `vectors` or more: it has none. */
static __device__ __forceinline__ int own_vector(const struct row_share &share, int i)
{
    return share.lane + i * share.lanes;
}

static __device__ __forceinline__ void fetch_row(const struct array &array, const struct row_share &share,
                                                 struct packed8 packed[ROW_VECTORS])
{
    struct array row = array_from(array, share.first);
#pragma unroll
    for (int i = 0; i < ROW_VECTORS; i++)
        if (own_vector(share, i) < share.vectors) packed[i] = fetch8(row, own_vector(share, i) * WIDTH);
}

/* The mean over a row of what its lanes have summed. */
static __device__ __forceinline__ float row_mean(float sum, const struct row_share &share, const struct rows &rows)
{
#pragma unroll 1
    for (int mask = share.lanes / 2; mask > 0; mask /= 2) sum += __shfl_xor_sync(FULL_MASK, sum, mask);
    return sum / (float)rows.width;
}

/* The same rows, their type known to the compiler. */
template <enum element_type type> static __device__ __forceinline__ struct rows typed(struct rows rows)
{
    rows.x.type = rows.dy.type = rows.gamma.type = rows.beta.type = rows.y.type = rows.addition.residual.type = type;
    return rows;
}

template <enum element_type type>
static __global__ void __launch_bounds__(ROW_WARPS *WARP_THREADS) kept_layer_norm_kernel(struct rows any)
{
    await_earlier_kernels();
    struct rows rows = typed<type>(any);
    struct row_share share = own_share(rows);
    struct packed8 packed[ROW_VECTORS];
    float value[ROW_VECTORS][WIDTH], gamma[WIDTH], beta[WIDTH], sum = 0.0f, squares = 0.0f;
    fetch_row(rows.x, share, packed);
#pragma unroll
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
        unpack8(rows.x, packed[i], value[i]);
#pragma unroll
        for (int j = 0; j < WIDTH; j++) sum += value[i][j];
    }
    float mean = row_mean(sum, share, rows);
#pragma unroll
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
#pragma unroll
        for (int j = 0; j < WIDTH; j++) {
            value[i][j] -= mean;
            squares += value[i][j] * value[i][j];
        }
    }
    float rstd = 1.0f / sqrtf(row_mean(squares, share, rows) + rows.epsilon);
    if (!share.is_row) return;
    struct array y = array_from(rows.y, share.first);
#pragma unroll
    for (int i = 0; i < ROW_VECTORS; i++) {
        int column = own_vector(share, i) * WIDTH;
        if (own_vector(share, i) >= share.vectors) continue;
        struct packed8 packed_gamma = fetch8(rows.gamma, column), packed_beta = fetch8(rows.beta, column);
        unpack8(rows.gamma, packed_gamma, gamma);
        unpack8(rows.beta, packed_beta, beta);
#pragma unroll
        for (int j = 0; j < WIDTH; j++) value[i][j] = value[i][j] * rstd * gamma[j] + beta[j];
        store8(y, column, value[i]);
    }
    if (share.lane != 0) return;
    if (rows.mean) rows.mean[share.row] = mean;
    if (rows.rstd) rows.rstd[share.row] = rstd;
}

/* Of one vector: n = (x - mean) rstd in place of x, g = dy gamma in place of dy, and their sums. */
static __device__ __forceinline__ void add_row_products(const float gamma[WIDTH], float mean, float rstd,
                                                        float x[WIDTH], float dy[WIDTH], float &sum, float &product)
{
#pragma unroll
    for (int j = 0; j < WIDTH; j++) {
        x[j] = (x[j] - mean) * rstd;
        dy[j] *= gamma[j];
        sum += dy[j];
        product += dy[j] * x[j];
    }
}

/* As layer_norm_vjp_kernel. */
template <enum element_type type>
static __global__ void __launch_bounds__(ROW_WARPS *WARP_THREADS) kept_layer_norm_vjp_kernel(struct rows any)
{
    await_earlier_kernels();
    struct rows rows = typed<type>(any);
    struct row_share share = own_share(rows);
    struct packed8 packed_x[ROW_VECTORS], packed_dy[ROW_VECTORS], packed_residual[ROW_VECTORS];
    float normal[ROW_VECTORS][WIDTH], g[ROW_VECTORS][WIDTH], gamma[WIDTH], residual[WIDTH];
    float sum = 0.0f, product = 0.0f, mean = rows.mean[share.row], rstd = rows.rstd[share.row];
    const struct array &added = rows.addition.residual;
    fetch_row(rows.x, share, packed_x);
    fetch_row(rows.dy, share, packed_dy);
    if (added.data) fetch_row(added, share, packed_residual);
#pragma unroll
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
#pragma unroll
    for (int i = 0; i < ROW_VECTORS; i++) {
        if (own_vector(share, i) >= share.vectors) continue;
#pragma unroll
        for (int j = 0; j < WIDTH; j++) g[i][j] = rstd * (g[i][j] - sum - normal[i][j] * product);
        if (added.data) {
            unpack8(added, packed_residual[i], residual);
#pragma unroll
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

static void launch_rows(struct queue queue, row_kernel *kernel, struct rows rows)
{
    rows.wide = allow_vectors(rows);
    launch(kernel, dim3(blocks_for(rows.count, ROW_WARPS)), ROW_WARPS * WARP_THREADS, 0, queue, rows);
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
static void launch_layer(struct queue queue, row_kernel *bfloat16, row_kernel *float16, row_kernel *any,
                         struct rows rows)
{
    enum element_type type = common_type(rows);
    if (type == ELEMENT_F32 || rows.width > KEPT_WIDTH || !allow_vectors(rows)) {
        launch_rows(queue, any, rows);
        return;
    }
    while (ROW_VECTORS * WIDTH << rows.lane_bits < rows.width) rows.lane_bits++;
    launch(type == ELEMENT_BF16 ? bfloat16 : float16,
           dim3(blocks_for(rows.count, ROW_WARPS * WARP_THREADS >> rows.lane_bits)), ROW_WARPS * WARP_THREADS, 0, queue,
           rows);
}

extern "C" void launch_layer_norm(struct queue queue, struct array x, struct array gamma, struct array beta,
                                  struct array y, float *mean, float *rstd, int64_t rows, int64_t width, float epsilon)
{
    struct rows arguments = {{}, x, gamma, beta, y, mean, rstd, rows, width, epsilon, {}, false, 0};
    launch_layer(queue, kept_layer_norm_kernel<ELEMENT_BF16>, kept_layer_norm_kernel<ELEMENT_F16>, layer_norm_kernel,
                 arguments);
}

extern "C" void launch_layer_norm_vjp(struct queue queue, struct array dy, struct array x, struct array gamma,
                                      const float *mean, const float *rstd, struct array residual, float factor,
                                      struct array dx, int64_t rows, int64_t width)
{
    struct rows arguments = {
        dy, x, gamma, {}, dx, (float *)mean, (float *)rstd, rows, width, 0.0f, {residual, factor}, false, 0};
    launch_layer(queue, kept_layer_norm_vjp_kernel<ELEMENT_BF16>, kept_layer_norm_vjp_kernel<ELEMENT_F16>,
                 layer_norm_vjp_kernel, arguments);
}

extern "C" void launch_normalize(struct queue queue, struct array x, struct array y, int64_t rows, int64_t width,
                                 float epsilon)
{
    struct rows arguments = {{}, x, {}, {}, y, nullptr, nullptr, rows, width, epsilon, {}, false, 0};
    launch_rows(queue, normalize_kernel<false>, arguments);
}

extern "C" void launch_normalize_vjp(struct queue queue, struct array dy, struct array x, struct array dx, int64_t rows,
                                     int64_t width, float epsilon)
{
    struct rows arguments = {dy, x, {}, {}, dx, nullptr, nullptr, rows, width, epsilon, {}, false, 0};
    launch_rows(queue, normalize_kernel<true>, arguments);
}
