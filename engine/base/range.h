/* The smaller and the larger of two, and the nearest value within bounds, for the types that need them. A NaN is not
 * looked after: where one may come, fmin and fmax do that. */
#ifndef ALIGNPROP_BASE_RANGE_H
#define ALIGNPROP_BASE_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define RANGE_FUNCTIONS(name, type)                                                                                    \
    static inline type min_##name(type left, type right)                                                               \
    {                                                                                                                  \
        return left < right ? left : right;                                                                            \
    }                                                                                                                  \
    static inline type max_##name(type left, type right)                                                               \
    {                                                                                                                  \
        return left > right ? left : right;                                                                            \
    }                                                                                                                  \
    static inline type clamp_##name(type value, type low, type high)                                                   \
    {                                                                                                                  \
        return value < low ? low : value > high ? high : value;                                                        \
    }

RANGE_FUNCTIONS(int, int)
RANGE_FUNCTIONS(int64, int64_t)
RANGE_FUNCTIONS(size, size_t)
RANGE_FUNCTIONS(float, float)
RANGE_FUNCTIONS(double, double)

#undef RANGE_FUNCTIONS

#endif
