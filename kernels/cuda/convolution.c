/* Convolutions as implicit matrix products: a convolution's windows are the rows of one operand (its columns for the
 * weight gradient) and are gathered while the product runs. A 1x1 convolution is a plain product over the pixels. */
#include <stdlib.h>

#include "kernels/cuda/multiply.h"

enum {
    CHANNEL_UNIT = 8, /* packed weights are padded to it, so that eight channels are read at once */
    SCRATCH_ALIGNMENT = 256
};

static int64_t padded(int64_t channels, enum element_type type)
{
    return type == ELEMENT_F32 ? channels : (channels + CHANNEL_UNIT - 1) / CHANNEL_UNIT * CHANNEL_UNIT;
}

/* The three shapes of the family, whichever operation it is. */
struct convolution {
    const struct operand *x, *weight, *y;
};

static struct convolution operands_of(const struct operation *operation)
{
    const struct operand *in = operation->input, *out = operation->output;
    switch (operation->kind) {
    case OPERATION_CONVOLUTION_VJP_INPUT: return (struct convolution){&out[0], &in[1], &in[0]};
    case OPERATION_CONVOLUTION_VJP_WEIGHT: return (struct convolution){&in[1], &out[0], &in[0]};
    default: return (struct convolution){&in[0], &in[1], &out[0]};
    }
}

static int64_t pixels(const struct operand *map)
{
    return row_count(&map->shape);
}

static int64_t tap_count(const struct operand *weight)
{
    return weight->shape.dimension[2] * weight->shape.dimension[3];
}

static bool is_pointwise(const struct operation *operation)
{
    const struct operation_attributes *a = &operation->attributes;
    return tap_count(operands_of(operation).weight) == 1 && a->stride == 1 && !a->doubled &&
           !(a->padding_top | a->padding_left | a->padding_bottom | a->padding_right);
}

static struct operand_view dense(enum element_type type, int layout, int64_t leading)
{
    return (struct operand_view){.array = {NULL, type}, .layout = layout, .leading = leading};
}

/* Windows that lie side by side and cover the map: each pixel of x is read by one pixel of y. */
static bool is_of_patches(const struct operation *operation)
{
    const struct operation_attributes *a = &operation->attributes;
    struct convolution c = operands_of(operation);
    const int64_t *x = c.x->shape.dimension, *w = c.weight->shape.dimension, *y = c.y->shape.dimension;
    return a->stride > 1 && w[2] == a->stride && w[3] == a->stride && !a->doubled &&
           !(a->padding_top | a->padding_left | a->padding_bottom | a->padding_right) && x[1] == y[1] * a->stride &&
           x[2] == y[2] * a->stride;
}

/* The map that windows are gathered from, where there is one. */
static const struct operand *gathered_map(const struct operation *operation)
{
    struct convolution c = operands_of(operation);
    if (is_pointwise(operation)) return NULL;
    switch (operation->kind) {
    case OPERATION_CONVOLUTION: return c.x;
    case OPERATION_CONVOLUTION_VJP_INPUT: return is_of_patches(operation) ? NULL : c.y;
    default: return NULL;
    }
}

/* Matrix instructions gather whole units of channels. A map of other channels (latents, pictures) is copied beforehand,
 * with zeros up to the next unit. */
static bool copies_map(const struct operation *operation)
{
    const struct operand *map = gathered_map(operation);
    return map && map->type == operation->input[1].type &&
           padded(last_dimension(&map->shape), map->type) != last_dimension(&map->shape);
}

/* Channels of the map that is gathered from. */
static int gathered_channels(const struct operation *operation, const struct operand *map)
{
    int64_t channels = last_dimension(&map->shape);
    return (int)(copies_map(operation) ? padded(channels, map->type) : channels);
}

static struct block_copy map_copy(const struct operand *map)
{
    int64_t channels = last_dimension(&map->shape);
    return (struct block_copy){.count = pixels(map),
                               .length = channels,
                               .from_step = channels,
                               .to_step = padded(channels, map->type),
                               .fill = true};
}

