/* Figures of pictures whose answer is known. */
#include "engine/tuning/appearance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIDE = 16 };

static void fill(float *picture, float red, float green, float blue)
{
    for (int i = 0; i < SIDE * SIDE; i++) {
        picture[3 * i] = red;
        picture[3 * i + 1] = green;
        picture[3 * i + 2] = blue;
    }
}

static void a_flat_ground_has_no_edges(void **state)
{
    (void)state;
    float picture[SIDE * SIDE * 3];
    fill(picture, 0.9F, 0.5F, 0.2F);
    struct appearance looks = appearance_measure(picture, SIDE, SIDE);
    assert_true(looks.dark == 0 && looks.edges == 0);
    assert_float_equal(looks.saturation, 0.7, 1e-6);
    fill(picture, 0, 0, 0);
    looks = appearance_measure(picture, SIDE, SIDE);
    assert_true(looks.dark == 1 && looks.edges == 0 && looks.saturation == 0);
}

static void a_boundary_is_counted_once_on_its_left_or_upper_side(void **state)
{
    (void)state;
    float picture[SIDE * SIDE * 3];
    fill(picture, 0, 0, 0);
    for (int y = 0; y < SIDE; y++)
        for (int x = SIDE / 2; x < SIDE; x++)
            for (int c = 0; c < 3; c++) picture[(y * SIDE + x) * 3 + c] = 1;
    struct appearance looks = appearance_measure(picture, SIDE, SIDE);
    assert_float_equal(looks.edges, 1.0 / SIDE, 1e-9);
    assert_float_equal(looks.dark, 0.5, 1e-9);
}

/* Wider than what is measured at a time, and no multiple of it. */
static void every_pixel_of_a_wide_picture_counts(void **state)
{
    (void)state;
    enum { WIDTH = 700, HEIGHT = 3 };
    static float picture[HEIGHT * WIDTH * 3], luma[HEIGHT + 1][WIDTH + 1];
    double dark = 0, edges = 0, saturation = 0;
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++) picture[i] = (float)(i * 7919 % 997) / 997;
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        const float *p = picture + 3 * i;
        luma[i / WIDTH][i % WIDTH] = 0.299F * p[0] + 0.587F * p[1] + 0.114F * p[2];
        saturation += fmax(p[0], fmax(p[1], p[2])) - fmin(p[0], fmin(p[1], p[2]));
    }
    for (int y = 0; y < HEIGHT; y++) luma[y][WIDTH] = luma[y][WIDTH - 1];
    for (int x = 0; x < WIDTH; x++) luma[HEIGHT][x] = luma[HEIGHT - 1][x];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            dark += luma[y][x] < 0.1F;
            edges += fabsf(luma[y][x + 1] - luma[y][x]) > 0.1F || fabsf(luma[y + 1][x] - luma[y][x]) > 0.1F;
        }
    struct appearance looks = appearance_measure(picture, HEIGHT, WIDTH);
    assert_true(dark > 10 && edges > 10 && edges < HEIGHT * WIDTH);
    assert_float_equal(looks.dark, dark / (HEIGHT * WIDTH), 1e-12);
    assert_float_equal(looks.edges, edges / (HEIGHT * WIDTH), 1e-12);
    assert_float_equal(looks.saturation, saturation / (HEIGHT * WIDTH), 1e-6);
}

static void green_counts_most_in_the_luma(void **state)
{
    (void)state;
    float picture[SIDE * SIDE * 3];
    fill(picture, 0, 0.18F, 0); /* luma 0.106 */
    assert_true(appearance_measure(picture, SIDE, SIDE).dark == 0);
    fill(picture, 0.3F, 0, 0); /* 0.090 */
    assert_true(appearance_measure(picture, SIDE, SIDE).dark == 1);
}

static void diversity_is_the_mean_difference_of_pairs(void **state)
{
    (void)state;
    float picture[SIDE * SIDE * 3], thumbnails[3 * THUMBNAIL_VALUES];
    const float levels[3] = {0, 0, 0.6F};
    for (int i = 0; i < 3; i++) {
        fill(picture, levels[i], levels[i], levels[i]);
        appearance_thumbnail(picture, SIDE, SIDE, thumbnails + i * THUMBNAIL_VALUES);
    }
    assert_float_equal(appearance_diversity(thumbnails, 2), 0, 1e-9);
    assert_float_equal(appearance_diversity(thumbnails, 3), 0.4, 1e-6);
    assert_true(appearance_diversity(thumbnails, 1) == 0);
}

static void a_thumbnail_holds_the_mean_of_each_field(void **state)
{
    (void)state;
    float picture[SIDE * SIDE * 3], thumbnail[THUMBNAIL_VALUES];
    fill(picture, 0, 0, 0);
    picture[(2 * SIDE + 3) * 3 + 1] = 1; /* row 2, column 3: field 1, 1; one of its four pixels */
    appearance_thumbnail(picture, SIDE, SIDE, thumbnail);
    for (int i = 0; i < THUMBNAIL_VALUES; i++)
        assert_float_equal(thumbnail[i], i == (1 * THUMBNAIL_SIDE + 1) * 3 + 1 ? 0.25 : 0, 1e-6);
    appearance_thumbnail(picture, 3, 5, thumbnail); /* smaller than the thumbnail: reads nothing outside */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flat_ground_has_no_edges),
        cmocka_unit_test(a_boundary_is_counted_once_on_its_left_or_upper_side),
        cmocka_unit_test(every_pixel_of_a_wide_picture_counts),
        cmocka_unit_test(green_counts_most_in_the_luma),
        cmocka_unit_test(diversity_is_the_mean_difference_of_pairs),
        cmocka_unit_test(a_thumbnail_holds_the_mean_of_each_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
