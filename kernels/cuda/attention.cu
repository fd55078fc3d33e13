#include "kernels/cuda/attention.h"

/* Attention by tiles with a running softmax (Dao et al. 2022): scores are never written out. */

/* The softmax of two rows so far, in units of log 2. */
struct running {
    float largest[2], sum[2];
};

/* Scores to probabilities relative to the largest so far; returns in `correction` what earlier results shrink by. */
template <int blocks>
DEVICE void soften(const struct attention &attention, float scores[blocks][4], struct running &running,
                   int64_t first_query, int64_t first_key, float correction[2])
{
    float unit = attention.scale * LOG2_E;
    UNROLL for (int half = 0; half < 2; half++)
    {
        int64_t query = first_query + lane_index() / 4 + 8 * half;
        float largest = running.largest[half];
        UNROLL for (int j = 0; j < blocks; j++) UNROLL for (int i = 0; i < 2; i++)
        {
            int64_t key = first_key + 8 * j + lane_index() % 4 * 2 + i;
            bool visible = key < attention.keys && (!attention.causal || key <= query);
            float score = visible ? scores[j][2 * half + i] * unit : -INFINITY;
            scores[j][2 * half + i] = score;
            largest = fmaxf(largest, score);
        }
        /* A row's scores lie in four neighbouring lanes. */
        largest = fmaxf(largest, shuffle_xor(largest, 1));
        largest = fmaxf(largest, shuffle_xor(largest, 2));
        correction[half] = exp2f(running.largest[half] - largest);
        float sum = 0.0f;
        UNROLL for (int j = 0; j < blocks; j++) UNROLL for (int i = 0; i < 2; i++)
        {
            scores[j][2 * half + i] = exp2f(scores[j][2 * half + i] - largest);
            sum += scores[j][2 * half + i];
        }
        running.largest[half] = largest;
        running.sum[half] = running.sum[half] * correction[half] + sum;
    }
}

template <class Format, int slice>
KERNEL(ATTENTION_THREADS)
attention_kernel(struct attention attention, struct attention_arrays arrays)
{
    const int blocks = TILE / 8, value_pitch = slice + PAD;
    int pitch = attention.chunk + PAD, tile_bytes = TILE * pitch * (int)sizeof(uint16_t);
    shared_array<uint16_t> query_tile = shared_memory<uint16_t>(0), key_tile = shared_memory<uint16_t>(tile_bytes),
                           value_tile = shared_memory<uint16_t>(2 * tile_bytes);
    struct head head = own_head(attention);
    struct head_rows q = rows_of(attention, head, arrays.q, attention.queries);
    struct head_rows k = rows_of(attention, head, arrays.k, attention.keys);
    struct head_rows v = rows_of(attention, head, arrays.v, attention.keys);
    int64_t first_query = (int64_t)block_x() * TILE, end = attention.keys;
    if (attention.causal && first_query + TILE < end) end = first_query + TILE;
    int row = warp_index() * 16, first_column = block_z() * slice;
    bool whole = attention.chunk >= attention.width; /* one chunk: the queries stay in shared memory */
    struct running running = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
    float result[slice / 8][4] = {}, correction[2];

    if (whole) {
        copy_tile(attention, query_tile, pitch, q, first_query, TILE, 0, attention.chunk);
        copy_tile(attention, key_tile, pitch, k, 0, TILE, 0, attention.chunk);
        copy_async_commit();
    }
    for (int64_t first_key = 0; first_key < end; first_key += TILE) {
        float scores[blocks][4] = {};
        for (int column = 0; column < attention.width; column += attention.chunk) {
            if (!whole) {
                synchronize_block();
                copy_tile(attention, query_tile, pitch, q, first_query, TILE, column, attention.chunk);
                copy_tile(attention, key_tile, pitch, k, first_key, TILE, column, attention.chunk);
                copy_async_commit();
            }
            copy_async_wait<0>();
            synchronize_block();
            if (column == 0) {
                copy_tile(attention, value_tile, value_pitch, v, first_key, TILE, first_column, slice);
                copy_async_commit();
            }
            add_scores<Format, blocks>(scores, query_tile, row, key_tile, pitch, attention.chunk);
        }
        soften<blocks>(attention, scores, running, first_query + row, first_key, correction);
        UNROLL for (int j = 0; j < slice / 8; j++) UNROLL for (int i = 0; i < 4; i++) result[j][i] *= correction[i / 2];
        copy_async_wait<0>();
        synchronize_block();
        if (whole && first_key + TILE < end) {
            copy_tile(attention, key_tile, pitch, k, first_key + TILE, TILE, 0, attention.chunk);
            copy_async_commit();
        }
        add_weighted<Format, blocks, slice>(result, scores, value_tile, value_pitch, 0);
    }

    float factor[2];
    UNROLL for (int half = 0; half < 2; half++)
    {
        float sum = running.sum[half];
        sum += shuffle_xor(sum, 1);
        sum += shuffle_xor(sum, 2);
        factor[half] = 1.0f / sum;
        int64_t query = first_query + row + lane_index() / 4 + 8 * half;
        if (arrays.lse && block_z() == 0 && lane_index() % 4 == 0 && query < attention.queries)
            arrays.lse[block_y() * attention.queries + query] = (running.largest[half] + log2f(sum)) * LN_2;
    }
    store_slice<Format, slice>(attention, head, arrays.o, attention.queries, first_query + row, first_column, result,
                               factor);
}

template <class Format, int slice> struct forward_launcher {
    static void run(cudaStream_t stream, const struct attention &attention, struct attention_arrays arrays)
    {
        dim3 grid(blocks_for(attention.queries, TILE), (unsigned)(attention.batch * attention.heads),
                  (unsigned)attention.slices);
        size_t shared_bytes = TILE * (2 * (size_t)(attention.chunk + PAD) + slice + PAD) * sizeof(uint16_t);
        launch(attention_kernel<Format, slice>, grid, ATTENTION_THREADS, shared_bytes, stream, attention, arrays);
    }
};

static int rounded_up(int value, int unit)
{
    return (value + unit - 1) / unit * unit;
}

extern "C" void plan_attention(struct attention *attention, enum element_type type)
{
    static const int available[] = {32, 48, 64, 80, 128};
    attention->slice = attention->slices = attention->chunk = attention->stored = 0;
    if (type == ELEMENT_F32 || attention->width % 8 != 0 || attention->batch * attention->heads > 65535) return;
    int width = rounded_up(attention->width, 16);
    /* Few slices first, for each makes the scores again; then the narrowest that covers the head. */
    for (int slices = 1; attention->slice == 0; slices++)
        for (size_t i = 0; i < sizeof available / sizeof *available && attention->slice == 0; i++)
            if (available[i] * slices >= width) {
                attention->slice = available[i];
                attention->slices = slices;
            }
    attention->chunk = attention->stored = width <= 160 ? width : 128;
    int sliced = attention->slice * attention->slices;
    if (width <= 160 && sliced > width) attention->stored = sliced;
}

static bool can_use_matrices(const struct attention *attention, const struct attention_arrays &arrays)
{
    return attention->slice > 0 && is_aligned(arrays.q) && is_aligned(arrays.k) && is_aligned(arrays.v) &&
           is_aligned(arrays.o) && is_aligned(arrays.cotangent);
}

extern "C" void launch_attention(cudaStream_t stream, const struct attention *attention, struct attention_arrays arrays)
{
    if (can_use_matrices(attention, arrays))
        dispatch<forward_launcher>(stream, *attention, arrays);
    else
        launch_attention_plain(stream, attention, arrays);
}
