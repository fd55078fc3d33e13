/* Attention by tiles with an online softmax (Dao et al. 2022): scores are never written out. */
#include "kernels/cuda/attention.h"

/* A row's reference is replaced once a score exceeds it by so much, in units of log 2, rather than by anything, as in
 * FlashAttention-4: results are seldom rescaled then, and probabilities stay below 2^8, which both formats hold as well
 * as those below 1. */
#define RESCALE_THRESHOLD 8.0f

/* What a warp has of its rows' result. Probabilities are 2^(unit * score + offset) with unit = scale * log2 e; offset
 * is -unit times the row's reference score. A lane sums the probabilities that it computes itself. */
template <int own_blocks, int columns> struct attended {
    float value[own_blocks][columns / 8][4], offset[own_blocks][2], sum[own_blocks][2];
};

/* Makes the rows' largest scores their references where they are larger, and what was summed so far relative to them.
 */
template <int own_blocks, int columns>
static __device__ __forceinline__ void rescale(struct attended<own_blocks, columns> &attended,
                                               const float largest[own_blocks][2], float unit)
{
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            /* A row's scores lie in four neighbouring lanes. */
            float score = largest[block][half], old = attended.offset[block][half];
            score = fmaxf(score, __shfl_xor_sync(FULL_MASK, score, 1));
            score = fmaxf(score, __shfl_xor_sync(FULL_MASK, score, 2));
            float offset = fminf(old, -score * unit), correction = exponential_of_two(offset - old);
            attended.offset[block][half] = offset;
            attended.sum[block][half] *= correction;
#pragma unroll
            for (int j = 0; j < columns / 8; j++)
#pragma unroll
                for (int i = 0; i < 2; i++) attended.value[block][j][2 * half + i] *= correction;
        }
}

/* Scores to probabilities. */
template <int own_blocks, int blocks, int columns>
static __device__ __forceinline__ void softmax_update(struct attended<own_blocks, columns> &attended,
                                                      float scores[own_blocks][blocks][4], float unit)
{
    float largest[own_blocks][2];
    bool exceeds = false;
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float score = scores[block][0][2 * half];
#pragma unroll
            for (int i = 1; i < 2 * blocks; i++) score = fmaxf(score, scores[block][i / 2][2 * half + i % 2]);
            largest[block][half] = score;
            exceeds = exceeds || fmaf(score, unit, attended.offset[block][half]) > RESCALE_THRESHOLD;
        }
    if (__any_sync(FULL_MASK, exceeds)) rescale<own_blocks, columns>(attended, largest, unit);
#pragma unroll
    for (int j = 0; j < blocks; j++)
#pragma unroll
        for (int block = 0; block < own_blocks; block++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float probability = exponential_of_two(fmaf(scores[block][j][i], unit, attended.offset[block][i / 2]));
                scores[block][j][i] = probability;
                attended.sum[block][i / 2] += probability;
            }
}

/* Before the first key: any score exceeds the reference by far. */
template <int own_blocks, int columns>
static __device__ __forceinline__ void clear(struct attended<own_blocks, columns> &attended)
{
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            attended.sum[block][half] = 0.0f;
            attended.offset[block][half] = INFINITY;
#pragma unroll
            for (int j = 0; j < columns / 8; j++)
#pragma unroll
                for (int i = 0; i < 2; i++) attended.value[block][j][2 * half + i] = 0.0f;
        }
}

/* Each row sees the keys before its limit alone, counted from the first of the scores'. */
template <int own_blocks, int blocks>
static __device__ __forceinline__ void mask_scores(float scores[own_blocks][blocks][4], const int limit[own_blocks][2])
{
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int j = 0; j < blocks; j++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (8 * j + lane_index() % 4 * 2 + i % 2 >= limit[block][i / 2]) scores[block][j][i] = -INFINITY;
}

