/* How the tiles of a product's operands come to shared memory: every thread copies chunks of eight neighbours with
 * asynchronous copies, and knows from one tile to the next where its chunks are with a few additions.
 *
 * A tile is `tile` rows by `depth` steps of the sum. `Place::at(row, depth)` says where in shared memory an element of
 * the tile goes; eight neighbours along the rows (or the depth) from a multiple of 8 on must be neighbours there.
 * Chunks along the rows are copied in the order of `Place::chunk(index)`. */
#ifndef ALIGNPROP_KERNELS_CUDA_PRODUCT_GATHER_H
#define ALIGNPROP_KERNELS_CUDA_PRODUCT_GATHER_H

#include "kernels/cuda/product.h"

enum { CHUNK = 8 };

/* Row and depth within a tile at which a chunk begins. */
struct chunk {
    int row, depth;
};

/* Place of a depth within a convolution's window, counted up without divisions. */
struct tap {
    int channel, row, column, phase;
};

static __device__ __forceinline__ struct tap tap_at(const struct window &window, int depth)
{
    struct tap tap;
    int number = depth / window.padded;
    tap.channel = depth - number * window.padded;
    tap.phase = phase_of(window, &number);
    tap.row = number / window.kernel_columns;
    tap.column = number - tap.row * window.kernel_columns;
    return tap;
}

static __device__ __forceinline__ void advance(struct tap &tap, const struct window &window, int depth)
{
    tap.channel += depth;
    while (tap.channel >= window.padded) {
        tap.channel -= window.padded;
        if (++tap.column < window.kernel_columns) continue;
        tap.column = 0;
        if (++tap.row < window.kernel_rows) continue;
        tap.row = 0;
        tap.phase++;
    }
}

/* Operand a: pixels and what their windows read. Each thread has one place along the depth and `count` pixels. */
template <class Place, int tile, int depth, int threads> struct pixel_gather {
    static const int columns = depth / CHUNK, step = threads / columns, count = tile / step;
    const uint16_t *data, *image[count];
    int row[count], column[count]; /* upper left corner of the pixel's window */
    int position, end;
    struct tap tap;

    __device__ __forceinline__ void start(const struct product &product, const struct block_part &part)
    {
        data = static_cast<const uint16_t *>(product.a.array.data) + part.item * product.a.step;
        position = (int)part.start + (int)threadIdx.x % columns * CHUNK;
        end = (int)part.end;
        tap = tap_at(product.window, position);
#pragma unroll
        for (int i = 0; i < count; i++) {
            int64_t index = (int)blockIdx.x * (int64_t)tile + (int)threadIdx.x / columns + i * step;
            struct pixel pixel = pixel_of(product.window, index < product.m ? index : 0, part.item);
            image[i] = data + pixel.image;
            row[i] = index < product.m ? pixel.row : OUTSIDE;
            column[i] = pixel.column;
        }
    }

    /* Starts the copies of the next tile. */
    __device__ __forceinline__ void load(const struct product &product, shared_array<uint16_t> to)
    {
        const struct window &window = product.window;
        bool inside = position < end && tap.channel < window.channels;
        int down = window.phase_sign * (tap.phase / 2) + window.sign * tap.row;
        int right = window.phase_sign * (tap.phase % 2) + window.sign * tap.column;
#pragma unroll
        for (int i = 0; i < count; i++) {
            int y = row[i] + down, x = column[i] + right;
            bool valid = inside && ((y | x) & (window.divide - 1)) == 0;
            y >>= window.shift;
            x >>= window.shift;
            valid = valid && (unsigned)y < (unsigned)window.height && (unsigned)x < (unsigned)window.width;
            int place = (y * window.width + x) * window.channels + tap.channel;
            cp_async_zfill(to, Place::at((int)threadIdx.x / columns + i * step, (int)threadIdx.x % columns * CHUNK),
                           valid ? image[i] + place : data, valid);
        }
        position += depth;
        advance(tap, window, depth);
    }

  private:
    static const int OUTSIDE = -(1 << 30); /* no tap reaches the map from there */
};

