/* Convolutions and their vector-Jacobian products in double precision. */
#include "kernels/reference/reference.h"

#include <string.h>

/* `channels` multiply-adds of a convolution: output element y with input elements x, x + 1, ... and weight elements
 * w, w + step, ... */
struct products {
    int64_t y, x, w, step, channels;
};

struct arrays {
    const double *first, *second;
    double *result, factor; /* of every product */
};

typedef void (*visit_function)(const struct arrays *arrays, const struct products *products);

static void visit_products(const struct operation_attributes *attributes, const struct shape *x_shape,
                           const struct shape *w_shape, const struct shape *y_shape, visit_function visit,
                           const struct arrays *arrays)
{
    const int64_t *xs = x_shape->dimension, *ws = w_shape->dimension, *ys = y_shape->dimension;
    int64_t scale = attributes->doubled ? 2 : 1;
    for (int64_t y = 0; y < shape_elements(y_shape); y++) {
        int64_t out = y % ys[3], column = y / ys[3] % ys[2], row = y / ys[3] / ys[2] % ys[1],
                item = y / ys[3] / ys[2] / ys[1];
        for (int64_t tap_row = 0; tap_row < ws[2]; tap_row++)
            for (int64_t tap_column = 0; tap_column < ws[3]; tap_column++) {
                int64_t x_row = row * attributes->stride - attributes->padding_top + tap_row;
                int64_t x_column = column * attributes->stride - attributes->padding_left + tap_column;
                if (x_row < 0 || x_row >= scale * xs[1] || x_column < 0 || x_column >= scale * xs[2]) continue;
                x_row /= scale;
                x_column /= scale;
                visit(arrays, &(struct products){
                                  .y = y,
                                  .x = ((item * xs[1] + x_row) * xs[2] + x_column) * xs[3],
                                  .w = (out * ws[1] * ws[2] + tap_row) * ws[3] + tap_column,
                                  .step = ws[2] * ws[3],
                                  .channels = xs[3],
                              });
            }
    }
}

static void add_to_y(const struct arrays *arrays, const struct products *p)
{
    double sum = 0;
    for (int64_t i = 0; i < p->channels; i++) sum += arrays->first[p->x + i] * arrays->second[p->w + i * p->step];
    arrays->result[p->y] += arrays->factor * sum;
}

static void add_to_x(const struct arrays *arrays, const struct products *p)
{
    for (int64_t i = 0; i < p->channels; i++)
        arrays->result[p->x + i] += arrays->factor * arrays->first[p->y] * arrays->second[p->w + i * p->step];
}

static void add_to_weight(const struct arrays *arrays, const struct products *p)
{
    for (int64_t i = 0; i < p->channels; i++)
        arrays->result[p->w + i * p->step] += arrays->first[p->y] * arrays->second[p->x + i];
}

status reference_convolution(const struct call *call)
{
    const double *bias = call->operation->input_count > 2 ? input(call, 2) : NULL, *residual = residual_input(call);
    struct arrays arrays = {input(call, 0), input(call, 1), output(call, 0), result_factor(call)};
    int64_t channels = last_dimension(output_shape(call, 0));
    for (int64_t i = 0; i < shape_elements(output_shape(call, 0)); i++)
        arrays.result[i] = (bias ? bias[i % channels] : 0) + (residual ? residual[i] : 0);
    visit_products(&call->operation->attributes, input_shape(call, 0), input_shape(call, 1), output_shape(call, 0),
                   add_to_y, &arrays);
    return status_ok();
}

status reference_convolution_vjp_input(const struct call *call)
{
    const double *residual = residual_input(call);
    struct arrays arrays = {input(call, 0), input(call, 1), output(call, 0), result_factor(call)};
    for (int64_t i = 0; i < shape_elements(output_shape(call, 0)); i++) arrays.result[i] = residual ? residual[i] : 0;
    visit_products(&call->operation->attributes, output_shape(call, 0), input_shape(call, 1), input_shape(call, 0),
                   add_to_x, &arrays);
    return status_ok();
}

status reference_convolution_vjp_weight(const struct call *call)
{
    struct arrays arrays = {input(call, 0), input(call, 1), output(call, 0), 1};
    if (!call->operation->attributes.accumulate)
        memset(arrays.result, 0, (size_t)shape_elements(output_shape(call, 0)) * sizeof(double));
    visit_products(&call->operation->attributes, input_shape(call, 1), output_shape(call, 0), input_shape(call, 0),
                   add_to_weight, &arrays);
    return status_ok();
}
