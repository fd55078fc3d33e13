/* Elementary functions in fp32 without branches, for loops that the compiler vectorises.
 *
 * Relative errors are of the order of 1e-7. The polynomials are least-maximum fits of the functions named beside them
 * over the reduced range. NaN passes through. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_VECTOR_MATH_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline int32_t float_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float bits_float(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, and for |r| <= 1/2. */
static inline float exp_tail(float r)
{
    return 5.000000029e-01f +
           r * (1.666657336e-01f + r * (4.166636345e-02f + r * (8.363776144e-03f + r * 1.394216110e-03f)));
}

static inline float expm1_tail(float r)
{
    return 5.000000137e-01f +
           r * (1.666666758e-01f +
                r * (4.166571864e-02f + r * (8.333110967e-03f + r * (1.398597794e-03f + r * 1.998510241e-04f))));
}

/* e^x = 2^n e^r with n = round(x / ln 2). Adding 1.5 * 2^23 rounds to an integer that stands in the low bits. ln 2 is
 * taken away in two parts so that r is exact. Results below 2.4e-38 are 0. */
static inline float vector_exp(float x)
{
    const float shift = 12582912.0f;
    float clamped = x > 88.8f ? 88.8f : x;
    clamped = clamped < -86.6f ? -86.6f : clamped;
    float shifted = clamped * 1.44269504f + shift;
    int32_t n = (int32_t)((uint32_t)float_bits(shifted) << 23);
    float whole = shifted - shift;
    float r = (clamped - whole * 0.693145752f) - whole * 1.42860677e-6f;
    float power = 1.0f + (r + r * r * exp_tail(r));
    float result = power * bits_float((int32_t)((uint32_t)n + (126u << 23))) * 2.0f;
    result = x < -86.6f ? 0.0f : result;
    return x > 88.72284f ? INFINITY : result;
}

/* As vector_exp between -86.6 and 88, with fewer steps; x outside is moved to the bounds. */
static inline float vector_exp_bounded(float x)
{
    const float shift = 12582912.0f;
    float clamped = x > 88.0f ? 88.0f : x;
    clamped = clamped < -86.6f ? -86.6f : clamped;
    float shifted = clamped * 1.44269504f + shift;
    int32_t n = (int32_t)((uint32_t)float_bits(shifted) << 23);
    float whole = shifted - shift;
    float r = (clamped - whole * 0.693145752f) - whole * 1.42860677e-6f;
    float power = 1.0f + (r + r * r * exp_tail(r));
    return power * bits_float((int32_t)((uint32_t)n + (127u << 23)));
}

/* As vector_exp_bounded for x <= 0 (or rounded to just above). */
static inline float vector_exp_nonpositive(float x)
{
    const float shift = 12582912.0f;
    float clamped = x < -86.6f ? -86.6f : x;
    float shifted = clamped * 1.44269504f + shift;
    int32_t n = (int32_t)((uint32_t)float_bits(shifted) << 23);
    float whole = shifted - shift;
    float r = (clamped - whole * 0.693145752f) - whole * 1.42860677e-6f;
    float power = 1.0f + (r + r * r * exp_tail(r));
    return power * bits_float((int32_t)((uint32_t)n + (127u << 23)));
}

/* e^x - 1 for x <= 0. */
static inline float vector_expm1_nonpositive(float x)
{
    float near_zero = x + x * x * expm1_tail(x);
    float far = vector_exp_nonpositive(x) - 1.0f;
    return x > -0.5f ? near_zero : far;
}

/* ln x = e ln 2 + ln m with m in [sqrt(1/2), sqrt(2)); ln(1+f) = f - f^2/2 + f^3 P(f). */
static inline float vector_log(float x)
{
    float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x; /* denormals */
    float extra = x < 1.17549435e-38f ? -23.0f : 0.0f;
    int32_t bits = float_bits(scaled) - 0x3f3504f3;
    float exponent = (float)(bits >> 23) + extra;
    float f = bits_float((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    float p = 3.333333126e-01f +
              f * (-2.499998119e-01f +
                   f * (2.000068810e-01f +
                        f * (-1.666915068e-01f +
                             f * (1.425115485e-01f +
                                  f * (-1.239670729e-01f +
                                       f * (1.163467723e-01f + f * (-1.165988725e-01f + f * 7.332437273e-02f)))))));
    float result = exponent * 0.693145752f + (f + (f * f * (f * p - 0.5f) + exponent * 1.42860677e-6f));
    result = x == INFINITY ? INFINITY : result;
    result = x == 0.0f ? -INFINITY : result;
    return x >= 0.0f ? result : NAN;
}

/* ln(1+x): the rounding error of 1+x is put back by its first-order effect. */
static inline float vector_log1p(float x)
{
    float u = 1.0f + x;
    float lost = x - (u - 1.0f);
    float result = vector_log(u) + lost / u;
    return u > 0.0f && u < INFINITY ? result : vector_log(u);
}

static inline float vector_sigmoid(float x)
{
    return 1.0f / (1.0f + vector_exp_bounded(-x));
}

static inline float vector_tanh(float x)
{
    float s = x * x;
    float near_zero =
        x + x * s *
                (-3.333332925e-01f +
                 s * (1.333279454e-01f + s * (-5.385406922e-02f + s * (2.101007910e-02f - s * 6.113188470e-03f))));
    float magnitude = fabsf(x);
    float far = 1.0f - 2.0f / (vector_exp_bounded(2.0f * magnitude) + 1.0f);
    far = x < 0.0f ? -far : far;
    return magnitude < 0.625f ? near_zero : far;
}

/* The normal distribution up to x (returned) and e^(-x^2/2) (in *bell). With z = |x|/sqrt(2) and t = 1/(1 + 0.4 z),
 * erfc(z) e^(z^2) = t P(t). */
static inline float vector_normal_cdf(float x, float *bell)
{
    float t = 1.0f / (1.0f + 0.4f * 0.707106781f * fabsf(x));
    float p =
        2.257106552e-01f +
        t * (2.248800578e-01f +
             t * (2.155107445e-01f +
                  t * (1.269447637e-01f +
                       t * (2.799106739e-01f +
                            t * (-2.988717368e-01f +
                                 t * (5.647598424e-01f +
                                      t * (-5.117258099e-01f + t * (2.034763794e-01f - t * 3.059556352e-02f))))))));
    *bell = vector_exp_nonpositive(-0.5f * x * x);
    float tail = 0.5f * t * p * *bell;
    return x < 0.0f ? tail : 1.0f - tail;
}

static inline float vector_gelu_erf(float x)
{
    float bell;
    return x * vector_normal_cdf(x, &bell);
}

static inline float vector_gelu_erf_derivative(float x)
{
    float bell, cdf = vector_normal_cdf(x, &bell);
    return cdf + x * bell * 0.39894228f;
}

static inline float vector_silu(float x)
{
    return x * vector_sigmoid(x);
}

static inline float vector_silu_derivative(float x)
{
    float s = vector_sigmoid(x);
    return s + x * s * (1.0f - s);
}

#endif
