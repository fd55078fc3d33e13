/* What the forward and the backward attention on matrix instructions share.
 *
 * A block has WARPS warps and owns TILE rows of one head (16 a warp); the rows of the other side pass by in tiles. An
 * operand's tile in shared memory holds `chunk` columns of the head and PAD more, so that the eight rows of a matrix
 * load lie in different banks. Where a head is wider than a chunk, scores are summed chunk by chunk; where it is wider
 * than a slice, each block makes one slice of the result's columns and the scores are made again by each. */
#ifndef ALIGNPROP_KERNELS_CUDA_ATTENTION_H
#define ALIGNPROP_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda/array.h"

enum { ATTENTION_WARPS = 4, ATTENTION_THREADS = ATTENTION_WARPS * WARP_THREADS, TILE = 64, PAD = 8 };

#define LOG2_E 1.44269504088896341f
#define LN_2 0.69314718055994531f

/* One head of one batch item. */
struct head {
    int64_t item;
    int index;
};

DEVICE struct head own_head(const struct attention &attention)
{
    struct head head = {block_y() / attention.heads, block_y() % attention.heads};
    return head;
}

/* The rows of a tensor [batch, rows, heads * width] that belong to a head: element (row, column) is at
 * data[row * step + column]. */
struct head_rows {
    const uint16_t *data;
    int64_t rows, step;
};

DEVICE struct head_rows rows_of(const struct attention &attention, const struct head &head, const struct array &array,
                                int64_t rows)
{
    struct head_rows result;
    result.step = (int64_t)attention.heads * attention.width;
    result.rows = rows;
    result.data = static_cast<const uint16_t *>(array.data) + head.item * rows * result.step +
                  (int64_t)head.index * attention.width;
    return result;
}

/* Starts copying `count` rows from `first_row` on, `columns` columns from `first_column` on; zeros outside. */
DEVICE void copy_tile(const struct attention &attention, shared_array<uint16_t> to, int pitch,
                      const struct head_rows &from, int64_t first_row, int count, int first_column, int columns)
{
    int chunks = columns / 8;
    ROLLED for (int i = thread_index(); i < count * chunks; i += ATTENTION_THREADS)
    {
        int row = i / chunks, column = i % chunks * 8;
        bool valid = first_row + row < from.rows && first_column + column < attention.width;
        const uint16_t *place = valid ? from.data + (first_row + row) * from.step + first_column + column : from.data;
        copy_async(to, row * pitch + column, place, valid);
    }
}

/* scores[16, 8 blocks] += own[16 rows from `row` on, columns] stream[8 blocks rows, columns]^T */
template <class Format, int blocks>
DEVICE void add_scores(float scores[blocks][4], shared_array<uint16_t> own, int row, shared_array<uint16_t> stream,
                       int pitch, int columns)
{
    int lane = lane_index();
    for (int k = 0; k < columns; k += 16) {
        uint32_t a[4], b[4];
        load_matrices(a, own, (row + lane % 16) * pitch + k + lane / 16 * 8);
        UNROLL for (int j = 0; j < blocks; j += 2)
        {
            load_matrices(b, stream, (8 * j + lane / 16 * 8 + lane % 8) * pitch + k + lane / 8 % 2 * 8);
            matrix_multiply_add<Format>(scores[j], a, b);
            matrix_multiply_add<Format>(scores[j + 1], a, b + 2);
        }
    }
}

/* result[16, slice] += weights[16, 8 blocks] stream[8 blocks rows, slice columns from `first_column` on]. The
 * accumulators of one product are, rounded and paired, the first operand of the next. */
template <class Format, int blocks, int slice>
DEVICE void add_weighted(float result[slice / 8][4], const float weights[blocks][4], shared_array<uint16_t> stream,
                         int pitch, int first_column)
{
    int lane = lane_index();
    UNROLL for (int k = 0; k < blocks; k += 2)
    {
        uint32_t a[4] = {round_pair<Format>(weights[k][0], weights[k][1]),
                         round_pair<Format>(weights[k][2], weights[k][3]),
                         round_pair<Format>(weights[k + 1][0], weights[k + 1][1]),
                         round_pair<Format>(weights[k + 1][2], weights[k + 1][3])};
        UNROLL for (int j = 0; j < slice / 8; j += 2)
        {
            uint32_t b[4];
            load_matrices_transposed(
                b, stream, (8 * k + lane / 8 % 2 * 8 + lane % 8) * pitch + first_column + 8 * j + lane / 16 * 8);
            matrix_multiply_add<Format>(result[j], a, b);
            matrix_multiply_add<Format>(result[j + 1], a, b + 2);
        }
    }
}

/* Writes the rows of `value` that exist, times `factor` of each lane's two rows. */
template <class Format, int slice>
DEVICE void store_slice(const struct attention &attention, const struct head &head, const struct array &to,
                        int64_t rows, int64_t first_row, int first_column, const float value[slice / 8][4],
                        const float factor[2])
{
    struct head_rows place = rows_of(attention, head, to, rows);
    UNROLL for (int half = 0; half < 2; half++)
    {
        int64_t row = first_row + lane_index() / 4 + 8 * half;
        UNROLL for (int j = 0; j < slice / 8; j++)
        {
            int column = first_column + 8 * j + lane_index() % 4 * 2;
            if (row < rows && column < attention.width)
                *reinterpret_cast<uint32_t *>(const_cast<uint16_t *>(place.data + row * place.step + column)) =
                    round_pair<Format>(value[j][2 * half] * factor[half], value[j][2 * half + 1] * factor[half]);
        }
    }
}

/* Calls launcher<Format, slice>::run for the planned slice and the arrays' type. */
template <template <class, int> class launcher, class Format>
static void dispatch_slice(cudaStream_t stream, const struct attention &attention, struct attention_arrays arrays)
{
    switch (attention.slice) {
    case 32: launcher<Format, 32>::run(stream, attention, arrays); break;
    case 48: launcher<Format, 48>::run(stream, attention, arrays); break;
    case 64: launcher<Format, 64>::run(stream, attention, arrays); break;
    case 80: launcher<Format, 80>::run(stream, attention, arrays); break;
    default: launcher<Format, 128>::run(stream, attention, arrays); break;
    }
}

template <template <class, int> class launcher>
static void dispatch(cudaStream_t stream, const struct attention &attention, struct attention_arrays arrays)
{
    if (arrays.q.type == ELEMENT_BF16)
        dispatch_slice<launcher, bfloat16_format>(stream, attention, arrays);
    else
        dispatch_slice<launcher, float16_format>(stream, attention, arrays);
}

#endif
