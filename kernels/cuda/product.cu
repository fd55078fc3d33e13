/* Matrix products and convolutions as implicit matrix products on 16-bit matrix instructions, accumulated in fp32.
 *
 * A block computes a square tile of the result. Tiles of both operands pass through shared memory in STAGES stages:
 * while one is multiplied, the copies of the next two are under way. A convolution's windows are gathered by the
 * copies; no column matrix is ever written. */
#include "kernels/cuda/product_gather.h"
#include "kernels/cuda/product_store.h"

enum { DEPTH = 32, STAGES = 3, PAD = 8, FINE = 16 };

template <int tile> struct tiling {
    static const int warps_along_m = 2, warps_along_n = tile / 32;
    static const int threads = warps_along_m * warps_along_n * WARP_THREADS;
    static const int warp_rows = tile / warps_along_m, warp_columns = tile / warps_along_n;
    static const int row_blocks = warp_rows / 16, column_blocks = warp_columns / 8;
};

/* Size and places of an operand's tile. The eight chunks that a copy writes or a matrix load reads at once lie in
 * different banks: of [tile][DEPTH], in lines of 64 bytes, chunk i of row r is found at i xor r / 2 % 4; of
 * [DEPTH][tile], where rows are neighbours in memory, lines are PAD elements longer than they need be. */
template <int tile, bool columns> struct tile_shape {
    static const int elements = tile * DEPTH;
    static __device__ __forceinline__ int at(int row, int depth)
    {
        return row * DEPTH + ((depth / CHUNK ^ (row >> 1 & 3)) * CHUNK);
    }
};
template <int tile> struct tile_shape<tile, true> {
    static const int pitch = tile + PAD, elements = DEPTH * pitch;
    static __device__ __forceinline__ int at(int row, int depth)
    {
        return depth * pitch + row;
    }
    static __device__ __forceinline__ struct chunk chunk(int index)
    {
        return {index % (tile / CHUNK) * CHUNK, index / (tile / CHUNK)};
    }
};

/* How an operand's tiles are filled. */
template <int tile, bool columns, bool is_b> struct gather {
    typedef column_gather<tile_shape<tile, true>, tile, DEPTH, tiling<tile>::threads, is_b, false> type;
};
template <int tile> struct gather<tile, false, false> {
    typedef pixel_gather<tile_shape<tile, false>, tile, DEPTH, tiling<tile>::threads> type;
};
template <int tile> struct gather<tile, false, true> {
    typedef row_gather<tile_shape<tile, false>, tile, DEPTH, tiling<tile>::threads> type;
};

/* The fragments of 16 rows of a at depth k. */
template <int tile, bool columns>
static __device__ __forceinline__ void load_a(uint32_t fragment[4], shared_array<uint16_t> a, int row, int k)
{
    typedef tile_shape<tile, columns> place;
    int lane = lane_index();
    if (columns)
        ldmatrix_x4_trans(fragment, a, place::at(row + lane / 8 % 2 * 8, k + lane / 16 * 8 + lane % 8));
    else
        ldmatrix_x4(fragment, a, place::at(row + lane % 16, k + lane / 16 * 8));
}

/* The fragments of 16 rows of b (columns of the result) at depth k: two for each block of 8. */
template <int tile, bool columns>
static __device__ __forceinline__ void load_b(uint32_t fragment[4], shared_array<uint16_t> b, int row, int k)
{
    typedef tile_shape<tile, columns> place;
    int lane = lane_index();
    if (columns)
        ldmatrix_x4_trans(fragment, b, place::at(row + lane / 16 * 8, k + lane / 8 % 2 * 8 + lane % 8));
    else
        ldmatrix_x4(fragment, b, place::at(row + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 8));
}