/* The forward window: an output pixel reads x at stride * pixel - padding + tap. */
static struct window forward_window(const struct operation *operation, int64_t padded_channels)
{
    const struct operation_attributes *a = &operation->attributes;
    struct convolution c = operands_of(operation);
    const int64_t *x = c.x->shape.dimension, *w = c.weight->shape.dimension, *y = c.y->shape.dimension;
    return (struct window){.height = (int)x[1],
                           .width = (int)x[2],
                           .channels = gathered_channels(operation, c.x),
                           .padded = (int)padded_channels,
                           .pixel_rows = (int)y[1],
                           .pixel_columns = (int)y[2],
                           .kernel_rows = (int)w[2],
                           .kernel_columns = (int)w[3],
                           .multiply = a->stride,
                           .row_offset = -a->padding_top,
                           .column_offset = -a->padding_left,
                           .sign = 1,
                           .divide = 1,
                           .doubled = a->doubled,
                           .phases = 1};
}

/* Pixels of a doubled map that are one pixel of x. */
static int phase_count(const struct operation *operation)
{
    return operation->attributes.doubled ? 4 : 1;
}

/* The transposed window: pixel p of x was read by the outputs (p + padding - tap) / stride. */
static struct window backward_window(const struct operation *operation, int64_t padded_channels)
{
    const struct operation_attributes *a = &operation->attributes;
    struct convolution c = operands_of(operation);
    const int64_t *x = c.x->shape.dimension, *w = c.weight->shape.dimension, *y = c.y->shape.dimension;
    return (struct window){.height = (int)y[1],
                           .width = (int)y[2],
                           .channels = gathered_channels(operation, c.y),
                           .packed_channels = (int)y[3],
                           .padded = (int)padded_channels,
                           .pixel_rows = (int)x[1],
                           .pixel_columns = (int)x[2],
                           .kernel_rows = (int)w[2],
                           .kernel_columns = (int)w[3],
                           .multiply = a->doubled ? 2 : 1,
                           .row_offset = a->padding_top,
                           .column_offset = a->padding_left,
                           .sign = -1,
                           .divide = a->stride,
                           .phases = phase_count(operation),
                           .phase_sign = 1};
}

/* ---- 3x3 on a doubled map: four windows of 2x2 on the map there is ---- */

enum { PHASES = 4, PHASE_TAPS = 4 };

static bool sees_phases(const struct operation *operation)
{
    const struct operation_attributes *a = &operation->attributes;
    const int64_t *w = operands_of(operation).weight->shape.dimension;
    return operation->kind != OPERATION_CONVOLUTION_VJP_WEIGHT && a->doubled && w[2] == 3 && w[3] == 3 &&
           a->stride == 1 && a->padding_top == 1 && a->padding_left == 1 && a->padding_bottom == 1 &&
           a->padding_right == 1;
}

/* Elements of one phase's packed weight. */
static int64_t phase_elements(const struct operand *weight)
{
    return weight->shape.dimension[0] * PHASE_TAPS * padded(weight->shape.dimension[1], weight->type);
}

/* Each phase is an item of the batch: pixel (i, j) reads rows i - 1 + phase / 2 and the next. */
static void set_phases_forward(const struct operation *operation, struct product *product)
{
    struct convolution c = operands_of(operation);
    const int64_t *x = c.x->shape.dimension;
    int64_t channels = padded(x[3], c.x->type);
    product->batch = PHASES;
    product->m = pixels(c.x);
    product->n = c.y->shape.dimension[3];
    product->k = PHASE_TAPS * channels;
    product->doubled = (int)x[2];
    product->a = dense(c.x->type, OPERAND_WINDOWS, 0);
    product->b = dense(c.weight->type, OPERAND_ROWS, product->k);
    product->b.step = phase_elements(c.weight);
    product->window = (struct window){.height = (int)x[1],
                                      .width = (int)x[2],
                                      .channels = gathered_channels(operation, c.x),
                                      .padded = (int)channels,
                                      .pixel_rows = (int)x[1],
                                      .pixel_columns = (int)x[2],
                                      .kernel_rows = 2,
                                      .kernel_columns = 2,
                                      .multiply = 1,
                                      .row_offset = -1,
                                      .column_offset = -1,
                                      .sign = 1,
                                      .divide = 1,
                                      .phases = 1,
                                      .by_items = 1};
}

