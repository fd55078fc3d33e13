/* Every operation but the matrix products and attention: what of an operation's attributes and shapes its kernel
 * needs. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/internal.h"
#include "kernels/operation_check.h"
#include "kernels/resampling.h"

static const struct shape *input_shape(const struct kernel *kernel, int index)
{
    return &kernel->operation.input[index].shape;
}

static const struct shape *output_shape(const struct kernel *kernel, int index)
{
    return &kernel->operation.output[index].shape;
}

static struct function unary_function(const struct kernel *kernel)
{
    const struct operation_attributes *attributes = &kernel->operation.attributes;
    return (struct function){attributes->unary, (float)attributes->alpha, (float)attributes->beta};
}

static status run_unary(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    launch_unary(backend->queue, unary_function(kernel), input_array(kernel, call, 0), output_array(kernel, call, 0),
                 shape_elements(input_shape(kernel, 0)));
    return status_ok();
}

static status run_unary_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    launch_unary_vjp(backend->queue, unary_function(kernel), input_array(kernel, call, 0), input_array(kernel, call, 1),
                     output_array(kernel, call, 0), shape_elements(input_shape(kernel, 0)));
    return status_ok();
}

static status run_geglu(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *y = output_shape(kernel, 0);
    launch_geglu(backend->queue, input_array(kernel, call, 0), output_array(kernel, call, 0), row_count(y),
                 last_dimension(y));
    return status_ok();
}

static status run_geglu_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *dy = input_shape(kernel, 0);
    launch_geglu_vjp(backend->queue, input_array(kernel, call, 0), input_array(kernel, call, 1),
                     output_array(kernel, call, 0), row_count(dy), last_dimension(dy));
    return status_ok();
}

static struct broadcast_operand broadcast_operand_of(const struct shape *large, const struct shape *small)
{
    struct broadcast_operand operand;
    int64_t stride = 1;
    for (int i = MAXIMUM_RANK - 1; i >= 0; i--) {
        int dimension = i - (MAXIMUM_RANK - large->rank);
        int64_t own = dimension < 0 ? 1 : small->dimension[dimension];
        operand.size[i] = dimension < 0 ? 1 : large->dimension[dimension];
        operand.stride[i] = own == 1 ? 0 : stride;
        stride *= own;
    }
    return operand;
}

static status run_binary(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct operation_attributes *attributes = &kernel->operation.attributes;
    struct function function = {attributes->binary, (float)attributes->alpha, 0};
    launch_binary(backend->queue, function, input_array(kernel, call, 0), input_array(kernel, call, 1),
                  output_array(kernel, call, 0), broadcast_operand_of(input_shape(kernel, 0), input_shape(kernel, 1)),
                  shape_elements(input_shape(kernel, 0)));
    return status_ok();
}

static status run_broadcast(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    struct broadcast_operand operand = broadcast_operand_of(output_shape(kernel, 0), input_shape(kernel, 0));
    const struct operand *x = &kernel->operation.input[0];
    for (int i = 0; i < MAXIMUM_RANK - 1; i++)
        operand.stride[i] = operand.stride[i] / last_dimension(&x->shape) * operand_row_step(x);
    launch_broadcast(backend->queue, (float)kernel->operation.attributes.alpha, input_array(kernel, call, 0),
                     output_array(kernel, call, 0), operand, shape_elements(output_shape(kernel, 0)));
    return status_ok();
}

static struct reduction reduction_of(const struct kernel *kernel)
{
    return plan_reduction(input_shape(kernel, 0), output_shape(kernel, 0), (float)kernel->operation.attributes.alpha,
                          kernel->operation.attributes.accumulate);
}

static status prepare_reduce(struct cuda_backend *backend, struct kernel *kernel,
                             struct kernel_requirements *requirements)
{
    (void)backend;
    struct reduction reduction = reduction_of(kernel);
    requirements->scratch_bytes = (size_t)reduction.outputs * (size_t)reduction.parts * sizeof(float);
    return status_ok();
}

static status run_reduce(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    launch_reduce(backend->queue, reduction_of(kernel), input_array(kernel, call, 0), output_array(kernel, call, 0),
                  call->scratch);
    return status_ok();
}

static int64_t product(const struct shape *shape, int from, int to)
{
    int64_t result = 1;
    for (int i = from; i < to; i++) result *= shape->dimension[i];
    return result;
}

static status run_concatenate(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    int axis = kernel->operation.attributes.axis;
    const struct shape *y = output_shape(kernel, 0);
    int64_t inner = product(y, axis + 1, y->rank), step = y->dimension[axis] * inner, first = 0;
    for (int i = 0; i < 2; i++) {
        int64_t length = input_shape(kernel, i)->dimension[axis] * inner;
        launch_copy_blocks(backend->queue, input_array(kernel, call, i), output_array(kernel, call, 0),
                           (struct block_copy){.count = product(y, 0, axis),
                                               .length = length,
                                               .from_step = length,
                                               .to_step = step,
                                               .to_first = first});
        first += length;
    }
    return status_ok();
}

/* SLICE takes blocks out of its input's steps, PLACE puts them into its output's. */
static status run_slice(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct operation_attributes *attributes = &kernel->operation.attributes;
    bool place = kernel->operation.kind == OPERATION_PLACE;
    const struct shape *whole = place ? output_shape(kernel, 0) : input_shape(kernel, 0);
    int64_t inner = product(whole, attributes->axis + 1, whole->rank);
    int64_t step = whole->dimension[attributes->axis] * inner, length = attributes->length * inner;
    struct block_copy copy = {
        .count = product(whole, 0, attributes->axis),
        .length = length,
        .from_step = place ? length : step,
        .from_first = place ? 0 : attributes->start * inner,
        .to_step = place ? step : length,
        .to_first = place ? attributes->start * inner : 0,
        .fill = place,
    };
    launch_copy_blocks(backend->queue, input_array(kernel, call, 0), output_array(kernel, call, 0), copy);
    return status_ok();
}

