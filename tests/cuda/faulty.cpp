/* A kernel with one mistake at a time, chosen at the launch, and two without. */
#include "faulty.h"

#include "kernels/cuda/warpgroup.h"

enum { THREADS = 64 };

static __global__ void __launch_bounds__(THREADS) faulty_kernel(int fault, float *values)
{
    if (fault != FAULT_NOT_AWAITED) await_earlier_kernels();
    shared_array<float> numbers = shared_memory<float>(0);
    shared_array<uint16_t> copied = shared_memory<uint16_t>(THREADS * (int)sizeof(float));
    int thread = threadIdx.x;
    if (fault == FAULT_COPY_NOT_WAITED) {
        if (thread < THREADS / 4) cp_async_zfill(copied, 8 * thread, values + 4 * thread, true);
        cp_async_commit_group();
        __syncthreads();
        uint32_t bits = (uint32_t)copied[2 * thread] | (uint32_t)copied[2 * thread + 1] << 16;
        cp_async_wait_group<0>();
        values[thread] = __uint_as_float(bits);
        return;
    }
    if (fault == FAULT_DIVERGED_BARRIER && thread >= THREADS / 2) return;
    numbers[fault == FAULT_OUTSIDE ? thread + 1000 : thread] = (float)thread;
    if (fault != FAULT_MISSING_BARRIER) __syncthreads();
    float value = numbers[(thread + 1) % THREADS];
    if (fault == FAULT_OVERWRITTEN) numbers[thread] = value;
    unsigned mask = fault == FAULT_PARTIAL_MASK ? FULL_MASK >> 16 : FULL_MASK;
    if (fault != FAULT_DIVERGED_SHUFFLE || thread % 2 == 0) value += __shfl_xor_sync(mask, 0.0f, 1);
    values[thread] = value;
}

enum { LINE = 64, A_ELEMENTS = WARPGROUP_ROWS * LINE, COLUMNS = 128, ALIGNMENT = 1024 };
const int PRODUCT_BYTES = (A_ELEMENTS + COLUMNS * LINE) * (int)sizeof(uint16_t);

/* a[row][0] = row + 1 and b[column][0] = column, all else 0; column 1 of the product goes to `values`. */
static __global__ void __launch_bounds__(WARPGROUP_THREADS) faulty_product_kernel(int fault, float *values)
{
    await_earlier_kernels();
    int offset = aligned_shared_offset(ALIGNMENT) - (fault == FAULT_PRODUCT_OFF ? 16 : 0), thread = threadIdx.x;
    shared_array<uint16_t> operands = shared_memory<uint16_t>(offset);
    for (int row = thread; row < WARPGROUP_ROWS + COLUMNS; row += WARPGROUP_THREADS)
        for (int i = 0; i < LINE; i++) {
            float value = row < WARPGROUP_ROWS ? (float)(row + 1) : (float)(row - WARPGROUP_ROWS);
            operands[row * LINE + (i / 8 ^ row % 8) * 8 + i % 8] = i == 0 ? float_to_bfloat16(value) : 0;
        }
    if (fault != FAULT_PRODUCT_NOT_ORDERED) fence_proxy_async();
    __syncthreads();
    float sum[COLUMNS / 2] = {};
    if (fault != FAULT_PRODUCT_NOT_BEGUN) wgmma_fence();
    wgmma<bfloat16_format, COLUMNS, false>(sum, matrix_descriptor(operands, 0, 0, 1024, SWIZZLE_128),
                                           matrix_descriptor(operands, A_ELEMENTS, 0, 1024, SWIZZLE_128));
    wgmma_commit_group();
    if (fault != FAULT_PRODUCT_NOT_WAITED) wgmma_wait_group<0>();
    if (lane_index() % 4 == 0)
        for (int half = 0; half < 2; half++)
            values[warp_index() * 16 + lane_index() / 4 + 8 * half] = sum[2 * half + 1];
}

extern "C" void launch_faulty(cudaStream_t stream, int fault, float *values)
{
    struct queue queue = {stream, false};
    if (fault >= FAULT_PRODUCT_NONE) {
        launch(faulty_product_kernel, dim3(1), WARPGROUP_THREADS, PRODUCT_BYTES + ALIGNMENT, queue, fault, values);
        return;
    }
    launch(faulty_kernel, dim3(1), THREADS, 2 * THREADS * sizeof(float), queue, fault, values);
}