template <class Format, int tile, bool a_columns, bool b_columns>
static __global__ void __launch_bounds__(tiling<tile>::threads)
    product_kernel(struct product product, float *partial, bool wide)
{
    await_earlier_kernels();
    typedef tiling<tile> shape;
    const int a_elements = tile_shape<tile, a_columns>::elements, b_elements = tile_shape<tile, b_columns>::elements;
    const int stage_bytes = (a_elements + b_elements) * (int)sizeof(uint16_t);
    struct block_part part = own_part(product, DEPTH);
    int tiles = (int)((part.end - part.start + DEPTH - 1) / DEPTH);
    typename gather<tile, a_columns, false>::type a_gather;
    typename gather<tile, b_columns, true>::type b_gather;
    a_gather.start(product, part);
    b_gather.start(product, part);
    auto start_tile = [&](int index) {
        if (index < tiles) {
            int base = index % STAGES * stage_bytes;
            a_gather.load(product, shared_memory<uint16_t>(base));
            b_gather.load(product, shared_memory<uint16_t>(base + a_elements * (int)sizeof(uint16_t)));
        }
        cp_async_commit_group();
    };
    int row = warp_index() % shape::warps_along_m * shape::warp_rows;
    int column = warp_index() / shape::warps_along_m * shape::warp_columns;
    float sum[shape::row_blocks][shape::column_blocks][4] = {};
    /* The first rounds only start copies. */
#pragma unroll 1
    for (int index = 1 - STAGES; index < tiles; index++) {
        cp_async_wait_group<STAGES - 2>();
        __syncthreads();
        start_tile(index + STAGES - 1);
        if (index < 0) continue;
        shared_array<uint16_t> a = shared_memory<uint16_t>(index % STAGES * stage_bytes);
        shared_array<uint16_t> b =
            shared_memory<uint16_t>(index % STAGES * stage_bytes + a_elements * (int)sizeof(uint16_t));
#pragma unroll
        for (int k = 0; k < DEPTH; k += FINE) {
            uint32_t a_fragment[shape::row_blocks][4], b_fragment[shape::column_blocks / 2][4];
#pragma unroll
            for (int i = 0; i < shape::row_blocks; i++) load_a<tile, a_columns>(a_fragment[i], a, row + 16 * i, k);
#pragma unroll
            for (int j = 0; j < shape::column_blocks / 2; j++)
                load_b<tile, b_columns>(b_fragment[j], b, column + 16 * j, k);
#pragma unroll
            for (int i = 0; i < shape::row_blocks; i++)
#pragma unroll
                for (int j = 0; j < shape::column_blocks; j++)
                    mma_m16n8k16<Format>(sum[i][j], a_fragment[i], b_fragment[j / 2] + j % 2 * 2);
        }
    }
    cp_async_wait_group<0>();

    /* Shared memory holds the sums of one row of warps at a time. */
    shared_array<float> sums = shared_memory<float>(0);
    int own_row = lane_index() / 4, own_column = column + lane_index() % 4 * 2;
#pragma unroll 1
    for (int round = 0; round < shape::warps_along_m; round++) {
        __syncthreads();
        if (warp_index() % shape::warps_along_m == round) {
#pragma unroll
            for (int i = 0; i < shape::row_blocks; i++)
#pragma unroll
                for (int j = 0; j < shape::column_blocks; j++)
#pragma unroll
                    for (int half = 0; half < 2; half++)
                        store_pair(sums, tile_sums<tile>::at(own_row + 16 * i + half * 8, own_column + 8 * j),
                                   sum[i][j][2 * half], sum[i][j][2 * half + 1]);
        }
        __syncthreads();
        store_tile<shape::warp_rows, tile, shape::threads>(product, part, partial,
                                                           (int)blockIdx.x * (int64_t)tile + round * shape::warp_rows,
                                                           (int)blockIdx.y * (int64_t)tile, sums, wide);
    }
}

/* ---- launching ---- */

template <class Format, int tile, bool a_columns, bool b_columns>
static void launch_tiles(struct queue queue, const struct product &product, float *partial, bool wide)
{
    size_t stage = (size_t)(tile_shape<tile, a_columns>::elements + tile_shape<tile, b_columns>::elements);
    dim3 grid(blocks_for(product.m, tile), blocks_for(product.n, tile), (unsigned)(product.batch * product.splits));
    launch(product_kernel<Format, tile, a_columns, b_columns>, grid, tiling<tile>::threads,
           STAGES * stage * sizeof(uint16_t), queue, product, partial, wide);
}

template <class Format>
static void launch_format(struct queue queue, const struct product &product, float *partial, bool wide)
{
    bool a_columns = product_reads_columns(&product.a, false), b_columns = product_reads_columns(&product.b, true);
    if (product.kernel == PRODUCT_LARGE && b_columns)
        launch_tiles<Format, PRODUCT_LARGE_TILE, false, true>(queue, product, partial, wide);
    else if (product.kernel == PRODUCT_LARGE)
        launch_tiles<Format, PRODUCT_LARGE_TILE, false, false>(queue, product, partial, wide);
    else if (a_columns)
        launch_tiles<Format, PRODUCT_SMALL_TILE, true, true>(queue, product, partial, wide);
    else if (b_columns)
        launch_tiles<Format, PRODUCT_SMALL_TILE, false, true>(queue, product, partial, wide);
    else
        launch_tiles<Format, PRODUCT_SMALL_TILE, false, false>(queue, product, partial, wide);
}

/* Whether eight neighbours of the result can be written at once. */
static bool stores_eight(const struct product &product)
{
    return product.n % STORED == 0 && product.c_step % STORED == 0 && product.taps <= 1 && product.patches.size == 0 &&
           is_aligned(product.c) && is_aligned(product.bias) && is_aligned(product.residual);
}

static void launch_matrix(struct queue queue, const struct product &product, float *partial, bool wide)
{
    if (product.kernel == PRODUCT_WARPGROUP)
        launch_product_warpgroup(queue, &product, partial, wide);
    else if (product.a.array.type == ELEMENT_BF16)
        launch_format<bfloat16_format>(queue, product, partial, wide);
    else
        launch_format<float16_format>(queue, product, partial, wide);
}

extern "C" void launch_product(struct queue queue, const struct product *product, void *scratch)
{
    float *partial = (float *)scratch;
    bool wide = stores_eight(*product);
    /* The other kernels copy sixteen bytes at a time. */
    if (product->kernel == PRODUCT_PLAIN || !is_aligned(product->a.array) || !is_aligned(product->b.array))
        launch_product_plain(queue, product, partial);
    else
        launch_matrix(queue, *product, partial, wide);
    if (product->splits > 1) launch_product_finish(queue, product, partial, wide);
}
