/* Matrix products and convolutions as implicit matrix products on the instructions of a warpgroup (compute capability
 * 9.0a): two warpgroups make 128 rows and `width` columns of the result, 64 rows each. There are two ways to keep them
 * supplied. Either they start the copies themselves, two stages ahead, and meet at a barrier of the block for each
 * tile; or a third warpgroup copies, and barriers in shared memory say which stages are filled and which are free. In
 * the first way the order between copies and products (fence_proxy_async) is made by threads that have later
 * copies under way, which may wait for those as well; in the second by threads that have none. */
#include "kernels/cuda/product_gather.h"
#include "kernels/cuda/product_store.h"
#include "kernels/cuda/warpgroup.h"

enum { DEPTH = 64, STAGES = 4, THREADS = 2 * WARPGROUP_THREADS, ROWS = PRODUCT_WARPGROUP_ROWS };
/* Of the second way. */
enum {
    PRODUCER_THREADS = WARPGROUP_THREADS,
    PRODUCER_WARPS = PRODUCER_THREADS / WARP_THREADS,
    CONSUMER_WARPS = THREADS / WARP_THREADS,
    ALL_THREADS = PRODUCER_THREADS + THREADS
};

/* [row][DEPTH] in lines of 128 bytes: SWIZZLE_128. */
struct swizzled_rows {
    static const int line = DEPTH, group_bytes = 8 * DEPTH * (int)sizeof(uint16_t);
    static __device__ __forceinline__ int at(int row, int depth)
    {
        return row * line + ((depth / CHUNK ^ row % 8) * CHUNK);
    }
};

/* [depth][tile] in blocks of 8 depths by 32 rows, 64 bytes a line: SWIZZLE_64. Blocks of one depth come one after
 * another. */
template <int tile> struct swizzled_columns {
    static const int block_rows = 32, block = 8 * block_rows, block_bytes = block * (int)sizeof(uint16_t);
    static const int layer = tile / block_rows * block, layer_bytes = layer * (int)sizeof(uint16_t);
    static __device__ __forceinline__ int at(int row, int depth)
    {
        return depth / 8 * layer + row / block_rows * block + depth % 8 * block_rows +
               ((row % block_rows / CHUNK ^ depth % 8 / 2) * CHUNK);
    }
    /* Eight at a time are two depths of a block, which lie in different banks. */
    static __device__ __forceinline__ struct chunk chunk(int index)
    {
        int eight = index / 8, blocks = tile / block_rows;
        return {eight % blocks * block_rows + index % 4 * CHUNK, eight / blocks * 2 + index / 4 % 2};
    }
};

/* `threads` copy. */
template <int width, bool by_columns, int threads> struct second_operand {
    typedef row_gather<swizzled_rows, width, DEPTH, threads> gather;
    static __device__ __forceinline__ uint64_t describe(shared_array<uint16_t> tile, int depth)
    {
        return matrix_descriptor(tile, depth, 0, swizzled_rows::group_bytes, SWIZZLE_128);
    }
};
template <int width, int threads> struct second_operand<width, true, threads> {
    typedef swizzled_columns<width> place;
    typedef column_gather<place, width, DEPTH, threads, true, true> gather;
    static __device__ __forceinline__ uint64_t describe(shared_array<uint16_t> tile, int depth)
    {
        return matrix_descriptor(tile, depth / 8 * place::layer, place::block_bytes, place::layer_bytes, SWIZZLE_64);
    }
};

enum { A_BYTES = ROWS * DEPTH * (int)sizeof(uint16_t), ALIGNMENT = 1024 };

template <int width> struct stage {
    static const int bytes = A_BYTES + width * DEPTH * (int)sizeof(uint16_t);
    static_assert(bytes % ALIGNMENT == 0, "swizzled lines begin at multiples of eight of them");
    static_assert(STAGES * bytes >= ROWS * tile_sums<width>::pitch * (int)sizeof(float),
                  "the sums fit into the stages");
};

