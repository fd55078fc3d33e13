/* Element-wise kernels: unary and binary functions, GEGLU, broadcasts. */
#include "kernels/cuda/activation.h"
#include "kernels/cuda/array.h"
#include "kernels/cuda/divisor.h"

enum { THREADS = 256, WIDTH = 8 };

#define SQRT_HALF 0.70710678118654752f
#define SQRT_2_OVER_PI 0.79788456080286536f
#define INVERSE_SQRT_2_PI 0.39894228040143268f

/* The standard normal distribution at x: what lies below, and e^(-x^2 / 2), to which its density is proportional. */
struct normal {
    float below, exponential;
};

/* By Abramowitz and Stegun's formula 7.1.26: off by 7.5e-8 at most, about fp32's precision near 1. erff would take
 * twice the instructions. */
static __device__ __forceinline__ struct normal normal_at(float x)
{
    float t = reciprocal(1.0f + 0.3275911f * SQRT_HALF * fabsf(x));
    float exponential = exponential_of_two(-0.5f * LOG2_E * x * x);
    float series = 0.5f * 1.061405429f;
    series = series * t - 0.5f * 1.453152027f;
    series = series * t + 0.5f * 1.421413741f;
    series = series * t - 0.5f * 0.284496736f;
    series = series * t + 0.5f * 0.254829592f;
    float tail = series * t * exponential;
    return normal{x < 0 ? tail : 1.0f - tail, exponential};
}

static __device__ __forceinline__ float gelu_erf(float x)
{
    return x * normal_at(x).below;
}

static __device__ __forceinline__ float gelu_erf_derivative(float x)
{
    struct normal normal = normal_at(x);
    return normal.below + INVERSE_SQRT_2_PI * x * normal.exponential;
}

/* The argument of tanh in Hendrycks and Gimpel's approximation of GELU. */
static __device__ __forceinline__ float gelu_inner(float x)
{
    return SQRT_2_OVER_PI * (x + 0.044715f * x * x * x);
}

