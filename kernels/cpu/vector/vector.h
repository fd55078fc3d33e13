/* Vectors of the instruction set that a file is compiled for, and names that carry it.
 *
 * Everything in this folder is compiled once per instruction set. Loops over floats are written plainly and left to the
 * compiler's vectoriser; `vector` is for the kernels that keep sums in registers. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_VECTOR_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_VECTOR_H

#include <stdint.h>
#include <string.h>

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