template <int width> static __device__ __forceinline__ shared_array<uint16_t> stage_a(int base, int index)
{
    return shared_memory<uint16_t>(base + index % STAGES * stage<width>::bytes);
}
template <int width> static __device__ __forceinline__ shared_array<uint16_t> stage_b(int base, int index)
{
    return shared_memory<uint16_t>(base + index % STAGES * stage<width>::bytes + A_BYTES);
}

#if HAS_WARPGROUPS
/* Begins the products of a tile: 64 rows from `first_row` on. */
template <class Format, int width, bool b_columns>
static __device__ __forceinline__ void multiply_tile(float (&sum)[width / 2], shared_array<uint16_t> a,
                                                     shared_array<uint16_t> b, int first_row)
{
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < DEPTH; k += WARPGROUP_DEPTH)
        wgmma<Format, width, b_columns>(
            sum, matrix_descriptor(a, first_row * swizzled_rows::line + k, 0, swizzled_rows::group_bytes, SWIZZLE_128),
            second_operand<width, b_columns, THREADS>::describe(b, k));
    wgmma_commit_group();
}

/* Where a warp of the two warpgroups writes its sums. */
template <int width>
static __device__ __forceinline__ void write_sums(shared_array<float> sums, int warp, const float (&sum)[width / 2])
{
    int row = warp * 16 + lane_index() / 4, column = lane_index() % 4 * 2;
#pragma unroll
    for (int i = 0; i < width / 2; i += 2)
        store_pair(sums, tile_sums<width>::at(row + i / 2 % 2 * 8, i / 4 * 8 + column), sum[i], sum[i + 1]);
}
#endif

template <class Format, int width, bool b_columns>
static __global__ void __launch_bounds__(THREADS)
    product_warpgroup_kernel(struct product product, float *partial, bool wide)
{
    await_earlier_kernels();
#if HAS_WARPGROUPS
    struct block_part part = own_part(product, DEPTH);
    int tiles = (int)((part.end - part.start + DEPTH - 1) / DEPTH), base = aligned_shared_offset(ALIGNMENT);
    pixel_gather<swizzled_rows, ROWS, DEPTH, THREADS> a_gather;
    typename second_operand<width, b_columns, THREADS>::gather b_gather;
    a_gather.start(product, part);
    b_gather.start(product, part);
    auto start_tile = [&](int index) {
        if (index < tiles) {
            a_gather.load(product, stage_a<width>(base, index));
            b_gather.load(product, stage_b<width>(base, index));
        }
        cp_async_commit_group();
    };
    int first_row = warp_index() / (WARPGROUP_THREADS / WARP_THREADS) * WARPGROUP_ROWS;
    float sum[width / 2] = {};

    start_tile(0);
    start_tile(1);
#pragma unroll 1
    for (int index = 0; index < tiles; index++) {
        cp_async_wait_group<1>();
        fence_proxy_async();
        __syncthreads();
        multiply_tile<Format, width, b_columns>(sum, stage_a<width>(base, index), stage_b<width>(base, index),
                                                first_row);
        /* All threads are past the barrier, so the products of the tile before the last have ended in both warpgroups:
         * its stage is free. */
        start_tile(index + 2);
        wgmma_wait_group<1>();
    }
    wgmma_wait_group<0>();
    cp_async_wait_group<0>();

    __syncthreads();
    shared_array<float> sums = shared_memory<float>(base);
    write_sums<width>(sums, warp_index(), sum);
    __syncthreads();
    store_tile<ROWS, width, THREADS>(product, part, partial, (int)blockIdx.x * (int64_t)ROWS,
                                     (int)blockIdx.y * (int64_t)width, sums, wide);
#endif
}

/* The second way: the first warpgroup copies, the others multiply. Barrier `stage` says that the stage is filled,
 * barrier STAGES + stage that it is free again. */
