/* Small matrix products in registers, and packing for them. */
#include "kernels/cpu/vector/matrix.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* One tile of `rows` x `vectors`; both are constants at every call, so the sums stay in registers. */
ALWAYS_INLINE void tile(int rows, int vectors, const struct matrix_product *p, int64_t row, int64_t column)
{
    vector sum[NARROW_ROWS][TILE_VECTORS];
    /* In `a` a pointer for every third row: three rows are one step and two multiples of it away, which an address can
     * hold. */
    const float *a[NARROW_ROWS / 3], *b = p->b + column;
    float *c = p->c + row * p->c_row + column;
    const int64_t a_row = p->a_row, a_column = p->a_column, b_row = p->b_row, c_row = p->c_row, k = p->k;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) sum[i][j] = p->add ? vector_load(c + i * c_row + j * LANES) : (vector){0};
#pragma GCC unroll 16
    for (int i = 0; i < rows; i += 3) a[i / 3] = p->a + (row + i) * a_row;
    for (int64_t step = 0; step < k; step++) {
        vector right[TILE_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) right[j] = vector_load(b + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const vector left = vector_of(a[i / 3][i % 3 * a_row]);
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++) sum[i][j] = multiply_add(left, right[j], sum[i][j]);
        }
        b += b_row;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i += 3) a[i / 3] += a_column;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) vector_store(c + i * c_row + j * LANES, sum[i][j]);
}

/* All rows of the columns from `column` on that `vectors` hold. */
ALWAYS_INLINE void tile_column(int vectors, const struct matrix_product *p, int64_t column)
{
    int64_t row = 0;
    if (vectors <= NARROW_VECTORS)
        for (; row + NARROW_ROWS <= p->m; row += NARROW_ROWS) tile(NARROW_ROWS, vectors, p, row, column);
    for (; row + TILE_ROWS <= p->m; row += TILE_ROWS) tile(TILE_ROWS, vectors, p, row, column);
    switch (p->m - row) {
    case 5: tile(5, vectors, p, row, column); break;
    case 4: tile(4, vectors, p, row, column); break;
    case 3: tile(3, vectors, p, row, column); break;
    case 2: tile(2, vectors, p, row, column); break;
    case 1: tile(1, vectors, p, row, column); break;
    default: break;
    }
}

void matrix_multiply(const struct matrix_product *product)
{
    int64_t column = 0;
    for (; column + PANEL <= product->n; column += PANEL) tile_column(TILE_VECTORS, product, column);
    switch ((product->n - column) / LANES) {
#if CPU_VECTOR_BYTES == 64 || defined(__aarch64__)
    case 3: tile_column(3, product, column); break;
    case 2: tile_column(2, product, column); break;
#endif
    case 1: tile_column(1, product, column); break;
    default: break;
    }
}

void matrix_pack(const float *b, int64_t b_row, int64_t b_column, int64_t k, int64_t n, int64_t begin, int64_t end,
                 float *packed)
{
    for (int64_t panel = begin; panel < end; panel++) {
        const float *from = b + panel * PANEL * b_column;
        float *to = packed + panel * k * PANEL;
        int64_t count = n - panel * PANEL < PANEL ? n - panel * PANEL : PANEL;
        if (count < PANEL) memset(to, 0, (size_t)(k * PANEL) * sizeof *to);
        if (b_column == 1) {
            for (int64_t row = 0; row < k; row++)
                memcpy(to + row * PANEL, from + row * b_row, (size_t)count * sizeof *to);
            continue;
        }
        if (b_row == 1) {
            matrix_transpose(from, b_column, count, k, to, PANEL);
            continue;
        }
        for (int64_t row = 0; row < k; row++)
            for (int64_t column = 0; column < count; column++)
                to[row * PANEL + column] = from[row * b_row + column * b_column];
    }
}

typedef float quad __attribute__((vector_size(4 * sizeof(float))));

static inline void transpose_quads(const float *from, int64_t from_step, float *to, int64_t to_step)
{
    quad row[4], low[2], high[2], column[4];
    for (int i = 0; i < 4; i++) memcpy(&row[i], from + i * from_step, sizeof row[i]);
    low[0] = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    low[1] = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    high[0] = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    high[1] = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    column[0] = __builtin_shufflevector(low[0], low[1], 0, 1, 4, 5);
    column[1] = __builtin_shufflevector(low[0], low[1], 2, 3, 6, 7);
    column[2] = __builtin_shufflevector(high[0], high[1], 0, 1, 4, 5);
    column[3] = __builtin_shufflevector(high[0], high[1], 2, 3, 6, 7);
    for (int i = 0; i < 4; i++) memcpy(to + i * to_step, &column[i], sizeof column[i]);
}

void matrix_transpose(const float *from, int64_t from_step, int64_t rows, int64_t columns, float *to, int64_t to_step)
{
    int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (int64_t row = 0; row < whole_rows; row += 4)
        for (int64_t column = 0; column < whole_columns; column += 4)
            transpose_quads(from + row * from_step + column, from_step, to + column * to_step + row, to_step);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = row < whole_rows ? whole_columns : 0; column < columns; column++)
            to[column * to_step + row] = from[row * from_step + column];
}

void matrix_pad_rows(const float *from, int64_t step, int64_t rows, int64_t width, int64_t padded, float *to)
{
    for (int64_t row = 0; row < rows; row++) {
        memcpy(to + row * padded, from + row * step, (size_t)width * sizeof *to);
        memset(to + row * padded + width, 0, (size_t)(padded - width) * sizeof *to);
    }
}

void matrix_unpad_rows(const float *from, int64_t padded, int64_t rows, int64_t width, int64_t step, float *to)
{
    for (int64_t row = 0; row < rows; row++) memcpy(to + row * step, from + row * padded, (size_t)width * sizeof *to);
}