static status run_upsample(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    bool backward = kernel->operation.kind == OPERATION_UPSAMPLE_VJP;
    const int64_t *small = (backward ? output_shape(kernel, 0) : input_shape(kernel, 0))->dimension;
    (backward ? launch_upsample_vjp : launch_upsample)(backend->queue, input_array(kernel, call, 0),
                                                       output_array(kernel, call, 0), small[0], small[1], small[2],
                                                       small[3]);
    return status_ok();
}

static status run_transpose(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *x = input_shape(kernel, 0);
    launch_transpose(backend->queue, input_array(kernel, call, 0), output_array(kernel, call, 0), x->dimension[0],
                     x->dimension[1], x->dimension[2], product(x, 3, x->rank));
    return status_ok();
}

static status run_embedding(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *table = input_shape(kernel, 1);
    launch_gather(backend->queue, input_array(kernel, call, 1), call->inputs[0], output_array(kernel, call, 0), 1,
                  table->dimension[0], shape_elements(input_shape(kernel, 0)), table->dimension[1]);
    return status_ok();
}

static status run_gather(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const int64_t *x = input_shape(kernel, 0)->dimension;
    launch_gather(backend->queue, input_array(kernel, call, 0), call->inputs[1], output_array(kernel, call, 0), x[0],
                  x[1], input_shape(kernel, 1)->dimension[1], x[2]);
    return status_ok();
}

static status run_gather_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const int64_t *dx = output_shape(kernel, 0)->dimension;
    launch_gather_vjp(backend->queue, input_array(kernel, call, 0), call->inputs[1], output_array(kernel, call, 0),
                      dx[0], dx[1], input_shape(kernel, 1)->dimension[1], dx[2]);
    return status_ok();
}

/* ---- resize: tables of sources and weights in device memory, made when the kernel is prepared ---- */

struct resize_plan {
    void *tables;
    struct resample_axis axis[2]; /* vertical, horizontal */
};

