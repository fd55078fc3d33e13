/* Operations that the CUDA kernels treat specially: widths that are multiples of 8, several blocks with partial tiles,
 * every slice of attention, products that are split. Further to the cases of all backends. */
#ifndef ALIGNPROP_TESTS_CUDA_CASES_H
#define ALIGNPROP_TESTS_CUDA_CASES_H

#include "tests/unit/kernels/cases.h"

extern const struct kernel_case cuda_cases[];
extern const int cuda_case_count;

#endif
