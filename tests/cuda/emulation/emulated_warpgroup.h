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
void order_before_warpgroup();
void barrier_begin(uint64_t *barrier, int arrivals);
void barrier_arrive(uint64_t *barrier);
void barrier_arrive_when_copied(uint64_t *barrier);
void barrier_wait(uint64_t *barrier, int phase);
void warpgroup_begin();
void warpgroup_multiply(const warpgroup_product &product);
void warpgroup_commit();
void warpgroup_wait(int groups);
} // namespace emulation

DEVICE int aligned_shared_offset(int alignment)
{
    return -(int)emulation::shared_address(emulation::shared_base()) & (alignment - 1);
}
DEVICE uint64_t describe_matrix(shared_array<uint16_t> from, int index, int leading, int stride, enum swizzle swizzle)
{
    return (uint64_t)(emulation::shared_address(from.data + index) >> 4 & 0x3fff) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)swizzle << 62;
}
DEVICE void order_before_warpgroup()
{
    emulation::order_before_warpgroup();
}
DEVICE void barrier_begin(shared_array<uint64_t> barriers, int index, int arrivals)
{
    emulation::barrier_begin(barriers.data + index, arrivals);
}
DEVICE void barrier_arrive(shared_array<uint64_t> barriers, int index)
{
    emulation::barrier_arrive(barriers.data + index);
}
DEVICE void barrier_arrive_when_copied(shared_array<uint64_t> barriers, int index)
{
    emulation::barrier_arrive_when_copied(barriers.data + index);
}
DEVICE void barrier_wait(shared_array<uint64_t> barriers, int index, int phase)
{
    emulation::barrier_wait(barriers.data + index, phase);
}
DEVICE void warpgroup_begin()
{
    emulation::warpgroup_begin();
}
DEVICE void warpgroup_commit()
{
    emulation::warpgroup_commit();
}
template <int groups> DEVICE void warpgroup_wait()
{
    emulation::warpgroup_wait(groups);
}

template <class Format> struct is_brain;
template <> struct is_brain<bfloat16_format> {
    static const bool value = true;
};
template <> struct is_brain<float16_format> {
    static const bool value = false;
};
template <class Format, int columns, bool b_by_columns>
DEVICE void warpgroup_multiply_add(float (&sum)[columns / 2], uint64_t a, uint64_t b)
{
    emulation::warpgroup_multiply({sum, a, b, columns, b_by_columns, is_brain<Format>::value});
}

#endif
