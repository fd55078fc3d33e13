/* Matrix products of a warpgroup (four warps, 128 threads) on a Hopper GPU's own instructions, which read both operands
 * from shared memory while the threads go on. Compiled for compute capability 9.0a alone; elsewhere
 * HAS_WARPGROUPS is 0 and kernels leave them out. Source: the PTX ISA, "Asynchronous Warpgroup Level Matrix
 * Instructions".
 *
 * The order of a product: every thread's writes and landed copies, fence_proxy_async, a barrier; wgmma_fence,
 * the products, wgmma_commit_group; wgmma_wait_group before the sums are read or the operands are overwritten. */
#ifndef ALIGNPROP_KERNELS_CUDA_WARPGROUP_H
#define ALIGNPROP_KERNELS_CUDA_WARPGROUP_H

#include "kernels/cuda/device.h"

enum { WARPGROUP_THREADS = 128, WARPGROUP_ROWS = 64, WARPGROUP_DEPTH = 16 };

/* Bytes from the beginning of shared memory to the first multiple of `alignment` (a power of two). */
static __device__ __forceinline__ int aligned_shared_offset(int alignment);

/* Barriers in shared memory (mbarrier) by which threads that copy and threads that multiply wait for each other. A
 * barrier goes through phases, the first of which is number 0; one ends when `arrivals` threads have arrived. */
static __device__ __forceinline__ void mbarrier_init(shared_array<uint64_t> barriers, int index, int arrivals);
static __device__ __forceinline__ void mbarrier_arrive(shared_array<uint64_t> barriers, int index);
/* Arrives once the copies that the thread has started so far have landed, without waiting for them. */
static __device__ __forceinline__ void cp_async_mbarrier_arrive(shared_array<uint64_t> barriers, int index);
/* Waits until `phase` has ended, which is the present one or the one before. */
static __device__ __forceinline__ void mbarrier_wait(shared_array<uint64_t> barriers, int index, int phase);

/* In which order the 16-byte chunks of an operand lie, so that no two that are read at once share a bank:
 * chunk i of line l (of the width in the name) is found at i xor l % 8, or at i xor l / 2 % 4 for lines of 64 bytes. */
enum swizzle { SWIZZLE_128 = 1, SWIZZLE_64 = 2 };

#ifdef __CUDACC__

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HAS_WARPGROUPS 1
#else
#define HAS_WARPGROUPS 0
#endif

/* An operand's place and form: [rows][depth] in lines of 128 bytes along the depth, groups of eight lines `stride`
 * bytes apart (SWIZZLE_128, leading unused); or [depth][rows] in blocks of eight depths of 64 bytes along the rows,
 * blocks `leading` bytes apart along the rows and `stride` along the depth (SWIZZLE_64). Blocks begin at multiples of
 * their size. */
static __device__ __forceinline__ uint64_t matrix_descriptor(shared_array<uint16_t> from, int index, int leading,
                                                             int stride, enum swizzle swizzle)
{
    return (uint64_t)(shared_address(from, index) >> 4 & 0x3fff) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)swizzle << 62;
}

static __device__ __forceinline__ int aligned_shared_offset(int alignment)
{
    return -(int)shared_address(shared_memory<uint16_t>(0), 0) & (alignment - 1);
}

/* Makes what this thread wrote to shared memory (copies that it waited for, too) visible to the warpgroup's products,
 * after the next barrier. */
static __device__ __forceinline__ void fence_proxy_async()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
static __device__ __forceinline__ void mbarrier_init(shared_array<uint64_t> barriers, int index, int arrivals)
{
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers, index)), "r"(arrivals) : "memory");
}
static __device__ __forceinline__ void mbarrier_arrive(shared_array<uint64_t> barriers, int index)
{
    asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(shared_address(barriers, index))
                 : "memory");
}
static __device__ __forceinline__ void cp_async_mbarrier_arrive(shared_array<uint64_t> barriers, int index)
{
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barriers, index)) : "memory");
}
static __device__ __forceinline__ void mbarrier_wait(shared_array<uint64_t> barriers, int index, int phase)
{
    uint32_t ended;
    do
        asm volatile("{ .reg .pred ended; mbarrier.try_wait.parity.shared.b64 ended, [%1], %2; "
                     "selp.u32 %0, 1, 0, ended; }"
                     : "=r"(ended)
                     : "r"(shared_address(barriers, index)), "r"(phase & 1)
                     : "memory");
    while (!ended);
}
/* Before the first product of a group: the sums are in registers. */
static __device__ __forceinline__ void wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
/* Closes the group of products begun since the last call. */
static __device__ __forceinline__ void wgmma_commit_group()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/* Waits until at most `groups` of them are under way. */
template <int groups> static __device__ __forceinline__ void wgmma_wait_group()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

