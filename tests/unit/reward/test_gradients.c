/* Every reward's gradient against central differences in double precision, and finite scores and gradients on pictures
 * where formulas tend to break. */
#include "kernels/backend.h"
#include "reward_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, HEIGHT = 18, WIDTH = 23, SAMPLES = BATCH * HEIGHT * WIDTH * 3 };

/* Parameters to try; a reward that has none needs no case. */
static const struct reward_case {
    const char *name, *params;
} given[] = {
    {"jpeg", NULL},
    {"jpeg", "{\"quality\": 20}"},
    {"jpeg-incompressible", "{\"quality\": 80}"},
    {"clip", "{\"model\": \"clip-quick-gelu\"}"},
    {"clip", "{\"model\": \"clip-gelu\"}"},
    {"aesthetic", "{\"model\": \"aesthetic/head.pth\", \"clip\": \"clip-quick-gelu\"}"},
    {"count", "{\"object\": \"cat\", \"target\": 2, \"model\": \"detector-gelu\"}"},
    {"count", "{\"object\": \"two red dogs\", \"target\": 4, \"beyond\": 1, \"model\": \"detector-quick-gelu\"}"},
    {"remove", "{\"object\": \"pizza\", \"model\": \"detector-gelu\"}"},
    {"color", "{\"color\": \"#20C0ff\"}"},
};

enum { MOST_CASES = 128 };

static struct reward_case cases[MOST_CASES];
static int case_count;

static bool has_case(const char *name)
{
    for (int i = 0; i < case_count; i++)
        if (strcmp(cases[i].name, name) == 0) return true;
    return false;
}

/* The cases given, and every other reward of the list without parameters. */
static int list_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) cases[case_count++] = given[i];
    const struct reward_kind *kind;
    for (int i = 0; (kind = reward_kind_at(i)) != NULL; i++) {
        assert_true(case_count < MOST_CASES);
        if (!has_case(kind->name)) cases[case_count++] = (struct reward_case){kind->name, NULL};
    }
    return 0;
}

static const char *const prompts[BATCH] = {"a red cat", "two dogs on ground"};

static double total(struct reward *reward, struct backend *backend, const double *pixels, double *gradient)
{
    double scores[BATCH], sum = 0.0;
    assert_success(reward_score_exactly(reward, backend, pixels, BATCH, HEIGHT, WIDTH, prompts, scores, gradient));
    for (int i = 0; i < BATCH; i++) sum += scores[i];
    return sum;
}

static double dot(const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < SAMPLES; i++) sum += a[i] * b[i];
    return sum;
}

static void scale_to_unit(double *direction)
{
    double norm = sqrt(dot(direction, direction));
    for (int i = 0; i < SAMPLES; i++) direction[i] /= norm;
}

/* Derivative of the score along `direction` by central differences of fourth order. */
static double numeric_derivative(struct reward *reward, struct backend *backend, const double *pixels,
                                 const double *direction)
{
    static double moved[SAMPLES];
    const double step = 3e-4;
    static const struct {
        double place, weight;
    } stencil[4] = {{-2.0, 1.0 / 12}, {-1.0, -8.0 / 12}, {1.0, 8.0 / 12}, {2.0, -1.0 / 12}};
    double derivative = 0.0;
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < SAMPLES; i++) moved[i] = pixels[i] + stencil[k].place * step * direction[i];
        derivative += stencil[k].weight * total(reward, backend, moved, NULL);
    }
    return derivative / step;
}

static void check_case(const struct reward_case *reward_case, struct backend *backend)
{
    static double pixels[SAMPLES], gradient[SAMPLES], directions[3][SAMPLES];
    uint64_t random = 17;
    for (int i = 0; i < SAMPLES; i++) pixels[i] = 0.1 + 0.8 * random_unit(&random);
    struct reward *reward = make_reward(reward_case->name, reward_case->params);
    total(reward, backend, pixels, gradient);
    for (int i = 0; i < SAMPLES; i++) {
        directions[0][i] = gradient[i];
        directions[1][i] = random_unit(&random) - 0.5;
    }
    scale_to_unit(directions[0]);
    scale_to_unit(directions[1]);
    for (int i = 0; i < SAMPLES; i++) directions[2][i] = directions[0][i] + directions[1][i];
    scale_to_unit(directions[2]);
    /* Along a random direction most of the gradient cancels, so errors are taken relative to its norm. */
    double norm = sqrt(dot(gradient, gradient));
    for (int k = 0; k < 3; k++) {
        double analytic = dot(gradient, directions[k]);
        double numeric = numeric_derivative(reward, backend, pixels, directions[k]);
        double error = fabs(analytic - numeric) / norm;
        print_message("%-20s direction %d: analytic %.9g numeric %.9g error %.1e\n", reward_case->name, k, analytic,
                      numeric, error);
        if (!(error < 1e-6))
            fail_msg("%s: direction %d: analytic %.12g, numeric %.12g", reward_case->name, k, analytic, numeric);
    }
    reward_destroy(reward);
}

