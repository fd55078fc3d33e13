/* The vector-Jacobian product of attention: with p the probabilities (made again from the scores and lse),
 * ds = scale p (cotangent v^T - delta), dv = p^T cotangent, dq = ds k, dk = ds^T q.
 *
 * One kernel makes dq: a block owns queries and goes over the keys. The other makes dk and dv: a block owns keys and
 * goes over the queries. Scores are made twice, but every sum is made by one block in a fixed order: no atomics, the
 * same bits every time. */
#include "kernels/cuda/attention.h"

/* Both operands of the scores and of their cotangents' products, on the side that a block owns and on the other. */
struct operand_tiles {
    struct head_rows own, own_other, stream, stream_other;
};

template <bool by_key>
static __device__ __forceinline__ struct operand_tiles operand_tiles_of(const struct attention &attention,
                                                                        const struct attention_arrays &arrays)
{
    struct head_rows queries = rows_of(attention, arrays.q, attention.queries, attention.query_step);
    struct head_rows cotangents = rows_of(attention, arrays.cotangent, attention.queries, attention.result_step);
    struct head_rows keys = rows_of(attention, arrays.k, attention.keys, attention.key_step);
    struct head_rows values = rows_of(attention, arrays.v, attention.keys, attention.key_step);
    if (by_key) return {keys, values, queries, cotangents};
    return {queries, cotangents, keys, values};
}

template <bool by_key> static __device__ __forceinline__ int gradient_step(const struct attention &attention)
{
    return by_key ? attention.key_gradient_step : attention.query_gradient_step;
}

/* The part of the other side that a warp goes over, and the part of that which all of its rows see. */
struct visible_range {
    int begin, end, open_begin, open_end;
};

template <bool by_key>
static __device__ __forceinline__ struct visible_range visible_range_of(const struct attention &attention,
                                                                        int first_own, int own_rows)
{
    int last = first_own + own_rows - 1;
    if (by_key) {
        bool exists = first_own < attention.keys;
        struct visible_range range = {0, exists ? (int)attention.queries : 0, 0, INT32_MAX};
        if (attention.causal) range.begin = first_own, range.open_begin = last;
        return range;
    }
    if (first_own >= attention.queries) return {0, 0, 0, 0};
    return {0, visible_keys(attention, last), 0, visible_keys(attention, first_own)};
}

template <bool by_key, int own_blocks, int blocks>
static __device__ __forceinline__ void mask_scores(const struct attention &attention,
                                                   float scores[own_blocks][blocks][4], int first_own, int first)
{
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int own = lane_row(first_own, block, half) - first, limit = visible_keys(attention, own + first) - first;
#pragma unroll
            for (int j = 0; j < blocks; j++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    int other = 8 * j + lane_index() % 4 * 2 + i;
                    if (by_key ? other < own : other >= limit) scores[block][j][2 * half + i] = -INFINITY;
                }
        }
}

/* What the warps of other groups have summed, in their order. Values lie by thread of a group. */
template <int groups, int count> static __device__ __forceinline__ void add_groups(float *value)
{
    const int warps = ATTENTION_WARPS / groups;
    int group = warp_index() / warps, thread = (int)threadIdx.x % (warps * WARP_THREADS);
    shared_array<float> passed = shared_memory<float>(0);
#pragma unroll 1
    for (int other = 1; other < groups; other++) {
        __syncthreads();
        if (group == other)
#pragma unroll
            for (int i = 0; i < count; i++) passed[i * warps * WARP_THREADS + thread] = value[i];
        __syncthreads();
        if (group == 0)
#pragma unroll
            for (int i = 0; i < count; i++) value[i] += passed[i * warps * WARP_THREADS + thread];
    }
}

