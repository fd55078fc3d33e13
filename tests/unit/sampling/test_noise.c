/* Philox's published answers, and the distribution of what is made of it. */
#include "engine/sampling/noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The known answers that come with the Random123 reference implementation of Philox 4x32-10. */
static void test_known_answers(void **state)
{
    (void)state;
    uint32_t words[4];
    noise_words((struct noise_stream){0, (enum noise_purpose)0, 0}, 0, words);
    assert_memory_equal(words, ((uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}), sizeof words);
    noise_words((struct noise_stream){UINT64_MAX, (enum noise_purpose)0xffffffff, UINT64_MAX}, 0xffffffff, words);
    assert_memory_equal(words, ((uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}), sizeof words);
    noise_words((struct noise_stream){UINT64_C(0x299f31d0a4093822), (enum noise_purpose)0x03707344,
                                      UINT64_C(0x13198a2e85a308d3)},
                0x243f6a88, words);
    assert_memory_equal(words, ((uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}), sizeof words);
}

/* Moments of a million normals, and the share beyond two deviations. */
static void test_distribution(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    float *values = malloc(COUNT * sizeof *values);
    double moment[5] = {0};
    int beyond = 0;
    noise_normals((struct noise_stream){42, NOISE_TEST, 3}, values, COUNT);
    for (int i = 0; i < COUNT; i++) {
        double power = 1.0;
        for (int m = 1; m <= 4; m++) moment[m] += (power *= values[i]) / COUNT;
        beyond += fabsf(values[i]) > 2.0F;
    }
    assert_true(fabs(moment[1]) < 4e-3);
    assert_true(fabs(moment[2] - 1.0) < 6e-3);
    assert_true(fabs(moment[3]) < 1.6e-2);
    assert_true(fabs(moment[4] - 3.0) < 4e-2);
    assert_true(fabs((double)beyond / COUNT - 0.0455) < 8e-4);
    free(values);
}

/* Against the library's logarithm and cosine: Box-Muller of the same words. */
static void test_formula(void **state)
{
    (void)state;
    struct noise_stream stream = {1234567, NOISE_LATENT, 99};
    for (uint32_t block = 0; block < 5000; block++) {
        uint32_t words[4];
        noise_words(stream, block, words);
        double radius = sqrt(-2.0 * log((words[0] + 0.5) * 0x1p-32)),
               angle = 6.283185307179586 * ((words[1] + 0.5) * 0x1p-32);
        assert_true(fabs(noise_normal(stream, 4 * block) - radius * cos(angle)) < 1e-13);
        assert_true(fabs(noise_normal(stream, 4 * block + 1) - radius * sin(angle)) < 1e-13);
    }
}

static void test_prefix_does_not_depend_on_count(void **state)
{
    (void)state;
    struct noise_stream stream = {5, NOISE_LATENT, 1};
    float few[7], many[100];
    noise_normals(stream, few, 7);
    noise_normals(stream, many, 100);
    assert_memory_equal(few, many, sizeof few);
    assert_true(noise_uniform(stream, 3) >= 0.0 && noise_uniform(stream, 3) < 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_prefix_does_not_depend_on_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
