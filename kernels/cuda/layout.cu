/* Kernels that move elements without computing with them, and RESIZE. A thread takes `width` neighbouring elements of
 * the last dimension: 8 where all lengths and addresses allow it, else 1. Lengths below are in units of so many. */
#include "kernels/cuda/array.h"
#include "kernels/cuda/divisor.h"

enum { THREADS = 256 };

/* Units, at unit `from_index` and `to_index`. */
static __device__ __forceinline__ void move(const struct array &from, int64_t from_index, const struct array &to,
                                            int64_t to_index, int width)
{
    if (width == 1) {
        store(to, to_index, load(from, from_index));
        return;
    }
    struct packed8 packed = fetch8(from, from_index * 8);
    if (from.type == to.type) {
        put8(to, to_index * 8, packed);
        return;
    }
    float value[8];
    unpack8(from, packed, value);
    store8(to, to_index * 8, value);
}

static __device__ __forceinline__ void store_repeated(const struct array &to, int64_t index, int width, float value)
{
    if (width == 1) {
        store(to, index, value);
        return;
    }
    float values[8] = {value, value, value, value, value, value, value, value};
    store8(to, index * 8, values);
}

/* `copy` in units; `span` divides by those of a block that are written. */
static __global__ void __launch_bounds__(THREADS)
    copy_blocks_kernel(struct array from, struct array to, struct block_copy copy, struct divisor span, int width)
{
    await_earlier_kernels();
    struct division place = divide(global_thread(), span);
    if (place.quotient >= copy.count) return;
    int64_t inside = copy.fill ? place.remainder - copy.to_first : place.remainder;
    int64_t to_index = place.quotient * copy.to_step + copy.to_first + inside;
    if (inside >= 0 && inside < copy.length)
        move(from, place.quotient * copy.from_step + copy.from_first + inside, to, to_index, width);
    else
        store_repeated(to, to_index, width, 0.0f);
}

/* Sizes of the small map: `count` units of the large one, channels and width of the large one as divisors. */
static __global__ void __launch_bounds__(THREADS)
    upsample_kernel(struct array x, struct array y, int64_t count, struct divisor columns, struct divisor channels,
                    int vector)
{
    await_earlier_kernels();
    int64_t item = global_thread();
    if (item >= count) return;
    struct division pixel = divide(item, channels), place = divide(pixel.quotient, columns);
    /* Rows are those of all images, one above the other: each has an even number of them. */
    int64_t source = place.quotient / 2 * (columns.value / 2) + place.remainder / 2;
    move(x, source * channels.value + pixel.remainder, y, item, vector);
}

/* Sizes of the small map, of which there are `count` units. */
static __global__ void __launch_bounds__(THREADS)
    upsample_vjp_kernel(struct array dy, struct array dx, int64_t count, struct divisor columns,
                        struct divisor channels, int vector)
{
    await_earlier_kernels();
    int64_t item = global_thread();
    if (item >= count) return;
    struct division pixel = divide(item, channels), place = divide(pixel.quotient, columns);
    int64_t line = 2 * columns.value * channels.value;
    int64_t first = place.quotient * 2 * line + 2 * place.remainder * channels.value + pixel.remainder;
    const int64_t from[4] = {first, first + channels.value, first + line, first + line + channels.value};
    if (vector == 1) {
        store(dx, item, load(dy, from[0]) + load(dy, from[1]) + load(dy, from[2]) + load(dy, from[3]));
        return;
    }
    struct packed8 packed[4];
    float sum[8] = {}, value[8];
#pragma unroll
    for (int i = 0; i < 4; i++) packed[i] = fetch8(dy, from[i] * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        unpack8(dy, packed[i], value);
#pragma unroll
        for (int j = 0; j < 8; j++) sum[j] += value[j];
    }
    store8(dx, item * 8, sum);
}

static __global__ void __launch_bounds__(THREADS)
    transpose_kernel(struct array x, struct array y, int64_t count, struct divisor rows, struct divisor columns,
                     struct divisor inner, int width)
{
    await_earlier_kernels();
    int64_t item = global_thread();
    if (item >= count) return;
    struct division place = divide(item, inner), column = divide(place.quotient, rows);
    struct division image = divide(column.quotient, columns);
    int64_t from = (image.quotient * rows.value + column.remainder) * columns.value + image.remainder;
    move(x, from * inner.value + place.remainder, y, item, width);
}

static __global__ void __launch_bounds__(THREADS)
    gather_kernel(struct array x, const int32_t *ids, struct array y, int64_t count, int64_t rows, struct divisor taken,
                  struct divisor width, int vector)
{
    await_earlier_kernels();
    int64_t item = global_thread();
    if (item >= count) return;
    struct division place = divide(item, width);
    int64_t id = ids[place.quotient], image = divide(place.quotient, taken).quotient;
    if (id >= 0 && id < rows)
        move(x, (image * rows + id) * width.value + place.remainder, y, item, vector);
    else
        store_repeated(y, item, vector, NAN);
}