template <class Format, int columns, bool by_key, int own_blocks, int at_once, int slice, int groups, int resident>
static __global__ void __launch_bounds__(ATTENTION_THREADS, resident)
    attention_vjp_kernel(struct attention attention, struct attention_arrays arrays)
{
    await_earlier_kernels();
    const int rows = tile<columns>::rows, bytes = tile<columns>::bytes, blocks = at_once / 8, slices = columns / slice;
    const int stage_bytes = 2 * bytes + (by_key ? 2 * rows * (int)sizeof(float) : 0);
    const int row_warps = ATTENTION_WARPS / groups, own_rows = 16 * own_blocks;
    struct operand_tiles operands = operand_tiles_of<by_key>(attention, arrays);
    struct head_rows own = operands.own, own_other = operands.own_other, stream = operands.stream;
    struct head_rows stream_other = operands.stream_other;
    const float *lse = arrays.lse + first_statistic(attention), *delta = arrays.delta + first_statistic(attention);
    int block_own = (int)blockIdx.x / slices * row_warps * own_rows, first_column = (int)blockIdx.x % slices * slice;
    int first_own = block_own + warp_index() % row_warps * own_rows, group = warp_index() / row_warps;
    struct visible_range block_range = visible_range_of<by_key>(attention, block_own, row_warps * own_rows);
    struct visible_range range = visible_range_of<by_key>(attention, first_own, own_rows);
    float unit = attention.scale * LOG2_E;
    float result[own_blocks][slice / 8][4] = {}, value_result[own_blocks][slice / 8][4] = {};

    int begin = block_range.begin / rows * rows;
    struct tile_stream tiles = tile_stream_from<columns>(stream, stream_other, begin, attention.width);
    auto request = [&](int first, int stage) {
        copy_tiles<columns>(tiles, shared_memory<uint16_t>(stage), stream.step, stream_other.step);
        int query = first + (int)threadIdx.x;
        if (by_key && (int)threadIdx.x < rows) {
            shared_array<float> statistics = shared_memory<float>(stage + 2 * bytes);
            cp_async_zfill(statistics, (int)threadIdx.x, lse + query, query < stream.rows);
            cp_async_zfill(statistics, rows + (int)threadIdx.x, delta + query, query < stream.rows);
        }
        cp_async_commit_group();
    };
    if (begin < block_range.end) request(begin, 0);

    uint32_t own_words[own_blocks][columns / 4], own_other_words[own_blocks][columns / 4];
    load_own<own_blocks, columns>(own_words, own, first_own, attention.width);
    load_own<own_blocks, columns>(own_other_words, own_other, first_own, attention.width);
    float own_offset[own_blocks][2], own_delta[own_blocks][2];
    if (!by_key)
#pragma unroll
        for (int block = 0; block < own_blocks; block++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = lane_row(first_own, block, half);
                own_offset[block][half] = row < own.rows ? lse[row] * -LOG2_E : 0.0f;
                own_delta[block][half] = row < own.rows ? delta[row] : 0.0f;
            }

    int stage = 0;
#pragma unroll 1
    for (int first = begin; first < block_range.end; first += rows) {
        cp_async_wait_group<0>();
        __syncthreads();
        int present = stage;
        stage = stage_bytes - stage;
        if (first + rows < block_range.end) request(first + rows, stage);
#pragma unroll 1
        for (int step = group * at_once; step < rows; step += groups * at_once) {
            int at = first + step;
            if (at >= range.end || at + at_once <= range.begin) continue;
            shared_array<uint16_t> rows_a = from_row<columns>(shared_memory<uint16_t>(present), step);
            shared_array<uint16_t> rows_b = from_row<columns>(shared_memory<uint16_t>(present + bytes), step);
            shared_array<float> statistics = shared_memory<float>(present + 2 * bytes);
            float scores[own_blocks][blocks][4] = {}, products[own_blocks][blocks][4];
            /* The sums of a lane's own queries begin at -delta, which costs nothing. */
#pragma unroll
            for (int block = 0; block < own_blocks; block++)
#pragma unroll
                for (int j = 0; j < blocks; j++)
#pragma unroll
                    for (int i = 0; i < 4; i++) products[block][j][i] = by_key ? 0.0f : -own_delta[block][i / 2];
            add_scores<Format, own_blocks, blocks, columns>(scores, own_words, rows_a);
            add_scores<Format, own_blocks, blocks, columns>(products, own_other_words, rows_b);
            if (at < range.open_begin || at + at_once > range.open_end)
                mask_scores<by_key, own_blocks, blocks>(attention, scores, first_own, at);
#pragma unroll
            for (int j = 0; j < blocks; j++) {
                float lse_pair[2] = {}, delta_pair[2] = {};
                if (by_key) {
                    load_neighbours<2>(lse_pair, statistics, step + 8 * j + lane_index() % 4 * 2);
                    load_neighbours<2>(delta_pair, statistics, rows + step + 8 * j + lane_index() % 4 * 2);
                }
                float offset[2] = {lse_pair[0] * -LOG2_E, lse_pair[1] * -LOG2_E};
#pragma unroll
                for (int block = 0; block < own_blocks; block++)
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        float shift = by_key ? offset[i % 2] : own_offset[block][i / 2];
                        float probability = exponential_of_two(fmaf(scores[block][j][i], unit, shift));
                        float product = products[block][j][i];
                        scores[block][j][i] = probability;
                        products[block][j][i] = probability * (by_key ? product - delta_pair[i % 2] : product);
                    }
            }
            add_weighted<Format, own_blocks, blocks, columns, slice>(result, products, rows_a, first_column);
            if (by_key)
                add_weighted<Format, own_blocks, blocks, columns, slice>(value_result, scores, rows_b, first_column);
        }
    }
    if (groups > 1) {
        add_groups<groups, own_blocks * slice / 2>(&result[0][0][0]);
        if (by_key) add_groups<groups, own_blocks * slice / 2>(&value_result[0][0][0]);
        if (group > 0) return;
    }
    float factor[own_blocks][2], one[own_blocks][2];
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            factor[block][half] = attention.scale;
            one[block][half] = 1.0f;
        }
    const struct array &to = by_key ? arrays.dk : arrays.dq;
    int step = gradient_step<by_key>(attention);
    if (to.data)
        store_rows<Format, own_blocks, slice>(rows_of(attention, to, own.rows, step), first_own, first_column,
                                              attention.width, result, factor);
    if (by_key && arrays.dv.data)
        store_rows<Format, own_blocks, slice>(rows_of(attention, arrays.dv, own.rows, step), first_own, first_column,
                                              attention.width, value_result, one);
}

