/* What the kernels use beside CUDA C++ itself: launches, shared memory, and the PTX instructions that CUDA has no
 * function for (asynchronous copies, matrix instructions, conversions), by the names of the PTX ISA.
 *
 * The same kernels (*.cu) compile with nvcc for a device and with a host compiler against tests/cuda/emulation. There
 * CUDA's own names (threadIdx, __syncthreads, __shfl_xor_sync, ...) are defined for threads that are fibers, shared
 * memory is watched for races between barriers, which is why kernels reach it through shared_array, and the
 * instructions are plain loops over the documented fragment layouts. */
#ifndef ALIGNPROP_KERNELS_CUDA_DEVICE_H
#define ALIGNPROP_KERNELS_CUDA_DEVICE_H

#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

#include "kernels/cuda/queue.h"

/* 16 bytes: the widest access of one thread. */
struct alignas(16) vector16 {
    uint32_t word[4];
};

/* The two 16-bit formats of the matrix instructions. */
struct bfloat16_format {
};
struct float16_format {
};

enum { WARP_THREADS = 32 };
/* All lanes of a warp, for its collectives. */
static const unsigned FULL_MASK = 0xffffffffu;

#ifdef __CUDACC__

/* Queues `kernel`, which calls await_earlier_kernels first; failures are seen by cudaGetLastError. */
template <class... Parameters, class... Arguments>
static void launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, struct queue queue,
                   Arguments... arguments)
{
    /* More than 48 KiB of shared memory must be asked for; a refusal shows as the launch's error. */
    if (shared_bytes > 48 * 1024)
        (void)cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   (int)shared_bytes);
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t configuration = {};
    configuration.gridDim = grid;
    configuration.blockDim = dim3((unsigned)threads);
    configuration.dynamicSmemBytes = shared_bytes;
    configuration.stream = queue.stream;
    configuration.attrs = &overlap;
    configuration.numAttrs = queue.overlaps ? 1 : 0;
    (void)cudaLaunchKernelEx(&configuration, kernel, Parameters(arguments)...);
}

/* Lets the next kernel be brought onto the device, where it waits in turn, and waits until the earlier ones have ended
 * and what they wrote can be read: before anything else in every kernel, since each reads or overwrites what others
 * before it touched. Without overlapping launches it does nothing. */
static __device__ __forceinline__ void await_earlier_kernels()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* A typed window on the block's shared memory. */
template <class T> struct shared_array {
    T *data;
    __device__ __forceinline__ T &operator[](int index) const
    {
        return data[index];
    }
};

extern __shared__ vector16 dynamic_shared_memory[];

template <class T> static __device__ __forceinline__ shared_array<T> shared_memory(int byte_offset)
{
    return shared_array<T>{reinterpret_cast<T *>(reinterpret_cast<char *>(dynamic_shared_memory) + byte_offset)};
}