/* Writes the result's columns from `first_column` on, and lse where asked to. */
template <class Format, int own_blocks, int columns>
static __device__ __forceinline__ void
epilogue(const struct attention &attention, const struct attention_arrays &arrays,
         const struct attended<own_blocks, columns> &attended, int first_query, int first_column, bool with_lse)
{
    struct head_rows o = rows_of(attention, arrays.o, attention.queries, attention.result_step);
    float factor[own_blocks][2];
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float sum = attended.sum[block][half];
            sum += __shfl_xor_sync(FULL_MASK, sum, 1);
            sum += __shfl_xor_sync(FULL_MASK, sum, 2);
            factor[block][half] = 1.0f / sum;
            int query = lane_row(first_query, block, half);
            if (with_lse && lane_index() % 4 == 0 && query < o.rows)
                arrays.lse[first_statistic(attention) + query] = (log2f(sum) - attended.offset[block][half]) * LN_2;
        }
    store_rows<Format, own_blocks, columns>(o, first_query, first_column, attention.width, attended.value, factor);
}

/* Attends to 8 blocks keys; with `masked`, to those before each row's limit alone. */
template <class Format, int own_blocks, int blocks, int columns, bool masked>
static __device__ __forceinline__ void
attend(struct attended<own_blocks, columns> &attended, const uint32_t queries[own_blocks][columns / 4],
       shared_array<uint16_t> keys, shared_array<uint16_t> values, float unit, const int limit[own_blocks][2])
{
    float scores[own_blocks][blocks][4] = {};
    add_scores<Format, own_blocks, blocks, columns>(scores, queries, keys);
    if (masked) mask_scores<own_blocks, blocks>(scores, limit);
    softmax_update<own_blocks, blocks, columns>(attended, scores, unit);
    add_weighted<Format, own_blocks, blocks, columns, columns>(attended.value, scores, values, 0);
}

