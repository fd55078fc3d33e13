/* What the forward and the backward attention on matrix instructions share.
 *
 * A warp owns blocks of 16 rows of one head, held in registers as first operands of the matrix instructions for as long
 * as the kernel runs. The other operand's rows stream through shared memory in tiles, in two stages: while one is
 * multiplied, the next is on its way. A warp with two blocks of rows reads each tile once for both, which halves the
 * reads of shared memory; heads too wide for that have one block a warp.
 *
 * Of heads above 160 columns neither a warp's rows nor their result fit the registers. Those rows stay in shared
 * memory, and both operands are held as chunks of CHUNK columns: scores are summed chunk by chunk, while the next one
 * of the streamed operand is on its way, and each block makes the result's columns of one chunk. */
#ifndef ALIGNPROP_KERNELS_CUDA_ATTENTION_H
#define ALIGNPROP_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda/array.h"

enum { ATTENTION_WARPS = 4, ATTENTION_THREADS = ATTENTION_WARPS * WARP_THREADS, CHUNK = 256 };

#define LOG2_E 1.44269504088896341f
#define LN_2 0.69314718055994531f

/* A tile in shared memory of rows of a head, `columns` wide. */
template <int columns> struct tile {
    /* Rows lie an odd multiple of 16 bytes apart, so that the eight of a matrix load are in different banks. */
    static const int pitch = columns / 8 % 2 ? columns : columns + 8;
    static const int rows = columns > 80 ? 32 : 64;
    static const int elements = rows * pitch, bytes = elements * (int)sizeof(uint16_t);
};

/* The rows of a tensor of `rows` rows an item that belong to a head: element (row, column) is at
 * data[row * step + column]. */
struct head_rows {
    const uint16_t *data;
    int rows, step;
};

/* Of the head and the batch item that the block works on. */
static __device__ __forceinline__ struct head_rows rows_of(const struct attention &attention, const struct array &array,
                                                           int64_t rows, int step)
{
    struct head_rows result;
    result.step = step;
    result.rows = (int)rows;
    result.data =
        static_cast<const uint16_t *>(array.data) + (int)blockIdx.z * rows * step + (int)blockIdx.y * attention.width;
    return result;
}

/* Where the statistics (lse, delta) of the block's head and batch item begin. */
static __device__ __forceinline__ int64_t first_statistic(const struct attention &attention)
{
    return ((int)blockIdx.z * (int64_t)attention.heads + (int)blockIdx.y) * attention.queries;
}

/* Keys that query `row` sees. */
static __device__ __forceinline__ int visible_keys(const struct attention &attention, int row)
{
    int keys = (int)attention.keys;
    return attention.causal && row + 1 < keys ? row + 1 : keys;
}

/* Two tensors of one shape whose tiles are streamed together, seen by one thread: it copies the same 16 bytes of every
 * so many rows. */
struct tile_stream {
    const uint16_t *first, *second; /* of the thread's first row in the next tile */
    int left;                       /* rows of the tensors from that row on, none where the head has no such column */
    int row, column;                /* within the tile */
};

template <int columns>
static __device__ __forceinline__ struct tile_stream
tile_stream_from(const struct head_rows &first, const struct head_rows &second, int first_row, int width)
{
    const int vectors = columns / 8;
    struct tile_stream tiles;
    tiles.row = (int)threadIdx.x / vectors;
    tiles.column = (int)threadIdx.x % vectors * 8;
    int64_t row = first_row + tiles.row;
    tiles.first = first.data + row * first.step + tiles.column;
    tiles.second = second.data + row * second.step + tiles.column;
    tiles.left = tiles.column < width ? first.rows - first_row - tiles.row : 0;
    return tiles;
}

/* Starts copying the next tile of both tensors to `stage` and the place behind it; zeros where there is no such row or
 * column. Rows lie so many elements apart. */
template <int columns>
static __device__ __forceinline__ void copy_tiles(struct tile_stream &tiles, shared_array<uint16_t> stage, int step,
                                                  int second_step)
{
    const int rows_at_once = ATTENTION_THREADS / (columns / 8), rows = tile<columns>::rows,
              pitch = tile<columns>::pitch;
    int place = tiles.row * pitch + tiles.column;
#pragma unroll
    for (int tensor = 0; tensor < 2; tensor++)
#pragma unroll
        for (int pass = 0; pass * rows_at_once < rows; pass++) {
            int down = pass * rows_at_once, limit = rows - down < rows_at_once ? rows - down : rows_at_once;
            if (tiles.row < limit)
                cp_async_zfill(stage, place + down * pitch + tensor * tile<columns>::elements,
                               tensor ? tiles.second + down * second_step : tiles.first + down * step,
                               down < tiles.left);
        }
    tiles.first += (int64_t)rows * step;
    tiles.second += (int64_t)rows * second_step;
    tiles.left -= rows;
}