/* Row i was read by row 2 i + 2 - phase / 2 - 2 r of the doubled map with the phase's tap r. */
static void set_phases_input_gradient(const struct operation *operation, struct product *product)
{
    struct convolution c = operands_of(operation);
    const int64_t *x = c.x->shape.dimension, *y = c.y->shape.dimension;
    int64_t channels = padded(y[3], c.y->type);
    product->m = pixels(c.x);
    product->n = x[3];
    product->k = PHASES * PHASE_TAPS * channels;
    product->a = dense(c.y->type, OPERAND_WINDOWS, 0);
    product->b = dense(c.weight->type, OPERAND_TAPS, padded(x[3], c.weight->type));
    product->window = (struct window){.height = (int)y[1],
                                      .width = (int)y[2],
                                      .channels = gathered_channels(operation, c.y),
                                      .packed_channels = (int)y[3],
                                      .padded = (int)channels,
                                      .pixel_rows = (int)x[1],
                                      .pixel_columns = (int)x[2],
                                      .kernel_rows = 2,
                                      .kernel_columns = 2,
                                      .multiply = 2,
                                      .row_offset = 2,
                                      .column_offset = 2,
                                      .sign = -2,
                                      .divide = 1,
                                      .phases = PHASES,
                                      .phase_sign = -1,
                                      .phase_step = phase_elements(c.weight)};
}

/* ---- the product of an operation ---- */

static void set_forward(const struct operation *operation, struct product *product)
{
    struct convolution c = operands_of(operation);
    int64_t in = c.x->shape.dimension[3], channels = padded(in, c.x->type);
    product->m = pixels(c.y);
    product->n = c.y->shape.dimension[3];
    if (is_pointwise(operation)) {
        product->k = in;
        product->a = dense(c.x->type, OPERAND_ROWS, in);
    } else {
        product->k = tap_count(c.weight) * channels;
        product->a = dense(c.x->type, OPERAND_WINDOWS, 0);
        product->window = forward_window(operation, channels);
    }
    product->b = dense(c.weight->type, OPERAND_ROWS, product->k);
}

/* dx of patches is a plain product, [patches, out] by the packed weight's [out, taps * padded]. */
static void set_patch_gradient(const struct operation *operation, struct product *product)
{
    struct convolution c = operands_of(operation);
    int64_t in = c.x->shape.dimension[3], channels = padded(in, c.weight->type);
    product->m = pixels(c.y);
    product->n = tap_count(c.weight) * channels;
    product->k = c.y->shape.dimension[3];
    product->a = dense(c.y->type, OPERAND_ROWS, product->k);
    product->b = dense(c.weight->type, OPERAND_COLUMNS, product->n);
    product->patches = (struct patches){.size = operation->attributes.stride,
                                        .columns = (int)c.y->shape.dimension[2],
                                        .channels = (int)in,
                                        .padded = (int)channels};
}

static void set_input_gradient(const struct operation *operation, struct product *product)
{
    struct convolution c = operands_of(operation);
    int64_t out = c.y->shape.dimension[3], channels = padded(out, c.y->type);
    product->m = pixels(c.x);
    product->n = c.x->shape.dimension[3];
    if (is_pointwise(operation)) {
        product->k = out;
        product->a = dense(c.y->type, OPERAND_ROWS, out);
        product->b = dense(c.weight->type, OPERAND_COLUMNS, product->n);
        return;
    }
    product->k = phase_count(operation) * tap_count(c.weight) * channels;
    product->a = dense(c.y->type, OPERAND_WINDOWS, 0);
    product->window = backward_window(operation, channels);
    product->b = dense(c.weight->type, OPERAND_TAPS, padded(product->n, c.weight->type));
}

static void set_weight_gradient(const struct operation *operation, struct product *product)
{
    struct convolution c = operands_of(operation);
    int64_t in = c.x->shape.dimension[3];
    product->m = c.y->shape.dimension[3];
    product->k = pixels(c.y);
    product->taps = (int)tap_count(c.weight);
    product->n = product->taps * in;
    product->a = dense(c.y->type, OPERAND_COLUMNS, product->m);
    product->b = dense(c.x->type, is_pointwise(operation) ? OPERAND_COLUMNS : OPERAND_WINDOWS, in);
    product->window = forward_window(operation, in);
    product->accumulate = operation->attributes.accumulate;
}