template <class Format, int width, bool b_columns>
static __global__ void __launch_bounds__(ALL_THREADS)
    product_warp_specialized_kernel(struct product product, float *partial, bool wide)
{
    await_earlier_kernels();
#if HAS_WARPGROUPS
    struct block_part part = own_part(product, DEPTH);
    int tiles = (int)((part.end - part.start + DEPTH - 1) / DEPTH), base = aligned_shared_offset(ALIGNMENT);
    int warp = warp_index() - PRODUCER_WARPS; /* of those that multiply */
    shared_array<uint64_t> barriers = shared_memory<uint64_t>(base + STAGES * stage<width>::bytes);
    float sum[width / 2] = {};
    if ((int)threadIdx.x < STAGES) {
        mbarrier_init(barriers, (int)threadIdx.x, PRODUCER_THREADS);
        mbarrier_init(barriers, STAGES + (int)threadIdx.x, CONSUMER_WARPS);
    }
    __syncthreads();
    if (warp < 0) {
        pixel_gather<swizzled_rows, ROWS, DEPTH, PRODUCER_THREADS> a_gather;
        typename second_operand<width, b_columns, PRODUCER_THREADS>::gather b_gather;
        a_gather.start(product, part);
        b_gather.start(product, part);
#pragma unroll 1
        for (int index = 0; index < tiles; index++) {
            if (index >= STAGES) mbarrier_wait(barriers, STAGES + index % STAGES, index / STAGES - 1);
            a_gather.load(product, stage_a<width>(base, index));
            b_gather.load(product, stage_b<width>(base, index));
            cp_async_mbarrier_arrive(barriers, index % STAGES);
        }
        cp_async_commit_group();
        cp_async_wait_group<0>();
    } else {
        int first_row = warp / (WARPGROUP_THREADS / WARP_THREADS) * WARPGROUP_ROWS;
#pragma unroll 1
        for (int index = 0; index < tiles; index++) {
            mbarrier_wait(barriers, index % STAGES, index / STAGES);
            fence_proxy_async();
            multiply_tile<Format, width, b_columns>(sum, stage_a<width>(base, index), stage_b<width>(base, index),
                                                    first_row);
            wgmma_wait_group<1>();
            /* The products of the tile before have ended. */
            if (index > 0 && lane_index() == 0) mbarrier_arrive(barriers, STAGES + (index - 1) % STAGES);
        }
        wgmma_wait_group<0>();
    }
    __syncthreads();
    shared_array<float> sums = shared_memory<float>(base);
    if (warp >= 0) write_sums<width>(sums, warp, sum);
    __syncthreads();
    store_tile<ROWS, width, ALL_THREADS>(product, part, partial, (int)blockIdx.x * (int64_t)ROWS,
                                         (int)blockIdx.y * (int64_t)width, sums, wide);
#endif
}

template <class Format, int width, bool b_columns>
static void launch_width(struct queue queue, const struct product &product, float *partial, bool wide)
{
    dim3 grid(blocks_for(product.m, ROWS), blocks_for(product.n, width), (unsigned)(product.batch * product.splits));
    size_t bytes = STAGES * (size_t)stage<width>::bytes + ALIGNMENT, barriers = 2 * STAGES * sizeof(uint64_t);
    if (product.warp_specialized)
        launch(product_warp_specialized_kernel<Format, width, b_columns>, grid, ALL_THREADS, bytes + barriers, queue,
               product, partial, wide);
    else
        launch(product_warpgroup_kernel<Format, width, b_columns>, grid, THREADS, bytes, queue, product, partial, wide);
}

template <class Format>
static void launch_format(struct queue queue, const struct product &product, float *partial, bool wide)
{
    bool b_columns = product.b.layout != OPERAND_ROWS;
    if (product.width == 160)
        (b_columns ? launch_width<Format, 160, true> : launch_width<Format, 160, false>)(queue, product, partial, wide);
    else
        (b_columns ? launch_width<Format, 128, true> : launch_width<Format, 128, false>)(queue, product, partial, wide);
}

extern "C" void launch_product_warpgroup(struct queue queue, const struct product *product, float *partial, bool wide)
{
    if (product->a.array.type == ELEMENT_BF16)
        launch_format<bfloat16_format>(queue, *product, partial, wide);
    else
        launch_format<float16_format>(queue, *product, partial, wide);
}
