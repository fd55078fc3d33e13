/* Scores of small pictures whose answer is known without a program. A new reward begins with a row here. */
#include "kernels/backend.h"
#include "reward_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SIDE = 8, SAMPLES = SIDE * SIDE * 3 };

/* Pictures of two halves, each of one colour. */
static const struct known_value {
    const char *name, *params;
    float left[3], right[3];
    double score;
} known_values[] = {
    {"brightness", NULL, {1, 1, 1}, {1, 1, 1}, 1.0},
    {"brightness", NULL, {1, 0, 0}, {0, 0, 1}, (0.299 + 0.114) / 2},
    {"color", "{\"color\": \"#ff0000\"}", {1, 0, 0}, {1, 0, 0}, 0.0},
    {"color", "{\"color\": \"#ff0000\"}", {0, 0, 0}, {1, 1, 1}, -0.5 * (1.0 / 3 + 2.0 / 3)},
    {"symmetry", NULL, {0.25F, 0.5F, 1}, {0.25F, 0.5F, 1}, 0.0},
    {"symmetry", NULL, {0, 0, 0}, {1, 1, 0}, -2.0 / 3},
    {"sharpness", NULL, {0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F}, 0.0},
    {"colorfulness", NULL, {0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F}, 0.0},
    {"colorfulness", NULL, {1, 0, 0}, {1, 0, 0}, 0.3 * 255 * 1.1180339887498949}, /* means 255 and 127.5: sqrt(5)/2 */
};

static double score_of(const struct known_value *known, struct backend *backend)
{
    float pixels[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) pixels[i] = (i / 3 % SIDE < SIDE / 2 ? known->left : known->right)[i % 3];
    const struct picture_batch picture = {pixels, PICTURES_NHWC, 1, SIDE, SIDE, NULL, NULL};
    struct reward *reward = make_reward(known->name, known->params);
    double score;
    assert_success(reward_score_pictures(reward, backend, &picture, &score, NULL));
    reward_destroy(reward);
    return score;
}

static void test_known_values(void **state)
{
    (void)state;
    const double tolerance = 3e-3; /* the roots' guards of 1e-3 */
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    for (size_t i = 0; i < sizeof known_values / sizeof known_values[0]; i++) {
        const struct known_value *known = &known_values[i];
        double score = score_of(known, backend);
        if (!(fabs(score - known->score) <= tolerance))
            fail_msg("%s, row %zu: the score is %.9g, expected %.9g", known->name, i, score, known->score);
    }
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
