/* Everything that differs between a GPU and the emulation of one: launches, indices, shared memory, barriers, shuffles,
 * asynchronous copies and matrix instructions.
 *
 * The kernels (*.cu) use only what is declared here, so the same sources compile with nvcc for a device and with a
 * host compiler against tests/cuda/emulation, where every thread of a block is a fiber, shared memory is watched for
 * races between barriers, and matrix instructions are plain loops over the documented fragment layouts. */
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

#ifdef __CUDACC__

#define KERNEL(threads) __global__ void __launch_bounds__(threads)
/* The same, compiled so that at least `blocks` blocks fit a multiprocessor. */
#define KERNEL_RESIDENT(threads, blocks) __global__ void __launch_bounds__(threads, blocks)
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
/* In front of loops over registers, which cannot be indexed at run time. */
#define UNROLL _Pragma("unroll")
/* In front of loops whose copies would only make the code larger. */
#define ROLLED _Pragma("unroll 1")

DEVICE int thread_index()
{
    return (int)threadIdx.x;
}
DEVICE int block_threads()
{
    return (int)blockDim.x;
}
DEVICE int block_x()
{
    return (int)blockIdx.x;
}
DEVICE int block_y()
{
    return (int)blockIdx.y;
}
DEVICE int block_z()
{
    return (int)blockIdx.z;
}
DEVICE int grid_x()
{
    return (int)gridDim.x;
}

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
DEVICE void await_earlier_kernels()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* A typed window on the block's shared memory. */
template <class T> struct shared_array {
    T *data;
    DEVICE_MEMBER T &operator[](int index) const
    {
        return data[index];
    }
};

extern __shared__ vector16 dynamic_shared_memory[];

template <class T> DEVICE shared_array<T> shared_memory(int byte_offset)
{
    return shared_array<T>{reinterpret_cast<T *>(reinterpret_cast<char *>(dynamic_shared_memory) + byte_offset)};
}

DEVICE void synchronize_block()
{
    __syncthreads();
}
DEVICE void synchronize_warp()
{
    __syncwarp();
}
DEVICE float shuffle_xor(float value, int lane_mask)
{
    return __shfl_xor_sync(0xffffffffu, value, lane_mask);
}
DEVICE float shuffle_from(float value, int lane)
{
    return __shfl_sync(0xffffffffu, value, lane);
}

DEVICE float float16_to_float(uint16_t bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
DEVICE uint16_t float_to_float16(float value)
{
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
DEVICE uint16_t float_to_bfloat16(float value)
{
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
DEVICE float bits_to_float(uint32_t bits)
{
    return __uint_as_float(bits);
}

/* Two rounded values in the order of memory. */
DEVICE uint32_t pair_to_bfloat16(float low, float high)
{
    uint32_t bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}
DEVICE uint32_t pair_to_float16(float low, float high)
{
    uint32_t bits;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

/* 2^x in one instruction of the special function unit, off by at most 2^-22 of the result (PTX ISA); 0 where the result
 * is below the smallest normal number, so also for -infinity. */
DEVICE float exponential_of_two(float x)
{
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/* 1 / x in one instruction of the special function unit, off by one unit in the last place at most (PTX ISA); 0 of a
 * number too large for a normal result and of infinity. */
DEVICE float reciprocal(float x)
{
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/* Whether the condition holds in any of the warp's lanes: the same answer in all. */
DEVICE bool warp_any(bool condition)
{
    return __any_sync(0xffffffffu, condition) != 0;
}

template <class T> DEVICE uint32_t shared_address(shared_array<T> array, int index)
{
    return (uint32_t)__cvta_generic_to_shared(array.data + index);
}

template <int count> struct alignas(count * sizeof(float)) neighbours {
    float value[count];
};
/* value[i] = from[index + i] in one access; count is 2 or 4, and divides `index` and the words of shared memory before
 * `from`. */
template <int count> DEVICE void load_neighbours(float value[count], shared_array<float> from, int index)
{
    neighbours<count> loaded = *reinterpret_cast<const neighbours<count> *>(from.data + index);
    UNROLL for (int i = 0; i < count; i++) value[i] = loaded.value[i];
}
/* to[index] = first and to[index + 1] = second, as above. */
DEVICE void store_pair(shared_array<float> to, int index, float first, float second)
{
    *reinterpret_cast<neighbours<2> *>(to.data + index) = neighbours<2>{{first, second}};
}

/* Starts copying 16 bytes of device memory to shared memory; zeros where `valid` is false (`from` is not read then and
 * may lie outside of what is allocated). */
DEVICE void copy_async(shared_array<uint16_t> to, int index, const void *from, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(to, index)), "l"(from), "r"(valid ? 16 : 0)
                 : "memory");
}
/* The same of one number. */
DEVICE void copy_async(shared_array<float> to, int index, const float *from, bool valid)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :
                 : "r"(shared_address(to, index)), "l"(from), "r"(valid ? 4 : 0)
                 : "memory");
}
/* Closes the group of copies started since the last call. */
DEVICE void copy_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/* Waits until at most `groups` of the thread's groups are under way. */
template <int groups> DEVICE void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

/* Loads four 8x8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8 and receives of
 * matrix i the pair at row l / 4, columns 2 (l % 4) and the next, in registers[i]. */
DEVICE void load_matrices(uint32_t registers[4], shared_array<uint16_t> from, int index)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(from, index))
                 : "memory");
}
/* The same with each matrix transposed on the way. */
DEVICE void load_matrices_transposed(uint32_t registers[4], shared_array<uint16_t> from, int index)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(from, index))
                 : "memory");
}