/* sum[64, columns] += a[64, 16] b[columns, 16]^T, `a` by rows, `b` by rows or by columns ([16][columns] in memory). A
 * thread holds, of the 16 rows of its warp, row lane / 4 and the one 8 further: sum[4 j + 2 half + i] is row
 * lane / 4 + 8 half, column 8 j + 2 (lane % 4) + i. */
template <class Format, int columns, bool b_by_columns>
static __device__ __forceinline__ void wgmma(float (&sum)[columns / 2], uint64_t a, uint64_t b);

#define SUMS_64                                                                                                        \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                           \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                                 \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                                 \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define SUMS_80                                                                                                        \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                           \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                                 \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                                 \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                                 \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define HELD_8(i)                                                                                                      \
    "+f"(sum[i]), "+f"(sum[i + 1]), "+f"(sum[i + 2]), "+f"(sum[i + 3]), "+f"(sum[i + 4]), "+f"(sum[i + 5]),            \
        "+f"(sum[i + 6]), "+f"(sum[i + 7])
#define HELD_64 HELD_8(0), HELD_8(8), HELD_8(16), HELD_8(24), HELD_8(32), HELD_8(40), HELD_8(48), HELD_8(56)
#define HELD_80 HELD_64, HELD_8(64), HELD_8(72)
/* The last operands: add to the sums, signs of a and b, a by rows, how b lies. Versions of clang-format differ about
 * float(&sum) in a macro. */
/* clang-format off */
#define WARPGROUP_PRODUCT(format, name, columns, sums, held, a_operand, b_operand, by_columns)                         \
    template <>                                                                                                        \
    __device__ __forceinline__ void wgmma<format, columns, by_columns>(float(&sum)[columns / 2], uint64_t a, uint64_t b)\
    {                                                                                                                  \
        asm volatile("{ .reg .pred add; setp.eq.u32 add, 0, 0; wgmma.mma_async.sync.aligned.m64n" #columns             \
                     "k16.f32." name "." name " {" sums "}, " a_operand ", " b_operand ", add, 1, 1, 0, " #by_columns  \
                     "; }"                                                                                             \
                     : held                                                                                            \
                     : "l"(a), "l"(b));                                                                                \
    }
/* clang-format on */
WARPGROUP_PRODUCT(bfloat16_format, "bf16", 128, SUMS_64, HELD_64, "%64", "%65", 0)
WARPGROUP_PRODUCT(bfloat16_format, "bf16", 128, SUMS_64, HELD_64, "%64", "%65", 1)
WARPGROUP_PRODUCT(bfloat16_format, "bf16", 160, SUMS_80, HELD_80, "%80", "%81", 0)
WARPGROUP_PRODUCT(bfloat16_format, "bf16", 160, SUMS_80, HELD_80, "%80", "%81", 1)
WARPGROUP_PRODUCT(float16_format, "f16", 128, SUMS_64, HELD_64, "%64", "%65", 0)
WARPGROUP_PRODUCT(float16_format, "f16", 128, SUMS_64, HELD_64, "%64", "%65", 1)
WARPGROUP_PRODUCT(float16_format, "f16", 160, SUMS_80, HELD_80, "%80", "%81", 0)
WARPGROUP_PRODUCT(float16_format, "f16", 160, SUMS_80, HELD_80, "%80", "%81", 1)
#undef WARPGROUP_PRODUCT
#undef SUMS_64
#undef SUMS_80
#undef HELD_8
#undef HELD_64
#undef HELD_80

#else
#include "emulated_warpgroup.h"
#endif

#endif