static __device__ __forceinline__ float float16_to_float(uint16_t bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
static __device__ __forceinline__ uint16_t float_to_float16(float value)
{
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
static __device__ __forceinline__ uint16_t float_to_bfloat16(float value)
{
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
/* Two rounded values in the order of memory. */
static __device__ __forceinline__ uint32_t pair_to_bfloat16(float low, float high)
{
    uint32_t bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}
static __device__ __forceinline__ uint32_t pair_to_float16(float low, float high)
{
    uint32_t bits;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

/* 2^x in one instruction of the special function unit, off by at most 2^-22 of the result (PTX ISA); 0 where the result
 * is below the smallest normal number, so also for -infinity. */
static __device__ __forceinline__ float exponential_of_two(float x)
{
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/* 1 / x in one instruction of the special function unit, off by one unit in the last place at most (PTX ISA); 0 of a
 * number too large for a normal result and of infinity. */
static __device__ __forceinline__ float reciprocal(float x)
{
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

template <class T> static __device__ __forceinline__ uint32_t shared_address(shared_array<T> array, int index)
{
    return (uint32_t)__cvta_generic_to_shared(array.data + index);
}

template <int count> struct alignas(count * sizeof(float)) neighbours {
    float value[count];
};
/* value[i] = from[index + i] in one access; count is 2 or 4, and divides `index` and the words of shared memory before
 * `from`. */
template <int count>
static __device__ __forceinline__ void load_neighbours(float value[count], shared_array<float> from, int index)
{
    neighbours<count> loaded = *reinterpret_cast<const neighbours<count> *>(from.data + index);
#pragma unroll
    for (int i = 0; i < count; i++) value[i] = loaded.value[i];
}
/* to[index] = first and to[index + 1] = second, as above. */
static __device__ __forceinline__ void store_pair(shared_array<float> to, int index, float first, float second)
{
    *reinterpret_cast<neighbours<2> *>(to.data + index) = neighbours<2>{{first, second}};
}

/* Starts copying 16 bytes of device memory to shared memory; zeros where `valid` is false (`from` is not read then and
 * may lie outside of what is allocated). */
static __device__ __forceinline__ void cp_async_zfill(shared_array<uint16_t> to, int index, const void *from,
                                                      bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(to, index)), "l"(from), "r"(valid ? 16 : 0)
                 : "memory");
}
/* The same of one number. */
static __device__ __forceinline__ void cp_async_zfill(shared_array<float> to, int index, const float *from, bool valid)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :
                 : "r"(shared_address(to, index)), "l"(from), "r"(valid ? 4 : 0)
                 : "memory");
}
/* Closes the group of copies started since the last call. */
static __device__ __forceinline__ void cp_async_commit_group()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/* Waits until at most `groups` of the thread's groups are under way. */
template <int groups> static __device__ __forceinline__ void cp_async_wait_group()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

/* Loads four 8x8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8 and receives of
 * matrix i the pair at row l / 4, columns 2 (l % 4) and the next, in registers[i]. */
static __device__ __forceinline__ void ldmatrix_x4(uint32_t registers[4], shared_array<uint16_t> from, int index)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(from, index))
                 : "memory");
}
/* The same with each matrix transposed on the way. */
static __device__ __forceinline__ void ldmatrix_x4_trans(uint32_t registers[4], shared_array<uint16_t> from, int index)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(from, index))
                 : "memory");
}

/* c[16,8] += a[16,16] b[16,8] by one warp, fp32 accumulation. With g = lane / 4 and t = lane % 4: a[0..3] hold the
 * pairs at (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8); b[0..1] the pairs of rows 2t and 2t + 8 in column g;
 * c[0..1] row g, columns 2t and 2t + 1, c[2..3] row g + 8. */
template <class Format>
static __device__ __forceinline__ void mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2]);

template <>
__device__ __forceinline__ void mma_m16n8k16<bfloat16_format>(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void mma_m16n8k16<float16_format>(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* The same over half the depth: c[16,8] += a[16,8] b[8,8]; a[0..1] and b as the first halves above. */
template <class Format> static __device__ __forceinline__ void mma_m16n8k8(float c[4], const uint32_t a[2], uint32_t b);

template <> __device__ __forceinline__ void mma_m16n8k8<bfloat16_format>(float c[4], const uint32_t a[2], uint32_t b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b));
}
template <> __device__ __forceinline__ void mma_m16n8k8<float16_format>(float c[4], const uint32_t a[2], uint32_t b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b));
}

#else
#include "emulation.h"
#endif

static __device__ __forceinline__ int lane_index()
{
    return (int)threadIdx.x % WARP_THREADS;
}
static __device__ __forceinline__ int warp_index()
{
    return (int)threadIdx.x / WARP_THREADS;
}

static __device__ __forceinline__ float bfloat16_to_float(uint16_t bits)
{
    return __uint_as_float((uint32_t)bits << 16);
}

/* Two values rounded to the format, in the order of memory. */
template <class Format> static __device__ __forceinline__ uint32_t round_pair(float low, float high);
template <> __device__ __forceinline__ uint32_t round_pair<bfloat16_format>(float low, float high)
{
    return pair_to_bfloat16(low, high);
}
template <> __device__ __forceinline__ uint32_t round_pair<float16_format>(float low, float high)
{
    return pair_to_float16(low, high);
}

/* The sum (or the largest) over a warp's lanes, the same bits in every lane. */
static __device__ __forceinline__ float warp_sum(float value)
{
    for (int mask = WARP_THREADS / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(FULL_MASK, value, mask);
    return value;
}
static __device__ __forceinline__ float warp_largest(float value)
{
    for (int mask = WARP_THREADS / 2; mask > 0; mask /= 2)
        value = fmaxf(value, __shfl_xor_sync(FULL_MASK, value, mask));
    return value;
}

#endif
