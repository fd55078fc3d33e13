#include "kernels/cuda/product.h"

/* Matrix products and convolutions as implicit matrix products on 16-bit matrix instructions, accumulated in fp32.
 *
 * A block computes a square tile of the result. Tiles of both operands pass through shared memory in STAGES stages:
 * while one is multiplied, the copies of the next two are under way. A convolution's windows are gathered by the
 * copies; no column matrix is ever written. Rows of a tile are PAD elements longer than they need be, so that the eight
 * rows that a matrix load reads at once lie in different banks. */

enum { DEPTH = 32, STAGES = 3, PAD = 8, CHUNK = 8, FINE = 16, COARSE_SMALL = 64, COARSE_LARGE = 128 };

template <int tile> struct tiling {
    static const int warps_along_m = 2, warps_along_n = tile / 32;
    static const int threads = warps_along_m * warps_along_n * WARP_THREADS;
    static const int warp_rows = tile / warps_along_m, warp_columns = tile / warps_along_n;
    static const int row_blocks = warp_rows / 16, column_blocks = warp_columns / 8;
    static const int chunks = tile * DEPTH / CHUNK / threads; /* of one operand's tile, by thread */
};

/* Pitch and size of an operand's tile: [tile][DEPTH], or [DEPTH][tile] where rows are neighbours in memory. */
template <int tile, bool columns> struct tile_shape {
    static const int pitch = (columns ? tile : DEPTH) + PAD;
    static const int elements = (columns ? (int)DEPTH : tile) * pitch;
};

/* A chunk's element i as it is in memory, 0 outside the operand. */
DEVICE uint16_t chunk_element(const struct product &product, const struct operand_view &view, int64_t item,
                              int64_t rows, int64_t row, int64_t depth, int64_t end, bool is_b)
{
    if (row >= rows || depth >= end) return 0;
    int64_t place = operand_place(product, view, row, depth, is_b);
    return place < 0 ? (uint16_t)0 : static_cast<const uint16_t *>(view.array.data)[item * view.step + place];
}

/* One thread's part in filling the tiles of one operand. */
template <int tile, bool columns, bool is_b> struct loader {
    typedef tiling<tile> shape;
    int64_t first_row, rows;
    struct pixel pixel[shape::chunks]; /* of the rows that this thread copies, where they are pixels */

    DEVICE_MEMBER int row_of(int i) const
    {
        int chunk = thread_index() + i * shape::threads;
        return columns ? chunk % (tile / CHUNK) * CHUNK : chunk / (DEPTH / CHUNK);
    }
    DEVICE_MEMBER int depth_of(int i) const
    {
        int chunk = thread_index() + i * shape::threads;
        return columns ? chunk / (tile / CHUNK) : chunk % (DEPTH / CHUNK) * CHUNK;
    }

    DEVICE_MEMBER void start(const struct product &product, const struct operand_view &view)
    {
        rows = is_b ? product.n : product.m;
        first_row = (int64_t)(is_b ? block_y() : block_x()) * tile;
        UNROLL for (int i = 0; i < shape::chunks; i++) if (!is_b && view.layout == OPERAND_WINDOWS) pixel[i] =
            pixel_of(product.window, first_row + row_of(i));
    }

    /* Index of the chunk's first element; -1: zeros. All eight lie in one row, one depth or one tap. */
    DEVICE_MEMBER int64_t chunk_place(const struct product &product, const struct operand_view &view, int i,
                                      int64_t row, int64_t depth, int64_t end) const
    {
        if (row >= rows || depth >= end) return -1;
        if (view.layout == OPERAND_WINDOWS)
            return is_b ? window_element(product.window, pixel_of(product.window, depth), row)
                        : window_element(product.window, pixel[i], depth);
        if (is_b && view.layout == OPERAND_TAPS) return tap_element(product.window, view.leading, row, depth);
        return columns ? depth * view.leading + row : row * view.leading + depth;
    }

    DEVICE_MEMBER void load(const struct product &product, const struct operand_view &view, shared_array<uint16_t> to,
                            int64_t item, int64_t first_depth, int64_t end) const
    {
        const uint16_t *data = static_cast<const uint16_t *>(view.array.data) + item * view.step;
        UNROLL for (int i = 0; i < shape::chunks; i++)
        {
            int row = row_of(i), depth = depth_of(i);
            int place = columns ? depth * tile_shape<tile, columns>::pitch + row
                                : row * tile_shape<tile, columns>::pitch + depth;
            if (view.wide) {
                int64_t from = chunk_place(product, view, i, first_row + row, first_depth + depth, end);
                copy_async(to, place, data + (from < 0 ? 0 : from), from >= 0);
            } else {
                ROLLED for (int e = 0; e < CHUNK; e++) to[place + e] =
                    chunk_element(product, view, item, rows, first_row + row + (columns ? e : 0),
                                  first_depth + depth + (columns ? 0 : e), end, is_b);
            }
        }
    }
};

