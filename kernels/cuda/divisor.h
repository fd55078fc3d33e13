/* Division by a number that is the same for all threads of a launch, without the hardware's slow division.
 *
 * With l = ceil(log2 d) and m = floor(2^32 (2^l - d) / d) + 1, the quotient of every 32-bit n by d is
 * (t + ((n - t) >> min(l, 1))) >> max(l - 1, 0) where t is the upper half of the 64-bit product m n (Granlund and
 * Montgomery, Division by Invariant Integers using Multiplication, 1994, figure 4.1). */
#ifndef ALIGNPROP_KERNELS_CUDA_DIVISOR_H
#define ALIGNPROP_KERNELS_CUDA_DIVISOR_H

#include "kernels/cuda/device.h"

struct divisor {
    int64_t value;
    uint32_t multiplier;
    int first_shift, second_shift;
};

/* value >= 1. Above 2^32 - 1 every 32-bit quotient is 0. */
static inline struct divisor divisor_of(int64_t value)
{
    int bits = 0;
    while (bits < 32 && (int64_t)1 << bits < value) bits++;
    uint64_t excess = ((uint64_t)1 << bits) - (uint64_t)value;
    if (value > UINT32_MAX) return divisor{value, 0, 1, 31};
    return divisor{value, (uint32_t)((excess << 32) / (uint64_t)value + 1), bits > 0, bits > 0 ? bits - 1 : 0};
}

static __device__ __forceinline__ uint32_t quotient(uint32_t number, const struct divisor &divisor)
{
    uint32_t upper = (uint32_t)((uint64_t)number * divisor.multiplier >> 32);
    return (upper + ((number - upper) >> divisor.first_shift)) >> divisor.second_shift;
}

struct division {
    int64_t quotient, remainder;
};

/* Of any number >= 0; those of more than 32 bits take the slow way. */
static __device__ __forceinline__ struct division divide(int64_t number, const struct divisor &divisor)
{
    if (number > UINT32_MAX) return division{number / divisor.value, number % divisor.value};
    uint32_t whole = quotient((uint32_t)number, divisor);
    return division{whole, (uint32_t)number - whole * (uint32_t)divisor.value};
}

#endif
