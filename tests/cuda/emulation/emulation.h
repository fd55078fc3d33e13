/* What kernels/cuda/device.h adds to CUDA C++, on the host. A block's threads are fibers of one host thread; they
 * change over only at barriers and warp collectives, so a kernel that lacks a barrier gives other results in reversed
 * order, and its shared memory accesses are reported as a race. */
#ifndef ALIGNPROP_TESTS_CUDA_EMULATION_H
#define ALIGNPROP_TESTS_CUDA_EMULATION_H

#include <functional>
#include <string.h>

#include "kernels/cuda/queue.h"

namespace emulation
{
void launch(dim3 grid, int threads, size_t shared_bytes, cudaStream_t stream, std::function<void()> body);
void await_earlier_kernels();
char *shared_base();
/* A thread reads or writes shared memory, in one access of `bytes`. False: outside of it, and not to be touched. */
bool note_access_read(const void *address, size_t bytes);
bool note_access_write(const void *address, size_t bytes);
void start_copy(void *to, const void *from, size_t bytes, bool valid);
void commit_copies();
void wait_copies(int groups);
void ldmatrix_x4(uint32_t registers[4], const uint16_t *row, bool transposed);
void multiply(float c[4], const uint32_t a[4], const uint32_t b[2], bool brain);
/* As the special function unit: a result below the smallest normal number is 0. */
float exponential_of_two(float x);
float widen(uint16_t bits, bool brain);
uint16_t narrow(float value, bool brain);
} // namespace emulation

template <class... Parameters, class... Arguments>
static void launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, struct queue queue,
                   Arguments... arguments)
{
    emulation::launch(grid, threads, shared_bytes, queue.stream, [=] { kernel(Parameters(arguments)...); });
}

static __device__ __forceinline__ void await_earlier_kernels()
{
    emulation::await_earlier_kernels();
}

/* Accesses are told apart by the place in the code from where they are noted (traffic.cpp). */
#define AT_ITS_PLACE __attribute__((always_inline)) inline

/* One element of shared memory: reads and writes are noted. */
template <class T> struct shared_reference {
    T *element;
    AT_ITS_PLACE operator T() const
    {
        return emulation::note_access_read(element, sizeof(T)) ? *element : T();
    }
    AT_ITS_PLACE T operator=(T value) const
    {
        if (emulation::note_access_write(element, sizeof(T))) *element = value;
        return value;
    }
    AT_ITS_PLACE T operator+=(T value) const
    {
        return *this = *this + value;
    }
};

template <class T> struct shared_array {
    T *data;
    shared_reference<T> operator[](int index) const
    {
        return shared_reference<T>{data + index};
    }
};

template <class T> static inline shared_array<T> shared_memory(int byte_offset)
{
    return shared_array<T>{reinterpret_cast<T *>(emulation::shared_base() + byte_offset)};
}

static __device__ __forceinline__ float float16_to_float(uint16_t bits)
{
    return emulation::widen(bits, false);
}
static __device__ __forceinline__ uint16_t float_to_float16(float value)
{
    return emulation::narrow(value, false);
}
static __device__ __forceinline__ uint16_t float_to_bfloat16(float value)
{
    return emulation::narrow(value, true);
}
static __device__ __forceinline__ uint32_t pair_to_bfloat16(float low, float high)
{
    return (uint32_t)float_to_bfloat16(low) | (uint32_t)float_to_bfloat16(high) << 16;
}
static __device__ __forceinline__ uint32_t pair_to_float16(float low, float high)
{
    return (uint32_t)float_to_float16(low) | (uint32_t)float_to_float16(high) << 16;
}
static __device__ __forceinline__ float exponential_of_two(float x)
{
    return emulation::exponential_of_two(x);
}
static __device__ __forceinline__ float reciprocal(float x)
{
    return 1.0f / x;
}
template <int count> AT_ITS_PLACE static void load_neighbours(float value[count], shared_array<float> from, int index)
{
    if (emulation::note_access_read(from.data + index, count * sizeof(float)))
        memcpy(value, from.data + index, count * sizeof(float));
}
AT_ITS_PLACE static void store_pair(shared_array<float> to, int index, float first, float second)
{
    const float pair[2] = {first, second};
    if (emulation::note_access_write(to.data + index, sizeof pair)) memcpy(to.data + index, pair, sizeof pair);
}

static __device__ __forceinline__ void cp_async_zfill(shared_array<uint16_t> to, int index, const void *from,
                                                      bool valid)
{
    emulation::start_copy(to.data + index, from, 16, valid);
}
static __device__ __forceinline__ void cp_async_zfill(shared_array<float> to, int index, const float *from, bool valid)
{
    emulation::start_copy(to.data + index, from, sizeof(float), valid);
}
static __device__ __forceinline__ void cp_async_commit_group()
{
    emulation::commit_copies();
}
template <int groups> static __device__ __forceinline__ void cp_async_wait_group()
{
    emulation::wait_copies(groups);
}
static __device__ __forceinline__ void ldmatrix_x4(uint32_t registers[4], shared_array<uint16_t> from, int index)
{
    emulation::ldmatrix_x4(registers, from.data + index, false);
}
static __device__ __forceinline__ void ldmatrix_x4_trans(uint32_t registers[4], shared_array<uint16_t> from, int index)
{
    emulation::ldmatrix_x4(registers, from.data + index, true);
}

template <class Format>
static __device__ __forceinline__ void mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2]);
template <> inline void mma_m16n8k16<bfloat16_format>(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    emulation::multiply(c, a, b, true);
}
template <> inline void mma_m16n8k16<float16_format>(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    emulation::multiply(c, a, b, false);
}

/* The other half of the depth is zero. */
template <class Format> static __device__ __forceinline__ void mma_m16n8k8(float c[4], const uint32_t a[2], uint32_t b)
{
    const uint32_t whole_a[4] = {a[0], a[1], 0, 0}, whole_b[2] = {b, 0};
    mma_m16n8k16<Format>(c, whole_a, whole_b);
}

#endif