/* Heads above 160 columns: of the three results, a block makes one chunk's columns for 32 own rows. Both operands of
 * the scores lie whole in shared memory on the own side; two warps with the same rows go over one half of each tile
 * each. */
enum gradient { OF_QUERIES, OF_KEYS, OF_VALUES };

template <class Format, int gradient>
static __global__ void __launch_bounds__(ATTENTION_THREADS)
    wide_attention_vjp_kernel(struct attention attention, struct attention_arrays arrays, struct array to)
{
    await_earlier_kernels();
    const bool by_key = gradient != OF_QUERIES, has_products = gradient != OF_VALUES;
    const int rows = tile<CHUNK>::rows, bytes = tile<CHUNK>::bytes, groups = 2, row_warps = ATTENTION_WARPS / groups;
    const int own_rows = 16 * row_warps, blocks = 2;
    int chunks = (attention.width + CHUNK - 1) / CHUNK, slice = (int)blockIdx.x % chunks;
    struct operand_tiles operands = operand_tiles_of<by_key>(attention, arrays);
    struct head_rows own = operands.own, own_other = operands.own_other, stream = operands.stream;
    struct head_rows stream_other = operands.stream_other;
    const float *lse = arrays.lse + first_statistic(attention), *delta = arrays.delta + first_statistic(attention);
    int block_own = (int)blockIdx.x / chunks * own_rows, group = warp_index() / row_warps;
    int own_row = warp_index() % row_warps * 16, first_own = block_own + own_row;
    struct visible_range block_range = visible_range_of<by_key>(attention, block_own, own_rows);
    struct visible_range range = visible_range_of<by_key>(attention, first_own, 16);
    float unit = attention.scale * LOG2_E, result[1][CHUNK / 8][4] = {};

    /* Of each tile pass by the chunks of the products' operand, then those of the scores', the slice's own last, for it
     * is an operand of the result as well; of the values' gradient the chunks of the scores' operand, then the slice of
     * the cotangent. */
    const int begin = block_range.begin / rows * rows;
    int parts = has_products ? 2 * chunks : chunks + 1, part = 0, part_row = begin;
    int stage = (has_products ? 2 : 1) * chunks * bytes, other_stage = stage + bytes;
    auto chunk_of = [&](int number) { return (slice + 1 + number) % chunks; };
    auto request = [&]() {
        bool of_other = has_products ? part < chunks : part == chunks;
        struct head_rows from = of_other ? stream_other : stream;
        int chunk = !has_products && of_other ? slice : chunk_of(part);
        copy_chunk<rows>(shared_memory<uint16_t>(other_stage), from, part_row, chunk * CHUNK, attention.width);
        cp_async_commit_group();
        if (++part == parts) part = 0, part_row += rows;
    };
    auto next = [&]() {
        int present = take_stage(stage, other_stage);
        if (part_row < block_range.end) request();
        return from_row<CHUNK>(shared_memory<uint16_t>(present), 8 * blocks * group);
    };
    auto own_chunk = [&](int number) { return from_row<CHUNK>(shared_memory<uint16_t>(number * bytes), own_row); };
    if (begin < block_range.end) {
#pragma unroll 1
        for (int chunk = 0; chunk < chunks; chunk++) {
            copy_chunk<own_rows>(shared_memory<uint16_t>(chunk * bytes), own, block_own, chunk * CHUNK,
                                 attention.width);
            if (has_products)
                copy_chunk<own_rows>(shared_memory<uint16_t>((chunks + chunk) * bytes), own_other, block_own,
                                     chunk * CHUNK, attention.width);
        }
        request();
    }
    float offset[blocks][4], minus_delta[blocks][4];
    auto load_statistics = [&](int first) {
#pragma unroll
        for (int j = 0; j < blocks; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int query = by_key ? first + 8 * j + lane_index() % 4 * 2 + i % 2 : lane_row(first_own, 0, i / 2);
                bool exists = query < attention.queries;
                offset[j][i] = exists ? lse[query] * -LOG2_E : 0.0f;
                if (has_products) minus_delta[j][i] = exists ? -delta[query] : 0.0f;
            }
    };
    if (!by_key) load_statistics(0);
#pragma unroll 1
    for (int tile_first = begin; tile_first < block_range.end; tile_first += rows) {
        int first = tile_first + 8 * blocks * group;
        float scores[1][blocks][4] = {}, products[1][blocks][4];
        if (by_key) load_statistics(first);
#pragma unroll
        for (int j = 0; j < blocks; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) products[0][j][i] = has_products ? minus_delta[j][i] : 0.0f;
        if (has_products)
#pragma unroll 1
            for (int number = 0; number < chunks; number++) {
                shared_array<uint16_t> streamed = next();
                add_chunk_scores<Format, blocks>(products, own_chunk(chunks + chunk_of(number)), streamed);
            }
        shared_array<uint16_t> streamed;
#pragma unroll 1
        for (int number = 0; number < chunks; number++) {
            streamed = next();
            add_chunk_scores<Format, blocks>(scores, own_chunk(chunk_of(number)), streamed);
        }
        if (first < range.open_begin || first + 8 * blocks > range.open_end)
            mask_scores<by_key, 1, blocks>(attention, scores, first_own, first);
#pragma unroll
        for (int j = 0; j < blocks; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float probability = exponential_of_two(fmaf(scores[0][j][i], unit, offset[j][i]));
                scores[0][j][i] = has_products ? probability * products[0][j][i] : probability;
            }
        if (!has_products) streamed = next();
        add_weighted<Format, 1, blocks, CHUNK, CHUNK>(result, scores, streamed, 0);
    }
    add_groups<groups, CHUNK / 2>(&result[0][0][0]);
    if (group > 0) return;
    const float factor = has_products ? attention.scale : 1.0f, factors[1][2] = {{factor, factor}};
    store_rows<Format, 1, CHUNK>(rows_of(attention, to, own.rows, gradient_step<by_key>(attention)), first_own,
                                 slice * CHUNK, attention.width, result, factors);
}

