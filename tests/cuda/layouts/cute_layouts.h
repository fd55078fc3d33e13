/* CuTe's layouts of the matrix instructions that the kernels use, as numbers. */
#ifndef ALIGNPROP_TESTS_CUDA_CUTE_LAYOUTS_H
#define ALIGNPROP_TESTS_CUDA_CUTE_LAYOUTS_H

#include <cstdint>

enum cute_fragment { CUTE_A, CUTE_B, CUTE_C, CUTE_HALF_A, CUTE_HALF_B, CUTE_WARPGROUP_128, CUTE_WARPGROUP_160 };

/* Number of the element that a thread holds as its `value`-th: row + rows of the operand * column (depth). */
int cute_element(enum cute_fragment fragment, int thread, int value);
/* Element of shared memory where a warpgroup's operand of 160 rows by 64 has one: by rows in SWIZZLE_128, by columns in
 * SWIZZLE_64. */
int cute_by_rows(int row, int depth);
int cute_by_columns(int row, int depth);
/* A descriptor of it but for its address: `by_columns` 128 rows by 16 of its first. */
uint64_t cute_descriptor(bool by_columns);

#endif
