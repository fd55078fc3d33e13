/* Vectors of the instruction set that a file is compiled for, and names that carry it.
 *
 * Everything in this folder is compiled once per instruction set. Loops over floats are written plainly and left to the
 * compiler's vectoriser; `vector` is for the kernels that keep sums in registers. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_VECTOR_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__FMA__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef CPU_VECTOR_BYTES
#define CPU_VECTOR_BYTES 16
#endif

enum { LANES = CPU_VECTOR_BYTES / (int)sizeof(float) };

typedef float vector __attribute__((vector_size(CPU_VECTOR_BYTES)));

static inline vector vector_load(const float *from)
{
    vector result;
    memcpy(&result, from, sizeof result);
    return result;
}

static inline void vector_store(float *to, vector value)
{
    memcpy(to, &value, sizeof value);
}

/* The number in every lane. */
static inline vector vector_of(float number)
{
    return number - (vector){0};
}

/* a b + c, rounded once where the instruction set can (FMA). Said with the instruction's own name: a compiler that may
 * contract a product and a sum does so in one loop and not in the next (GCC keeps loops with few sums from waiting for
 * each other that way), and sums of the same products would differ in their last bit. */
static inline vector multiply_add(vector a, vector b, vector c)
{
#if defined(__FMA__) && CPU_VECTOR_BYTES == 64
    return (vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && CPU_VECTOR_BYTES == 32
    return (vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* `count` rounded up to whole vectors. */
static inline int64_t whole_vectors(int64_t count)
{
    return (count + LANES - 1) / LANES * LANES;
}

/* NAME(x) is x_avx512, x_avx2 or x_baseline. */
#define NAME_JOIN_(name, variant) name##_##variant
#define NAME_EXPAND_(name, variant) NAME_JOIN_(name, variant)
#define NAME(name) NAME_EXPAND_(name, CPU_VARIANT)

#endif
