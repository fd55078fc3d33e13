/* The smooth JPEG size against the files that libjpeg writes. */
#include "engine/reward/jpeg_tables.h"
#include "kernels/backend.h"
#include "reward_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEIGHT = 104, WIDTH = 120, SAMPLES = HEIGHT * WIDTH * 3 };

/* A soft ground with discs on it, and grain of the given strength in grey levels. */
static void draw(float *pixels, int discs, double grain, uint64_t seed)
{
    uint64_t random = seed;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            float *pixel = pixels + (y * WIDTH + x) * 3;
            pixel[0] = 0.3F + 0.002F * (float)x;
            pixel[1] = 0.6F - 0.001F * (float)y;
            pixel[2] = 0.8F;
        }
    for (int i = 0; i < discs; i++) {
        double cx = random_unit(&random) * WIDTH, cy = random_unit(&random) * HEIGHT;
        double radius = 5 + 20 * random_unit(&random);
        float color[3];
        for (int c = 0; c < 3; c++) color[c] = (float)random_unit(&random);
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                if (hypot(x - cx, y - cy) < radius) memcpy(pixels + (y * WIDTH + x) * 3, color, sizeof color);
    }
    for (int i = 0; i < SAMPLES; i++) {
        double noise = (random_unit(&random) + random_unit(&random) - 1.0) * 2.45 * grain / 255.0;
        double value = pixels[i] + noise;
        pixels[i] = (float)(round(255.0 * (value < 0 ? 0 : value > 1 ? 1 : value)) / 255.0);
    }
}

static void test_near_the_real_size(void **state)
{
    (void)state;
    static float pixels[SAMPLES];
    static const int qualities[] = {25, 50, 75, 90, 95};
    static const struct {
        int discs;
        double grain;
    } pictures[] = {{3, 0}, {3, 2}, {25, 0}, {25, 4}, {120, 1}};
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    double worst = 0, sum = 0;
    for (int q = 0; q < 5; q++)
        for (int k = 0; k < 5; k++) {
            char params[40];
            snprintf(params, sizeof params, "{\"quality\": %d}", qualities[q]);
            draw(pixels, pictures[k].discs, pictures[k].grain, (uint64_t)k + 1);
            struct reward *reward = make_reward("jpeg", params);
            const struct picture_batch batch = {
                .pixels = pixels, .layout = PICTURES_NHWC, .count = 1, .height = HEIGHT, .width = WIDTH};
            double score, real;
            const char *name;
            assert_success(reward_score_pictures(reward, backend, &batch, &score, NULL));
            assert_true(reward_side_figure(reward, pixels, HEIGHT, WIDTH, &name, &real));
            assert_string_equal(name, "jpeg_kb");
            double error = (-score - real) / real;
            print_message("quality %d picture %d: smooth %.3f real %.3f KB (%+.1f %%)\n", qualities[q], k, -score, real,
                          100 * error);
            worst = fmax(worst, fabs(error));
            sum += fabs(error);
            reward_destroy(reward);
        }
    print_message("mean error %.1f %%, worst %.1f %%\n", 100 * sum / 25, 100 * worst);
    assert_true(sum / 25 < 0.06);
    assert_true(worst < 0.20);
    backend->interface->destroy(backend);
}

/* Blocks of black and white, `side` pixels wide, as the pattern of a fixed random stream. */
static void draw_blocks(float *pixels, int side)
{
    uint64_t random = 7;
    static float cells[HEIGHT][WIDTH];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) cells[y][x] = random_unit(&random) < 0.5 ? 0.0F : 1.0F;
    for (int i = 0; i < SAMPLES; i++) pixels[i] = cells[i / 3 / WIDTH / side][i / 3 % WIDTH / side];
}