template <class Format, int columns, int own_blocks, int at_once, int resident>
static __global__ void __launch_bounds__(ATTENTION_THREADS, resident)
    attention_kernel(struct attention attention, struct attention_arrays arrays)
{
    await_earlier_kernels();
    const int rows = tile<columns>::rows, bytes = tile<columns>::bytes, warp_rows = 16 * own_blocks;
    struct head_rows q = rows_of(attention, arrays.q, attention.queries, attention.query_step);
    struct head_rows k = rows_of(attention, arrays.k, attention.keys, attention.key_step);
    struct head_rows v = rows_of(attention, arrays.v, attention.keys, attention.key_step);
    int first_query = ((int)blockIdx.x * ATTENTION_WARPS + warp_index()) * warp_rows;
    /* Keys that anyone in the block sees, that anyone in the warp sees, and that the whole warp sees. */
    int block_end = visible_keys(attention, ((int)blockIdx.x + 1) * ATTENTION_WARPS * warp_rows - 1);
    int warp_end = first_query < q.rows ? visible_keys(attention, first_query + warp_rows - 1) : 0;
    int shared_end = first_query < q.rows ? visible_keys(attention, first_query) : 0;
    float unit = attention.scale * LOG2_E;

    struct tile_stream tiles = tile_stream_from<columns>(k, v, 0, attention.width);
    copy_tiles<columns>(tiles, shared_memory<uint16_t>(0), attention.key_step, attention.key_step);
    cp_async_commit_group();
    uint32_t queries[own_blocks][columns / 4];
    load_own<own_blocks, columns>(queries, q, first_query, attention.width);
    struct attended<own_blocks, columns> attended;
    clear<own_blocks, columns>(attended);

    int stage = 0;
#pragma unroll 1
    for (int first = 0; first < block_end; first += rows) {
        cp_async_wait_group<0>();
        __syncthreads();
        shared_array<uint16_t> keys = shared_memory<uint16_t>(stage);
        shared_array<uint16_t> values = shared_memory<uint16_t>(stage + bytes);
        stage = 2 * bytes - stage;
        if (first + rows < block_end) {
            copy_tiles<columns>(tiles, shared_memory<uint16_t>(stage), attention.key_step, attention.key_step);
            cp_async_commit_group();
        }
        int step = 0;
#pragma unroll 1
        for (; step < rows && first + step + at_once <= shared_end; step += at_once)
            attend<Format, own_blocks, at_once / 8, columns, false>(attended, queries, from_row<columns>(keys, step),
                                                                    from_row<columns>(values, step), unit, nullptr);
#pragma unroll 1
        for (; step < rows && first + step < warp_end; step += 16) {
            int limit[own_blocks][2];
#pragma unroll
            for (int block = 0; block < own_blocks; block++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    limit[block][half] = visible_keys(attention, lane_row(first_query, block, half)) - first - step;
            attend<Format, own_blocks, 2, columns, true>(attended, queries, from_row<columns>(keys, step),
                                                         from_row<columns>(values, step), unit, limit);
        }
    }

    epilogue<Format, own_blocks, columns>(attention, arrays, attended, first_query, 0, arrays.lse != nullptr);
}

/* Heads above 160 columns: a block has all columns of its queries in shared memory and makes those of one chunk. */
template <class Format>
static __global__ void __launch_bounds__(ATTENTION_THREADS)
    wide_attention_kernel(struct attention attention, struct attention_arrays arrays)
{
    await_earlier_kernels();
    const int rows = tile<CHUNK>::rows, bytes = tile<CHUNK>::bytes, own_rows = 16 * ATTENTION_WARPS;
    const int own_bytes = own_rows / rows * bytes;
    int chunks = (attention.width + CHUNK - 1) / CHUNK, first_column = (int)blockIdx.x % chunks * CHUNK;
    int block_query = (int)blockIdx.x / chunks * own_rows, first_query = block_query + 16 * warp_index();
    struct head_rows q = rows_of(attention, arrays.q, attention.queries, attention.query_step);
    struct head_rows k = rows_of(attention, arrays.k, attention.keys, attention.key_step);
    struct head_rows v = rows_of(attention, arrays.v, attention.keys, attention.key_step);
    int end = visible_keys(attention, block_query + own_rows - 1), shared_end = visible_keys(attention, first_query);
    float unit = attention.scale * LOG2_E;

    /* Of each tile the chunks of its keys pass by, then one chunk of its values. */
    int part = 0, part_row = 0, stage = chunks * own_bytes, other_stage = stage + bytes;
    auto request = [&]() {
        bool is_value = part == chunks;
        struct head_rows from = is_value ? v : k;
        copy_chunk<rows>(shared_memory<uint16_t>(other_stage), from, part_row, is_value ? first_column : part * CHUNK,
                         attention.width);
        cp_async_commit_group();
        part = is_value ? 0 : part + 1;
        if (is_value) part_row += rows;
    };
    auto next = [&]() {
        int present = take_stage(stage, other_stage);
        if (part_row < end) request();
        return shared_memory<uint16_t>(present);
    };
#pragma unroll 1
    for (int chunk = 0; chunk < chunks; chunk++)
        copy_chunk<own_rows>(shared_memory<uint16_t>(chunk * own_bytes), q, block_query, chunk * CHUNK,
                             attention.width);
    request();
    struct attended<1, CHUNK> attended;
    clear<1, CHUNK>(attended);
#pragma unroll 1
    for (int first = 0; first < end; first += rows) {
        float scores[1][rows / 8][4] = {};
#pragma unroll 1
        for (int chunk = 0; chunk < chunks; chunk++) {
            shared_array<uint16_t> keys = next();
            add_chunk_scores<Format, rows / 8>(
                scores, from_row<CHUNK>(shared_memory<uint16_t>(chunk * own_bytes), 16 * warp_index()), keys);
        }
        if (first + rows > shared_end) {
            int limit[1][2];
#pragma unroll
            for (int half = 0; half < 2; half++)
                limit[0][half] = visible_keys(attention, lane_row(first_query, 0, half)) - first;
            mask_scores<1, rows / 8>(scores, limit);
        }
        softmax_update<1, rows / 8, CHUNK>(attended, scores, unit);
        shared_array<uint16_t> values = next();
        add_weighted<Format, 1, rows / 8, CHUNK, CHUNK>(attended.value, scores, values, 0);
    }
    epilogue<Format, 1, CHUNK>(attention, arrays, attended, first_query, first_column,
                               arrays.lse != nullptr && first_column == 0);
}

/* How a kernel for so many columns divides its work, such that nothing is spilled from registers: blocks of 16 queries
 * a warp, keys whose scores are held at once, and blocks a multiprocessor. */
template <int columns> struct forward_shape;
template <> struct forward_shape<32> {
    static const int own_blocks = 2, at_once = 32, resident = 3;
};
template <> struct forward_shape<40> {
    static const int own_blocks = 2, at_once = 32, resident = 3;
};
template <> struct forward_shape<64> {
    static const int own_blocks = 2, at_once = 64, resident = 2;
};
template <> struct forward_shape<80> {
    static const int own_blocks = 2, at_once = 64, resident = 2;
};
template <> struct forward_shape<128> {
    static const int own_blocks = 1, at_once = 32, resident = 2;
};
template <> struct forward_shape<160> {
    static const int own_blocks = 1, at_once = 32, resident = 2;
};

template <class Format, int columns> struct forward_launcher {
    static void run(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
    {
        typedef forward_shape<columns> shape;
        dim3 grid(blocks_for(attention.queries, ATTENTION_WARPS * 16 * shape::own_blocks), (unsigned)attention.heads,
                  (unsigned)attention.batch);
        launch(attention_kernel<Format, columns, shape::own_blocks, shape::at_once, shape::resident>, grid,
               ATTENTION_THREADS, 4 * tile<columns>::bytes, queue, attention, arrays);
    }
};

template <class Format> struct forward_launcher<Format, CHUNK> {
    static void run(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
    {
        const int own_rows = 16 * ATTENTION_WARPS, chunks = blocks_for(attention.width, CHUNK);
        dim3 grid(blocks_for(attention.queries, own_rows) * chunks, (unsigned)attention.heads,
                  (unsigned)attention.batch);
        launch(wide_attention_kernel<Format>, grid, ATTENTION_THREADS,
               (chunks * own_rows / tile<CHUNK>::rows + 2) * tile<CHUNK>::bytes, queue, attention, arrays);
    }
};

extern "C" void plan_attention(struct attention *attention, enum element_type type)
{
    static const int available[] = {32, 40, 64, 80, 128, 160};
    attention->columns = 0;
    if (type == ELEMENT_F32 || attention->width % 8 != 0) return;
    const int steps[] = {attention->query_step, attention->key_step, attention->result_step,
                         attention->query_gradient_step, attention->key_gradient_step};
    /* Grids, numbers of rows and places within an item are smaller than what 64 bits count. */
    int64_t rows = attention->queries > attention->keys ? attention->queries : attention->keys;
    if (attention->batch > 65535 || attention->heads > 65535) return;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i] % 8 != 0 || rows > INT32_MAX / 2 || rows * steps[i] > INT32_MAX / 2) return;
    for (size_t i = 0; i < sizeof available / sizeof *available && attention->columns == 0; i++)
        if (available[i] >= attention->width) attention->columns = available[i];
    if (attention->columns == 0 && attention->width <= MAXIMUM_HEAD_WIDTH) attention->columns = CHUNK;
}

static bool can_use_matrices(const struct attention *attention, const struct attention_arrays &arrays)
{
    return attention->columns > 0 && is_aligned(arrays.q) && is_aligned(arrays.k) && is_aligned(arrays.v) &&
           is_aligned(arrays.o);
}

extern "C" void launch_attention(struct queue queue, const struct attention *attention, struct attention_arrays arrays)
{
    if (can_use_matrices(attention, arrays))
        dispatch<forward_launcher>(queue, *attention, arrays);
    else
        launch_attention_plain(queue, attention, arrays);
}
