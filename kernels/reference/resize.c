/* Upsampling and resampling in double precision. */
#include "kernels/resampling.h"

#include <string.h>

#include "kernels/reference/reference.h"

/* Position of pixel (row, column) of one item in a map [batch, height, width, channels]. */
static int64_t pixel(const struct shape *map, int64_t item, int64_t row, int64_t column)
{
    const int64_t *size = map->dimension;
    return ((item * size[1] + row) * size[2] + column) * size[3];
}

static void add_pixel(double *to, double factor, const double *from, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) to[c] += factor * from[c];
}

status reference_upsample(const struct call *call)
{
    const struct shape *large = output_shape(call, 0), *small = input_shape(call, 0);
    const int64_t *size = large->dimension;
    for (int64_t item = 0; item < size[0]; item++)
        for (int64_t row = 0; row < size[1]; row++)
            for (int64_t column = 0; column < size[2]; column++)
                memcpy(output(call, 0) + pixel(large, item, row, column),
                       input(call, 0) + pixel(small, item, row / 2, column / 2), (size_t)size[3] * sizeof(double));
    return status_ok();
}

status reference_upsample_vjp(const struct call *call)
{
    const struct shape *large = input_shape(call, 0), *small = output_shape(call, 0);
    const int64_t *size = large->dimension;
    memset(output(call, 0), 0, (size_t)shape_elements(small) * sizeof(double));
    for (int64_t item = 0; item < size[0]; item++)
        for (int64_t row = 0; row < size[1]; row++)
            for (int64_t column = 0; column < size[2]; column++)
                add_pixel(output(call, 0) + pixel(small, item, row / 2, column / 2), 1,
                          input(call, 0) + pixel(large, item, row, column), size[3]);
    return status_ok();
}

/* Adds every product of the resampling by `vertical` and `horizontal` between maps x (read from) and y; with
 * `transposed`, from y to x. */
static void resample(const struct resampling *vertical, const struct resampling *horizontal, const struct shape *x,
                     const struct shape *y, bool transposed, const double *from, double *to)
{
    const int64_t *size = y->dimension;
    for (int64_t item = 0; item < size[0]; item++)
        for (int64_t row = 0; row < size[1]; row++)
            for (int64_t column = 0; column < size[2]; column++)
                for (int i = 0; i < vertical->taps; i++)
                    for (int j = 0; j < horizontal->taps; j++) {
                        int64_t v = row * vertical->taps + i, h = column * horizontal->taps + j;
                        int64_t x_pixel = pixel(x, item, vertical->source[v], horizontal->source[h]);
                        int64_t y_pixel = pixel(y, item, row, column);
                        add_pixel(to + (transposed ? x_pixel : y_pixel), vertical->weight[v] * horizontal->weight[h],
                                  from + (transposed ? y_pixel : x_pixel), size[3]);
                    }
}

static status resize(const struct call *call, const struct shape *x, const struct shape *y, bool transposed)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    struct resampling vertical, horizontal;
    TRY(resampling_create(x->dimension[1], y->dimension[1], attributes->filter, attributes->antialias, &vertical));
    status result =
        resampling_create(x->dimension[2], y->dimension[2], attributes->filter, attributes->antialias, &horizontal);
    if (result.code == STATUS_OK) {
        memset(output(call, 0), 0, (size_t)shape_elements(output_shape(call, 0)) * sizeof(double));
        resample(&vertical, &horizontal, x, y, transposed, input(call, 0), output(call, 0));
        resampling_destroy(&horizontal);
    }
    resampling_destroy(&vertical);
    return result;
}

status reference_resize(const struct call *call)
{
    return resize(call, input_shape(call, 0), output_shape(call, 0), false);
}

status reference_resize_vjp(const struct call *call)
{
    return resize(call, output_shape(call, 0), input_shape(call, 0), true);
}
