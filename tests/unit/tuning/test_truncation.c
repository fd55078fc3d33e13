/* Draws of K by method: range, distribution, and messages for wrong settings. */
#include "engine/tuning/truncation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 50, DRAWS = 20000 };

/* Every K in [min, max] equally often: chi-squared against the 99.9 % point of 50 values. */
static void test_uniform(void **state)
{
    (void)state;
    struct preset preset = {.method = BACKPROP_ALIGNPROP, .draw_minimum = 1, .draw_maximum = STEPS, .seed = 42};
    int seen[STEPS + 1] = {0};
    double chi = 0.0, expected = (double)DRAWS / STEPS;
    for (int step = 1; step <= DRAWS; step++) {
        int kept = truncation_draw(&preset, STEPS, step).grad_steps;
        assert_in_range(kept, 1, STEPS);
        seen[kept]++;
    }
    for (int k = 1; k <= STEPS; k++) chi += (seen[k] - expected) * (seen[k] - expected) / expected;
    assert_true(chi < 85.4);
    assert_int_equal(truncation_largest(&preset, STEPS), STEPS);
    assert_true(truncation_mean(&preset, STEPS) == 25.5);
}

static void test_uniform_range_is_cut_to_the_chain(void **state)
{
    (void)state;
    struct preset preset = {.method = BACKPROP_ALIGNPROP, .draw_minimum = 3, .draw_maximum = 20, .seed = 1};
    for (int step = 1; step <= 500; step++) assert_in_range(truncation_draw(&preset, 8, step).grad_steps, 3, 8);
    assert_int_equal(truncation_largest(&preset, 8), 8);
}

/* AlignProp's reference run draws K about 8 with deviation 5, never below 1. */
static void test_gaussian(void **state)
{
    (void)state;
    struct preset preset = {
        .method = BACKPROP_ALIGNPROP, .draw = DRAW_GAUSSIAN, .draw_mean = 20, .draw_deviation = 4, .seed = 9};
    double sum = 0.0, squares = 0.0;
    for (int step = 1; step <= DRAWS; step++) {
        int kept = truncation_draw(&preset, STEPS, step).grad_steps;
        assert_in_range(kept, 1, STEPS);
        sum += kept;
        squares += (double)kept * kept;
    }
    double mean = sum / DRAWS, deviation = sqrt(squares / DRAWS - mean * mean);
    assert_true(fabs(mean - 20.0) < 0.15);
    assert_true(fabs(deviation - 4.0) < 0.15);
}

static void test_fixed_methods(void **state)
{
    (void)state;
    struct preset preset = {.method = BACKPROP_FULL};
    assert_int_equal(truncation_draw(&preset, 8, 3).grad_steps, 8);
    preset = (struct preset){.method = BACKPROP_LAST_K, .k = 2};
    assert_int_equal(truncation_draw(&preset, 8, 3).grad_steps, 2);
    assert_int_equal(truncation_draw(&preset, 8, 3).renoisings, 0);
    preset = (struct preset){.method = BACKPROP_LOW_VARIANCE, .k = 1, .n = 2};
    assert_int_equal(truncation_draw(&preset, 8, 3).grad_steps, 1);
    assert_int_equal(truncation_draw(&preset, 8, 3).renoisings, 2);
}

/* Whatever is drawn lies in the chain and within the largest that the plan reckons with. */
static void test_every_method_and_draw(void **state)
{
    (void)state;
    for (int method = 0; backprop_method_name(method); method++)
        for (int draw = 0; truncation_draw_name(draw); draw++) {
            struct preset preset = {.method = (enum backprop_method)method,
                                    .draw = (enum truncation_draw)draw,
                                    .draw_minimum = 2,
                                    .draw_maximum = 6,
                                    .draw_mean = 4,
                                    .draw_deviation = 1,
                                    .k = 3,
                                    .n = 2};
            assert_int_equal(truncation_check(&preset, 8).code, STATUS_OK);
            int largest = truncation_largest(&preset, 8);
            double mean = truncation_mean(&preset, 8), sum = 0;
            assert_in_range(largest, 1, 8);
            for (int step = 1; step <= 400; step++) {
                int kept = truncation_draw(&preset, 8, step).grad_steps;
                assert_in_range(kept, 1, largest);
                sum += kept;
            }
            assert_true(fabs(sum / 400 - mean) < 0.25);
        }
    assert_null(backprop_method_name(-1));
    assert_null(truncation_draw_name(DRAW_COUNT));
    assert_null(precision_name(PRECISION_COUNT));
}

static void test_bad_values_are_named(void **state)
{
    (void)state;
    struct preset preset = {.method = BACKPROP_LAST_K, .k = 9};
    status result = truncation_check(&preset, 8);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "backprop.k: 9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_uniform_range_is_cut_to_the_chain),
        cmocka_unit_test(test_gaussian),
        cmocka_unit_test(test_fixed_methods),
        cmocka_unit_test(test_every_method_and_draw),
        cmocka_unit_test(test_bad_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