/* The fragments of 16 rows of a at depth k. */
template <int tile, bool columns> DEVICE void load_a(uint32_t fragment[4], shared_array<uint16_t> a, int row, int k)
{
    const int pitch = tile_shape<tile, columns>::pitch;
    int lane = lane_index();
    if (columns)
        load_matrices_transposed(fragment, a, (k + lane / 16 * 8 + lane % 8) * pitch + row + lane / 8 % 2 * 8);
    else
        load_matrices(fragment, a, (row + lane % 16) * pitch + k + lane / 16 * 8);
}

/* The fragments of 16 rows of b (columns of the result) at depth k: two for each block of 8. */
template <int tile, bool columns> DEVICE void load_b(uint32_t fragment[4], shared_array<uint16_t> b, int row, int k)
{
    const int pitch = tile_shape<tile, columns>::pitch;
    int lane = lane_index();
    if (columns)
        load_matrices_transposed(fragment, b, (k + lane / 8 % 2 * 8 + lane % 8) * pitch + row + lane / 16 * 8);
    else
        load_matrices(fragment, b, (row + lane / 16 * 8 + lane % 8) * pitch + k + lane / 8 % 2 * 8);
}

/* Adds two neighbours of an array of 16-bit numbers. */
DEVICE void add_pair(const struct array &array, int64_t place, float &low, float &high)
{
    uint32_t word = *reinterpret_cast<const uint32_t *>(static_cast<const uint16_t *>(array.data) + place);
    uint16_t first = (uint16_t)(word & 0xffffu), second = (uint16_t)(word >> 16);
    bool brain = array.type == ELEMENT_BF16;
    low += brain ? bfloat16_to_float(first) : float16_to_float(first);
    high += brain ? bfloat16_to_float(second) : float16_to_float(second);
}

/* Two neighbours of the result's row. */
template <class Format>
DEVICE void store_pair(const struct product &product, const struct block_part &part, float *partial, int64_t row,
                       int64_t column, float first, float second, bool pairs)
{
    if (row >= product.m || column >= product.n) return;
    bool both = column + 1 < product.n;
    if (product.splits > 1) {
        float *place = partial + partial_place(product, part, row, column);
        place[0] = first;
        if (both) place[1] = second;
    } else if (pairs) {
        float low = first * product.alpha, high = second * product.alpha;
        if (product.bias.data) {
            low += load(product.bias, column);
            high += load(product.bias, column + 1);
        }
        int64_t place = (part.item * product.m + row) * product.n + column;
        if (product.residual.data) add_pair(product.residual, place, low, high);
        *reinterpret_cast<uint32_t *>(static_cast<uint16_t *>(product.c.data) + place) = round_pair<Format>(low, high);
    } else {
        store_result(product, part.item, row, column, first);
        if (both) store_result(product, part.item, row, column + 1, second);
    }
}

