/* Which kernel computes a product, in which tiles and in how many parts. */
#include "kernels/cuda/launch.h"

enum { CHUNK = 8, WARP_DEPTH = 32, WARPGROUP_DEPTH = 64, LEAST_TILES = 8, MOST_SPLITS = 16 };

static int64_t tiles_of(int64_t size, int tile)
{
    return (size + tile - 1) / tile;
}

bool product_reads_columns(const struct operand_view *view, bool is_b)
{
    return view->layout == OPERAND_COLUMNS || view->layout == OPERAND_TAPS || (view->layout == OPERAND_WINDOWS && is_b);
}

/* Sets the window's shift; false where the divisor is no power of two. */
static bool set_shift(struct window *window)
{
    int shift = 0;
    while (1 << shift < window->divide) shift++;
    window->shift = shift + window->doubled;
    return 1 << shift == window->divide;
}

/* Whether eight neighbours from a multiple of 8 on can be copied at once. */
static bool is_wide(const struct product *product, const struct operand_view *view, bool is_b)
{
    if (view->step % CHUNK != 0) return false;
    switch (view->layout) {
    case OPERAND_ROWS: return view->leading % CHUNK == 0 && product->k % CHUNK == 0;
    case OPERAND_COLUMNS: return view->leading % CHUNK == 0 && (is_b ? product->n : product->m) % CHUNK == 0;
    case OPERAND_TAPS: return view->leading % CHUNK == 0; /* rows past the last are zeros up to `leading` */
    default: return product->window.channels % CHUNK == 0;
    }
}

/* A dense operand a is a map of one line, seen through a window of one pixel. */
static struct window line_window(const struct product *product)
{
    return (struct window){.height = 1,
                           .width = (int)product->m,
                           .channels = (int)product->a.leading,
                           .padded = (int)product->a.leading,
                           .pixel_rows = 1,
                           .pixel_columns = (int)product->m,
                           .kernel_rows = 1,
                           .kernel_columns = 1,
                           .multiply = 1,
                           .sign = 1,
                           .divide = 1,
                           .phases = 1};
}

/* Whether matrix instructions can compute it: 16-bit operands of one type that can be copied wide. Both transposed is
 * left to the plain kernel: no layer needs it. */
static bool fits_matrix_instructions(struct product *product)
{
    bool a_columns = product_reads_columns(&product->a, false), b_columns = product_reads_columns(&product->b, true);
    if (product->a.array.type != product->b.array.type || product->a.array.type == ELEMENT_F32) return false;
    if (a_columns && !b_columns) return false;
    if (!is_wide(product, &product->a, false) || !is_wide(product, &product->b, true)) return false;
    if (product->a.layout == OPERAND_ROWS) product->window = line_window(product);
    return a_columns || set_shift(&product->window);
}

/* Whether it is worth a warpgroup's tiles, and its operands come in their order: pixels, and either whole rows or
 * depths of one tap a tile. */
static bool fits_warpgroups(const struct product *product)
{
    if (product_reads_columns(&product->a, false) || product->b.layout == OPERAND_WINDOWS) return false;
    if (product->b.layout == OPERAND_TAPS && product->window.padded % WARPGROUP_DEPTH != 0) return false;
    return product->m >= PRODUCT_SMALL_TILE && product->n >= PRODUCT_SMALL_TILE && product->k >= 4 * WARPGROUP_DEPTH;
}

/* As many parts of the depth as fill the device, each at least LEAST_TILES deep. */
static int splits_for(const struct product *product, int64_t blocks, int depth, int multiprocessors)
{
    int64_t wanted = multiprocessors / blocks, most = product->k / (LEAST_TILES * depth);
    if (wanted > most) wanted = most;
    if (wanted > MOST_SPLITS) wanted = MOST_SPLITS;
    return wanted < 1 ? 1 : (int)wanted;
}

static int64_t blocks_of(const struct product *product, int rows, int columns)
{
    return product->batch * tiles_of(product->m, rows) * tiles_of(product->n, columns);
}

/* Time in tiles of one column: a multiprocessor computes one block after another. */
static int64_t warpgroup_time(const struct product *product, int width, int multiprocessors)
{
    int64_t blocks = blocks_of(product, PRODUCT_WARPGROUP_ROWS, width);
    int splits = splits_for(product, blocks, WARPGROUP_DEPTH, multiprocessors);
    return (blocks * splits + multiprocessors - 1) / multiprocessors * width * (product->k / splits);
}

static void plan_warpgroups(struct product *product, const struct product_device *device)
{
    int multiprocessors = device->multiprocessors;
    /* In the same time, wider tiles read fewer bytes. */
    bool wider = warpgroup_time(product, 160, multiprocessors) <= warpgroup_time(product, 128, multiprocessors);
    product->kernel = PRODUCT_WARPGROUP;
    product->warp_specialized = device->warp_specialized;
    product->width = wider ? 160 : 128;
    product->splits = splits_for(product, blocks_of(product, PRODUCT_WARPGROUP_ROWS, product->width), WARPGROUP_DEPTH,
                                 multiprocessors);
}

static void plan_warps(struct product *product, int multiprocessors)
{
    int64_t large = blocks_of(product, PRODUCT_LARGE_TILE, PRODUCT_LARGE_TILE);
    /* Tiles of 128 do more work for each byte of shared memory, if there are enough of them. */
    bool enough = large >= multiprocessors || (product->m >= 256 && product->n >= 256 && product->k >= 2048);
    bool is_large = enough && !product_reads_columns(&product->a, false);
    product->kernel = is_large ? PRODUCT_LARGE : PRODUCT_SMALL;
    int64_t blocks = is_large ? large : blocks_of(product, PRODUCT_SMALL_TILE, PRODUCT_SMALL_TILE);
    product->splits = splits_for(product, blocks, WARP_DEPTH, multiprocessors);
}

void plan_product(struct product *product, const struct product_device *device)
{
    if (product->c_step == 0) product->c_step = product->n;
    if (!fits_matrix_instructions(product)) {
        product->kernel = PRODUCT_PLAIN;
        product->splits = splits_for(product, blocks_of(product, PRODUCT_SMALL_TILE, PRODUCT_SMALL_TILE), WARP_DEPTH,
                                     device->multiprocessors);
    } else if (device->warpgroups && fits_warpgroups(product)) {
        plan_warpgroups(product, device);
    } else {
        plan_warps(product, device->multiprocessors);
    }
}

size_t product_scratch(const struct product *product)
{
    if (product->splits <= 1) return 0;
    return (size_t)product->splits * (size_t)(product->batch * product->m * product->n) * sizeof(float);
}