static status upload_axis(struct cuda_backend *backend, const struct resampling *resampling, char *place,
                          struct resample_axis *axis)
{
    size_t count = (size_t)resampling->outputs * (size_t)resampling->taps;
    float *weight = malloc(count * sizeof *weight);
    if (!weight) return status_error(STATUS_NO_MEMORY, "no memory for %zu resampling weights", count);
    for (size_t i = 0; i < count; i++) weight[i] = (float)resampling->weight[i];
    struct backend *base = &backend->base;
    status result = base->interface->upload(base, place, resampling->source, count * sizeof *resampling->source);
    char *weights = place + count * sizeof *resampling->source;
    if (result.code == STATUS_OK) result = base->interface->upload(base, weights, weight, count * sizeof *weight);
    free(weight);
    *axis = (struct resample_axis){(const int32_t *)place, (const float *)weights, resampling->taps, resampling->inputs,
                                   resampling->outputs};
    return result;
}

/* The weights of one axis, turned around for the vjp. */
static status axis_weights(const struct kernel *kernel, int dimension, struct resampling *resampling)
{
    const struct operation_attributes *attributes = &kernel->operation.attributes;
    bool backward = kernel->operation.kind == OPERATION_RESIZE_VJP;
    const struct shape *x = backward ? output_shape(kernel, 0) : input_shape(kernel, 0);
    const struct shape *y = backward ? input_shape(kernel, 0) : output_shape(kernel, 0);
    struct resampling forward;
    TRY(resampling_create(x->dimension[dimension], y->dimension[dimension], attributes->filter, attributes->antialias,
                          &forward));
    if (!backward) {
        *resampling = forward;
        return status_ok();
    }
    status result = resampling_transpose(&forward, resampling);
    resampling_destroy(&forward);
    return result;
}

static status fill_tables(struct cuda_backend *backend, struct resize_plan *plan, const struct resampling axis[2])
{
    size_t bytes[2];
    for (int i = 0; i < 2; i++)
        bytes[i] = (size_t)axis[i].outputs * (size_t)axis[i].taps * (sizeof(int32_t) + sizeof(float));
    struct backend *base = &backend->base;
    TRY(base->interface->allocate(base, bytes[0] + bytes[1], &plan->tables));
    TRY(upload_axis(backend, &axis[0], plan->tables, &plan->axis[0]));
    return upload_axis(backend, &axis[1], (char *)plan->tables + bytes[0], &plan->axis[1]);
}

static status prepare_resize(struct cuda_backend *backend, struct kernel *kernel,
                             struct kernel_requirements *requirements)
{
    (void)requirements;
    struct resampling axis[2] = {{0}};
    struct resize_plan *plan = kernel->plan = calloc(1, sizeof *plan);
    if (!plan) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    status result = axis_weights(kernel, 1, &axis[0]);
    if (result.code == STATUS_OK) result = axis_weights(kernel, 2, &axis[1]);
    if (result.code == STATUS_OK) result = fill_tables(backend, plan, axis);
    resampling_destroy(&axis[0]);
    resampling_destroy(&axis[1]);
    return result;
}

static status run_resize(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct resize_plan *plan = kernel->plan;
    const int64_t *x = input_shape(kernel, 0)->dimension;
    launch_resample(backend->queue, input_array(kernel, call, 0), output_array(kernel, call, 0), x[0], plan->axis[0],
                    plan->axis[1], x[3]);
    return status_ok();
}

static void discard_resize(struct cuda_backend *backend, struct kernel *kernel)
{
    struct resize_plan *plan = kernel->plan;
    if (plan && plan->tables) backend->base.interface->release(&backend->base, plan->tables);
}

/* ---- norms ---- */

static status check_statistics(const struct kernel *kernel, const struct operand *first, const struct operand *second)
{
    if ((first->present && first->type != ELEMENT_F32) || (second->present && second->type != ELEMENT_F32))
        return operation_error(&kernel->operation, "mean and rstd must be float32");
    return status_ok();
}

