/* The reference backend's kernels: plain loops in double precision, written to be read, not to be fast. */
#ifndef ALIGNPROP_KERNELS_REFERENCE_REFERENCE_H
#define ALIGNPROP_KERNELS_REFERENCE_REFERENCE_H

#include "kernels/operations.h"
#include "kernels/status.h"

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

/* The factor of the result beside what is added to it. */
static inline double result_factor(const struct call *call)
{
    return operation_residual(call->operation) ? call->operation->attributes.alpha : 1;
}

static inline int64_t last_dimension(const struct shape *shape)
{
    return shape->dimension[shape->rank - 1];
}

/* Elements from one row to the next. */
static inline int64_t input_step(const struct call *call, int index)
{
    return operand_row_step(&call->operation->input[index]);
}

static inline int64_t output_step(const struct call *call, int index)
{
    return operand_row_step(&call->operation->output[index]);
}

static inline int64_t row_count(const struct shape *shape)
{
    return shape_elements(shape) / last_dimension(shape);
}

double sigmoid(double x);
double gelu_erf(double x);
double gelu_erf_derivative(double x);

#define OPERATION(kind, name, ...) status reference_##name(const struct call *call);
#include "kernels/operations.def"
#undef OPERATION

#endif
