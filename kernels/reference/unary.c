/* Functions of one number and their derivatives in double precision. */
#include "kernels/reference/reference.h"

#include <math.h>

double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

double gelu_erf(double x)
{
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

double gelu_erf_derivative(double x)
{
    return 0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
}

/* The argument of tanh in the approximation of GELU by Hendrycks and Gimpel. */
static double gelu_inner(double x)
{
    return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
}

static double gelu_tanh_derivative(double x)
{
    double t = tanh(gelu_inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

static double value(const struct operation_attributes *attributes, double x)
{
    switch (attributes->unary) {
    case UNARY_IDENTITY: return x;
    case UNARY_AFFINE: return attributes->alpha * x + attributes->beta;
    case UNARY_SILU: return x * sigmoid(x);
    case UNARY_GELU_ERF: return gelu_erf(x);
    case UNARY_GELU_TANH: return 0.5 * x * (1 + tanh(gelu_inner(x)));
    case UNARY_QUICK_GELU: return x * sigmoid(1.702 * x);
    case UNARY_RELU: return x > 0 ? x : 0;
    case UNARY_SIGMOID: return sigmoid(x);
    case UNARY_LOG_SIGMOID: return fmin(x, 0) - log1p(exp(-fabs(x)));
    case UNARY_TANH: return tanh(x);
    case UNARY_ELU: return x > 0 ? x : expm1(x);
    case UNARY_EXP: return exp(x);
    case UNARY_LOG: return log(x);
    case UNARY_LOG1P: return log1p(x);
    case UNARY_SQRT: return sqrt(x);
    case UNARY_SQUARE: return x * x;
    case UNARY_ABS: return fabs(x);
    case UNARY_CLAMP: return fmin(fmax(x, attributes->alpha), attributes->beta);
    case UNARY_RECIPROCAL: return 1 / x;
    case UNARY_KIND_COUNT: break;
    }
    return NAN;
}

static double derivative(const struct operation_attributes *attributes, double x)
{
    switch (attributes->unary) {
    case UNARY_IDENTITY: return 1;
    case UNARY_AFFINE: return attributes->alpha;
    case UNARY_SILU: return sigmoid(x) * (1 + x * sigmoid(-x));
    case UNARY_GELU_ERF: return gelu_erf_derivative(x);
    case UNARY_GELU_TANH: return gelu_tanh_derivative(x);
    case UNARY_QUICK_GELU: return sigmoid(1.702 * x) * (1 + 1.702 * x * sigmoid(-1.702 * x));
    case UNARY_RELU: return x > 0 ? 1 : 0;
    case UNARY_SIGMOID: return sigmoid(x) * sigmoid(-x);
    case UNARY_LOG_SIGMOID: return sigmoid(-x);
    case UNARY_TANH: return 1 - tanh(x) * tanh(x);
    case UNARY_ELU: return x > 0 ? 1 : exp(x);
    case UNARY_EXP: return exp(x);
    case UNARY_LOG: return 1 / x;
    case UNARY_LOG1P: return 1 / (1 + x);
    case UNARY_SQRT: return 0.5 / sqrt(x);
    case UNARY_SQUARE: return 2 * x;
    case UNARY_ABS: return (x > 0) - (x < 0);
    case UNARY_CLAMP: return x >= attributes->alpha && x <= attributes->beta ? 1 : 0;
    case UNARY_RECIPROCAL: return -1 / (x * x);
    case UNARY_KIND_COUNT: break;
    }
    return NAN;
}

status reference_unary(const struct call *call)
{
    const double *x = input(call, 0);
    double *y = output(call, 0);
    for (int64_t i = 0; i < shape_elements(input_shape(call, 0)); i++) y[i] = value(&call->operation->attributes, x[i]);
    return status_ok();
}

status reference_unary_vjp(const struct call *call)
{
    const double *dy = input(call, 0), *x = input(call, 1);
    double *dx = output(call, 0);
    for (int64_t i = 0; i < shape_elements(input_shape(call, 0)); i++)
        dx[i] = dy[i] * derivative(&call->operation->attributes, x[i]);
    return status_ok();
}