static struct group_norm group_norm_of(const struct kernel *kernel)
{
    const struct operation_attributes *attributes = &kernel->operation.attributes;
    return plan_group_norm(output_shape(kernel, 0), attributes->groups, (float)attributes->epsilon,
                           attributes->fused_silu);
}

static status prepare_group_norm(struct cuda_backend *backend, struct kernel *kernel,
                                 struct kernel_requirements *requirements)
{
    (void)backend;
    const struct operation *operation = &kernel->operation;
    bool backward = operation->kind == OPERATION_GROUP_NORM_VJP;
    TRY(check_statistics(kernel, backward ? &operation->input[4] : &operation->output[1],
                         backward ? &operation->input[5] : &operation->output[2]));
    struct group_norm norm = group_norm_of(kernel);
    requirements->scratch_bytes = group_norm_scratch(&norm);
    return status_ok();
}

static status run_group_norm(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    launch_group_norm(backend->queue, group_norm_of(kernel), input_array(kernel, call, 0), input_array(kernel, call, 1),
                      input_array(kernel, call, 2), output_array(kernel, call, 0), output_array(kernel, call, 1).data,
                      output_array(kernel, call, 2).data, call->scratch);
    return status_ok();
}

static status run_group_norm_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    launch_group_norm_vjp(backend->queue, group_norm_of(kernel), input_array(kernel, call, 0),
                          input_array(kernel, call, 1), input_array(kernel, call, 2), input_array(kernel, call, 3),
                          call->inputs[4], call->inputs[5], input_array(kernel, call, 6),
                          (float)kernel->operation.attributes.alpha, output_array(kernel, call, 0), call->scratch);
    return status_ok();
}

static status prepare_layer_norm(struct cuda_backend *backend, struct kernel *kernel,
                                 struct kernel_requirements *requirements)
{
    (void)backend, (void)requirements;
    const struct operation *operation = &kernel->operation;
    bool backward = operation->kind == OPERATION_LAYER_NORM_VJP;
    return check_statistics(kernel, backward ? &operation->input[3] : &operation->output[1],
                            backward ? &operation->input[4] : &operation->output[2]);
}

static status run_layer_norm(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *x = input_shape(kernel, 0);
    launch_layer_norm(backend->queue, input_array(kernel, call, 0), input_array(kernel, call, 1),
                      input_array(kernel, call, 2), output_array(kernel, call, 0), output_array(kernel, call, 1).data,
                      output_array(kernel, call, 2).data, row_count(x), last_dimension(x),
                      (float)kernel->operation.attributes.epsilon);
    return status_ok();
}

static status run_layer_norm_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *x = input_shape(kernel, 1);
    launch_layer_norm_vjp(backend->queue, input_array(kernel, call, 0), input_array(kernel, call, 1),
                          input_array(kernel, call, 2), call->inputs[3], call->inputs[4], input_array(kernel, call, 5),
                          (float)kernel->operation.attributes.alpha, output_array(kernel, call, 0), row_count(x),
                          last_dimension(x));
    return status_ok();
}

static status run_normalize(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *x = input_shape(kernel, 0);
    launch_normalize(backend->queue, input_array(kernel, call, 0), output_array(kernel, call, 0), row_count(x),
                     last_dimension(x), (float)kernel->operation.attributes.epsilon);
    return status_ok();
}

static status run_normalize_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const struct shape *x = input_shape(kernel, 1);
    launch_normalize_vjp(backend->queue, input_array(kernel, call, 0), input_array(kernel, call, 1),
                         output_array(kernel, call, 0), row_count(x), last_dimension(x),
                         (float)kernel->operation.attributes.epsilon);
    return status_ok();
}

/* ---- boxes ---- */

static status prepare_select_boxes(struct cuda_backend *backend, struct kernel *kernel,
                                   struct kernel_requirements *requirements)
{
    (void)backend, (void)requirements;
    if (input_shape(kernel, 0)->dimension[1] > MAXIMUM_BOXES)
        return operation_error(&kernel->operation, "the CUDA engine can select among at most 8192 boxes");
    return status_ok();
}