template <class Format, int tile, bool a_columns, bool b_columns>
KERNEL(tiling<tile>::threads)
product_kernel(struct product product, float *partial, bool pairs)
{
    typedef tiling<tile> shape;
    const int a_elements = tile_shape<tile, a_columns>::elements, b_elements = tile_shape<tile, b_columns>::elements;
    const int stage_bytes = (a_elements + b_elements) * (int)sizeof(uint16_t);
    struct block_part part = own_part(product, DEPTH);
    int tiles = (int)((part.end - part.start + DEPTH - 1) / DEPTH);
    loader<tile, a_columns, false> a_loader;
    loader<tile, b_columns, true> b_loader;
    a_loader.start(product, product.a);
    b_loader.start(product, product.b);
    auto start_tile = [&](int index) {
        if (index < tiles) {
            int base = index % STAGES * stage_bytes;
            int64_t depth = part.start + (int64_t)index * DEPTH;
            a_loader.load(product, product.a, shared_memory<uint16_t>(base), part.item, depth, part.end);
            b_loader.load(product, product.b, shared_memory<uint16_t>(base + a_elements * (int)sizeof(uint16_t)),
                          part.item, depth, part.end);
        }
        copy_async_commit();
    };
    int row = warp_index() % shape::warps_along_m * shape::warp_rows;
    int column = warp_index() / shape::warps_along_m * shape::warp_columns;
    float sum[shape::row_blocks][shape::column_blocks][4] = {};
    /* The first rounds only start copies. */
    ROLLED for (int index = 1 - STAGES; index < tiles; index++)
    {
        copy_async_wait<STAGES - 2>();
        synchronize_block();
        start_tile(index + STAGES - 1);
        if (index < 0) continue;
        shared_array<uint16_t> a = shared_memory<uint16_t>(index % STAGES * stage_bytes);
        shared_array<uint16_t> b =
            shared_memory<uint16_t>(index % STAGES * stage_bytes + a_elements * (int)sizeof(uint16_t));
        UNROLL for (int k = 0; k < DEPTH; k += FINE)
        {
            uint32_t a_fragment[shape::row_blocks][4], b_fragment[shape::column_blocks / 2][4];
            UNROLL for (int i = 0; i < shape::row_blocks; i++)
                load_a<tile, a_columns>(a_fragment[i], a, row + 16 * i, k);
            UNROLL for (int j = 0; j < shape::column_blocks / 2; j++)
                load_b<tile, b_columns>(b_fragment[j], b, column + 16 * j, k);
            UNROLL for (int i = 0; i < shape::row_blocks; i++) UNROLL for (int j = 0; j < shape::column_blocks; j++)
                matrix_multiply_add<Format>(sum[i][j], a_fragment[i], b_fragment[j / 2] + j % 2 * 2);
        }
    }
    copy_async_wait<0>();

    int64_t first_row = (int64_t)block_x() * tile + row + lane_index() / 4;
    int64_t first_column = (int64_t)block_y() * tile + column + lane_index() % 4 * 2;
    UNROLL for (int i = 0; i < shape::row_blocks; i++) UNROLL for (int j = 0; j < shape::column_blocks; j++)
        UNROLL for (int half = 0; half < 2; half++)
            store_pair<Format>(product, part, partial, first_row + 16 * i + 8 * half, first_column + 8 * j,
                               sum[i][j][2 * half], sum[i][j][2 * half + 1], pairs);
}

/* ---- choosing ---- */

static bool columns_of(const struct operand_view &view, bool is_b)
{
    return view.layout == OPERAND_COLUMNS || view.layout == OPERAND_TAPS || (view.layout == OPERAND_WINDOWS && is_b);
}

/* Whether eight neighbours from a multiple of 8 on can be copied at once. */
static bool wide_view(const struct product &product, const struct operand_view &view, bool is_b)
{
    if (view.step % CHUNK != 0) return false;
    switch (view.layout) {
    case OPERAND_ROWS: return view.leading % CHUNK == 0 && product.k % CHUNK == 0;
    case OPERAND_COLUMNS: return view.leading % CHUNK == 0 && (is_b ? product.n : product.m) % CHUNK == 0;
    case OPERAND_TAPS: return view.leading % CHUNK == 0; /* rows past the last are zeros up to `leading` */
    default: return product.window.channels % CHUNK == 0;
    }
}

static int64_t blocks_of(const struct product &product, int tile)
{
    return product.batch * blocks_for(product.m, tile) * blocks_for(product.n, tile);
}

/* As many parts of the depth as fill the device, each at least 8 tiles deep. */
static int splits_for(const struct product &product, int64_t blocks, int multiprocessors)
{
    int64_t wanted = multiprocessors / blocks, most = product.k / (8 * DEPTH);
    if (wanted > most) wanted = most;
    if (wanted > 16) wanted = 16;
    return wanted < 1 ? 1 : (int)wanted;
}

