/* The device side of kernels/cuda/warpgroup.h on the host. */
#ifndef ALIGNPROP_TESTS_CUDA_EMULATED_WARPGROUP_H
#define ALIGNPROP_TESTS_CUDA_EMULATED_WARPGROUP_H

#define HAS_WARPGROUPS 1

namespace emulation
{
/* What one thread holds of a product under way. */
struct warpgroup_product {
    float *sum;
    uint64_t a, b; /* descriptors */
    int columns;
    bool b_by_columns, brain;
};
/* A shared memory address as the device counts it. It begins off a multiple of every swizzle's period. */
uint32_t shared_address(const void *place);
void fence_proxy_async();
void mbarrier_init(uint64_t *barrier, int arrivals);
void mbarrier_arrive(uint64_t *barrier);
void cp_async_mbarrier_arrive(uint64_t *barrier);
void mbarrier_wait(uint64_t *barrier, int phase);
void wgmma_fence();
void warpgroup_multiply(const warpgroup_product &product);
void wgmma_commit_group();
void wgmma_wait_group(int groups);
} // namespace emulation

static __device__ __forceinline__ int aligned_shared_offset(int alignment)
{
    return -(int)emulation::shared_address(emulation::shared_base()) & (alignment - 1);
}
static __device__ __forceinline__ uint64_t matrix_descriptor(shared_array<uint16_t> from, int index, int leading,
                                                             int stride, enum swizzle swizzle)
{
    return (uint64_t)(emulation::shared_address(from.data + index) >> 4 & 0x3fff) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)swizzle << 62;
}
static __device__ __forceinline__ void fence_proxy_async()
{
    emulation::fence_proxy_async();
}
static __device__ __forceinline__ void mbarrier_init(shared_array<uint64_t> barriers, int index, int arrivals)
{
    emulation::mbarrier_init(barriers.data + index, arrivals);
}
static __device__ __forceinline__ void mbarrier_arrive(shared_array<uint64_t> barriers, int index)
{
    emulation::mbarrier_arrive(barriers.data + index);
}
static __device__ __forceinline__ void cp_async_mbarrier_arrive(shared_array<uint64_t> barriers, int index)
{
    emulation::cp_async_mbarrier_arrive(barriers.data + index);
}
static __device__ __forceinline__ void mbarrier_wait(shared_array<uint64_t> barriers, int index, int phase)
{
    emulation::mbarrier_wait(barriers.data + index, phase);
}
static __device__ __forceinline__ void wgmma_fence()
{
    emulation::wgmma_fence();
}
static __device__ __forceinline__ void wgmma_commit_group()
{
    emulation::wgmma_commit_group();
}
template <int groups> static __device__ __forceinline__ void wgmma_wait_group()
{
    emulation::wgmma_wait_group(groups);
}

template <class Format> struct is_brain;
template <> struct is_brain<bfloat16_format> {
    static const bool value = true;
};
template <> struct is_brain<float16_format> {
    static const bool value = false;
};
template <class Format, int columns, bool b_by_columns>
static __device__ __forceinline__ void wgmma(float (&sum)[columns / 2], uint64_t a, uint64_t b)
{
    emulation::warpgroup_multiply({sum, a, b, columns, b_by_columns, is_brain<Format>::value});
}

#endif
