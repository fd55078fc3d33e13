/* What the test of kernels/cuda/divisor.h asks of its C++. */
#ifndef ALIGNPROP_TESTS_CUDA_DIVISION_H
#define ALIGNPROP_TESTS_CUDA_DIVISION_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether every 32-bit number is divided by `value` (1 or more) without an error. By Granlund and Montgomery's theorem
 * 4.2 that is so if 2^(32 + l) <= m d <= 2^(32 + l) + 2^l, where the quotient of n is floor(m n / 2^(32 + l)); the
 * formula as it is coded is then tried beside multiples of the value. */
bool division_is_exact(int64_t value);
/* Whether `number`, of any size, has the right quotient and remainder. */
bool division_is_right(int64_t number, int64_t value);

#ifdef __cplusplus
}
#endif

#endif
