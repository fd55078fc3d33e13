/* The norm of up * down from small Gram matrices, a module at a time on a few threads. */
#include "engine/tuning/adapter_norm.h"

#include "engine/base/memory.h"
#include "engine/base/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOGETHER = 4 }; /* rows whose products are added to the matrix in one pass over it */

/* Where one thread works. */
struct workplace {
    float *of_up, *of_down; /* upper triangles of rank x rank matrices */
    float *rows;            /* TOGETHER rows of `rank` */
};

struct adapter_norm {
    int rank, modules;
    struct parallel *threads;
    struct workplace *places; /* of each thread */
    float *memory;
    double *squares; /* of each module */
    const struct module_factors *factors;
};

struct adapter_norm *adapter_norm_create(struct parallel *threads, int rank, int modules)
{
    struct adapter_norm *norm = memory_take(1, sizeof *norm);
    *norm = (struct adapter_norm){.rank = rank, .modules = modules, .threads = threads};
    size_t count = (size_t)parallel_threads(threads), square = (size_t)rank * (size_t)rank;
    size_t each = 2 * square + TOGETHER * (size_t)rank;
    norm->squares = memory_take((size_t)modules, sizeof *norm->squares);
    norm->places = memory_take(count, sizeof *norm->places);
    norm->memory = memory_take(count * each, sizeof *norm->memory);
    for (size_t i = 0; i < count; i++) {
        float *place = norm->memory + i * each;
        norm->places[i] = (struct workplace){place, place + square, place + 2 * square};
    }
    return norm;
}

void adapter_norm_destroy(struct adapter_norm *norm)
{
    if (!norm) return;
    free(norm->squares);
    free(norm->places);
    free(norm->memory);
    free(norm);
}

/* matrix[a,b] += sum over the TOGETHER rows of row[a] * row[b], for b >= a. */
static void add_products(const float *restrict rows, int rank, float *restrict matrix)
{
    const float *second = rows + rank, *third = second + rank, *fourth = third + rank;
    for (int a = 0; a < rank; a++) {
        float *restrict line = matrix + (size_t)a * (size_t)rank;
        for (int b = a; b < rank; b++)
            line[b] += (rows[a] * rows[b] + second[a] * second[b]) + (third[a] * third[b] + fourth[a] * fourth[b]);
    }
}

/* up^T up; its rows lie one after another. */
static void multiply_up(const struct module_factors *factors, int rank, const struct workplace *place)
{
    memset(place->of_up, 0, (size_t)rank * (size_t)rank * sizeof(float));
    int64_t whole = factors->outputs / TOGETHER * TOGETHER, left = factors->outputs - whole;
    for (int64_t i = 0; i < whole; i += TOGETHER) add_products(factors->up + i * rank, rank, place->of_up);
    if (left == 0) return;
    memset(place->rows, 0, TOGETHER * (size_t)rank * sizeof(float));
    memcpy(place->rows, factors->up + whole * rank, (size_t)(left * rank) * sizeof(float));
    add_products(place->rows, rank, place->of_up);
}

/* down down^T, from its columns. */
static void multiply_down(const struct module_factors *factors, int rank, const struct workplace *place)
{
    memset(place->of_down, 0, (size_t)rank * (size_t)rank * sizeof(float));
    for (int64_t first = 0; first < factors->inputs; first += TOGETHER) {
        for (int i = 0; i < TOGETHER; i++)
            for (int a = 0; a < rank; a++)
                place->rows[i * rank + a] =
                    first + i < factors->inputs ? factors->down[a * factors->inputs + first + i] : 0.0F;
        add_products(place->rows, rank, place->of_down);
    }
}

static double sum_of_products(const struct workplace *place, int rank)
{
    double sum = 0.0;
    for (int a = 0; a < rank; a++) {
        const float *left = place->of_up + (size_t)a * (size_t)rank, *right = place->of_down + (size_t)a * (size_t)rank;
        double line = 0.0;
        for (int b = a + 1; b < rank; b++) line += (double)left[b] * right[b];
        sum += (double)left[a] * right[a] + 2.0 * line;
    }
    return sum;
}

static void measure_modules(void *context, int64_t begin, int64_t end, int thread)
{
    struct adapter_norm *norm = context;
    const struct workplace *place = &norm->places[thread];
    for (int64_t module = begin; module < end; module++) {
        multiply_up(&norm->factors[module], norm->rank, place);
        multiply_down(&norm->factors[module], norm->rank, place);
        norm->squares[module] = sum_of_products(place, norm->rank);
    }
}

double adapter_norm_measure(struct adapter_norm *norm, const struct module_factors *factors)
{
    double sum = 0.0;
    norm->factors = factors;
    parallel_for(norm->threads, norm->modules, 1, measure_modules, norm);
    for (int module = 0; module < norm->modules; module++) sum += norm->squares[module];
    return sqrt(max_double(sum, 0.0));
}
