/* Functions of one number, their derivatives, and GEGLU. */
#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/vector_math.h"

typedef void (*unary_loop)(const struct operation_attributes *attributes, const float *xs, float *ys, int64_t count);
typedef void (*unary_vjp_loop)(const struct operation_attributes *attributes, const float *dys, const float *xs,
                               float *dxs, int64_t count);

/* Defines the loop ys[i] = value(xs[i]) and its vector-Jacobian product; both may work in place. */
#define UNARY_LOOPS(name, value, derivative)                                                                           \
    static void name(const struct operation_attributes *attributes, const float *xs, float *ys, int64_t count)         \
    {                                                                                                                  \
        const float alpha = (float)attributes->alpha, beta = (float)attributes->beta;                                  \
        (void)alpha, (void)beta;                                                                                       \
        _Pragma("omp simd") for (int64_t i = 0; i < count; i++)                                                        \
        {                                                                                                              \
            const float x = xs[i];                                                                                     \
            ys[i] = value;                                                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_vjp(const struct operation_attributes *attributes, const float *dys, const float *xs,           \
                           float *dxs, int64_t count)                                                                  \
    {                                                                                                                  \
        const float alpha = (float)attributes->alpha, beta = (float)attributes->beta;                                  \
        (void)alpha, (void)beta, (void)xs;                                                                             \
        _Pragma("omp simd") for (int64_t i = 0; i < count; i++)                                                        \
        {                                                                                                              \
            const float x = xs[i];                                                                                     \
            (void)x;                                                                                                   \
            dxs[i] = dys[i] * (derivative);                                                                            \
        }                                                                                                              \
    }

/* x sigmoid(s x) and its derivative, for the gates. */
static inline float gated(float x, float s)
{
    return x * vector_sigmoid(s * x);
}

static inline float gated_derivative(float x, float s)
{
    float gate = vector_sigmoid(s * x);
    return gate + s * x * gate * (1.0f - gate);
}

/* Twice the argument of tanh in the approximation of GELU: 0.5 (1 + tanh u) = sigmoid(2 u). */
static inline float gelu_inner(float x)
{
    return 1.59576912f * (x + 0.044715f * x * x * x);
}

static inline float gelu_tanh_derivative(float x)
{
    float gate = vector_sigmoid(gelu_inner(x));
    return gate + x * gate * (1.0f - gate) * 1.59576912f * (1.0f + 0.134145f * x * x);
}

static inline float sigmoid_derivative(float x)
{
    float s = vector_sigmoid(x);
    return s * (1.0f - s);
}

static inline float tanh_derivative(float x)
{
    float t = vector_tanh(x);
    return 1.0f - t * t;
}

static inline float log_sigmoid(float x)
{
    return (x < 0.0f ? x : 0.0f) - vector_log1p(vector_exp_nonpositive(-fabsf(x)));
}

static inline float elu(float x)
{
    float negative = vector_expm1_nonpositive(x < 0.0f ? x : 0.0f);
    return x > 0.0f ? x : negative;
}

static inline float elu_derivative(float x)
{
    float negative = vector_exp_nonpositive(x < 0.0f ? x : 0.0f);
    return x > 0.0f ? 1.0f : negative;
}

static inline float clamp(float x, float low, float high)
{
    float above = x < low ? low : x;
    return above > high ? high : above;
}

UNARY_LOOPS(identity_loop, x, 1.0f)
UNARY_LOOPS(affine_loop, alpha *x + beta, alpha)
UNARY_LOOPS(silu_loop, gated(x, 1.0f), gated_derivative(x, 1.0f))
UNARY_LOOPS(gelu_erf_loop, vector_gelu_erf(x), vector_gelu_erf_derivative(x))
UNARY_LOOPS(gelu_tanh_loop, x *vector_sigmoid(gelu_inner(x)), gelu_tanh_derivative(x))
UNARY_LOOPS(quick_gelu_loop, gated(x, 1.702f), gated_derivative(x, 1.702f))
UNARY_LOOPS(relu_loop, x > 0.0f ? x : 0.0f, (x > 0.0f ? 1.0f : 0.0f))
UNARY_LOOPS(sigmoid_loop, vector_sigmoid(x), sigmoid_derivative(x))
UNARY_LOOPS(log_sigmoid_loop, log_sigmoid(x), vector_sigmoid(-x))
UNARY_LOOPS(tanh_loop, vector_tanh(x), tanh_derivative(x))
UNARY_LOOPS(elu_loop, elu(x), elu_derivative(x))
UNARY_LOOPS(exp_loop, vector_exp(x), vector_exp(x))
UNARY_LOOPS(log_loop, vector_log(x), (1.0f / x))
UNARY_LOOPS(log1p_loop, vector_log1p(x), (1.0f / (1.0f + x)))
UNARY_LOOPS(sqrt_loop, sqrtf(x), (0.5f / sqrtf(x)))
UNARY_LOOPS(square_loop, x *x, (2.0f * x))
UNARY_LOOPS(absolute_loop, fabsf(x), (x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f))
UNARY_LOOPS(clamp_loop, clamp(x, alpha, beta), (x < alpha || x > beta ? 0.0f : 1.0f))
UNARY_LOOPS(reciprocal_loop, 1.0f / x, (-1.0f / (x * x)))

static const struct {
    unary_loop value;
    unary_vjp_loop vjp;
} unary_table[UNARY_KIND_COUNT] = {
    [UNARY_IDENTITY] = {identity_loop, identity_loop_vjp},
    [UNARY_AFFINE] = {affine_loop, affine_loop_vjp},
    [UNARY_SILU] = {silu_loop, silu_loop_vjp},
    [UNARY_GELU_ERF] = {gelu_erf_loop, gelu_erf_loop_vjp},
    [UNARY_GELU_TANH] = {gelu_tanh_loop, gelu_tanh_loop_vjp},
    [UNARY_QUICK_GELU] = {quick_gelu_loop, quick_gelu_loop_vjp},
    [UNARY_RELU] = {relu_loop, relu_loop_vjp},
    [UNARY_SIGMOID] = {sigmoid_loop, sigmoid_loop_vjp},
    [UNARY_LOG_SIGMOID] = {log_sigmoid_loop, log_sigmoid_loop_vjp},
    [UNARY_TANH] = {tanh_loop, tanh_loop_vjp},
    [UNARY_ELU] = {elu_loop, elu_loop_vjp},
    [UNARY_EXP] = {exp_loop, exp_loop_vjp},
    [UNARY_LOG] = {log_loop, log_loop_vjp},
    [UNARY_LOG1P] = {log1p_loop, log1p_loop_vjp},
    [UNARY_SQRT] = {sqrt_loop, sqrt_loop_vjp},
    [UNARY_SQUARE] = {square_loop, square_loop_vjp},
    [UNARY_ABS] = {absolute_loop, absolute_loop_vjp},
    [UNARY_CLAMP] = {clamp_loop, clamp_loop_vjp},
    [UNARY_RECIPROCAL] = {reciprocal_loop, reciprocal_loop_vjp},
};

struct unary_work {
    const struct call *call;
    const float *first, *second;
    float *result;
};

static void unary_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct unary_work *work = context;
    const struct operation_attributes *attributes = attributes_of(work->call);
    (void)thread;
    unary_table[attributes->unary].value(attributes, work->first + begin, work->result + begin, end - begin);
}

static status run_unary(const struct call *call)
{
    struct unary_work work = {call, call->inputs[0], NULL, call->outputs[0]};
    parallel_for(call->kernel->parallel, shape_elements(input_shape(call, 0)), PARALLEL_GRAIN, unary_part, &work);
    return status_ok();
}

static void unary_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct unary_work *work = context;
    const struct operation_attributes *attributes = attributes_of(work->call);
    (void)thread;
    unary_table[attributes->unary].vjp(attributes, work->first + begin, work->second + begin, work->result + begin,
                                       end - begin);
}

