#include "kernels/cuda/array.h"

/* Kernels that move elements without computing with them, and RESIZE. A thread takes `width` neighbouring elements of
 * the last dimension: 8 where all lengths and addresses allow it, else 1. */

enum { THREADS = 256 };

DEVICE void move(const struct array &from, int64_t from_index, const struct array &to, int64_t to_index, int width)
{
    if (width == 1) {
        store(to, to_index, load(from, from_index));
        return;
    }
    float value[8];
    load8(from, from_index, value);
    store8(to, to_index, value);
}

DEVICE void store_repeated(const struct array &to, int64_t index, int width, float value)
{
    if (width == 1) {
        store(to, index, value);
        return;
    }
    float values[8] = {value, value, value, value, value, value, value, value};
    store8(to, index, values);
}

KERNEL(THREADS) copy_blocks_kernel(struct array from, struct array to, struct block_copy copy, int width)
{
    int64_t span = copy.fill ? copy.to_step : copy.length, first = copy.fill ? 0 : copy.to_first;
    int64_t item = global_thread() * width, block = item / span;
    if (block >= copy.count) return;
    int64_t place = first + item % span, inside = place - copy.to_first;
    if (inside >= 0 && inside < copy.length)
        move(from, block * copy.from_step + copy.from_first + inside, to, block * copy.to_step + place, width);
    else
        store_repeated(to, block * copy.to_step + place, width, 0.0f);
}

KERNEL(THREADS)
upsample_kernel(struct array x, struct array y, int64_t batch, int64_t height, int64_t width, int64_t channels,
                int vector)
{
    int64_t item = global_thread() * vector, pixel = item / channels, channel = item % channels;
    if (pixel >= batch * 4 * height * width) return;
    int64_t column = pixel % (2 * width), row = pixel / (2 * width) % (2 * height);
    int64_t image = pixel / (4 * height * width);
    int64_t source = (image * height + row / 2) * width + column / 2;
    move(x, source * channels + channel, y, item, vector);
}

KERNEL(THREADS)
upsample_vjp_kernel(struct array dy, struct array dx, int64_t batch, int64_t height, int64_t width, int64_t channels)
{
    int64_t item = global_thread(), pixel = item / channels, channel = item % channels;
    if (pixel >= batch * height * width) return;
    int64_t column = pixel % width, row = pixel / width; /* of all images, one above the other */
    float sum = 0.0f;
    for (int i = 0; i < 4; i++)
        sum += load(dy, ((2 * row + i / 2) * 2 * width + 2 * column + i % 2) * channels + channel);
    store(dx, item, sum);
}

KERNEL(THREADS)
transpose_kernel(struct array x, struct array y, int64_t count, int64_t rows, int64_t columns, int64_t inner, int width)
{
    int64_t item = global_thread() * width;
    if (item >= count) return;
    int64_t place = item / inner, row = place % rows, column = place / rows % columns, image = place / rows / columns;
    move(x, ((image * rows + row) * columns + column) * inner + item % inner, y, item, width);
}

KERNEL(THREADS)
gather_kernel(struct array x, const int32_t *ids, struct array y, int64_t count, int64_t rows, int64_t taken,
              int64_t width, int vector)
{
    int64_t item = global_thread() * vector;
    if (item >= count) return;
    int64_t place = item / width, id = ids[place];
    if (id >= 0 && id < rows)
        move(x, (place / taken * rows + id) * width + item % width, y, item, vector);
    else
        store_repeated(y, item, vector, NAN);
}

KERNEL(THREADS)
gather_vjp_kernel(struct array dy, const int32_t *ids, struct array dx, int64_t count, int64_t rows, int64_t taken,
                  int64_t width)
{
    int64_t item = global_thread();
    if (item >= count) return;
    int64_t row = item / width % rows, image = item / width / rows, channel = item % width;
    float sum = 0.0f;
    for (int64_t i = 0; i < taken; i++)
        if (ids[image * taken + i] == row) sum += load(dy, (image * taken + i) * width + channel);
    store(dx, item, sum);
}

