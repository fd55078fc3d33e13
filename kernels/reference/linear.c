/* Linear layers and matrix products in double precision. */
#include "kernels/reference/reference.h"

status reference_linear(const struct call *call)
{
    const double *x = input(call, 0), *weight = input(call, 1);
    const double *bias = call->operation->input_count > 2 ? input(call, 2) : NULL;
    const double *residual = residual_input(call);
    double *y = output(call, 0), factor = result_factor(call);
    int64_t rows = row_count(input_shape(call, 0)), in = last_dimension(input_shape(call, 0));
    int64_t out = last_dimension(output_shape(call, 0)), step = output_step(call, 0);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t o = 0; o < out; o++) {
            double sum = 0, added = bias ? bias[o] : 0;
            for (int64_t i = 0; i < in; i++) sum += x[row * in + i] * weight[o * in + i];
            if (residual) added += residual[row * step + o];
            y[row * step + o] = factor * sum + added;
        }
    return status_ok();
}

status reference_linear_vjp_input(const struct call *call)
{
    const double *dy = input(call, 0), *weight = input(call, 1), *residual = residual_input(call);
    double *dx = output(call, 0), factor = result_factor(call);
    int64_t rows = row_count(input_shape(call, 0)), out = last_dimension(input_shape(call, 0));
    int64_t in = last_dimension(output_shape(call, 0)), step = input_step(call, 0);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < in; i++) {
            double sum = 0;
            for (int64_t o = 0; o < out; o++) sum += dy[row * step + o] * weight[o * in + i];
            dx[row * in + i] = factor * sum + (residual ? residual[row * in + i] : 0);
        }
    return status_ok();
}

status reference_linear_vjp_weight(const struct call *call)
{
    const double *dy = input(call, 0), *x = input(call, 1);
    double *dw = output(call, 0);
    int64_t rows = row_count(input_shape(call, 0)), out = last_dimension(input_shape(call, 0));
    int64_t in = last_dimension(input_shape(call, 1)), step = input_step(call, 0);
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            double sum = call->operation->attributes.accumulate ? dw[o * in + i] : 0;
            for (int64_t row = 0; row < rows; row++) sum += dy[row * step + o] * x[row * in + i];
            dw[o * in + i] = sum;
        }
    return status_ok();
}

status reference_matmul(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const int64_t *size = output_shape(call, 0)->dimension, *a_size = input_shape(call, 0)->dimension;
    int64_t batch = size[0], m = size[1], n = size[2], k = attributes->transpose_a ? a_size[1] : a_size[2];
    int64_t a_row = attributes->transpose_a ? 1 : k, a_column = attributes->transpose_a ? m : 1;
    int64_t b_row = attributes->transpose_b ? 1 : n, b_column = attributes->transpose_b ? k : 1;
    for (int64_t item = 0; item < batch; item++) {
        const double *a = input(call, 0) + item * m * k, *b = input(call, 1) + item * k * n;
        double *y = output(call, 0) + item * m * n;
        for (int64_t row = 0; row < m; row++)
            for (int64_t column = 0; column < n; column++) {
                double sum = 0;
                for (int64_t i = 0; i < k; i++) sum += a[row * a_row + i * a_column] * b[i * b_row + column * b_column];
                y[row * n + column] = attributes->alpha * sum;
            }
    }
    return status_ok();
}
