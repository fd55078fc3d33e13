/* Attention in fp32 for every type and head width, one warp a row of the result: the exact path, and what the matrix
 * instructions cannot do. Also the row sums that both backward paths need. */
#include "kernels/cuda/array.h"

enum { WARPS = 4, OWN_COLUMNS = MAXIMUM_HEAD_WIDTH / WARP_THREADS };

/* One row of one head. `rows` counts the rows that share the head. */
struct row {
    int64_t item, head, index;
    bool exists;
};

static __device__ __forceinline__ struct row own_row(const struct attention &attention, int64_t rows)
{
    int64_t number = (int)blockIdx.x * (int64_t)WARPS + warp_index();
    struct row row;
    row.exists = number < attention.batch * attention.heads * rows;
    row.index = number % rows;
    row.head = number / rows % attention.heads;
    row.item = number / rows / attention.heads;
    return row;
}

/* First element of row `index` of the row's head in a tensor of `rows` rows an item, `step` elements apart. */
static __device__ __forceinline__ int64_t row_start(const struct attention &attention, const struct row &row,
                                                    int64_t rows, int64_t index, int64_t step)
{
    return (row.item * rows + index) * step + row.head * attention.width;
}

static __device__ __forceinline__ int64_t statistic_of(const struct attention &attention, const struct row &row,
                                                       int64_t query)
{
    return (row.item * attention.heads + row.head) * attention.queries + query;
}

static __device__ __forceinline__ void copy_row(const struct attention &attention, shared_array<float> to,
                                                const struct array &from, int64_t start)
{
    for (int i = lane_index(); i < attention.width; i += WARP_THREADS) to[i] = load(from, start + i);
}

static __device__ __forceinline__ float dot(const struct attention &attention, shared_array<float> row,
                                            const struct array &other, int64_t start)
{
    float sum = 0.0f;
    for (int i = 0; i < attention.width; i++) sum += row[i] * load(other, start + i);
    return sum;
}

/* result[own columns] += sum over the lanes' rows of factor * row. */
static __device__ __forceinline__ void add_rows(const struct attention &attention, float result[OWN_COLUMNS],
                                                float factor, const struct array &rows, int64_t first, int64_t step,
                                                int count)
{
    for (int lane = 0; lane < count; lane++) {
        float weight = __shfl_sync(FULL_MASK, factor, lane);
#pragma unroll
        for (int i = 0; i < OWN_COLUMNS; i++) {
            int column = lane_index() + i * WARP_THREADS;
            if (column < attention.width) result[i] += weight * load(rows, first + lane * step + column);
        }
    }
}

static __device__ __forceinline__ void store_row(const struct attention &attention, const struct array &to,
                                                 int64_t start, float factor, const float value[OWN_COLUMNS])
{
#pragma unroll
    for (int i = 0; i < OWN_COLUMNS; i++) {
        int column = lane_index() + i * WARP_THREADS;
        if (column < attention.width) store(to, start + column, value[i] * factor);
    }
}

static __device__ __forceinline__ int rows_left(int64_t first, int64_t count)
{
    return count - first < WARP_THREADS ? (int)(count - first) : (int)WARP_THREADS;
}

static __global__ void __launch_bounds__(WARPS *WARP_THREADS)
    attention_plain_kernel(struct attention attention, struct attention_arrays arrays)
{
    await_earlier_kernels();
    shared_array<float> query = shared_memory<float>(warp_index() * MAXIMUM_HEAD_WIDTH * (int)sizeof(float));
    struct row row = own_row(attention, attention.queries);
    if (!row.exists) return;
    int64_t visible = attention.causal && row.index + 1 < attention.keys ? row.index + 1 : attention.keys;
    copy_row(attention, query, arrays.q, row_start(attention, row, attention.queries, row.index, attention.query_step));
    __syncwarp();
    float largest = -INFINITY, sum = 0.0f, result[OWN_COLUMNS] = {};
    for (int64_t first = 0; first < visible; first += WARP_THREADS) {
        int64_t step = attention.key_step, keys = row_start(attention, row, attention.keys, first, step);
        int count = rows_left(first, visible);
        float score = -INFINITY;
        if (lane_index() < count) score = attention.scale * dot(attention, query, arrays.k, keys + lane_index() * step);
        float new_largest = fmaxf(largest, warp_largest(score));
        float probability = expf(score - new_largest), correction = expf(largest - new_largest);
        sum = sum * correction + warp_sum(probability);
        largest = new_largest;
#pragma unroll
        for (int i = 0; i < OWN_COLUMNS; i++) result[i] *= correction;
        add_rows(attention, result, probability, arrays.v, keys, step, count);
    }
    store_row(attention, arrays.o, row_start(attention, row, attention.queries, row.index, attention.result_step),
              1.0f / sum, result);
    if (arrays.lse && lane_index() == 0) arrays.lse[statistic_of(attention, row, row.index)] = largest + logf(sum);
}

/* With p the probabilities: dv = p^T cotangent, ds = scale p (cotangent v^T - delta), dq = ds k, dk = ds^T q. A warp
 * keeps one row of q and the cotangent and goes over the keys, or one row of k and v and goes over the queries. */
