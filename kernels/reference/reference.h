/* The reference backend's kernels: plain loops in double precision, written to be read, not to be fast. */
#ifndef ALIGNPROP_KERNELS_REFERENCE_REFERENCE_H
#define ALIGNPROP_KERNELS_REFERENCE_REFERENCE_H

#include "engine/base/status.h"
#include "kernels/operations.h"

struct call {
    const struct operation *operation;
    const void *const *inputs;
    void *const *outputs;
};

typedef status (*reference_function)(const struct call *call);

static inline const double *input(const struct call *call, int index)
{
    return call->inputs[index];
}

static inline const int32_t *index_input(const struct call *call, int index)
{
    return call->inputs[index];
}

static inline double *output(const struct call *call, int index)
{
    return call->outputs[index];
}

static inline const struct shape *input_shape(const struct call *call, int index)
{
    return &call->operation->input[index].shape;
}

static inline const struct shape *output_shape(const struct call *call, int index)
{
    return &call->operation->output[index].shape;
}

/* What is added to the result; NULL where the operation has no residual. */
static inline const double *residual_input(const struct call *call)
{
    return operation_residual(call->operation) ? input(call, operation_facts(call->operation->kind)->residual_input)
                                               : NULL;
}

/* The factor of a product beside what is added to it. */
static inline double product_factor(const struct call *call)
{
    return operation_residual(call->operation) ? call->operation->attributes.alpha : 1;
}

static inline int64_t last_dimension(const struct shape *shape)
{
    return shape->dimension[shape->rank - 1];
}

static inline int64_t row_count(const struct shape *shape)
{
    return shape_elements(shape) / last_dimension(shape);
}

double sigmoid(double x);
double gelu_erf(double x);
double gelu_erf_derivative(double x);

status reference_linear(const struct call *call);
status reference_linear_vjp_input(const struct call *call);
status reference_linear_vjp_weight(const struct call *call);
status reference_matmul(const struct call *call);
status reference_convolution(const struct call *call);
status reference_convolution_vjp_input(const struct call *call);
status reference_convolution_vjp_weight(const struct call *call);
status reference_group_norm(const struct call *call);
status reference_group_norm_vjp(const struct call *call);
status reference_layer_norm(const struct call *call);
status reference_layer_norm_vjp(const struct call *call);
status reference_normalize(const struct call *call);
status reference_normalize_vjp(const struct call *call);
status reference_attention(const struct call *call);
status reference_attention_vjp(const struct call *call);
status reference_unary(const struct call *call);
status reference_unary_vjp(const struct call *call);
status reference_geglu(const struct call *call);
status reference_geglu_vjp(const struct call *call);
status reference_binary(const struct call *call);
status reference_reduce(const struct call *call);
status reference_broadcast(const struct call *call);
status reference_concatenate(const struct call *call);
status reference_slice(const struct call *call);
status reference_place(const struct call *call);
status reference_transpose(const struct call *call);
status reference_upsample(const struct call *call);
status reference_upsample_vjp(const struct call *call);
status reference_resize(const struct call *call);
status reference_resize_vjp(const struct call *call);
status reference_embedding(const struct call *call);
status reference_gather(const struct call *call);
status reference_gather_vjp(const struct call *call);
status reference_select_boxes(const struct call *call);

#endif