/* How a kernel for so many columns divides its work, such that nothing is spilled from registers: blocks of 16 own rows
 * a warp, rows of the other side whose scores are held at once, columns of the result by block (scores are made again
 * for each slice), and blocks a multiprocessor. */
template <int columns, bool by_key> struct backward_shape;
template <> struct backward_shape<32, false> {
    static const int own_blocks = 2, at_once = 32, slice = 32, resident = 2;
};
template <> struct backward_shape<32, true> {
    static const int own_blocks = 2, at_once = 32, slice = 32, resident = 2;
};
template <> struct backward_shape<40, false> {
    static const int own_blocks = 2, at_once = 32, slice = 40, resident = 2;
};
template <> struct backward_shape<40, true> {
    static const int own_blocks = 2, at_once = 32, slice = 40, resident = 2;
};
template <> struct backward_shape<64, false> {
    static const int own_blocks = 2, at_once = 16, slice = 64, resident = 2;
};
template <> struct backward_shape<64, true> {
    static const int own_blocks = 1, at_once = 32, slice = 64, resident = 2;
};
template <> struct backward_shape<80, false> {
    static const int own_blocks = 2, at_once = 16, slice = 80, resident = 2;
};
template <> struct backward_shape<80, true> {
    static const int own_blocks = 1, at_once = 32, slice = 80, resident = 2;
};
template <> struct backward_shape<128, false> {
    static const int own_blocks = 1, at_once = 32, slice = 128, resident = 2;
};
template <> struct backward_shape<128, true> {
    static const int own_blocks = 1, at_once = 32, slice = 64, resident = 2;
};
template <> struct backward_shape<160, false> {
    static const int own_blocks = 1, at_once = 16, slice = 160, resident = 2;
};
template <> struct backward_shape<160, true> {
    static const int own_blocks = 1, at_once = 16, slice = 80, resident = 2;
};

