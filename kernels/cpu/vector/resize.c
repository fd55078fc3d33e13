/* Upsampling and resampling. */
#include <stdlib.h>

#include "kernels/cpu/vector/kinds.h"
#include "kernels/resampling.h"

static void upsample_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    const int64_t *size = input_shape(call, 0)->dimension;
    int64_t width = size[2], channels = size[3];
    (void)thread;
    for (int64_t row = begin; row < end; row++) { /* of the input */
        const float *from = (const float *)call->inputs[0] + row * width * channels;
        float *to = (float *)call->outputs[0] + row * 4 * width * channels;
        for (int64_t column = 0; column < 2 * width; column++)
            memcpy(to + column * channels, from + column / 2 * channels, (size_t)channels * sizeof *to);
        memcpy(to + 2 * width * channels, to, (size_t)(2 * width * channels) * sizeof *to);
    }
}

static status run_upsample(const struct call *call)
{
    const int64_t *size = input_shape(call, 0)->dimension;
    parallel_for(call->kernel->parallel, size[0] * size[1], row_grain(4 * size[2] * size[3]), upsample_part,
                 (void *)call);
    return status_ok();
}

static void upsample_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    const int64_t *size = output_shape(call, 0)->dimension;
    int64_t width = size[2], channels = size[3];
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        for (int64_t column = 0; column < width; column++) {
            const float *upper = (const float *)call->inputs[0] + (row * 4 * width + column * 2) * channels;
            const float *lower = upper + 2 * width * channels;
            float *to = (float *)call->outputs[0] + (row * width + column) * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; c++)
                to[c] = (upper[c] + upper[channels + c]) + (lower[c] + lower[channels + c]);
        }
}

static status run_upsample_vjp(const struct call *call)
{
    const int64_t *size = output_shape(call, 0)->dimension;
    parallel_for(call->kernel->parallel, size[0] * size[1], row_grain(4 * size[2] * size[3]), upsample_vjp_part,
                 (void *)call);
    return status_ok();
}

/* Weights of both directions as the loops read them. */
struct resize {
    struct resampling vertical, horizontal;
};

/* The weights from input 0 to output 0: the forward ones, or (vjp) their transpose. */
static status create_direction(const struct operation *operation, int dimension, struct resampling *result)
{
    const struct operation_attributes *attributes = &operation->attributes;
    int64_t from = operation->input[0].shape.dimension[dimension], to = operation->output[0].shape.dimension[dimension];
    if (operation->kind == OPERATION_RESIZE)
        return resampling_create(from, to, attributes->filter, attributes->antialias, result);
    struct resampling forward;
    TRY(resampling_create(to, from, attributes->filter, attributes->antialias, &forward));
    status transposed = resampling_transpose(&forward, result);
    resampling_destroy(&forward);
    return transposed;
}

static void discard_resize(struct kernel *kernel)
{
    struct resize *resize = kernel->state;
    resampling_destroy(&resize->vertical);
    resampling_destroy(&resize->horizontal);
    free(resize);
}

static status prepare_resize(struct kernel *kernel, struct kernel_requirements *requirements)
{
    const int64_t *size = kernel->operation.input[0].shape.dimension;
    struct resize *resize = calloc(1, sizeof *resize);
    if (!resize) return status_error(STATUS_NO_MEMORY, "no memory for resampling weights");
    kernel->state = resize;
    status created = create_direction(&kernel->operation, 1, &resize->vertical);
    if (created.code == STATUS_OK) created = create_direction(&kernel->operation, 2, &resize->horizontal);
    if (created.code != STATUS_OK) discard_resize(kernel);
    requirements->scratch_bytes =
        (size_t)parallel_threads(kernel->parallel) * (size_t)(size[2] * size[3]) * sizeof(float);
    return created;
}

/* The weighted sum of input rows that makes one output row, before the columns are resampled. */
static void resize_rows(const struct resampling *vertical, int64_t row, const float *x, int64_t count, float *buffer)
{
    const int32_t *source = vertical->source + row * vertical->taps;
    const double *weight = vertical->weight + row * vertical->taps;
    memset(buffer, 0, (size_t)count * sizeof *buffer);
    for (int tap = 0; tap < vertical->taps; tap++) {
        const float factor = (float)weight[tap], *from = x + source[tap] * count;
        if (factor == 0.0f) continue;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) buffer[i] += factor * from[i];
    }
}

static void resize_columns(const struct resampling *horizontal, const float *buffer, int64_t channels, float *y)
{
    for (int64_t column = 0; column < horizontal->outputs; column++) {
        const int32_t *source = horizontal->source + column * horizontal->taps;
        const double *weight = horizontal->weight + column * horizontal->taps;
        float *to = y + column * channels;
        for (int64_t c = 0; c < channels; c++) to[c] = 0;
        for (int tap = 0; tap < horizontal->taps; tap++) {
            const float factor = (float)weight[tap], *from = buffer + source[tap] * channels;
            for (int64_t c = 0; c < channels; c++) to[c] += factor * from[c];
        }
    }
}

static void resize_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    const struct resize *resize = call->kernel->state;
    const int64_t *from = input_shape(call, 0)->dimension, *to = output_shape(call, 0)->dimension;
    int64_t line = from[2] * from[3];
    float *buffer = (float *)call->scratch + thread * line;
    for (int64_t i = begin; i < end; i++) { /* rows of the output */
        const float *x = (const float *)call->inputs[0] + i / to[1] * from[1] * line;
        resize_rows(&resize->vertical, i % to[1], x, line, buffer);
        resize_columns(&resize->horizontal, buffer, from[3], (float *)call->outputs[0] + i * to[2] * to[3]);
    }
}

static status run_resize(const struct call *call)
{
    const int64_t *size = output_shape(call, 0)->dimension;
    parallel_for(call->kernel->parallel, size[0] * size[1], 4, resize_part, (void *)call);
    return status_ok();
}

const struct cpu_kind NAME(cpu_upsample) = {.run = run_upsample};
const struct cpu_kind NAME(cpu_upsample_vjp) = {.run = run_upsample_vjp};
const struct cpu_kind NAME(cpu_resize) = {.prepare = prepare_resize, .discard = discard_resize, .run = run_resize};
const struct cpu_kind NAME(cpu_resize_vjp) = {.prepare = prepare_resize, .discard = discard_resize, .run = run_resize};
