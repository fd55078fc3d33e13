/* A kernel with one mistake at a time, chosen at the launch, and two without. */
#include "faulty.h"

#include "kernels/cuda/warpgroup.h"

enum { THREADS = 64 };

KERNEL(THREADS) faulty_kernel(int fault, float *values)
{
    if (fault != FAULT_NOT_AWAITED) await_earlier_kernels();
    shared_array<float> numbers = shared_memory<float>(0);
    shared_array<uint16_t> copied = shared_memory<uint16_t>(THREADS * (int)sizeof(float));
    int thread = thread_index();
    if (fault == FAULT_COPY_NOT_WAITED) {
        if (thread < THREADS / 4) copy_async(copied, 8 * thread, values + 4 * thread, true);
        copy_async_commit();
        synchronize_block();
        uint32_t bits = (uint32_t)copied[2 * thread] | (uint32_t)copied[2 * thread + 1] << 16;
        copy_async_wait<0>();
        values[thread] = bits_to_float(bits);
        return;
    }
    if (fault == FAULT_DIVERGED_BARRIER && thread >= THREADS / 2) return;
    numbers[fault == FAULT_OUTSIDE ? thread + 1000 : thread] = (float)thread;
    if (fault != FAULT_MISSING_BARRIER) synchronize_block();
    float value = numbers[(thread + 1) % THREADS];
    if (fault == FAULT_OVERWRITTEN) numbers[thread] = value;
    if (fault != FAULT_DIVERGED_SHUFFLE || thread % 2 == 0) value += shuffle_xor(0.0f, 1);
    values[thread] = value;
}

enum { LINE = 64, A_ELEMENTS = WARPGROUP_ROWS * LINE, COLUMNS = 128, ALIGNMENT = 1024 };
const int PRODUCT_BYTES = (A_ELEMENTS + COLUMNS * LINE) * (int)sizeof(uint16_t);

/* a[row][0] = row + 1 and b[column][0] = column, all else 0; column 1 of the product goes to `values`. */
KERNEL(WARPGROUP_THREADS) faulty_product_kernel(int fault, float *values)
{
    await_earlier_kernels();
    int offset = aligned_shared_offset(ALIGNMENT) - (fault == FAULT_PRODUCT_OFF ? 16 : 0), thread = thread_index();
    shared_array<uint16_t> operands = shared_memory<uint16_t>(offset);
    for (int row = thread; row < WARPGROUP_ROWS + COLUMNS; row += WARPGROUP_THREADS)
        for (int i = 0; i < LINE; i++) {
            float value = row < WARPGROUP_ROWS ? (float)(row + 1) : (float)(row - WARPGROUP_ROWS);
            operands[row * LINE + (i / 8 ^ row % 8) * 8 + i % 8] = i == 0 ? float_to_bfloat16(value) : 0;
        }
    if (fault != FAULT_PRODUCT_NOT_ORDERED) order_before_warpgroup();
    synchronize_block();
    float sum[COLUMNS / 2] = {};
    if (fault != FAULT_PRODUCT_NOT_BEGUN) warpgroup_begin();
    warpgroup_multiply_add<bfloat16_format, COLUMNS, false>(
        sum, describe_matrix(operands, 0, 0, 1024, SWIZZLE_128),
        describe_matrix(operands, A_ELEMENTS, 0, 1024, SWIZZLE_128));
    warpgroup_commit();
    if (fault != FAULT_PRODUCT_NOT_WAITED) warpgroup_wait<0>();
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
