#include "faulty.h"

#include "kernels/cuda/device.h"

enum { THREADS = 64 };

KERNEL(THREADS) faulty_kernel(int fault, float *values)
{
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

extern "C" void launch_faulty(cudaStream_t stream, int fault, float *values)
{
    launch(faulty_kernel, dim3(1), THREADS, 2 * THREADS * sizeof(float), stream, fault, values);
}
