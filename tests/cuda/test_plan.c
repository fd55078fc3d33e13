/* How the products of Stable Diffusion 1.5 are divided on a GPU of 132 multiprocessors (H100, H200): printed as a
 * table, and held to how much of the device works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cuda/launch.h"

enum { MULTIPROCESSORS = 132, WARPGROUP_DEPTH = 64 };

enum form { LINEAR, CONVOLUTION, CONVOLUTION_BACKWARD };

struct layer {
    const char *name;
    enum form form;
    int maps, side;      /* of a convolution; rows of a linear layer are maps * side */
    int in, out, kernel; /* channels; a side of the window */
    int expected, width; /* kernel and, of warpgroups, the columns of its tiles */
    int splits;
    int percent; /* of the device that works, until the last round of blocks has ended */
};

/* At 512x512, one picture with guidance; the decoder and the encoder of the prompt. */
static const struct layer layers[] = {
    {"3x3 at 64x64, 320", CONVOLUTION, 2, 64, 320, 320, 3, PRODUCT_WARPGROUP, 160, 1, 96},
    {"3x3 at 64x64, 960 to 320", CONVOLUTION, 2, 64, 960, 320, 3, PRODUCT_WARPGROUP, 160, 1, 96},
    {"3x3 at 32x32, 640", CONVOLUTION, 2, 32, 640, 640, 3, PRODUCT_WARPGROUP, 160, 2, 96},
    {"3x3 at 32x32, 1920 to 640", CONVOLUTION, 2, 32, 1920, 640, 3, PRODUCT_WARPGROUP, 160, 2, 96},
    {"3x3 at 16x16, 1280", CONVOLUTION, 2, 16, 1280, 1280, 3, PRODUCT_WARPGROUP, 160, 4, 96},
    {"3x3 at 8x8, 1280", CONVOLUTION, 2, 8, 1280, 1280, 3, PRODUCT_WARPGROUP, 128, 13, 98},
    {"3x3 at 8x8, 2560 to 1280", CONVOLUTION, 2, 8, 2560, 1280, 3, PRODUCT_WARPGROUP, 128, 13, 98},
    {"3x3 at 64x64, 320, backward", CONVOLUTION_BACKWARD, 2, 64, 320, 320, 3, PRODUCT_WARPGROUP, 160, 1, 96},
    {"3x3 at 8x8, 1280, backward", CONVOLUTION_BACKWARD, 2, 8, 1280, 1280, 3, PRODUCT_WARPGROUP, 128, 13, 98},
    {"3x3 at 64x64, 320, 16 pictures", CONVOLUTION, 32, 64, 320, 320, 3, PRODUCT_WARPGROUP, 160, 1, 96},
    {"3x3 at 8x8, 1280, 16 pictures", CONVOLUTION, 32, 8, 1280, 1280, 3, PRODUCT_WARPGROUP, 160, 1, 96},
    {"from 4 channels", CONVOLUTION, 2, 64, 8, 320, 3, PRODUCT_LARGE, 0, 1, 72},
    {"to 4 channels", CONVOLUTION, 2, 64, 320, 4, 3, PRODUCT_SMALL, 0, 1, 96},
    {"attention's q, 64x64", LINEAR, 2, 4096, 320, 320, 1, PRODUCT_WARPGROUP, 160, 1, 96},
    {"attention's q, k and v, 64x64", LINEAR, 2, 4096, 320, 960, 1, PRODUCT_WARPGROUP, 160, 1, 96},
    {"feed-forward, 64x64", LINEAR, 2, 4096, 320, 2560, 1, PRODUCT_WARPGROUP, 160, 1, 96},
    {"attention's q, 32x32", LINEAR, 2, 1024, 640, 640, 1, PRODUCT_WARPGROUP, 128, 1, 60},
    {"attention's q, 16x16", LINEAR, 2, 256, 1280, 1280, 1, PRODUCT_WARPGROUP, 128, 2, 60},
    {"attention's q, 8x8", LINEAR, 2, 64, 1280, 1280, 1, PRODUCT_WARPGROUP, 128, 2, 15},
    {"an adapter's first factor, 64x64", LINEAR, 2, 4096, 320, 16, 1, PRODUCT_SMALL, 0, 1, 96},
    {"an adapter's second factor, 64x64", LINEAR, 2, 4096, 16, 320, 1, PRODUCT_LARGE, 0, 1, 72},
    {"decoder's 3x3 at 64x64, 512", CONVOLUTION, 1, 64, 512, 512, 3, PRODUCT_WARPGROUP, 128, 1, 96},
    {"decoder's 3x3 at 256x256, 256", CONVOLUTION, 1, 256, 256, 256, 3, PRODUCT_WARPGROUP, 128, 1, 96},
    {"decoder's 3x3 at 512x512, 128", CONVOLUTION, 1, 512, 128, 128, 3, PRODUCT_WARPGROUP, 128, 1, 96},
    {"to a picture, backward", CONVOLUTION_BACKWARD, 1, 512, 128, 8, 3, PRODUCT_LARGE, 0, 1, 96},
    {"patches of CLIP's picture", LINEAR, 1, 256, 1568, 1024, 1, PRODUCT_WARPGROUP, 128, 3, 36},
};