extern "C" void plan_product(struct product *product, int multiprocessors)
{
    product->a.wide = wide_view(*product, product->a, false);
    product->b.wide = wide_view(*product, product->b, true);
    bool a_columns = columns_of(product->a, false), b_columns = columns_of(product->b, true);
    /* Only the combinations that layers need are compiled; both transposed is left to the plain kernel. */
    bool matrix = product->a.array.type == product->b.array.type && product->a.array.type != ELEMENT_F32 &&
                  (b_columns || !a_columns);
    int64_t large = blocks_of(*product, COARSE_LARGE);
    /* Tiles of 128 do more work for each byte of shared memory, if there are enough of them. */
    bool enough = large >= multiprocessors || (product->m >= 256 && product->n >= 256 && product->k >= 2048);
    product->kernel = !matrix ? PRODUCT_PLAIN : enough && !a_columns ? PRODUCT_LARGE : PRODUCT_SMALL;
    int64_t blocks = product->kernel == PRODUCT_LARGE ? large : blocks_of(*product, COARSE_SMALL);
    product->splits = splits_for(*product, blocks, multiprocessors);
}

extern "C" size_t product_scratch(const struct product *product)
{
    return product->splits > 1
               ? (size_t)product->splits * (size_t)(product->batch * product->m * product->n) * sizeof(float)
               : 0;
}

/* ---- launching ---- */

/* Whether two neighbours from an even index on are one word. */
static bool holds_pairs(const struct array &array)
{
    return array.type != ELEMENT_F32 && (uintptr_t)array.data % 4 == 0;
}

template <class Format, int tile, bool a_columns, bool b_columns>
static void launch_tiles(cudaStream_t stream, const struct product &product, float *partial, bool pairs)
{
    size_t stage = (size_t)(tile_shape<tile, a_columns>::elements + tile_shape<tile, b_columns>::elements);
    dim3 grid(blocks_for(product.m, tile), blocks_for(product.n, tile), (unsigned)(product.batch * product.splits));
    launch(product_kernel<Format, tile, a_columns, b_columns>, grid, tiling<tile>::threads,
           STAGES * stage * sizeof(uint16_t), stream, product, partial, pairs);
}

template <class Format>
static void launch_format(cudaStream_t stream, const struct product &product, float *partial, bool pairs)
{
    bool a_columns = columns_of(product.a, false), b_columns = columns_of(product.b, true);
    if (product.kernel == PRODUCT_LARGE && b_columns)
        launch_tiles<Format, COARSE_LARGE, false, true>(stream, product, partial, pairs);
    else if (product.kernel == PRODUCT_LARGE)
        launch_tiles<Format, COARSE_LARGE, false, false>(stream, product, partial, pairs);
    else if (a_columns)
        launch_tiles<Format, COARSE_SMALL, true, true>(stream, product, partial, pairs);
    else if (b_columns)
        launch_tiles<Format, COARSE_SMALL, false, true>(stream, product, partial, pairs);
    else
        launch_tiles<Format, COARSE_SMALL, false, false>(stream, product, partial, pairs);
}

extern "C" void launch_product(cudaStream_t stream, const struct product *planned, void *scratch)
{
    struct product product = *planned;
    float *partial = (float *)scratch;
    product.a.wide = product.a.wide && is_aligned(product.a.array);
    product.b.wide = product.b.wide && is_aligned(product.b.array);
    bool pairs = product.c.type == product.a.array.type && product.n % 2 == 0 && !product.accumulate &&
                 product.taps <= 1 && holds_pairs(product.c) &&
                 (!product.residual.data || holds_pairs(product.residual));
    if (product.kernel == PRODUCT_PLAIN)
        launch_product_plain(stream, &product, partial);
    else if (product.a.array.type == ELEMENT_BF16)
        launch_format<bfloat16_format>(stream, product, partial, pairs);
    else
        launch_format<float16_format>(stream, product, partial, pairs);
    if (product.splits > 1) launch_product_finish(stream, &product, partial);
}