template <int columns>
static __device__ __forceinline__ shared_array<uint16_t> from_row(shared_array<uint16_t> array, int row)
{
    return shared_array<uint16_t>{array.data + row * tile<columns>::pitch};
}

/* Row of a block of 16 that a lane holds a half of. */
static __device__ __forceinline__ int lane_row(int first_row, int block, int half)
{
    return first_row + 16 * block + 8 * half + lane_index() / 4;
}

/* The rows of a warp from `first_row` on as first operands: words 2 i and 2 i + 1 of a block hold of columns 8 i + 2
 * (lane % 4) and the next the rows lane / 4 and lane / 4 + 8, so that any four words are a step of 16 columns and any
 * two one of 8. */
template <int own_blocks, int columns>
static __device__ __forceinline__ void load_own(uint32_t own[own_blocks][columns / 4], const struct head_rows &from,
                                                int first_row, int width)
{
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = lane_row(first_row, block, half);
            const uint16_t *place = from.data + row * from.step + lane_index() % 4 * 2;
#pragma unroll
            for (int i = 0; i < columns / 8; i++)
                own[block][2 * i + half] =
                    row < from.rows && 8 * i < width ? *reinterpret_cast<const uint32_t *>(place + 8 * i) : 0;
        }
}

/* scores[16 own_blocks rows, 8 blocks] += own stream[8 blocks rows]^T */
template <class Format, int own_blocks, int blocks, int columns>
static __device__ __forceinline__ void add_scores(float scores[own_blocks][blocks][4],
                                                  const uint32_t own[own_blocks][columns / 4],
                                                  shared_array<uint16_t> stream)
{
    const int pitch = tile<columns>::pitch;
    int lane = lane_index();
#pragma unroll
    for (int j = 0; j < blocks; j += 2)
#pragma unroll
        for (int k = 0; k < columns / 16; k++) {
            uint32_t b[4];
            ldmatrix_x4(b, stream, (8 * j + lane / 16 * 8 + lane % 8) * pitch + 16 * k + lane / 8 % 2 * 8);
#pragma unroll
            for (int block = 0; block < own_blocks; block++) {
                mma_m16n8k16<Format>(scores[block][j], own[block] + 4 * k, b);
                mma_m16n8k16<Format>(scores[block][j + 1], own[block] + 4 * k, b + 2);
            }
        }
    if (columns % 16 == 0) return;
    /* The last 8 columns, of up to 32 rows at once. */
    const int at_once = blocks < 4 ? blocks : 4;
#pragma unroll
    for (int j = 0; j < blocks; j += at_once) {
        uint32_t b[4];
        ldmatrix_x4(b, stream, (8 * j + lane % (8 * at_once)) * pitch + columns - 8);
#pragma unroll
        for (int i = 0; i < at_once; i++)
#pragma unroll
            for (int block = 0; block < own_blocks; block++)
                mma_m16n8k8<Format>(scores[block][j + i], own[block] + columns / 4 - 2, b[i]);
    }
}

/* result[16 own_blocks rows, slice] += weights[16 own_blocks rows, 8 blocks] stream[8 blocks rows, slice
 * columns from `first_column` on]. The accumulators of one product are, rounded and paired, the first operand of the
 * next. */
