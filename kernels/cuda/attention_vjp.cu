#include "kernels/cuda/attention.h"

/* The vector-Jacobian product of attention: with p the probabilities (made again from the scores and lse),
 * ds = scale p (cotangent v^T - delta), dv = p^T cotangent, dq = ds k, dk = ds^T q.
 *
 * One kernel makes dq: a block owns queries and goes over the keys. The other makes dk and dv: a block owns keys and
 * goes over the queries. Scores are made twice, but every sum is made by one block in a fixed order: no atomics, the
 * same bits every time. */

/* Rows that pass by at a time: fewer where a wide slice needs the registers. */
template <int slice> struct stream_tile {
    static const int rows = slice > 80 ? 32 : 64;
};

/* Probabilities and ds (without scale) from the two products of scores, in place. */
template <bool by_key, int blocks>
DEVICE void differentiate(const struct attention &attention, const struct attention_arrays &arrays,
                          float scores[blocks][4], float products[blocks][4], int64_t first_own, int64_t first_stream)
{
    float unit = attention.scale * LOG2_E;
    const float *lse = arrays.lse + block_y() * attention.queries;
    const float *delta = arrays.delta + block_y() * attention.queries;
    UNROLL for (int j = 0; j < blocks; j++) UNROLL for (int i = 0; i < 4; i++)
    {
        int64_t own = first_own + lane_index() / 4 + i / 2 * 8;
        int64_t other = first_stream + 8 * j + lane_index() % 4 * 2 + i % 2;
        int64_t query = by_key ? other : own, key = by_key ? own : other;
        bool visible = query < attention.queries && key < attention.keys && (!attention.causal || key <= query);
        float probability = visible ? exp2f(scores[j][i] * unit - lse[query] * LOG2_E) : 0.0f;
        scores[j][i] = probability;
        products[j][i] = visible ? probability * (products[j][i] - delta[query]) : 0.0f;
    }
}