static status run_unary_vjp(const struct call *call)
{
    struct unary_work work = {call, call->inputs[0], call->inputs[1], call->outputs[0]};
    parallel_for(call->kernel->parallel, shape_elements(input_shape(call, 0)), PARALLEL_GRAIN, unary_vjp_part, &work);
    return status_ok();
}

static void geglu_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    int64_t width = last_dimension(output_shape(call, 0));
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)call->inputs[0] + row * 2 * width;
        float *y = (float *)call->outputs[0] + row * width;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) y[i] = x[i] * vector_gelu_erf(x[width + i]);
    }
}

static status run_geglu(const struct call *call)
{
    const struct shape *y = output_shape(call, 0);
    parallel_for(call->kernel->parallel, row_count(y), row_grain(last_dimension(y)), geglu_part, (void *)call);
    return status_ok();
}

static void geglu_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    int64_t width = last_dimension(input_shape(call, 0));
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = (const float *)call->inputs[0] + row * width;
        const float *x = (const float *)call->inputs[1] + row * 2 * width;
        float *dx = (float *)call->outputs[0] + row * 2 * width;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) {
            float bell, gate = x[width + i], cdf = vector_normal_cdf(gate, &bell), value = x[i], cotangent = dy[i];
            dx[i] = cotangent * gate * cdf;
            dx[width + i] = cotangent * value * (cdf + gate * bell * 0.39894228f);
        }
    }
}

static status run_geglu_vjp(const struct call *call)
{
    const struct shape *dy = input_shape(call, 0);
    parallel_for(call->kernel->parallel, row_count(dy), row_grain(last_dimension(dy)), geglu_vjp_part, (void *)call);
    return status_ok();
}

const struct cpu_kind NAME(cpu_unary) = {.run = run_unary};
const struct cpu_kind NAME(cpu_unary_vjp) = {.run = run_unary_vjp};
const struct cpu_kind NAME(cpu_geglu) = {.run = run_geglu};
const struct cpu_kind NAME(cpu_geglu_vjp) = {.run = run_geglu_vjp};