template <class Format, int own_blocks, int blocks, int columns, int slice>
static __device__ __forceinline__ void add_weighted(float result[own_blocks][slice / 8][4],
                                                    const float weights[own_blocks][blocks][4],
                                                    shared_array<uint16_t> stream, int first_column)
{
    const int pitch = tile<columns>::pitch;
    int lane = lane_index();
    uint32_t a[own_blocks][blocks / 2][4];
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int k = 0; k < blocks / 2; k++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                a[block][k][i] = round_pair<Format>(weights[block][2 * k + i / 2][i % 2 * 2],
                                                    weights[block][2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int k = 0; k < blocks / 2; k++)
#pragma unroll
        for (int j = 0; j + 1 < slice / 8; j += 2) {
            uint32_t b[4];
            ldmatrix_x4_trans(b, stream, (16 * k + lane % 16) * pitch + first_column + 8 * j + lane / 16 * 8);
#pragma unroll
            for (int block = 0; block < own_blocks; block++) {
                mma_m16n8k16<Format>(result[block][j], a[block][k], b);
                mma_m16n8k16<Format>(result[block][j + 1], a[block][k], b + 2);
            }
        }
    if (slice % 16 == 0) return;
    /* The last 8 columns, of up to 32 rows at once. */
    const int at_once = blocks < 4 ? 1 : 2;
#pragma unroll
    for (int k = 0; k < blocks / 2; k += at_once) {
        uint32_t b[4];
        ldmatrix_x4_trans(b, stream, (16 * k + lane % (16 * at_once)) * pitch + first_column + slice - 8);
#pragma unroll
        for (int i = 0; i < at_once; i++)
#pragma unroll
            for (int block = 0; block < own_blocks; block++)
                mma_m16n8k16<Format>(result[block][slice / 8 - 1], a[block][k + i], b + 2 * i);
    }
}

/* Starts copying `rows` rows of a chunk from `first_row` and `first_column` on; zeros where the head has no such row or
 * column. */
template <int rows>
static __device__ __forceinline__ void copy_chunk(shared_array<uint16_t> to, const struct head_rows &from,
                                                  int first_row, int first_column, int width)
{
    const int vectors = CHUNK / 8, rows_at_once = ATTENTION_THREADS / vectors;
    int row = (int)threadIdx.x / vectors, column = (int)threadIdx.x % vectors * 8;
    int left = first_column + column < width ? from.rows - first_row - row : 0;
    const uint16_t *place = from.data + (int64_t)(first_row + row) * from.step + first_column + column;
#pragma unroll
    for (int down = 0; down < rows; down += rows_at_once)
        cp_async_zfill(to, (row + down) * tile<CHUNK>::pitch + column, place + down * from.step, down < left);
}

/* What was asked for has come to the other stage, and every thread has done with this one: they change places. Returns
 * where the one that has come lies in shared memory. */
static __device__ __forceinline__ int take_stage(int &stage, int &other_stage)
{
    cp_async_wait_group<0>();
    __syncthreads();
    int present = other_stage;
    other_stage = stage;
    stage = present;
    return present;
}

/* scores[16 rows, 8 blocks] += own[16 rows] stream[8 blocks rows]^T over the columns of a chunk */
template <class Format, int blocks>
static __device__ __forceinline__ void add_chunk_scores(float scores[1][blocks][4], shared_array<uint16_t> own,
                                                        shared_array<uint16_t> stream)
{
    const int pitch = tile<CHUNK>::pitch;
    int lane = lane_index();
#pragma unroll
    for (int k = 0; k < CHUNK; k += 16) {
        uint32_t a[4], b[4];
        ldmatrix_x4(a, own, lane % 16 * pitch + k + lane / 16 * 8);
#pragma unroll
        for (int j = 0; j < blocks; j += 2) {
            ldmatrix_x4(b, stream, (8 * j + lane / 16 * 8 + lane % 8) * pitch + k + lane / 8 % 2 * 8);
            mma_m16n8k16<Format>(scores[0][j], a, b);
            mma_m16n8k16<Format>(scores[0][j + 1], a, b + 2);
        }
    }
}

/* Writes those of the warp's rows that exist, times `factor` of each. */
template <class Format, int own_blocks, int slice>
static __device__ __forceinline__ void store_rows(const struct head_rows &to, int first_row, int first_column,
                                                  int width, const float value[own_blocks][slice / 8][4],
                                                  const float factor[own_blocks][2])
{
#pragma unroll
    for (int block = 0; block < own_blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = lane_row(first_row, block, half);
            uint16_t *place = const_cast<uint16_t *>(to.data) + row * to.step + first_column + lane_index() % 4 * 2;
#pragma unroll
            for (int j = 0; j < slice / 8; j++) {
                const float *pair = value[block][j] + 2 * half;
                if (row < to.rows && first_column + 8 * j < width)
                    *reinterpret_cast<uint32_t *>(place + 8 * j) =
                        round_pair<Format>(pair[0] * factor[block][half], pair[1] * factor[block][half]);
            }
        }
}

/* Calls launcher<Format, columns>::run for the planned columns and the arrays' type. */
template <template <class, int> class launcher, class Format>
static void dispatch_columns(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
{
    switch (attention.columns) {
    case 32: launcher<Format, 32>::run(queue, attention, arrays); break;
    case 40: launcher<Format, 40>::run(queue, attention, arrays); break;
    case 64: launcher<Format, 64>::run(queue, attention, arrays); break;
    case 80: launcher<Format, 80>::run(queue, attention, arrays); break;
    case 128: launcher<Format, 128>::run(queue, attention, arrays); break;
    case 160: launcher<Format, 160>::run(queue, attention, arrays); break;
    default: launcher<Format, CHUNK>::run(queue, attention, arrays); break;
    }
}

template <template <class, int> class launcher>
static void dispatch(struct queue queue, const struct attention &attention, struct attention_arrays arrays)
{
    if (arrays.q.type == ELEMENT_BF16)
        dispatch_columns<launcher, bfloat16_format>(queue, attention, arrays);
    else
        dispatch_columns<launcher, float16_format>(queue, attention, arrays);
}

#endif
