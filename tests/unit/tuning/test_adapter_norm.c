/* The adapter's norm against the product written out. */
#include "engine/tuning/adapter_norm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MODULES = 7, LARGEST = 90 };

static float value_of(int module, int part, int64_t index)
{
    return (float)((index * 7919 + module * 104729 + part * 31) % 2003 - 900) / 1000.0F;
}

static float *factor(int module, int part, int64_t count)
{
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) values[i] = value_of(module, part, i);
    return values;
}

/* By the products themselves. */
static double square_of(const struct module_factors *factors, int rank)
{
    double sum = 0.0;
    for (int64_t row = 0; row < factors->outputs; row++)
        for (int64_t column = 0; column < factors->inputs; column++) {
            double element = 0.0;
            for (int r = 0; r < rank; r++)
                element += (double)factors->up[row * rank + r] * (double)factors->down[r * factors->inputs + column];
            sum += element * element;
        }
    return sum;
}

static void check_rank(struct parallel *threads, int rank)
{
    struct module_factors factors[MODULES];
    struct adapter_norm *norm;
    double expected = 0.0;
    for (int i = 0; i < MODULES; i++) {
        int64_t inputs = 1 + (i * 37) % LARGEST, outputs = LARGEST - i * 11;
        factors[i] =
            (struct module_factors){factor(i, 0, inputs * rank), factor(i, 1, outputs * rank), inputs, outputs};
        expected += square_of(&factors[i], rank);
    }
    norm = adapter_norm_create(threads, rank, MODULES);
    for (int repeat = 0; repeat < 2; repeat++) {
        double found = adapter_norm_measure(norm, factors);
        if (!(fabs(found / sqrt(expected) - 1.0) < 2e-6))
            fail_msg("rank %d: %.9g, expected %.9g", rank, found, sqrt(expected));
    }
    adapter_norm_destroy(norm);
    for (int i = 0; i < MODULES; i++) {
        free((void *)factors[i].down);
        free((void *)factors[i].up);
    }
}

static void it_is_the_norm_of_the_products(void **state)
{
    (void)state;
    for (int count = 1; count <= 3; count++) {
        struct parallel *threads;
        assert_int_equal(parallel_create(count, &threads).code, STATUS_OK);
        for (int rank = 1; rank < 12; rank++) check_rank(threads, rank);
        check_rank(threads, 64);
        parallel_destroy(threads);
    }
}

static void an_adapter_that_changes_nothing_has_none(void **state)
{
    (void)state;
    const float down[6] = {1, 2, 3, 4, 5, 6}, up[4] = {0};
    const struct module_factors factors = {down, up, 3, 2};
    struct adapter_norm *norm;
    struct parallel *threads;
    assert_int_equal(parallel_create(1, &threads).code, STATUS_OK);
    norm = adapter_norm_create(threads, 2, 1);
    assert_true(adapter_norm_measure(norm, &factors) == 0.0);
    adapter_norm_destroy(norm);
    adapter_norm_destroy(NULL);
    parallel_destroy(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_norm_of_the_products),
        cmocka_unit_test(an_adapter_that_changes_nothing_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
