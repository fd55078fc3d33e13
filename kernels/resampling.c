/* Weights of the separable resampling filters. */
#include "kernels/resampling.h"

#include <math.h>
#include <stdlib.h>

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys' cubic convolution kernel with parameter a. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double filter_value(enum resize_filter filter, bool antialias, double x)
{
    return filter == RESIZE_BILINEAR ? triangle(x) : cubic(x, antialias ? -0.5 : -0.75);
}

/* Half the width of the filter at scale 1. */
static double filter_support(enum resize_filter filter)
{
    return filter == RESIZE_BILINEAR ? 1 : 2;
}

static int64_t clamp_position(int64_t position, int64_t count)
{
    return position < 0 ? 0 : position >= count ? count - 1 : position;
}

static void fill_nearest(struct resampling *r, double scale)
{
    for (int64_t i = 0; i < r->outputs; i++) {
        r->source[i] = (int32_t)clamp_position((int64_t)floor((double)i * scale), r->inputs);
        r->weight[i] = 1;
    }
}

/* The filter at scale 1 around the source position; taps past an edge read the edge. */
static void fill_interpolating(struct resampling *r, enum resize_filter filter, double scale)
{
    for (int64_t i = 0; i < r->outputs; i++) {
        double centre = scale * ((double)i + 0.5) - 0.5;
        int64_t first = (int64_t)floor(centre) - (r->taps / 2 - 1);
        for (int tap = 0; tap < r->taps; tap++) {
            r->source[i * r->taps + tap] = (int32_t)clamp_position(first + tap, r->inputs);
            r->weight[i * r->taps + tap] = filter_value(filter, false, (double)(first + tap) - centre);
        }
    }
}

/* The filter widened to the scale when shrinking; taps past an edge are left out and the rest normalised. */
static void fill_antialiased(struct resampling *r, enum resize_filter filter, double scale)
{
    double width = scale > 1 ? scale : 1, support = filter_support(filter) * width;
    for (int64_t i = 0; i < r->outputs; i++) {
        double centre = scale * ((double)i + 0.5), sum = 0;
        int64_t first = clamp_position((int64_t)floor(centre - support + 0.5), r->inputs);
        int64_t last = (int64_t)floor(centre + support + 0.5);
        if (last > r->inputs) last = r->inputs;
        int32_t *source = r->source + i * r->taps;
        double *weight = r->weight + i * r->taps;
        for (int tap = 0; tap < r->taps; tap++) {
            bool used = first + tap < last;
            source[tap] = (int32_t)(used ? first + tap : first);
            weight[tap] = used ? filter_value(filter, true, ((double)(first + tap) - centre + 0.5) / width) : 0;
            sum += weight[tap];
        }
        for (int tap = 0; tap < r->taps; tap++) weight[tap] /= sum;
    }
}

static int tap_count(enum resize_filter filter, bool antialias, double scale)
{
    if (filter == RESIZE_NEAREST) return 1;
    if (!antialias) return 2 * (int)filter_support(filter);
    return (int)ceil(filter_support(filter) * (scale > 1 ? scale : 1)) * 2 + 1;
}

static status allocate(struct resampling *r)
{
    size_t count = (size_t)r->outputs * (size_t)r->taps;
    r->source = calloc(count, sizeof *r->source);
    r->weight = calloc(count, sizeof *r->weight);
    if (r->source && r->weight) return status_ok();
    resampling_destroy(r);
    return status_error(STATUS_NO_MEMORY, "no memory for %zu resampling weights", count);
}

status resampling_create(int64_t inputs, int64_t outputs, enum resize_filter filter, bool antialias,
                         struct resampling *resampling)
{
    double scale = (double)inputs / (double)outputs;
    *resampling = (struct resampling){inputs, outputs, tap_count(filter, antialias, scale), NULL, NULL};
    TRY(allocate(resampling));
    if (filter == RESIZE_NEAREST)
        fill_nearest(resampling, scale);
    else if (antialias)
        fill_antialiased(resampling, filter, scale);
    else
        fill_interpolating(resampling, filter, scale);
    return status_ok();
}

void resampling_destroy(struct resampling *resampling)
{
    free(resampling->source);
    free(resampling->weight);
    resampling->source = NULL;
    resampling->weight = NULL;
}

/* How many outputs read each input position, at most. */
static status most_readers(const struct resampling *r, int *most)
{
    int *readers = calloc((size_t)r->inputs, sizeof *readers);
    if (!readers) return status_error(STATUS_NO_MEMORY, "no memory to turn resampling weights around");
    *most = 1;
    for (int64_t i = 0; i < r->outputs * r->taps; i++)
        if (r->weight[i] != 0 && ++readers[r->source[i]] > *most) *most = readers[r->source[i]];
    free(readers);
    return status_ok();
}

status resampling_transpose(const struct resampling *forward, struct resampling *transposed)
{
    struct resampling result = {forward->outputs, forward->inputs, 0, NULL, NULL};
    TRY(most_readers(forward, &result.taps));
    TRY(allocate(&result));
    for (int64_t position = 0; position < forward->inputs; position++) {
        int filled = 0;
        for (int64_t i = 0; i < forward->outputs * forward->taps; i++) {
            if (forward->weight[i] == 0 || forward->source[i] != position) continue;
            result.source[position * result.taps + filled] = (int32_t)(i / forward->taps);
            result.weight[position * result.taps + filled++] = forward->weight[i];
        }
    }
    *transposed = result;
    return status_ok();
}
