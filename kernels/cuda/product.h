/* What both kinds of product kernels share on the device: where elements are and where results go. */
#ifndef ALIGNPROP_KERNELS_CUDA_PRODUCT_H
#define ALIGNPROP_KERNELS_CUDA_PRODUCT_H

#include "kernels/cuda/array.h"

/* A pixel's place: its image's first element and the window's upper left corner, before `divide`. */
struct pixel {
    int64_t image;
    int row, column;
};

static __device__ __forceinline__ struct pixel pixel_of(const struct window &window, int64_t index, int64_t item)
{
    int below = window.by_items ? (int)item / 2 : 0, beside = window.by_items ? (int)item % 2 : 0;
    struct pixel pixel;
    int number = (int)index, line = number / window.pixel_columns, image = line / window.pixel_rows;
    pixel.column = (number - line * window.pixel_columns) * window.multiply + window.column_offset + beside;
    pixel.row = (line - image * window.pixel_rows) * window.multiply + window.row_offset + below;
    pixel.image = (int64_t)image * window.height * window.width * window.channels;
    return pixel;
}

/* The phase that a tap counted over all phases is of; leaves the tap within it. */
static __device__ __forceinline__ int phase_of(const struct window &window, int *tap)
{
    if (window.phases <= 1) return 0;
    int taps = window.kernel_rows * window.kernel_columns, phase = *tap / taps;
    *tap -= phase * taps;
    return phase;
}

/* Index of element `inside` (tap * padded + channel) of a pixel's window; -1: zero. */
static __device__ __forceinline__ int64_t window_element(const struct window &window, const struct pixel &pixel,
                                                         int64_t inside)
{
    int tap = (int)inside / window.padded, channel = (int)inside - tap * window.padded;
    int phase = phase_of(window, &tap);
    int tap_row = tap / window.kernel_columns, tap_column = tap - tap_row * window.kernel_columns;
    int row = pixel.row + window.phase_sign * (phase / 2) + window.sign * tap_row;
    int column = pixel.column + window.phase_sign * (phase % 2) + window.sign * tap_column;
    if (row < 0 || column < 0 || row % window.divide != 0 || column % window.divide != 0) return -1;
    row = row / window.divide >> window.doubled;
    column = column / window.divide >> window.doubled;
    if (row >= window.height || column >= window.width || channel >= window.channels) return -1;
    return pixel.image + ((int64_t)row * window.width + column) * window.channels + channel;
}

/* Index of the packed weight's element for input channel `row` at depth tap * padded + channel; -1: zero. */
static __device__ __forceinline__ int64_t tap_element(const struct window &window, int64_t leading, int64_t row,
                                                      int64_t depth)
{
    int tap = (int)depth / window.padded, channel = (int)depth - tap * window.padded;
    if (channel >= window.packed_channels) return -1;
    int phase = phase_of(window, &tap);
    return phase * window.phase_step +
           ((int64_t)channel * (window.kernel_rows * window.kernel_columns) + tap) * leading + row;
}

/* Index of an operand's element within its batch item; -1: zero. `is_b` says on which side of a window the pixels are.
 */
static __device__ __forceinline__ int64_t operand_place(const struct product &product, const struct operand_view &view,
                                                        int64_t item, int64_t row, int64_t depth, bool is_b)
{
    switch (view.layout) {
    case OPERAND_WINDOWS:
        return window_element(product.window, pixel_of(product.window, is_b ? depth : row, item), is_b ? row : depth);
    case OPERAND_TAPS: return tap_element(product.window, view.leading, row, depth);
    case OPERAND_ROWS: return row * view.leading + depth;
    default: return depth * view.leading + row;
    }
}

static __device__ __forceinline__ int64_t patch_place(const struct patches &patches, int64_t row, int64_t column)
{
    int tap = (int)column / patches.padded, channel = (int)column - tap * patches.padded;
    if (channel >= patches.channels) return -1;
    int line = tap / patches.size, inside = tap - line * patches.size;
    int64_t patch_line = row / patches.columns, patch = row - patch_line * patches.columns;
    int64_t pixel = (patch_line * patches.size + line) * patches.columns * patches.size + patch * patches.size + inside;
    return pixel * patches.channels + channel;
}

/* The row's place among the pixels of a map of twice the size; rows are pixels, which int can count. */
static __device__ __forceinline__ int64_t doubled_row(int columns, int item, int row)
{
    int line = row / columns, pixel = row - line * columns;
    return ((int64_t)(2 * line + item / 2) * columns + pixel) * 2 + item % 2;
}

/* Where the result of (row, column) of a batch item goes; -1: nowhere. */
static __device__ __forceinline__ int64_t result_place(const struct product &product, int64_t item, int64_t row,
                                                       int64_t column)
{
    if (product.patches.size > 0) return patch_place(product.patches, row, column);
    if (product.doubled > 0) return doubled_row(product.doubled, (int)item, (int)row) * product.n + column;
    if (product.taps <= 1) return (item * product.m + row) * product.c_step + column;
    int64_t inner = product.n / product.taps;
    return ((item * product.m + row) * inner + column % inner) * product.taps + column / inner;
}

static __device__ __forceinline__ void store_result(const struct product &product, int64_t item, int64_t row,
                                                    int64_t column, float sum)
{
    int64_t place = result_place(product, item, row, column);
    if (place < 0) return;
    sum *= product.alpha;
    if (product.bias.data) sum += load(product.bias, column);
    if (product.residual.data) sum += load(product.residual, place);
    if (product.accumulate) sum += load(product.c, place);
    store(product.c, place, sum);
}

/* The range of the depth that a block sums: blockIdx.z is split * batch + item. */
struct block_part {
    int64_t item, start, end;
    int split;
};

static __device__ __forceinline__ struct block_part own_part(const struct product &product, int tile)
{
    struct block_part part;
    part.split = (int)((int)blockIdx.z / product.batch);
    part.item = (int)blockIdx.z % product.batch;
    int64_t tiles = (product.k + tile - 1) / tile;
    part.start = tiles * part.split / product.splits * tile;
    part.end = tiles * (part.split + 1) / product.splits * tile;
    if (part.end > product.k) part.end = product.k;
    return part;
}

static __device__ __forceinline__ int64_t partial_place(const struct product &product, const struct block_part &part,
                                                        int64_t row, int64_t column)
{
    return ((part.split * product.batch + part.item) * product.m + row) * product.n + column;
}

#endif
