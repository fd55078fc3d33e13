/* Small matrix products that keep their sums in registers: the inner part of attention and of the own products. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_MATRIX_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_MATRIX_H

#include <stdbool.h>

#include "kernels/cpu/vector/vector.h"

/* A tile of sums takes TILE_ROWS * TILE_VECTORS registers; the rest hold what is multiplied. */
#if CPU_VECTOR_BYTES == 64 || defined(__aarch64__)
enum { TILE_ROWS = 6, TILE_VECTORS = 4, NARROW_VECTORS = 2 };
#else
enum { TILE_ROWS = 6, TILE_VECTORS = 2, NARROW_VECTORS = 1 };
#endif
enum { NARROW_ROWS = 2 * TILE_ROWS }; /* of a tile of at most NARROW_VECTORS: narrow products fill the registers too */

/* Columns of a packed panel. */
enum { PANEL = TILE_VECTORS * LANES };

/* c[m, n] = a[m, k] b[k, n], added to c when `add`. Steps are in elements. n is a multiple of LANES; b's and c's rows
 * are contiguous. */
struct matrix_product {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_column;
    const float *b;
    int64_t b_row;
    float *c;
    int64_t c_row;
    bool add;
};

/* The functions below carry the instruction set in their names. */
#define matrix_multiply NAME(matrix_multiply)
#define matrix_pack NAME(matrix_pack)
#define matrix_transpose NAME(matrix_transpose)
#define matrix_pad_rows NAME(matrix_pad_rows)
#define matrix_unpad_rows NAME(matrix_unpad_rows)

void matrix_multiply(const struct matrix_product *product);

/* Writes b[k, n] (steps b_row, b_column) as panels of PANEL columns, each [k, PANEL], the last filled up with zeros:
 * panels begin..end-1 of (n + PANEL - 1) / PANEL. */
void matrix_pack(const float *b, int64_t b_row, int64_t b_column, int64_t k, int64_t n, int64_t begin, int64_t end,
                 float *packed);

/* to[columns, rows] = from[rows, columns]^T, rows `from_step` and `to_step` apart. */
void matrix_transpose(const float *from, int64_t from_step, int64_t rows, int64_t columns, float *to, int64_t to_step);

/* Copies rows of `width` elements (`step` apart) to rows of `padded` elements, filled up with zeros; and back. */
void matrix_pad_rows(const float *from, int64_t step, int64_t rows, int64_t width, int64_t padded, float *to);
void matrix_unpad_rows(const float *from, int64_t padded, int64_t rows, int64_t width, int64_t step, float *to);

#endif