static __device__ __forceinline__ float gelu_tanh_derivative(float x)
{
    float t = tanhf(gelu_inner(x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * SQRT_2_OVER_PI * (1.0f + 3.0f * 0.044715f * x * x);
}

static __device__ __forceinline__ float tanh_derivative(float x)
{
    float t = tanhf(x);
    return 1.0f - t * t;
}

/* value[i] = expression of x = value[i], the kind of function being asked for once for all of them. */
#define EACH(expression)                                                                                               \
    _Pragma("unroll") for (int i = 0; i < WIDTH; i++)                                                                  \
    {                                                                                                                  \
        [[maybe_unused]] float x = value[i];                                                                           \
        value[i] = expression;                                                                                         \
    }                                                                                                                  \
    break

static __device__ __forceinline__ void apply_unary(const struct function &function, float value[WIDTH])
{
    float alpha = function.alpha, beta = function.beta;
    switch (function.kind) {
    case UNARY_IDENTITY: break;
    case UNARY_AFFINE: EACH(alpha * x + beta);
    case UNARY_SILU: EACH(x * sigmoid(x));
    case UNARY_GELU_ERF: EACH(gelu_erf(x));
    case UNARY_GELU_TANH: EACH(0.5f * x * (1.0f + tanhf(gelu_inner(x))));
    case UNARY_QUICK_GELU: EACH(x * sigmoid(1.702f * x));
    case UNARY_RELU: EACH(x > 0 ? x : 0.0f);
    case UNARY_SIGMOID: EACH(sigmoid(x));
    case UNARY_LOG_SIGMOID: EACH(fminf(x, 0.0f) - log1pf(expf(-fabsf(x))));
    case UNARY_TANH: EACH(tanhf(x));
    case UNARY_ELU: EACH(x > 0 ? x : expm1f(x));
    case UNARY_EXP: EACH(expf(x));
    case UNARY_LOG: EACH(logf(x));
    case UNARY_LOG1P: EACH(log1pf(x));
    case UNARY_SQRT: EACH(sqrtf(x));
    case UNARY_SQUARE: EACH(x * x);
    case UNARY_ABS: EACH(fabsf(x));
    case UNARY_CLAMP: EACH(fminf(fmaxf(x, alpha), beta));
    case UNARY_RECIPROCAL: EACH(1.0f / x);
    default: EACH(NAN);
    }
}

static __device__ __forceinline__ void apply_unary_derivative(const struct function &function, float value[WIDTH])
{
    float alpha = function.alpha, beta = function.beta;
    switch (function.kind) {
    case UNARY_IDENTITY: EACH(1.0f);
    case UNARY_AFFINE: EACH(alpha);
    case UNARY_SILU: EACH(silu_derivative(x));
    case UNARY_GELU_ERF: EACH(gelu_erf_derivative(x));
    case UNARY_GELU_TANH: EACH(gelu_tanh_derivative(x));
    case UNARY_QUICK_GELU: EACH(silu_derivative(1.702f * x));
    case UNARY_RELU: EACH(x > 0 ? 1.0f : 0.0f);
    case UNARY_SIGMOID: EACH(sigmoid(x) * sigmoid(-x));
    case UNARY_LOG_SIGMOID: EACH(sigmoid(-x));
    case UNARY_TANH: EACH(tanh_derivative(x));
    case UNARY_ELU: EACH(x > 0 ? 1.0f : expf(x));
    case UNARY_EXP: EACH(expf(x));
    case UNARY_LOG: EACH(1.0f / x);
    case UNARY_LOG1P: EACH(1.0f / (1.0f + x));
    case UNARY_SQRT: EACH(0.5f / sqrtf(x));
    case UNARY_SQUARE: EACH(2.0f * x);
    case UNARY_ABS: EACH(x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f);
    case UNARY_CLAMP: EACH(x >= alpha && x <= beta ? 1.0f : 0.0f);
    case UNARY_RECIPROCAL: EACH(-1.0f / (x * x));
    default: EACH(NAN);
    }
}

/* Elements that this thread works on from `first` on: 8, fewer at the end, 0 past it. */
static __device__ __forceinline__ int own_elements(int64_t first, int64_t count)
{
    return first >= count ? 0 : count - first < WIDTH ? (int)(count - first) : (int)WIDTH;
}

/* Of two arrays, both asked for before either is waited for. */
static __device__ __forceinline__ void load_two(const struct array &a, int64_t a_first, const struct array &b,
                                                int64_t b_first, int own, bool wide, float a_value[WIDTH],
                                                float b_value[WIDTH])
{
    if (wide) {
        struct packed8 a_packed = fetch8(a, a_first), b_packed = fetch8(b, b_first);
        unpack8(a, a_packed, a_value);
        unpack8(b, b_packed, b_value);
    } else {
        load_some(a, a_first, own, false, a_value);
        load_some(b, b_first, own, false, b_value);
    }
}

static __global__ void __launch_bounds__(THREADS)
    unary_kernel(struct function function, struct array x, struct array y, int64_t count, bool aligned)
{
    await_earlier_kernels();
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    float value[WIDTH];
    load_some(x, first, own, aligned && own == WIDTH, value);
    apply_unary(function, value);
    store_some(y, first, own, aligned && own == WIDTH, value);
}

static __global__ void __launch_bounds__(THREADS)
    unary_vjp_kernel(struct function function, struct array dy, struct array x, struct array dx, int64_t count,
                     bool aligned)
{
    await_earlier_kernels();
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    bool wide = aligned && own == WIDTH;
    float value[WIDTH], cotangent[WIDTH];
    load_two(x, first, dy, first, own, wide, value, cotangent);
    apply_unary_derivative(function, value);
#pragma unroll
    for (int i = 0; i < WIDTH; i++) value[i] *= cotangent[i];
    store_some(dx, first, own, wide, value);
}

/* A thread takes up to 8 neighbouring columns of one row, so that many threads serve a row as `by_row` divides by. */
static __global__ void __launch_bounds__(THREADS)
    geglu_kernel(struct array x, struct array y, int64_t rows, int64_t width, struct divisor by_row, bool aligned)
{
    await_earlier_kernels();
    struct division place = divide(global_thread(), by_row);
    if (place.quotient >= rows) return;
    int64_t column = place.remainder * WIDTH, to = place.quotient * width + column, from = to + place.quotient * width;
    int own = own_elements(column, width);
    float value[WIDTH], gate[WIDTH];
    load_two(x, from, x, from + width, own, aligned, value, gate);
#pragma unroll
    for (int i = 0; i < WIDTH; i++) value[i] *= gelu_erf(gate[i]);
    store_some(y, to, own, aligned, value);
}

static __global__ void __launch_bounds__(THREADS)
    geglu_vjp_kernel(struct array dy, struct array x, struct array dx, int64_t rows, int64_t width,
                     struct divisor by_row, bool aligned)
{
    await_earlier_kernels();
    struct division place = divide(global_thread(), by_row);
    if (place.quotient >= rows) return;
    int64_t column = place.remainder * WIDTH, to = place.quotient * width + column, from = to + place.quotient * width;
    int own = own_elements(column, width);
    float value[WIDTH], gate[WIDTH], cotangent[WIDTH];
    if (aligned) {
        struct packed8 packed_value = fetch8(x, from), packed_gate = fetch8(x, from + width), packed = fetch8(dy, to);
        unpack8(x, packed_value, value);
        unpack8(x, packed_gate, gate);
        unpack8(dy, packed, cotangent);
    } else {
        load_some(x, from, own, false, value);
        load_some(x, from + width, own, false, gate);
        load_some(dy, to, own, false, cotangent);
    }
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        struct normal normal = normal_at(gate[i]);
        float slope = normal.below + INVERSE_SQRT_2_PI * gate[i] * normal.exponential, linear = value[i];
        value[i] = cotangent[i] * gate[i] * normal.below;
        gate[i] = cotangent[i] * linear * slope;
    }
    store_some(dx, from, own, aligned, value);
    store_some(dx, from + width, own, aligned, gate);
}

/* The large tensor's dimensions from the last one on, with neighbours that the small one's elements run through alike
 * made one; a step of dimension i moves by stride[i] in the small one. Where vectors of 8 are taken, steps of the first
 * dimension are of so many. */
struct broadcast_walk {
    int count;
    struct divisor size[MAXIMUM_RANK];
    int64_t stride[MAXIMUM_RANK];
};

static __device__ __forceinline__ int64_t broadcast_offset(const struct broadcast_walk &walk, int64_t index)
{
    int64_t offset = 0;
#pragma unroll
    for (int i = 0; i < MAXIMUM_RANK - 1; i++) {
        if (i + 1 >= walk.count) return offset + index * walk.stride[i];
        struct division place = divide(index, walk.size[i]);
        offset += place.remainder * walk.stride[i];
        index = place.quotient;
    }
    return offset + index * walk.stride[MAXIMUM_RANK - 1];
}

/* The broadcast operand of up to 8 elements from `first` on. With `wide` they lie in one row of the first dimension. */
static __device__ __forceinline__ void load_broadcast(const struct broadcast_walk &walk, const struct array &small,
                                                      int64_t first, int own, bool wide, float value[WIDTH])
{
    if (wide && walk.stride[0] != 0) {
        load8(small, broadcast_offset(walk, first / WIDTH), value);
    } else if (wide) {
        float repeated = load(small, broadcast_offset(walk, first / WIDTH));
#pragma unroll
        for (int i = 0; i < WIDTH; i++) value[i] = repeated;
    } else {
        for (int i = 0; i < WIDTH; i++) value[i] = i < own ? load(small, broadcast_offset(walk, first + i)) : 1.0f;
    }
}

/* left = left (+, -, *, /) alpha right */
static __device__ __forceinline__ void apply_binary(const struct function &function, float left[WIDTH],
                                                    const float right[WIDTH])
{
    float alpha = function.alpha;
    switch (function.kind) {
    case BINARY_SUBTRACT: alpha = -alpha; [[fallthrough]];
    case BINARY_ADD:
#pragma unroll
        for (int i = 0; i < WIDTH; i++) left[i] += alpha * right[i];
        break;
    case BINARY_MULTIPLY:
#pragma unroll
        for (int i = 0; i < WIDTH; i++) left[i] *= alpha * right[i];
        break;
    default:
#pragma unroll
        for (int i = 0; i < WIDTH; i++) left[i] = function.kind == BINARY_DIVIDE ? left[i] / (alpha * right[i]) : NAN;
    }
}

static __global__ void __launch_bounds__(THREADS)
    binary_kernel(struct function function, struct array a, struct array b, struct array y, struct broadcast_walk walk,
                  int64_t count, bool wide)
{
    await_earlier_kernels();
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    float left[WIDTH], right[WIDTH];
    struct packed8 packed;
    if (wide) packed = fetch8(a, first);
    load_broadcast(walk, b, first, own, wide, right);
    if (wide)
        unpack8(a, packed, left);
    else
        load_some(a, first, own, false, left);
    apply_binary(function, left, right);
    store_some(y, first, own, wide, left);
}

static __global__ void __launch_bounds__(THREADS)
    broadcast_kernel(float alpha, struct array x, struct array y, struct broadcast_walk walk, int64_t count, bool wide)
{
    await_earlier_kernels();
    int64_t first = global_thread() * WIDTH;
    int own = own_elements(first, count);
    if (own == 0) return;
    float value[WIDTH];
    load_broadcast(walk, x, first, own, wide, value);
#pragma unroll
    for (int i = 0; i < WIDTH; i++) value[i] *= alpha;
    store_some(y, first, own, wide, value);
}

extern "C" void launch_unary(struct queue queue, struct function function, struct array x, struct array y,
                             int64_t count)
{
    launch(unary_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, queue, function, x, y, count,
           is_aligned(x) && is_aligned(y));
}

extern "C" void launch_unary_vjp(struct queue queue, struct function function, struct array dy, struct array x,
                                 struct array dx, int64_t count)
{
    launch(unary_vjp_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, queue, function, dy, x, dx, count,
           is_aligned(dy) && is_aligned(x) && is_aligned(dx));
}

/* Threads that serve a row. */
static int64_t row_threads(int64_t width)
{
    return (width + WIDTH - 1) / WIDTH;
}

extern "C" void launch_geglu(struct queue queue, struct array x, struct array y, int64_t rows, int64_t width)
{
    int64_t threads = row_threads(width);
    launch(geglu_kernel, dim3(blocks_for(rows * threads, THREADS)), THREADS, 0, queue, x, y, rows, width,
           divisor_of(threads), width % WIDTH == 0 && is_aligned(x) && is_aligned(y));
}

extern "C" void launch_geglu_vjp(struct queue queue, struct array dy, struct array x, struct array dx, int64_t rows,
                                 int64_t width)
{
    int64_t threads = row_threads(width);
    launch(geglu_vjp_kernel, dim3(blocks_for(rows * threads, THREADS)), THREADS, 0, queue, dy, x, dx, rows, width,
           divisor_of(threads), width % WIDTH == 0 && is_aligned(dy) && is_aligned(x) && is_aligned(dx));
}

/* Joins dimension i to the one after it where a step out of that one's end is a step of i. */
static struct broadcast_walk join_dimensions(const struct broadcast_operand &operand, int64_t size[MAXIMUM_RANK])
{
    struct broadcast_walk walk = {};
    for (int i = MAXIMUM_RANK - 1; i >= 0; i--) {
        if (operand.size[i] == 1) continue;
        int last = walk.count - 1;
        if (walk.count > 0 && operand.stride[i] == size[last] * walk.stride[last]) {
            size[last] *= operand.size[i];
        } else {
            size[walk.count] = operand.size[i];
            walk.stride[walk.count++] = operand.stride[i];
        }
    }
    return walk;
}

/* `wide` becomes whether 8 elements from a multiple of 8 on share their row of the first dimension, which is one
 * element or side by side in the small tensor, and `aligned`: whether they can be read at once where addresses are
 * multiples of 8. */
static struct broadcast_walk plan_walk(const struct broadcast_operand &operand, bool aligned, bool *wide)
{
    int64_t size[MAXIMUM_RANK] = {1, 1, 1, 1};
    struct broadcast_walk walk = join_dimensions(operand, size);
    *wide = aligned && size[0] % WIDTH == 0;
    for (int i = 1; i < walk.count; i++) *wide = *wide && walk.stride[i] % WIDTH == 0;
    if (*wide) {
        size[0] /= WIDTH;
        walk.stride[0] *= WIDTH;
    }
    for (int i = 0; i < MAXIMUM_RANK; i++) walk.size[i] = divisor_of(size[i]);
    return walk;
}

extern "C" void launch_binary(struct queue queue, struct function function, struct array a, struct array b,
                              struct array y, struct broadcast_operand operand, int64_t count)
{
    bool wide;
    struct broadcast_walk walk = plan_walk(operand, is_aligned(a) && is_aligned(b) && is_aligned(y), &wide);
    launch(binary_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, queue, function, a, b, y, walk, count,
           wide);
}

extern "C" void launch_broadcast(struct queue queue, float alpha, struct array x, struct array y,
                                 struct broadcast_operand operand, int64_t count)
{
    bool wide;
    struct broadcast_walk walk = plan_walk(operand, is_aligned(x) && is_aligned(y), &wide);
    launch(broadcast_kernel, dim3(blocks_for(count, THREADS * WIDTH)), THREADS, 0, queue, alpha, x, y, walk, count,
           wide);
}