static struct window window_of(const struct layer *layer)
{
    bool backward = layer->form == CONVOLUTION_BACKWARD;
    int channels = backward ? layer->out : layer->in;
    return (struct window){.height = layer->side,
                           .width = layer->side,
                           .channels = channels,
                           .packed_channels = channels,
                           .padded = channels,
                           .pixel_rows = layer->side,
                           .pixel_columns = layer->side,
                           .kernel_rows = layer->kernel,
                           .kernel_columns = layer->kernel,
                           .multiply = 1,
                           .row_offset = backward ? 1 : -1,
                           .column_offset = backward ? 1 : -1,
                           .sign = backward ? -1 : 1,
                           .divide = 1,
                           .phases = 1};
}

static struct product product_of(const struct layer *layer)
{
    struct product product = {.batch = 1, .alpha = 1, .taps = 1, .c = {NULL, ELEMENT_BF16}};
    product.a.array.type = product.b.array.type = ELEMENT_BF16;
    if (layer->form == LINEAR) {
        product.m = layer->maps * layer->side;
        product.n = layer->out;
        product.k = product.a.leading = product.b.leading = layer->in;
        return product;
    }
    bool backward = layer->form == CONVOLUTION_BACKWARD;
    product.window = window_of(layer);
    product.m = layer->maps * layer->side * layer->side;
    product.n = backward ? layer->in : layer->out;
    product.k = layer->kernel * layer->kernel * product.window.channels;
    product.a.layout = OPERAND_WINDOWS;
    product.b.layout = backward ? OPERAND_TAPS : OPERAND_ROWS;
    product.b.leading = backward ? layer->in : product.k;
    return product;
}

static int64_t blocks_of(const struct product *product)
{
    int rows = product->kernel == PRODUCT_WARPGROUP ? PRODUCT_WARPGROUP_ROWS
               : product->kernel == PRODUCT_LARGE   ? PRODUCT_LARGE_TILE
                                                    : PRODUCT_SMALL_TILE;
    int columns = product->kernel == PRODUCT_WARPGROUP ? product->width : rows;
    return (product->m + rows - 1) / rows * ((product->n + columns - 1) / columns) * product->splits;
}

static void test_layers(void **unused)
{
    (void)unused;
    static const char *const message[] = {
        [PRODUCT_PLAIN] = "plain", [PRODUCT_SMALL] = "64", [PRODUCT_LARGE] = "128", [PRODUCT_WARPGROUP] = "warpgroup"};
    const struct product_device device = {.multiprocessors = MULTIPROCESSORS, .warpgroups = true};
    int wrong = 0;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct layer *layer = &layers[i];
        struct product product = product_of(layer);
        plan_product(&product, &device);
        int64_t blocks = blocks_of(&product), rounds = (blocks + MULTIPROCESSORS - 1) / MULTIPROCESSORS;
        int percent = (int)(100 * blocks / (rounds * MULTIPROCESSORS));
        bool as_expected = product.kernel == layer->expected && product.splits == layer->splits &&
                           (product.kernel != PRODUCT_WARPGROUP || product.width == layer->width) &&
                           percent == layer->percent;
        printf("%-36s %6ld x %5ld x %6ld: %-9s %3d, %2d parts, %5ld blocks, %3d %% at work%s\n", layer->name,
               (long)product.m, (long)product.n, (long)product.k, message[product.kernel], product.width,
               product.splits, (long)blocks, percent, as_expected ? "" : " (not as expected)");
        wrong += !as_expected;
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
