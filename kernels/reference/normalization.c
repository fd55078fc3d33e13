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

/* With n the normalised values and g = dy gamma: dx = rstd (g - mean(g) - n mean(g n)). */
static void normalize_group_vjp(const struct group *group, const double *dy, const double *x, const double *gamma,
                                const double *beta, double mean, double rstd, bool fused_silu, double *dx)
{
    double sum = 0, product = 0, count = (double)(group->positions * group->width);
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) {
            int64_t i = group->first + p * group->stride + c, channel = group->first_channel + c;
            double normal = (x[i] - mean) * rstd, g = dy[i] * gamma[channel];
            if (fused_silu) g *= silu_derivative(normal * gamma[channel] + beta[channel]);
            dx[i] = g;
            sum += g;
            product += g * normal;
        }
    for (int64_t p = 0; p < group->positions; p++)
        for (int64_t c = 0; c < group->width; c++) {
            int64_t i = group->first + p * group->stride + c;
            dx[i] = rstd * (dx[i] - sum / count - (x[i] - mean) * rstd * product / count);
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
        normalize_group_vjp(&group, input(call, 0), input(call, 1), input(call, 2), input(call, 3), input(call, 4)[i],
                            input(call, 5)[i], attributes->fused_silu, output(call, 0));
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
        normalize_group_vjp(&group, input(call, 0), input(call, 1), input(call, 2), NULL, input(call, 3)[row],
                            input(call, 4)[row], false, output(call, 0));
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
