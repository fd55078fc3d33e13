/* Normalisations and their vector-Jacobian products in double precision. */
#include "kernels/reference/reference.h"

#include <math.h>

/* The elements of one group of one batch item: `positions` rows of `width` channels, `stride` apart. */
struct group {
    int64_t first, positions, width, stride, first_channel;
};

static struct group group_of(const struct shape *x, int groups, int64_t item, int64_t group)
{
    int64_t channels = last_dimension(x), positions = row_count(x) / x->dimension[0], width = channels / groups;
    return (struct group){item * positions * channels + group * width, positions, width, channels, group * width};
}

static double mean_of(const double *x, const struct group *group)
{
    double sum = 0;
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) sum += x[group->first + p * group->stride + c];
    return sum / (double)(group->positions * group->width);
}

static double variance_of(const double *x, const struct group *group, double mean)
{
    double sum = 0;
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) {
            double difference = x[group->first + p * group->stride + c] - mean;
            sum += difference * difference;
        }
    return sum / (double)(group->positions * group->width);
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double silu_derivative(double x)
{
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
}

static void normalize_group(const struct group *group, const double *x, const double *gamma, const double *beta,
                            double mean, double rstd, bool fused_silu, double *y)
{
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) {
            int64_t i = group->first + p * group->stride + c, channel = group->first_channel + c;
            double value = (x[i] - mean) * rstd * gamma[channel] + beta[channel];
            y[i] = fused_silu ? silu(value) : value;
        }
}

/* Operands of the backward pass; of the statistics the group's own. */
struct backward {
    const double *dy, *x, *gamma, *beta, *residual;
    double mean, rstd, factor; /* factor: of the gradient beside the residual */
    bool fused_silu;
};

static double normal_of(const struct backward *b, int64_t i)
{
    return (b->x[i] - b->mean) * b->rstd;
}

/* dy gamma, times the derivative of SiLU where that is fused. */
static double scaled_cotangent(const struct backward *b, int64_t i, int64_t channel)
{
    double g = b->dy[i] * b->gamma[channel];
    return b->fused_silu ? g * silu_derivative(normal_of(b, i) * b->gamma[channel] + b->beta[channel]) : g;
}

/* With n the normalised values and g = dy gamma: dx = rstd (g - mean(g) - n mean(g n)). dx may be the residual. */
static void normalize_group_vjp(const struct group *group, const struct backward *b, double *dx)
{
    double sum = 0, product = 0, count = (double)(group->positions * group->width);
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) {
            int64_t i = group->first + p * group->stride + c;
            double g = scaled_cotangent(b, i, group->first_channel + c);
            sum += g;
            product += g * normal_of(b, i);
        }
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) {
            int64_t i = group->first + p * group->stride + c;
            double g = scaled_cotangent(b, i, group->first_channel + c);
            double gradient = b->rstd * (g - sum / count - normal_of(b, i) * product / count);
            dx[i] = b->factor * gradient + (b->residual ? b->residual[i] : 0);
        }
}

status reference_group_norm(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *shape = input_shape(call, 0);
    const double *x = input(call, 0);
    double *means = output(call, 1), *rstds = output(call, 2);
    for (int64_t i = 0; i < shape->dimension[0] * attributes->groups; i++) {
        struct group group = group_of(shape, attributes->groups, i / attributes->groups, i % attributes->groups);
        double mean = mean_of(x, &group);
        double rstd = 1 / sqrt(variance_of(x, &group, mean) + attributes->epsilon);
        if (means) means[i] = mean;
        if (rstds) rstds[i] = rstd;
        normalize_group(&group, x, input(call, 1), input(call, 2), mean, rstd, attributes->fused_silu, output(call, 0));
    }
    return status_ok();
}

status reference_group_norm_vjp(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *shape = input_shape(call, 1);
    for (int64_t i = 0; i < shape->dimension[0] * attributes->groups; i++) {
        struct group group = group_of(shape, attributes->groups, i / attributes->groups, i % attributes->groups);
        const struct backward backward = {.dy = input(call, 0),
                                          .x = input(call, 1),
                                          .gamma = input(call, 2),
                                          .beta = input(call, 3),
                                          .residual = residual_input(call),
                                          .mean = input(call, 4)[i],
                                          .rstd = input(call, 5)[i],
                                          .factor = result_factor(call),
                                          .fused_silu = attributes->fused_silu};
        normalize_group_vjp(&group, &backward, output(call, 0));
    }
    return status_ok();
}

/* A row is a group of one position. */
static struct group row_group(const struct shape *x, int64_t row)
{
    int64_t width = last_dimension(x);
    return (struct group){row * width, 1, width, width, 0};
}

status reference_layer_norm(const struct call *call)
{
    const double *x = input(call, 0);
    double *means = output(call, 1), *rstds = output(call, 2);
    for (int64_t row = 0; row < row_count(input_shape(call, 0)); row++) {
        struct group group = row_group(input_shape(call, 0), row);
        double mean = mean_of(x, &group);
        double rstd = 1 / sqrt(variance_of(x, &group, mean) + call->operation->attributes.epsilon);
        if (means) means[row] = mean;
        if (rstds) rstds[row] = rstd;
        normalize_group(&group, x, input(call, 1), input(call, 2), mean, rstd, false, output(call, 0));
    }
    return status_ok();
}

status reference_layer_norm_vjp(const struct call *call)
{
    for (int64_t row = 0; row < row_count(input_shape(call, 1)); row++) {
        struct group group = row_group(input_shape(call, 1), row);
        const struct backward backward = {.dy = input(call, 0),
                                          .x = input(call, 1),
                                          .gamma = input(call, 2),
                                          .residual = residual_input(call),
                                          .mean = input(call, 3)[row],
                                          .rstd = input(call, 4)[row],
                                          .factor = result_factor(call)};
        normalize_group_vjp(&group, &backward, output(call, 0));
    }
    return status_ok();
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

status reference_normalize(const struct call *call)
{
    int64_t width = last_dimension(input_shape(call, 0));
    for (int64_t row = 0; row < row_count(input_shape(call, 0)); row++) {
        const double *x = input(call, 0) + row * width;
        double *y = output(call, 0) + row * width;
        double factor = 1 / (sqrt(dot(x, x, width)) + call->operation->attributes.epsilon);
        for (int64_t i = 0; i < width; i++) y[i] = x[i] * factor;
    }
    return status_ok();
}

/* With n = |x|: dx = dy / (n + epsilon) - x <x, dy> / (n (n + epsilon)^2). */
status reference_normalize_vjp(const struct call *call)
{
    int64_t width = last_dimension(input_shape(call, 0));
    for (int64_t row = 0; row < row_count(input_shape(call, 0)); row++) {
        const double *dy = input(call, 0) + row * width, *x = input(call, 1) + row * width;
        double *dx = output(call, 0) + row * width;
        double norm = sqrt(dot(x, x, width)), factor = 1 / (norm + call->operation->attributes.epsilon);
        double along = norm > 0 ? dot(x, dy, width) * factor * factor / norm : 0;
        for (int64_t i = 0; i < width; i++) dx[i] = norm > 0 ? dy[i] * factor - x[i] * along : 0;
    }
    return status_ok();
}
