/* Matrix products by multiply-adds in fp32 for every mix of types, layouts and windows: the exact fp32 path, and what
 * the matrix instructions cannot do. Also the last pass of split products and the packing of weights. */
#include "kernels/cuda/divisor.h"
#include "kernels/cuda/product_store.h"

enum { THREADS = 256, FINISH_THREADS = 128, TILE = 64, DEPTH = 16, OWN = 4, PITCH = TILE + 1 };

/* One element as fp32, 0 outside the operand. */
static __device__ __forceinline__ float operand_element(const struct product &product, const struct operand_view &view,
                                                        int64_t item, int64_t row, int64_t depth, bool is_b)
{
    if (row >= (is_b ? product.n : product.m) || depth >= product.k) return 0.0f;
    int64_t place = operand_place(product, view, item, row, depth, is_b);
    return place < 0 ? 0.0f : load(view.array, item * view.step + place);
}

/* Copies a TILE x DEPTH part of an operand to shared memory, depth by depth. */
static __device__ __forceinline__ void load_tile(const struct product &product, const struct operand_view &view,
                                                 shared_array<float> tile, int64_t item, int64_t first_row,
                                                 int64_t first_depth, bool is_b)
{
    bool rows_first =
        view.layout == OPERAND_COLUMNS || view.layout == OPERAND_TAPS || (view.layout == OPERAND_WINDOWS && is_b);
    for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
        int row = rows_first ? i % TILE : i / DEPTH, depth = rows_first ? i / TILE : i % DEPTH;
        tile[depth * PITCH + row] = operand_element(product, view, item, first_row + row, first_depth + depth, is_b);
    }
}

static __global__ void __launch_bounds__(THREADS) product_plain_kernel(struct product product, float *partial)
{
    await_earlier_kernels();
    shared_array<float> a_tile = shared_memory<float>(0);
    shared_array<float> b_tile = shared_memory<float>(DEPTH * PITCH * (int)sizeof(float));
    struct block_part part = own_part(product, DEPTH);
    int64_t first_row = (int)blockIdx.x * (int64_t)TILE, first_column = (int)blockIdx.y * (int64_t)TILE;
    int own_row = (int)threadIdx.x / (TILE / OWN) * OWN, own_column = (int)threadIdx.x % (TILE / OWN) * OWN;
    float sum[OWN][OWN] = {};
    for (int64_t depth = part.start; depth < part.end; depth += DEPTH) {
        load_tile(product, product.a, a_tile, part.item, first_row, depth, false);
        load_tile(product, product.b, b_tile, part.item, first_column, depth, true);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float a[OWN], b[OWN];
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                a[i] = a_tile[k * PITCH + own_row + i];
                b[i] = b_tile[k * PITCH + own_column + i];
            }
#pragma unroll
            for (int i = 0; i < OWN; i++)
#pragma unroll
                for (int j = 0; j < OWN; j++) sum[i][j] += a[i] * b[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < OWN; j++) {
            int64_t row = first_row + own_row + i, column = first_column + own_column + j;
            if (row >= product.m || column >= product.n) continue;
            store_one(product, part, partial, row, column, sum[i][j]);
        }
}

/* A thread sums `width` neighbours of a row: STORED or 1. `count`: elements of a part; they are divided by those of an
 * item and of a row. */
template <int width>
static __global__ void __launch_bounds__(FINISH_THREADS)
    product_finish_kernel(struct product product, struct array partial, int64_t count, struct divisor item_elements,
                          struct divisor row_elements)
{
    await_earlier_kernels();
    int64_t index = global_thread() * width;
    if (index >= count) return;
    float sum[width] = {};
    for (int split = 0; split < product.splits; split++) {
        float part[width];
        unpack<width>(partial, fetch<width>(partial, split * count + index), part);
#pragma unroll
        for (int i = 0; i < width; i++) sum[i] += part[i];
    }
    struct division item = divide(index, item_elements), row = divide(item.remainder, row_elements);
    if constexpr (width == STORED)
        store_eight_results(product, item.quotient, row.quotient, row.remainder, sum);
    else
        store_result(product, item.quotient, row.quotient, row.remainder, sum[0]);
}

static __global__ void __launch_bounds__(THREADS)
    pack_convolution_kernel(struct array weight, struct array packed, int64_t out, int64_t in, int64_t taps,
                            int64_t padded)
{
    await_earlier_kernels();
    int64_t index = global_thread();
    if (index >= out * taps * padded) return;
    int64_t channel = index % padded, tap = index / padded % taps, row = index / padded / taps;
    store(packed, index, channel < in ? load(weight, (row * in + channel) * taps + tap) : 0.0f);
}

/* Sums what a phase's window sees at once: along a side, the even phase sees tap 0, then taps 1 and 2; the odd one taps
 * 0 and 1, then tap 2. */
static __global__ void __launch_bounds__(THREADS)
    pack_phases_kernel(struct array weight, struct array packed, int64_t out, int64_t in, int64_t padded)
{
    await_earlier_kernels();
    int64_t index = global_thread();
    if (index >= 16 * out * padded) return;
    int64_t channel = index % padded, row = index / padded / 4 % out;
    int tap = (int)(index / padded % 4), phase = (int)(index / padded / 4 / out);
    int first_line = tap / 2 ? 1 + phase / 2 : 0, last_line = tap / 2 ? 2 : phase / 2;
    int first = tap % 2 ? 1 + phase % 2 : 0, last = tap % 2 ? 2 : phase % 2;
    float sum = 0.0f;
    for (int line = first_line; line <= last_line && channel < in; line++)
        for (int column = first; column <= last; column++)
            sum += load(weight, ((row * in + channel) * 3 + line) * 3 + column);
    store(packed, index, sum);
}

extern "C" void launch_product_plain(struct queue queue, const struct product *product, float *partial)
{
    dim3 grid(blocks_for(product->m, TILE), blocks_for(product->n, TILE), (unsigned)(product->batch * product->splits));
    launch(product_plain_kernel, grid, THREADS, 2 * DEPTH * PITCH * sizeof(float), queue, *product, partial);
}

template <int width> static void launch_finish(struct queue queue, const struct product &product, float *partial)
{
    int64_t count = product.batch * product.m * product.n;
    struct array parts = {partial, ELEMENT_F32};
    launch(product_finish_kernel<width>, dim3(blocks_for(count / width, FINISH_THREADS)), FINISH_THREADS, 0, queue,
           product, parts, count, divisor_of(product.m * product.n), divisor_of(product.n));
}

extern "C" void launch_product_finish(struct queue queue, const struct product *product, float *partial, bool wide)
{
    (wide ? launch_finish<STORED> : launch_finish<1>)(queue, *product, partial);
}

extern "C" void launch_pack_convolution(struct queue queue, struct array weight, struct array packed, int64_t out,
                                        int64_t in, int64_t taps, int64_t padded)
{
    launch(pack_convolution_kernel, dim3(blocks_for(out * taps * padded, THREADS)), THREADS, 0, queue, weight, packed,
           out, in, taps, padded);
}

extern "C" void launch_pack_phases(struct queue queue, struct array weight, struct array packed, int64_t out,
                                   int64_t in, int64_t padded)
{
    launch(pack_phases_kernel, dim3(blocks_for(16 * out * padded, THREADS)), THREADS, 0, queue, weight, packed, out, in,
           padded);
}