template <bool by_key>
static __global__ void __launch_bounds__(WARPS *WARP_THREADS)
    attention_vjp_plain_kernel(struct attention attention, struct attention_arrays arrays)
{
    await_earlier_kernels();
    shared_array<float> own = shared_memory<float>(2 * warp_index() * MAXIMUM_HEAD_WIDTH * (int)sizeof(float));
    shared_array<float> own_other =
        shared_memory<float>((2 * warp_index() + 1) * MAXIMUM_HEAD_WIDTH * (int)sizeof(float));
    int64_t rows = by_key ? attention.keys : attention.queries, others = by_key ? attention.queries : attention.keys;
    struct row row = own_row(attention, rows);
    if (!row.exists) return;
    const struct array &stream = by_key ? arrays.q : arrays.k, &stream_other = by_key ? arrays.cotangent : arrays.v;
    int64_t cotangent_step = attention.result_step, own_step = by_key ? attention.key_step : attention.query_step;
    int64_t own_other_step = by_key ? attention.key_step : cotangent_step;
    int64_t step = by_key ? attention.query_step : attention.key_step;
    int64_t other_step = by_key ? cotangent_step : attention.key_step;
    copy_row(attention, own, by_key ? arrays.k : arrays.q, row_start(attention, row, rows, row.index, own_step));
    copy_row(attention, own_other, by_key ? arrays.v : arrays.cotangent,
             row_start(attention, row, rows, row.index, own_other_step));
    __syncwarp();
    int64_t begin = attention.causal && by_key ? row.index : 0;
    int64_t end = attention.causal && !by_key && row.index + 1 < others ? row.index + 1 : others;
    float result[OWN_COLUMNS] = {}, value_result[OWN_COLUMNS] = {};
    for (int64_t first = begin; first < end; first += WARP_THREADS) {
        int64_t at = row_start(attention, row, others, first, step);
        int64_t other_at = row_start(attention, row, others, first, other_step);
        int count = rows_left(first, end);
        float probability = 0.0f, ds = 0.0f;
        if (lane_index() < count) {
            int64_t query = by_key ? first + lane_index() : row.index;
            float score = attention.scale * dot(attention, own, stream, at + lane_index() * step);
            probability = expf(score - arrays.lse[statistic_of(attention, row, query)]);
            ds = attention.scale * probability *
                 (dot(attention, own_other, stream_other, other_at + lane_index() * other_step) -
                  arrays.delta[statistic_of(attention, row, query)]);
        }
        add_rows(attention, result, ds, stream, at, step, count);
        if (by_key) add_rows(attention, value_result, probability, stream_other, other_at, other_step, count);
    }
    const struct array &to = by_key ? arrays.dk : arrays.dq;
    int64_t start = row_start(attention, row, rows, row.index,
                              by_key ? attention.key_gradient_step : attention.query_gradient_step);
    if (to.data) store_row(attention, to, start, 1.0f, result);
    if (by_key && arrays.dv.data) store_row(attention, arrays.dv, start, 1.0f, value_result);
}

static __global__ void __launch_bounds__(WARPS *WARP_THREADS)
    attention_delta_kernel(struct attention attention, struct attention_arrays arrays)
{
    await_earlier_kernels();
    struct row row = own_row(attention, attention.queries);
    if (!row.exists) return;
    int64_t start = row_start(attention, row, attention.queries, row.index, attention.result_step);
    float sum = 0.0f;
    for (int i = lane_index(); i < attention.width; i += WARP_THREADS)
        sum += load(arrays.cotangent, start + i) * load(arrays.o, start + i);
    sum = warp_sum(sum);
    if (lane_index() == 0) arrays.delta[statistic_of(attention, row, row.index)] = sum;
}

static dim3 blocks_over(const struct attention *attention, int64_t rows)
{
    return dim3(blocks_for(attention->batch * attention->heads * rows, WARPS));
}

extern "C" void launch_attention_plain(struct queue queue, const struct attention *attention,
                                       struct attention_arrays arrays)
{
    launch(attention_plain_kernel, blocks_over(attention, attention->queries), WARPS * WARP_THREADS,
           WARPS * MAXIMUM_HEAD_WIDTH * sizeof(float), queue, *attention, arrays);
}

extern "C" void launch_attention_delta(struct queue queue, const struct attention *attention,
                                       struct attention_arrays arrays)
{
    launch(attention_delta_kernel, blocks_over(attention, attention->queries), WARPS * WARP_THREADS, 0, queue,
           *attention, arrays);
}

extern "C" void launch_attention_vjp_plain(struct queue queue, const struct attention *attention,
                                           struct attention_arrays arrays)
{
    size_t shared_bytes = 2 * WARPS * MAXIMUM_HEAD_WIDTH * sizeof(float);
    if (arrays.dq.data)
        launch(attention_vjp_plain_kernel<false>, blocks_over(attention, attention->queries), WARPS * WARP_THREADS,
               shared_bytes, queue, *attention, arrays);
    if (arrays.dk.data || arrays.dv.data)
        launch(attention_vjp_plain_kernel<true>, blocks_over(attention, attention->keys), WARPS * WARP_THREADS,
               shared_bytes, queue, *attention, arrays);
}