static status run_select_boxes(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    const int64_t *logits = input_shape(kernel, 0)->dimension;
    launch_select_boxes(backend->queue, input_array(kernel, call, 0), input_array(kernel, call, 1), call->outputs[0],
                        logits[0], (int)logits[1], (int)output_shape(kernel, 0)->dimension[1],
                        (float)kernel->operation.attributes.alpha);
    return status_ok();
}

#define PLAIN(run_function)                                                                                            \
    &(const struct family)                                                                                             \
    {                                                                                                                  \
        .run = run_function                                                                                            \
    }
#define PREPARED(prepare_function, run_function)                                                                       \
    &(const struct family)                                                                                             \
    {                                                                                                                  \
        .prepare = prepare_function, .run = run_function                                                               \
    }

static const struct family resize_family = {.prepare = prepare_resize, .run = run_resize, .discard = discard_resize};

static const struct family *const table[OPERATION_KIND_COUNT] = {
    [OPERATION_LINEAR] = &cuda_linear_family,
    [OPERATION_LINEAR_VJP_INPUT] = &cuda_linear_family,
    [OPERATION_LINEAR_VJP_WEIGHT] = &cuda_linear_family,
    [OPERATION_CONVOLUTION] = &cuda_convolution_family,
    [OPERATION_CONVOLUTION_VJP_INPUT] = &cuda_convolution_family,
    [OPERATION_CONVOLUTION_VJP_WEIGHT] = &cuda_convolution_family,
    [OPERATION_MATMUL] = &cuda_linear_family,
    [OPERATION_GROUP_NORM] = PREPARED(prepare_group_norm, run_group_norm),
    [OPERATION_GROUP_NORM_VJP] = PREPARED(prepare_group_norm, run_group_norm_vjp),
    [OPERATION_LAYER_NORM] = PREPARED(prepare_layer_norm, run_layer_norm),
    [OPERATION_LAYER_NORM_VJP] = PREPARED(prepare_layer_norm, run_layer_norm_vjp),
    [OPERATION_ATTENTION] = &cuda_attention_family,
    [OPERATION_ATTENTION_VJP] = &cuda_attention_vjp_family,
    [OPERATION_UNARY] = PLAIN(run_unary),
    [OPERATION_UNARY_VJP] = PLAIN(run_unary_vjp),
    [OPERATION_GEGLU] = PLAIN(run_geglu),
    [OPERATION_GEGLU_VJP] = PLAIN(run_geglu_vjp),
    [OPERATION_BINARY] = PLAIN(run_binary),
    [OPERATION_REDUCE] = PREPARED(prepare_reduce, run_reduce),
    [OPERATION_BROADCAST] = PLAIN(run_broadcast),
    [OPERATION_CONCATENATE] = PLAIN(run_concatenate),
    [OPERATION_SLICE] = PLAIN(run_slice),
    [OPERATION_PLACE] = PLAIN(run_slice),
    [OPERATION_UPSAMPLE] = PLAIN(run_upsample),
    [OPERATION_UPSAMPLE_VJP] = PLAIN(run_upsample),
    [OPERATION_RESIZE] = &resize_family,
    [OPERATION_RESIZE_VJP] = &resize_family,
    [OPERATION_EMBEDDING] = PLAIN(run_embedding),
    [OPERATION_GATHER] = PLAIN(run_gather),
    [OPERATION_GATHER_VJP] = PLAIN(run_gather_vjp),
    [OPERATION_NORMALIZE] = PLAIN(run_normalize),
    [OPERATION_NORMALIZE_VJP] = PLAIN(run_normalize_vjp),
    [OPERATION_TRANSPOSE] = PLAIN(run_transpose),
    [OPERATION_SELECT_BOXES] = PREPARED(prepare_select_boxes, run_select_boxes),
};

const struct family *cuda_family(enum operation_kind kind)
{
    return table[kind];
}