KERNEL(THREADS)
resample_kernel(struct array x, struct array y, int64_t count, struct resample_axis vertical,
                struct resample_axis horizontal, int64_t channels)
{
    int64_t item = global_thread();
    if (item >= count) return;
    int64_t channel = item % channels, column = item / channels % horizontal.outputs;
    int64_t row = item / channels / horizontal.outputs % vertical.outputs;
    int64_t image = item / channels / horizontal.outputs / vertical.outputs;
    float sum = 0.0f;
    for (int i = 0; i < vertical.taps; i++) {
        int64_t line = image * vertical.inputs + vertical.source[row * vertical.taps + i];
        float along = 0.0f;
        for (int j = 0; j < horizontal.taps; j++) {
            int64_t tap = column * horizontal.taps + j;
            along += horizontal.weight[tap] *
                     load(x, (line * horizontal.inputs + horizontal.source[tap]) * channels + channel);
        }
        sum += vertical.weight[row * vertical.taps + i] * along;
    }
    store(y, item, sum);
}

/* Elements a thread can take at once where every length is a multiple of that. */
static int common_width(const struct array &a, const struct array &b, int64_t lengths)
{
    return lengths % 8 == 0 && is_aligned(a) && is_aligned(b) ? 8 : 1;
}

extern "C" void launch_copy_blocks(cudaStream_t stream, struct array from, struct array to, struct block_copy copy)
{
    /* A bit below 8 in any of them shows in the union of their bits. */
    int64_t lengths = copy.length | copy.from_step | copy.from_first | copy.to_step | copy.to_first;
    int width = common_width(from, to, lengths);
    int64_t span = copy.fill ? copy.to_step : copy.length;
    launch(copy_blocks_kernel, dim3(blocks_for(copy.count * span / width, THREADS)), THREADS, 0, stream, from, to, copy,
           width);
}

extern "C" void launch_upsample(cudaStream_t stream, struct array x, struct array y, int64_t batch, int64_t height,
                                int64_t width, int64_t channels)
{
    int vector = common_width(x, y, channels);
    launch(upsample_kernel, dim3(blocks_for(batch * 4 * height * width * channels / vector, THREADS)), THREADS, 0,
           stream, x, y, batch, height, width, channels, vector);
}

extern "C" void launch_upsample_vjp(cudaStream_t stream, struct array dy, struct array dx, int64_t batch,
                                    int64_t height, int64_t width, int64_t channels)
{
    launch(upsample_vjp_kernel, dim3(blocks_for(batch * height * width * channels, THREADS)), THREADS, 0, stream, dy,
           dx, batch, height, width, channels);
}

extern "C" void launch_transpose(cudaStream_t stream, struct array x, struct array y, int64_t batch, int64_t rows,
                                 int64_t columns, int64_t inner)
{
    int width = common_width(x, y, inner);
    int64_t count = batch * rows * columns * inner;
    launch(transpose_kernel, dim3(blocks_for(count / width, THREADS)), THREADS, 0, stream, x, y, count, rows, columns,
           inner, width);
}

extern "C" void launch_gather(cudaStream_t stream, struct array x, const int32_t *ids, struct array y, int64_t batch,
                              int64_t rows, int64_t taken, int64_t width)
{
    int vector = common_width(x, y, width);
    int64_t count = batch * taken * width;
    launch(gather_kernel, dim3(blocks_for(count / vector, THREADS)), THREADS, 0, stream, x, ids, y, count, rows, taken,
           width, vector);
}

extern "C" void launch_gather_vjp(cudaStream_t stream, struct array dy, const int32_t *ids, struct array dx,
                                  int64_t batch, int64_t rows, int64_t taken, int64_t width)
{
    int64_t count = batch * rows * width;
    launch(gather_vjp_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, stream, dy, ids, dx, count, rows, taken,
           width);
}

extern "C" void launch_resample(cudaStream_t stream, struct array x, struct array y, int64_t batch,
                                struct resample_axis vertical, struct resample_axis horizontal, int64_t channels)
{
    int64_t count = batch * vertical.outputs * horizontal.outputs * channels;
    launch(resample_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, stream, x, y, count, vertical, horizontal,
           channels);
}
