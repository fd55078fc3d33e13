#include "kernels/cuda/array.h"

enum { THREADS = 256, WIDTH = 8 };

#define SQRT_HALF 0.70710678118654752f
#define SQRT_2_OVER_PI 0.79788456080286536f
#define INVERSE_SQRT_2_PI 0.39894228040143268f

DEVICE float sigmoid(float x)
{
    return x >= 0 ? 1.0f / (1.0f + expf(-x)) : expf(x) / (1.0f + expf(x));
}

DEVICE float gelu_erf(float x)
{
    return 0.5f * x * (1.0f + erff(x * SQRT_HALF));
}

DEVICE float gelu_erf_derivative(float x)
{
    return 0.5f * (1.0f + erff(x * SQRT_HALF)) + x * expf(-0.5f * x * x) * INVERSE_SQRT_2_PI;
}

/* The argument of tanh in Hendrycks and Gimpel's approximation of GELU. */
DEVICE float gelu_inner(float x)
{
    return SQRT_2_OVER_PI * (x + 0.044715f * x * x * x);
}

DEVICE float gelu_tanh_derivative(float x)
{
    float t = tanhf(gelu_inner(x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * SQRT_2_OVER_PI * (1.0f + 3.0f * 0.044715f * x * x);
}

DEVICE float unary_value(const struct function &function, float x)
{
    switch (function.kind) {
    case UNARY_IDENTITY: return x;
    case UNARY_AFFINE: return function.alpha * x + function.beta;
    case UNARY_SILU: return x * sigmoid(x);
    case UNARY_GELU_ERF: return gelu_erf(x);
    case UNARY_GELU_TANH: return 0.5f * x * (1.0f + tanhf(gelu_inner(x)));
    case UNARY_QUICK_GELU: return x * sigmoid(1.702f * x);
    case UNARY_RELU: return x > 0 ? x : 0.0f;
    case UNARY_SIGMOID: return sigmoid(x);
    case UNARY_LOG_SIGMOID: return fminf(x, 0.0f) - log1pf(expf(-fabsf(x)));
    case UNARY_TANH: return tanhf(x);
    case UNARY_ELU: return x > 0 ? x : expm1f(x);
    case UNARY_EXP: return expf(x);
    case UNARY_LOG: return logf(x);
    case UNARY_LOG1P: return log1pf(x);
    case UNARY_SQRT: return sqrtf(x);
    case UNARY_SQUARE: return x * x;
    case UNARY_ABS: return fabsf(x);
    case UNARY_CLAMP: return fminf(fmaxf(x, function.alpha), function.beta);
    case UNARY_RECIPROCAL: return 1.0f / x;
    default: return NAN;
    }
}

DEVICE float unary_derivative(const struct function &function, float x)
{
    switch (function.kind) {
    case UNARY_IDENTITY: return 1.0f;
    case UNARY_AFFINE: return function.alpha;
    case UNARY_SILU: return sigmoid(x) * (1.0f + x * sigmoid(-x));
    case UNARY_GELU_ERF: return gelu_erf_derivative(x);
    case UNARY_GELU_TANH: return gelu_tanh_derivative(x);
    case UNARY_QUICK_GELU: return sigmoid(1.702f * x) * (1.0f + 1.702f * x * sigmoid(-1.702f * x));
    case UNARY_RELU: return x > 0 ? 1.0f : 0.0f;
    case UNARY_SIGMOID: return sigmoid(x) * sigmoid(-x);
    case UNARY_LOG_SIGMOID: return sigmoid(-x);
    case UNARY_TANH: {
        float t = tanhf(x);
        return 1.0f - t * t;
    }
    case UNARY_ELU: return x > 0 ? 1.0f : expf(x);
    case UNARY_EXP: return expf(x);
    case UNARY_LOG: return 1.0f / x;
    case UNARY_LOG1P: return 1.0f / (1.0f + x);
    case UNARY_SQRT: return 0.5f / sqrtf(x);
    case UNARY_SQUARE: return 2.0f * x;
    case UNARY_ABS: return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f;
    case UNARY_CLAMP: return x >= function.alpha && x <= function.beta ? 1.0f : 0.0f;
    case UNARY_RECIPROCAL: return -1.0f / (x * x);
    default: return NAN;
    }
}

/* Elements that this thread works on from `first` on: 8, fewer at the end, 0 past it. */
DEVICE int own_elements(int64_t first, int64_t count)
{
    return first >= count ? 0 : count - first < WIDTH ? (int)(count - first) : (int)WIDTH;
}

KERNEL(THREADS) unary_kernel(struct function function, struct array x, struct array y, int64_t count, bool aligned)
{
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    float value[WIDTH];
    load_some(x, first, own, aligned && own == WIDTH, value);
    for (int i = 0; i < WIDTH; i++) value[i] = unary_value(function, value[i]);
    store_some(y, first, own, aligned && own == WIDTH, value);
}

KERNEL(THREADS)
unary_vjp_kernel(struct function function, struct array dy, struct array x, struct array dx, int64_t count,
                 bool aligned)
{
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    bool wide = aligned && own == WIDTH;
    float value[WIDTH], cotangent[WIDTH];
    load_some(x, first, own, wide, value);
    load_some(dy, first, own, wide, cotangent);
    for (int i = 0; i < WIDTH; i++) value[i] = cotangent[i] * unary_derivative(function, value[i]);
    store_some(dx, first, own, wide, value);
}

/* A thread takes up to 8 neighbouring columns of one row, so `groups` threads serve a row. */
KERNEL(THREADS) geglu_kernel(struct array x, struct array y, int64_t rows, int64_t width, bool aligned)
{
    int64_t groups = (width + WIDTH - 1) / WIDTH, row = global_thread() / groups;
    if (row >= rows) return;
    int64_t column = global_thread() % groups * WIDTH, from = row * 2 * width + column;
    int own = own_elements(column, width);
    float value[WIDTH], gate[WIDTH];
    load_some(x, from, own, aligned, value);
    load_some(x, from + width, own, aligned, gate);
    for (int i = 0; i < WIDTH; i++) value[i] *= gelu_erf(gate[i]);
    store_some(y, row * width + column, own, aligned, value);
}

KERNEL(THREADS)
geglu_vjp_kernel(struct array dy, struct array x, struct array dx, int64_t rows, int64_t width, bool aligned)
{
    int64_t groups = (width + WIDTH - 1) / WIDTH, row = global_thread() / groups;
    if (row >= rows) return;
    int64_t column = global_thread() % groups * WIDTH, from = row * 2 * width + column;
    int own = own_elements(column, width);
    float value[WIDTH], gate[WIDTH], cotangent[WIDTH];
    load_some(x, from, own, aligned, value);
    load_some(x, from + width, own, aligned, gate);
    load_some(dy, row * width + column, own, aligned, cotangent);
    for (int i = 0; i < WIDTH; i++) {
        float linear = value[i];
        value[i] = cotangent[i] * gelu_erf(gate[i]);
        gate[i] = cotangent[i] * linear * gelu_erf_derivative(gate[i]);
    }
    store_some(dx, from, own, aligned, value);
    store_some(dx, from + width, own, aligned, gate);
}

DEVICE int64_t partner_of(const struct partner &partner, int64_t index)
{
    int64_t offset = 0;
    for (int i = MAXIMUM_RANK - 1; i >= 0; i--) {
        offset += index % partner.size[i] * partner.stride[i];
        index /= partner.size[i];
    }
    return offset;
}

/* The partners of up to 8 elements from `first` on. With `wide` they lie in one row of the last dimension. */
DEVICE void load_partners(const struct partner &partner, const struct array &small, int64_t first, int own, bool wide,
                          float value[WIDTH])
{
    if (wide && partner.stride[MAXIMUM_RANK - 1] == 1) {
        load8(small, partner_of(partner, first), value);
    } else if (wide) {
        float repeated = load(small, partner_of(partner, first));
        for (int i = 0; i < WIDTH; i++) value[i] = repeated;
    } else {
        for (int i = 0; i < WIDTH; i++) value[i] = i < own ? load(small, partner_of(partner, first + i)) : 1.0f;
    }
}

DEVICE float binary_value(int kind, float a, float b)
{
    switch (kind) {
    case BINARY_ADD: return a + b;
    case BINARY_SUBTRACT: return a - b;
    case BINARY_MULTIPLY: return a * b;
    case BINARY_DIVIDE: return a / b;
    default: return NAN;
    }
}

KERNEL(THREADS)
binary_kernel(struct function function, struct array a, struct array b, struct array y, struct partner partner,
              int64_t count, bool wide)
{
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    float left[WIDTH], right[WIDTH];
    load_some(a, first, own, wide, left);
    load_partners(partner, b, first, own, wide, right);
    for (int i = 0; i < WIDTH; i++) left[i] = binary_value(function.kind, left[i], function.alpha * right[i]);
    store_some(y, first, own, wide, left);
}

KERNEL(THREADS)
broadcast_kernel(float alpha, struct array x, struct array y, struct partner partner, int64_t count, bool wide)
{
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    float value[WIDTH];
    load_partners(partner, x, first, own, wide, value);
    for (int i = 0; i < WIDTH; i++) value[i] *= alpha;
    store_some(y, first, own, wide, value);
}

extern "C" void launch_unary(cudaStream_t stream, struct function function, struct array x, struct array y,
                             int64_t count)
{
    launch(unary_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, stream, function, x, y, count,
           is_aligned(x) && is_aligned(y));
}

extern "C" void launch_unary_vjp(cudaStream_t stream, struct function function, struct array dy, struct array x,
                                 struct array dx, int64_t count)
{
    launch(unary_vjp_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, stream, function, dy, x, dx, count,
           is_aligned(dy) && is_aligned(x) && is_aligned(dx));
}

static int row_blocks(int64_t rows, int64_t width)
{
    return blocks_for(rows * ((width + WIDTH - 1) / WIDTH), THREADS);
}

extern "C" void launch_geglu(cudaStream_t stream, struct array x, struct array y, int64_t rows, int64_t width)
{
    launch(geglu_kernel, dim3(row_blocks(rows, width)), THREADS, 0, stream, x, y, rows, width,
           width % WIDTH == 0 && is_aligned(x) && is_aligned(y));
}

extern "C" void launch_geglu_vjp(cudaStream_t stream, struct array dy, struct array x, struct array dx, int64_t rows,
                                 int64_t width)
{
    launch(geglu_vjp_kernel, dim3(row_blocks(rows, width)), THREADS, 0, stream, dy, x, dx, rows, width,
           width % WIDTH == 0 && is_aligned(dy) && is_aligned(x) && is_aligned(dx));
}

/* Whether 8 elements from a multiple of 8 on always share their row of the last dimension. */
static bool rows_of_eight(const struct partner &partner)
{
    return partner.size[MAXIMUM_RANK - 1] % WIDTH == 0;
}

extern "C" void launch_binary(cudaStream_t stream, struct function function, struct array a, struct array b,
                              struct array y, struct partner partner, int64_t count)
{
    launch(binary_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, stream, function, a, b, y, partner,
           count, rows_of_eight(partner) && is_aligned(a) && is_aligned(b) && is_aligned(y));
}

extern "C" void launch_broadcast(cudaStream_t stream, float alpha, struct array x, struct array y,
                                 struct partner partner, int64_t count)
{
    launch(broadcast_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, stream, alpha, x, y, partner, count,
           rows_of_eight(partner) && is_aligned(x) && is_aligned(y));
}