static __global__ void __launch_bounds__(THREADS)
    gather_vjp_kernel(struct array dy, const int32_t *ids, struct array dx, int64_t count, struct divisor rows,
                      int64_t taken, struct divisor width)
{
    await_earlier_kernels();
    int64_t item = global_thread();
    if (item >= count) return;
    struct division place = divide(item, width), image = divide(place.quotient, rows);
    int64_t row = image.remainder, first = image.quotient * taken;
    float sum = 0.0f;
    for (int64_t i = 0; i < taken; i++)
        if (ids[first + i] == row) sum += load(dy, (first + i) * width.value + place.remainder);
    store(dx, item, sum);
}

/* Divides by the channels and by the outputs of both axes. */
struct resample_divisors {
    struct divisor channels, columns, rows;
};

static __global__ void __launch_bounds__(THREADS)
    resample_kernel(struct array x, struct array y, int64_t count, struct resample_axis vertical,
                    struct resample_axis horizontal, struct resample_divisors by)
{
    await_earlier_kernels();
    int64_t item = global_thread();
    if (item >= count) return;
    struct division pixel = divide(item, by.channels), place = divide(pixel.quotient, by.columns);
    struct division image = divide(place.quotient, by.rows);
    const int32_t *lines = vertical.source + image.remainder * vertical.taps;
    const float *line_weights = vertical.weight + image.remainder * vertical.taps;
    const int32_t *sources = horizontal.source + place.remainder * horizontal.taps;
    const float *weights = horizontal.weight + place.remainder * horizontal.taps;
    float sum = 0.0f;
    for (int i = 0; i < vertical.taps; i++) {
        int64_t line = (image.quotient * vertical.inputs + lines[i]) * horizontal.inputs;
        float along = 0.0f;
        for (int j = 0; j < horizontal.taps; j++)
            along += weights[j] * load(x, (line + sources[j]) * by.channels.value + pixel.remainder);
        sum += line_weights[i] * along;
    }
    store(y, item, sum);
}

/* Elements a thread can take at once where every length is a multiple of that. */
static int common_width(const struct array &a, const struct array &b, int64_t lengths)
{
    return lengths % 8 == 0 && is_aligned(a) && is_aligned(b) ? 8 : 1;
}

extern "C" void launch_copy_blocks(struct queue queue, struct array from, struct array to, struct block_copy copy)
{
    /* A bit below 8 in any of them shows in the union of their bits. */
    int64_t lengths = copy.length | copy.from_step | copy.from_first | copy.to_step | copy.to_first;
    int width = common_width(from, to, lengths);
    int64_t span = copy.fill ? copy.to_step : copy.length;
    struct block_copy units = {copy.count,
                               copy.length / width,
                               copy.from_step / width,
                               copy.from_first / width,
                               copy.to_step / width,
                               copy.to_first / width,
                               copy.fill};
    launch(copy_blocks_kernel, dim3(blocks_for(copy.count * span / width, THREADS)), THREADS, 0, queue, from, to, units,
           divisor_of(span / width), width);
}

extern "C" void launch_upsample(struct queue queue, struct array x, struct array y, int64_t batch, int64_t height,
                                int64_t width, int64_t channels)
{
    int vector = common_width(x, y, channels);
    int64_t count = batch * 4 * height * width * channels / vector;
    launch(upsample_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, queue, x, y, count, divisor_of(2 * width),
           divisor_of(channels / vector), vector);
}

extern "C" void launch_upsample_vjp(struct queue queue, struct array dy, struct array dx, int64_t batch, int64_t height,
                                    int64_t width, int64_t channels)
{
    int vector = common_width(dy, dx, channels);
    int64_t count = batch * height * width * channels / vector;
    launch(upsample_vjp_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, queue, dy, dx, count, divisor_of(width),
           divisor_of(channels / vector), vector);
}

extern "C" void launch_transpose(struct queue queue, struct array x, struct array y, int64_t batch, int64_t rows,
                                 int64_t columns, int64_t inner)
{
    int width = common_width(x, y, inner);
    int64_t count = batch * rows * columns * inner / width;
    launch(transpose_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, queue, x, y, count, divisor_of(rows),
           divisor_of(columns), divisor_of(inner / width), width);
}

extern "C" void launch_gather(struct queue queue, struct array x, const int32_t *ids, struct array y, int64_t batch,
                              int64_t rows, int64_t taken, int64_t width)
{
    int vector = common_width(x, y, width);
    int64_t count = batch * taken * width / vector;
    launch(gather_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, queue, x, ids, y, count, rows,
           divisor_of(taken), divisor_of(width / vector), vector);
}

extern "C" void launch_gather_vjp(struct queue queue, struct array dy, const int32_t *ids, struct array dx,
                                  int64_t batch, int64_t rows, int64_t taken, int64_t width)
{
    int64_t count = batch * rows * width;
    launch(gather_vjp_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, queue, dy, ids, dx, count, divisor_of(rows),
           taken, divisor_of(width));
}

extern "C" void launch_resample(struct queue queue, struct array x, struct array y, int64_t batch,
                                struct resample_axis vertical, struct resample_axis horizontal, int64_t channels)
{
    int64_t count = batch * vertical.outputs * horizontal.outputs * channels;
    struct resample_divisors by = {divisor_of(channels), divisor_of(horizontal.outputs), divisor_of(vertical.outputs)};
    launch(resample_kernel, dim3(blocks_for(count, THREADS)), THREADS, 0, queue, x, y, count, vertical, horizontal, by);
}