/* c[16,8] += a[16,16] b[16,8] by one warp, fp32 accumulation. With g = lane / 4 and t = lane % 4: a[0..3] hold the
 * pairs at (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8); b[0..1] the pairs of rows 2t and 2t + 8 in column g;
 * c[0..1] row g, columns 2t and 2t + 1, c[2..3] row g + 8. */
template <class Format> DEVICE void matrix_multiply_add(float c[4], const uint32_t a[4], const uint32_t b[2]);

template <>
__device__ __forceinline__ void matrix_multiply_add<bfloat16_format>(float c[4], const uint32_t a[4],
                                                                     const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void matrix_multiply_add<float16_format>(float c[4], const uint32_t a[4],
                                                                    const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* The same over half the depth: c[16,8] += a[16,8] b[8,8]; a[0..1] and b as the first halves above. */
template <class Format> DEVICE void matrix_multiply_add_half(float c[4], const uint32_t a[2], uint32_t b);

template <>
__device__ __forceinline__ void matrix_multiply_add_half<bfloat16_format>(float c[4], const uint32_t a[2], uint32_t b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b));
}
template <>
__device__ __forceinline__ void matrix_multiply_add_half<float16_format>(float c[4], const uint32_t a[2], uint32_t b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b));
}

#else
#include "emulation.h"
#endif

DEVICE int lane_index()
{
    return thread_index() % WARP_THREADS;
}
DEVICE int warp_index()
{
    return thread_index() / WARP_THREADS;
}

DEVICE float bfloat16_to_float(uint16_t bits)
{
    return bits_to_float((uint32_t)bits << 16);
}

/* Two values rounded to the format, in the order of memory. */
template <class Format> DEVICE uint32_t round_pair(float low, float high);
template <> DEVICE_MEMBER uint32_t round_pair<bfloat16_format>(float low, float high)
{
    return pair_to_bfloat16(low, high);
}
template <> DEVICE_MEMBER uint32_t round_pair<float16_format>(float low, float high)
{
    return pair_to_float16(low, high);
}

/* The sum (or the largest) over a warp's lanes, the same bits in every lane. */
DEVICE float warp_sum(float value)
{
    for (int mask = WARP_THREADS / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
    return value;
}
DEVICE float warp_largest(float value)
{
    for (int mask = WARP_THREADS / 2; mask > 0; mask /= 2) value = fmaxf(value, shuffle_xor(value, mask));
    return value;
}

#endif