/* What jpeg.c says of pictures that were not fitted: sharp blocks are told too small, by 39 % at most. */
static void test_black_and_white_blocks(void **state)
{
    (void)state;
    static float pixels[SAMPLES];
    static const int sides[] = {4, 5, 8, 10, 16, 20}, qualities[] = {25, 75, 95};
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    double least = 0, most = 0;
    for (int s = 0; s < 6; s++)
        for (int q = 0; q < 3; q++) {
            char params[40];
            snprintf(params, sizeof params, "{\"quality\": %d}", qualities[q]);
            draw_blocks(pixels, sides[s]);
            struct reward *reward = make_reward("jpeg", params);
            const struct picture_batch batch = {
                .pixels = pixels, .layout = PICTURES_NHWC, .count = 1, .height = HEIGHT, .width = WIDTH};
            double score, real;
            const char *name;
            assert_success(reward_score_pictures(reward, backend, &batch, &score, NULL));
            assert_true(reward_side_figure(reward, pixels, HEIGHT, WIDTH, &name, &real));
            double error = (-score - real) / real;
            print_message("quality %d blocks of %d: %+.1f %%\n", qualities[q], sides[s], 100 * error);
            least = fmin(least, error);
            most = fmax(most, error);
            reward_destroy(reward);
        }
    assert_true(least > -0.39 && least < -0.2);
    assert_true(most < 0.1);
    backend->interface->destroy(backend);
}

/* Bytes give what their values as samples give. */
static void test_scores_of_bytes(void **state)
{
    (void)state;
    static float pixels[SAMPLES];
    static unsigned char bytes[SAMPLES];
    struct backend *backend;
    assert_success(backend_cpu_create(1, &backend));
    draw(pixels, 25, 2, 3);
    for (int i = 0; i < SAMPLES; i++) bytes[i] = (unsigned char)lrintf(pixels[i] * 255.0F);
    struct reward *reward = make_reward("jpeg", NULL);
    struct picture_batch batch = {
        .pixels = pixels, .layout = PICTURES_NHWC, .count = 1, .height = HEIGHT, .width = WIDTH};
    double of_samples, of_bytes;
    assert_success(reward_score_pictures(reward, backend, &batch, &of_samples, NULL));
    batch.pixels = NULL;
    batch.bytes = bytes;
    assert_success(reward_score_pictures(reward, backend, &batch, &of_bytes, NULL));
    assert_true(fabs(of_bytes - of_samples) < 1e-5 * fabs(of_samples));
    reward_destroy(reward);
    backend->interface->destroy(backend);
}

/* Sizes that other libjpeg programs write for flat pictures, whose file is headers and one code a block. */
static void test_real_size(void **state)
{
    (void)state;
    static float grey[64 * 64 * 3];
    for (int i = 0; i < 64 * 64 * 3; i++) grey[i] = 0.5F;
    unsigned long small, large;
    assert_success(jpeg_real_size(grey, 16, 16, 95, &small));
    assert_success(jpeg_real_size(grey, 64, 64, 95, &large));
    assert_true(small > 600 && small < 660);
    assert_true(large > small && large < small + 64);
}

static void test_quantiser(void **state)
{
    (void)state;
    double step[8][8];
    jpeg_quantiser(JPEG_LUMA, 50, step);
    assert_true(step[0][0] == 16 && step[0][1] == 11 && step[1][0] == 12 && step[7][7] == 99);
    jpeg_quantiser(JPEG_CHROMA, 95, step);
    assert_true(step[0][0] == 2 && step[7][7] == 10);
    jpeg_quantiser(JPEG_LUMA, 100, step);
    assert_true(step[0][0] == 1 && step[7][7] == 1);
    jpeg_quantiser(JPEG_LUMA, 1, step);
    assert_true(step[0][0] == 255 && step[7][7] == 255);
}

static void test_no_side_figure_elsewhere(void **state)
{
    (void)state;
    struct reward *reward = make_reward("symmetry", NULL);
    float pixel[3] = {0};
    const char *name;
    double value;
    assert_false(reward_side_figure(reward, pixel, 1, 1, &name, &value));
    reward_destroy(reward);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near_the_real_size), cmocka_unit_test(test_black_and_white_blocks),
        cmocka_unit_test(test_scores_of_bytes),    cmocka_unit_test(test_real_size),
        cmocka_unit_test(test_quantiser),          cmocka_unit_test(test_no_side_figure_elsewhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
