/* Binary functions, sums, broadcasts and GEGLU in double precision. */
#include "kernels/reference/reference.h"

#include <math.h>
#include <string.h>

status reference_geglu(const struct call *call)
{
    const double *x = input(call, 0);
    double *y = output(call, 0);
    int64_t width = last_dimension(output_shape(call, 0));
    for (int64_t row = 0; row < row_count(output_shape(call, 0)); row++)
        for (int64_t i = 0; i < width; i++)
            y[row * width + i] = x[row * 2 * width + i] * gelu_erf(x[row * 2 * width + width + i]);
    return status_ok();
}

status reference_geglu_vjp(const struct call *call)
{
    const double *dy = input(call, 0), *x = input(call, 1);
    double *dx = output(call, 0);
    int64_t width = last_dimension(input_shape(call, 0));
    for (int64_t row = 0; row < row_count(input_shape(call, 0)); row++)
        for (int64_t i = 0; i < width; i++) {
            int64_t value = row * 2 * width + i, gate = value + width;
            double cotangent = dy[row * width + i], linear = x[value], gated = x[gate];
            dx[value] = cotangent * gelu_erf(gated);
            dx[gate] = cotangent * linear * gelu_erf_derivative(gated);
        }
    return status_ok();
}

/* Where element `flat` of a tensor of shape `large` lies in one of shape `small` that is broadcast to it (same rank,
 * dimensions equal or 1). */
static int64_t broadcast_index(const struct shape *large, const struct shape *small, int64_t flat)
{
    int64_t offset = 0, stride = 1;
    for (int i = large->rank - 1; i >= 0; i--) {
        if (small->dimension[i] != 1) offset += flat % large->dimension[i] * stride;
        stride *= small->dimension[i];
        flat /= large->dimension[i];
    }
    return offset;
}

static double combine(enum binary_kind kind, double a, double b)
{
    switch (kind) {
    case BINARY_ADD: return a + b;
    case BINARY_SUBTRACT: return a - b;
    case BINARY_MULTIPLY: return a * b;
    case BINARY_DIVIDE: return a / b;
    case BINARY_KIND_COUNT: break;
    }
    return NAN;
}

status reference_binary(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const double *a = input(call, 0), *b = input(call, 1);
    double *y = output(call, 0);
    for (int64_t i = 0; i < shape_elements(input_shape(call, 0)); i++) {
        int64_t j = broadcast_index(input_shape(call, 0), input_shape(call, 1), i);
        y[i] = combine(attributes->binary, a[i], attributes->alpha * b[j]);
    }
    return status_ok();
}

status reference_reduce(const struct call *call)
{
    const double *x = input(call, 0);
    double *y = output(call, 0);
    if (!call->operation->attributes.accumulate)
        memset(y, 0, (size_t)shape_elements(output_shape(call, 0)) * sizeof *y);
    for (int64_t i = 0; i < shape_elements(input_shape(call, 0)); i++)
        y[broadcast_index(input_shape(call, 0), output_shape(call, 0), i)] += call->operation->attributes.alpha * x[i];
    return status_ok();
}

status reference_broadcast(const struct call *call)
{
    const double *x = input(call, 0);
    double *y = output(call, 0);
    int64_t width = last_dimension(input_shape(call, 0));
    for (int64_t i = 0; i < shape_elements(output_shape(call, 0)); i++) {
        int64_t j = broadcast_index(output_shape(call, 0), input_shape(call, 0), i);
        y[i] = call->operation->attributes.alpha * x[j / width * input_step(call, 0) + j % width];
    }
    return status_ok();
}