static void test_central_differences(void **state)
{
    (void)state;
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    for (int i = 0; i < case_count; i++) check_case(&cases[i], backend);
    backend->interface->destroy(backend);
}

/* ---- pictures without variation, and at the ends of the range ---- */

enum { PICTURE_KINDS = 6 };

static float degenerate(int kind, int row, int column, int channel)
{
    static const float flat[3] = {0.9F, 0.2F, 0.4F};
    switch (kind) {
    case 0: return 0.0F;
    case 1: return 1.0F;
    case 2: return 0.5F;
    case 3: return flat[channel];
    case 4: return (float)((row + column) % 2);
    default: return channel == 0 ? 1.0F : 0.0F;
    }
}

static void check_degenerate(const struct reward_case *reward_case, struct backend *backend, int kind)
{
    static float pixels[SAMPLES], gradient[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) pixels[i] = degenerate(kind, i / (3 * WIDTH) % HEIGHT, i / 3 % WIDTH, i % 3);
    const struct picture_batch pictures = {pixels, PICTURES_NHWC, BATCH, HEIGHT, WIDTH, prompts, NULL};
    struct reward *reward = make_reward(reward_case->name, reward_case->params);
    const struct reward_kind *row = reward_kind_of(reward);
    double scores[BATCH];
    assert_success(reward_score_pictures(reward, backend, &pictures, scores, gradient));
    for (int i = 0; i < BATCH; i++)
        if (!(isfinite(scores[i]) && scores[i] >= row->low - 1e-6 && scores[i] <= row->high + 1e-6))
            fail_msg("%s scores picture kind %d %g, outside %g to %g", row->name, kind, scores[i], row->low, row->high);
    for (int i = 0; i < SAMPLES; i++)
        if (!isfinite(gradient[i])) fail_msg("%s: the gradient on picture kind %d is not finite", row->name, kind);
    reward_destroy(reward);
}

static void check_degenerate_on(struct backend *backend)
{
    for (int i = 0; i < case_count; i++)
        for (int kind = 0; kind < PICTURE_KINDS; kind++) check_degenerate(&cases[i], backend, kind);
    backend->interface->destroy(backend);
}

static void test_degenerate_pictures(void **state)
{
    (void)state;
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    check_degenerate_on(backend);
    assert_success(backend_cpu_create(1, &backend));
    check_degenerate_on(backend);
}

/* ---- layouts ---- */

static void test_layouts_agree(void **state)
{
    (void)state;
    static float rows[SAMPLES], planes[SAMPLES], row_gradient[SAMPLES], plane_gradient[SAMPLES];
    uint64_t random = 5;
    for (int b = 0; b < BATCH; b++)
        for (int p = 0; p < HEIGHT * WIDTH; p++)
            for (int c = 0; c < 3; c++)
                rows[(b * HEIGHT * WIDTH + p) * 3 + c] = planes[(b * 3 + c) * HEIGHT * WIDTH + p] =
                    (float)random_unit(&random);
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    struct reward *reward = make_reward("colorfulness", NULL);
    double row_scores[BATCH], plane_scores[BATCH];
    const struct picture_batch as_rows = {rows, PICTURES_NHWC, BATCH, HEIGHT, WIDTH, NULL, NULL};
    const struct picture_batch as_planes = {planes, PICTURES_NCHW, BATCH, HEIGHT, WIDTH, NULL, NULL};
    assert_success(reward_score_pictures(reward, backend, &as_rows, row_scores, row_gradient));
    assert_success(reward_score_pictures(reward, backend, &as_planes, plane_scores, plane_gradient));
    for (int b = 0; b < BATCH; b++) {
        assert_true(row_scores[b] == plane_scores[b]);
        for (int p = 0; p < HEIGHT * WIDTH; p++)
            for (int c = 0; c < 3; c++)
                assert_true(row_gradient[(b * HEIGHT * WIDTH + p) * 3 + c] ==
                            plane_gradient[(b * 3 + c) * HEIGHT * WIDTH + p]);
    }
    rows[7] = NAN;
    assert_int_equal(reward_score_pictures(reward, backend, &as_rows, row_scores, NULL).code, STATUS_BAD_INPUT);
    reward_destroy(reward);
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_central_differences),
                                       cmocka_unit_test(test_degenerate_pictures),
                                       cmocka_unit_test(test_layouts_agree)};
    return cmocka_run_group_tests(tests, list_cases, NULL);
}