/* Operand b whose rows are whole in memory: b[row][depth]. */
template <class Place, int tile, int depth, int threads> struct row_gather {
    static const int columns = depth / CHUNK, step = threads / columns, count = tile / step;
    const uint16_t *data, *next;
    int64_t pass; /* elements from one of the thread's rows to the next */
    int rows, position, end;

    __device__ __forceinline__ void start(const struct product &product, const struct block_part &part)
    {
        int64_t first = (int)blockIdx.y * (int64_t)tile + (int)threadIdx.x / columns;
        position = (int)part.start + (int)threadIdx.x % columns * CHUNK;
        end = (int)part.end;
        data = static_cast<const uint16_t *>(product.b.array.data) + part.item * product.b.step;
        next = data + first * product.b.leading + position;
        pass = step * product.b.leading;
        rows = (int)(product.n - first);
    }

    __device__ __forceinline__ void load(const struct product &, shared_array<uint16_t> to)
    {
#pragma unroll
        for (int i = 0; i < count; i++) {
            bool valid = position < end && i * step < rows;
            cp_async_zfill(to, Place::at((int)threadIdx.x / columns + i * step, (int)threadIdx.x % columns * CHUNK),
                           valid ? next + i * pass : data, valid);
        }
        position += depth;
        next += depth;
    }
};

/* An operand whose rows are neighbours in memory: [depth][row], also with the depth counted by the taps of a window.
 * Each thread has `count` places. `even`: all depths of a tile always belong to one tap. */
template <class Place, int tile, int depth, int threads, bool is_b, bool even> struct column_gather {
    static const int count = tile * depth / CHUNK / threads;
    static_assert(tile * depth % (CHUNK * threads) == 0, "every thread copies as much");
    const uint16_t *data;
    int64_t item, first_row, position, end;
    int rows;
    bool along; /* all depths of a tile belong to one tap, so channel, tap and phase are counted along */
    int channel, tap, phase;

    static __device__ __forceinline__ const struct operand_view &view_of(const struct product &product)
    {
        return is_b ? product.b : product.a;
    }

    __device__ __forceinline__ void start(const struct product &product, const struct block_part &part)
    {
        const struct operand_view &view = view_of(product);
        data = static_cast<const uint16_t *>(view.array.data) + part.item * view.step;
        item = part.item;
        first_row = (int64_t)(is_b ? (int)blockIdx.y : (int)blockIdx.x) * tile;
        rows = (int)((is_b ? product.n : product.m) - first_row);
        position = part.start;
        end = part.end;
        tap = phase = 0;
        channel = (int)part.start;
        along = even || view.layout == OPERAND_COLUMNS;
        if (view.layout == OPERAND_TAPS && (even || product.window.padded % depth == 0)) {
            along = true;
            tap = (int)part.start / product.window.padded;
            channel -= tap * product.window.padded;
            phase = phase_of(product.window, &tap);
        }
    }

    __device__ __forceinline__ void load(const struct product &product, shared_array<uint16_t> to)
    {
        const struct operand_view &view = view_of(product);
        bool taps = view.layout == OPERAND_TAPS;
        int tap_count = taps ? product.window.kernel_rows * product.window.kernel_columns : 1;
        int channels = taps ? product.window.packed_channels : (int)end;
        const uint16_t *from =
            data + phase * product.window.phase_step + ((int64_t)channel * tap_count + tap) * view.leading + first_row;
#pragma unroll
        for (int i = 0; i < count; i++) {
            struct chunk chunk = Place::chunk((int)threadIdx.x + i * threads);
            int row = chunk.row, step = chunk.depth;
            bool valid = row < rows && position + step < end;
            const uint16_t *place = data;
            if (even || along) {
                valid = valid && channel + step < channels;
                place = from + (int64_t)step * tap_count * view.leading + row;
            } else if (valid) {
                int64_t index = operand_place(product, view, item, first_row + row, position + step, is_b);
                valid = index >= 0;
                place = data + index;
            }
            cp_async_zfill(to, Place::at(row, step), valid ? place : data, valid);
        }
        position += depth;
        channel += depth;
        if (taps && channel >= product.window.padded) {
            channel = 0;
            if (++tap == tap_count) {
                tap = 0;
                phase++;
            }
        }
    }
};

#endif