template <class Format, int slice, bool by_key>
KERNEL(ATTENTION_THREADS)
attention_vjp_kernel(struct attention attention, struct attention_arrays arrays)
{
    const int rows = stream_tile<slice>::rows, blocks = rows / 8;
    int pitch = attention.stored + PAD, tile = TILE * pitch * (int)sizeof(uint16_t);
    int stream_bytes = rows * pitch * (int)sizeof(uint16_t);
    shared_array<uint16_t> own_tile = shared_memory<uint16_t>(0), own_other_tile = shared_memory<uint16_t>(tile);
    shared_array<uint16_t> tile_a = shared_memory<uint16_t>(2 * tile);
    shared_array<uint16_t> tile_b = shared_memory<uint16_t>(2 * tile + stream_bytes);
    struct head head = own_head(attention);
    int64_t own_rows = by_key ? attention.keys : attention.queries;
    int64_t stream_rows = by_key ? attention.queries : attention.keys;
    struct head_rows own = rows_of(attention, head, by_key ? arrays.k : arrays.q, own_rows);
    struct head_rows own_other = rows_of(attention, head, by_key ? arrays.v : arrays.cotangent, own_rows);
    struct head_rows stream = rows_of(attention, head, by_key ? arrays.q : arrays.k, stream_rows);
    struct head_rows stream_other = rows_of(attention, head, by_key ? arrays.cotangent : arrays.v, stream_rows);
    int64_t first_own = (int64_t)block_x() * TILE, begin = 0, end = stream_rows;
    if (attention.causal && by_key) begin = first_own / rows * rows;
    if (attention.causal && !by_key && first_own + TILE < end) end = first_own + TILE;
    int row = warp_index() * 16, first_column = block_z() * slice;
    bool whole = attention.chunk >= attention.width;
    float result[slice / 8][4] = {}, value_result[slice / 8][4] = {};

    if (whole) {
        copy_tile(attention, own_tile, pitch, own, first_own, TILE, 0, attention.stored);
        copy_tile(attention, own_other_tile, pitch, own_other, first_own, TILE, 0, attention.stored);
    }
    for (int64_t first = begin; first < end; first += rows) {
        float scores[blocks][4] = {}, products[blocks][4] = {};
        for (int column = 0; column < attention.width; column += attention.chunk) {
            synchronize_block();
            if (!whole) {
                copy_tile(attention, own_tile, pitch, own, first_own, TILE, column, attention.chunk);
                copy_tile(attention, own_other_tile, pitch, own_other, first_own, TILE, column, attention.chunk);
            }
            copy_tile(attention, tile_a, pitch, stream, first, rows, column, attention.stored);
            copy_tile(attention, tile_b, pitch, stream_other, first, rows, column, attention.stored);
            copy_async_commit();
            copy_async_wait<0>();
            synchronize_block();
            add_scores<Format, blocks>(scores, own_tile, row, tile_a, pitch, attention.chunk);
            add_scores<Format, blocks>(products, own_other_tile, row, tile_b, pitch, attention.chunk);
        }
        differentiate<by_key, blocks>(attention, arrays, scores, products, first_own + row, first);
        int inside = first_column;
        if (!whole) { /* the slice's own columns again, for the chunks have passed by */
            synchronize_block();
            copy_tile(attention, tile_a, pitch, stream, first, rows, first_column, slice);
            copy_tile(attention, tile_b, pitch, stream_other, first, rows, first_column, slice);
            copy_async_commit();
            copy_async_wait<0>();
            synchronize_block();
            inside = 0;
        }
        add_weighted<Format, blocks, slice>(result, products, tile_a, pitch, inside);
        if (by_key) add_weighted<Format, blocks, slice>(value_result, scores, tile_b, pitch, inside);
    }
    const float scales[2] = {attention.scale, attention.scale}, ones[2] = {1.0f, 1.0f};
    const struct array &to = by_key ? arrays.dk : arrays.dq;
    if (to.data)
        store_slice<Format, slice>(attention, head, to, own_rows, first_own + row, first_column, result, scales);
    if (by_key && arrays.dv.data)
        store_slice<Format, slice>(attention, head, arrays.dv, own_rows, first_own + row, first_column, value_result,
                                   ones);
}

template <class Format, int slice, bool by_key>
static void launch_side(cudaStream_t stream, const struct attention &attention, struct attention_arrays arrays)
{
    dim3 grid(blocks_for(by_key ? attention.keys : attention.queries, TILE),
              (unsigned)(attention.batch * attention.heads), (unsigned)attention.slices);
    size_t rows = 2 * (size_t)(TILE + stream_tile<slice>::rows);
    launch(attention_vjp_kernel<Format, slice, by_key>, grid, ATTENTION_THREADS,
           rows * (size_t)(attention.stored + PAD) * sizeof(uint16_t), stream, attention, arrays);
}

template <class Format, int slice> struct backward_launcher {
    static void run(cudaStream_t stream, const struct attention &attention, struct attention_arrays arrays)
    {
        if (arrays.dq.data) launch_side<Format, slice, false>(stream, attention, arrays);
        if (arrays.dk.data || arrays.dv.data) launch_side<Format, slice, true>(stream, attention, arrays);
    }
};

static bool can_use_matrices(const struct attention *attention, const struct attention_arrays &arrays)
{
    return attention->slice > 0 && is_aligned(arrays.q) && is_aligned(arrays.k) && is_aligned(arrays.v) &&
           is_aligned(arrays.cotangent) && is_aligned(arrays.dq) && is_aligned(arrays.dk) && is_aligned(arrays.dv);
}

extern "C" void launch_attention_vjp(cudaStream_t stream, const struct attention *attention,
                                     struct attention_arrays arrays)
{
    launch_attention_delta(stream, attention, arrays);
    if (can_use_matrices(attention, arrays))
        dispatch<backward_launcher>(stream, *attention, arrays);
    else
        launch_attention_vjp_plain(stream, attention, arrays);
}