static void set_product(const struct operation *operation, struct product *product)
{
    bool backward = operation->kind == OPERATION_CONVOLUTION_VJP_INPUT;
    if (operation->kind == OPERATION_CONVOLUTION_VJP_WEIGHT)
        set_weight_gradient(operation, product);
    else if (sees_phases(operation))
        (backward ? set_phases_input_gradient : set_phases_forward)(operation, product);
    else if (!backward)
        set_forward(operation, product);
    else
        (is_of_patches(operation) ? set_patch_gradient : set_input_gradient)(operation, product);
}

static struct product product_of(const struct operation *operation)
{
    struct product product = {.batch = 1, .alpha = 1, .taps = 1, .c.type = operation->output[0].type};
    set_product(operation, &product);
    if (operation->kind == OPERATION_CONVOLUTION && operation->input_count > 2 && operation->input[2].present)
        product.bias = (struct array){(void *)1, operation->input[2].type};
    set_residual(operation, &product);
    return product;
}

static bool packs(const struct operation *operation)
{
    return operation->kind != OPERATION_CONVOLUTION_VJP_WEIGHT && !is_pointwise(operation);
}

/* Of [out, taps, padded input channels], once or for each phase. */
static int64_t packed_elements(const struct operation *operation)
{
    const struct operand *weight = operands_of(operation).weight;
    if (sees_phases(operation)) return PHASES * phase_elements(weight);
    return weight->shape.dimension[0] * tap_count(weight) * padded(weight->shape.dimension[1], weight->type);
}

/* The copy of the map lies at the beginning of the scratch memory, whole units of its alignment. */
static size_t copied_bytes(const struct operation *operation)
{
    if (!copies_map(operation)) return 0;
    const struct operand *map = gathered_map(operation);
    struct block_copy copy = map_copy(map);
    size_t bytes = (size_t)(copy.count * copy.to_step) * element_size(map->type);
    return (bytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

static status prepare(struct cuda_backend *backend, struct kernel *kernel, struct kernel_requirements *requirements)
{
    struct multiplication *multiplication = kernel->plan = calloc(1, sizeof *multiplication);
    if (!multiplication) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    struct product product = product_of(&kernel->operation);
    if (packs(&kernel->operation)) {
        requirements->packed_bytes =
            (size_t)packed_elements(&kernel->operation) * element_size(kernel->operation.input[1].type);
        requirements->packing_key = sees_phases(&kernel->operation) ? 2 : 1; /* forward and vjp share one layout */
    }
    TRY(multiplication_prepare(backend, &product, multiplication, &requirements->scratch_bytes));
    requirements->scratch_bytes += copied_bytes(&kernel->operation);
    return status_ok();
}

static status pack(struct cuda_backend *backend, const struct kernel *kernel, const void *weight, void *packed)
{
    if (!packs(&kernel->operation)) return status_ok();
    const struct operand *operand = &kernel->operation.input[1];
    const int64_t *w = operand->shape.dimension;
    struct array from = {(void *)(uintptr_t)weight, operand->type}, to = {packed, operand->type};
    if (sees_phases(&kernel->operation))
        launch_pack_phases(backend->queue, from, to, w[0], w[1], padded(w[1], operand->type));
    else
        launch_pack_convolution(backend->queue, from, to, w[0], w[1], tap_count(operand), padded(w[1], operand->type));
    return status_ok();
}

static status run(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    struct factors factors = {.a = call->inputs[0],
                              .b = packs(&kernel->operation) ? call->packed : call->inputs[1],
                              .residual = residual_of(kernel, call),
                              .c = call->outputs[0]};
    if (kernel->operation.kind == OPERATION_CONVOLUTION) factors.bias = input_array(kernel, call, 2).data;
    if (copies_map(&kernel->operation)) {
        const struct operand *map = gathered_map(&kernel->operation);
        struct array copied = {call->scratch, map->type};
        launch_copy_blocks(backend->queue, input_array(kernel, call, 0), copied, map_copy(map));
        factors.a = copied.data;
    }
    return multiplication_run(backend, kernel->plan, factors, (char *)call->scratch + copied_bytes(&kernel->operation));
}

static void discard(struct cuda_backend *backend, struct kernel *kernel)
{
    if (kernel->plan) multiplication_discard(backend, kernel->plan);
}

const struct family cuda_convolution_family = {.prepare = prepare, .run = run, .pack = pack, .discard = discard};