template <class Format, int columns, bool by_key, int groups>
static void launch_side(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
{
    typedef backward_shape<columns, by_key> shape;
    const int own_rows = ATTENTION_WARPS / groups * 16 * shape::own_blocks, slices = columns / shape::slice;
    const size_t statistics = by_key ? 2 * tile<columns>::rows * sizeof(float) : 0;
    const size_t stages = 2 * (2 * tile<columns>::bytes + statistics);
    const size_t passed = groups > 1 ? own_rows * shape::slice * sizeof(float) : 0;
    dim3 grid(blocks_for(by_key ? attention.keys : attention.queries, own_rows) * slices, (unsigned)attention.heads,
              (unsigned)attention.batch);
    launch(attention_vjp_kernel<Format, columns, by_key, shape::own_blocks, shape::at_once, shape::slice, groups,
                                shape::resident>,
           grid, ATTENTION_THREADS, passed > stages ? passed : stages, queue, attention, arrays);
}

/* So few keys make too few blocks to fill a device, if each goes over all queries with all of its warps: the prompt's
 * 77 keys beside 4096 queries. */
enum { FEW_KEYS = 128 };

template <class Format, int columns> struct backward_launcher {
    static void run(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
    {
        if (arrays.dq.data) launch_side<Format, columns, false, 1>(queue, attention, arrays);
        if (!arrays.dk.data && !arrays.dv.data) return;
        if (attention.keys <= FEW_KEYS)
            launch_side<Format, columns, true, ATTENTION_WARPS>(queue, attention, arrays);
        else
            launch_side<Format, columns, true, 1>(queue, attention, arrays);
    }
};

template <class Format, int gradient>
static void launch_wide(struct queue queue, const struct attention &attention, const struct attention_arrays &arrays,
                        const struct array &to)
{
    const int own_rows = 32, chunks = blocks_for(attention.width, CHUNK);
    if (!to.data) return;
    dim3 grid(blocks_for(gradient == OF_QUERIES ? attention.queries : attention.keys, own_rows) * chunks,
              (unsigned)attention.heads, (unsigned)attention.batch);
    launch(wide_attention_vjp_kernel<Format, gradient>, grid, ATTENTION_THREADS,
           ((gradient == OF_VALUES ? 1 : 2) * chunks + 2) * tile<CHUNK>::bytes, queue, attention, arrays, to);
}

template <class Format> struct backward_launcher<Format, CHUNK> {
    static void run(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
    {
        launch_wide<Format, OF_QUERIES>(queue, attention, arrays, arrays.dq);
        launch_wide<Format, OF_KEYS>(queue, attention, arrays, arrays.dk);
        launch_wide<Format, OF_VALUES>(queue, attention, arrays, arrays.dv);
    }
};

static bool can_use_matrices(const struct attention *attention, const struct attention_arrays &arrays)
{
    return attention->columns > 0 && is_aligned(arrays.q) && is_aligned(arrays.k) && is_aligned(arrays.v) &&
           is_aligned(arrays.cotangent) && is_aligned(arrays.dq) && is_aligned(arrays.dk) && is_aligned(arrays.dv);
}

extern "C" void launch_attention_vjp(struct queue queue, const struct attention *attention,
                                     struct attention_arrays arrays)
{
    launch_attention_delta(queue, attention, arrays);
    if (can_use_matrices(attention, arrays))
        dispatch<backward_launcher>(queue, *attention, arrays);
    else
        launch_attention_vjp_plain(queue, attention, arrays);
}
