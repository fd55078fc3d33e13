/* What CuTe says of fragments, shared memory's places and descriptors, for check_layouts. */
#include "cute_layouts.h"

#include <cute/tensor.hpp>

#include <cute/atom/mma_traits_sm80.hpp>
#include <cute/atom/mma_traits_sm90_gmma.hpp>

using namespace cute;

typedef MMA_Traits<SM80_16x8x16_F32BF16BF16F32_TN> whole_depth;
typedef MMA_Traits<SM80_16x8x8_F32BF16BF16F32_TN> half_depth;

int cute_element(enum cute_fragment fragment, int thread, int value)
{
    switch (fragment) {
    case CUTE_A: return whole_depth::ALayout{}(thread, value);
    case CUTE_B: return whole_depth::BLayout{}(thread, value);
    case CUTE_C: return whole_depth::CLayout{}(thread, value);
    case CUTE_HALF_A: return half_depth::ALayout{}(thread, value);
    case CUTE_HALF_B: return half_depth::BLayout{}(thread, value);
    case CUTE_WARPGROUP_128: return SM90::GMMA::CLayout_64x128{}(thread, value);
    case CUTE_WARPGROUP_160: return SM90::GMMA::CLayout_64xN<160>{}(thread, value);
    }
    return -1;
}

static auto by_rows()
{
    return tile_to_shape(SM90::GMMA::Layout_K_SW128_Atom<bfloat16_t>{}, Shape<_160, _64>{});
}
static auto by_columns()
{
    return tile_to_shape(SM90::GMMA::Layout_MN_SW64_Atom<bfloat16_t>{}, Shape<_160, _64>{});
}

/* As they are, such layouts exchange bits of addresses; these count elements. */
int cute_by_rows(int row, int depth)
{
    return as_position_independent_swizzle_layout(by_rows())(row, depth);
}

int cute_by_columns(int row, int depth)
{
    return as_position_independent_swizzle_layout(by_columns())(row, depth);
}

/* CuTe remarks that a host has no addresses of shared memory: they are left out of the comparison. */
template <SM90::GMMA::Major major, class Layout> static uint64_t describe(Layout layout)
{
    alignas(1024) static bfloat16_t memory[160 * 64];
    auto whole = make_tensor(make_smem_ptr(memory), layout);
    return SM90::GMMA::make_gmma_desc<major>(local_tile(whole, Shape<_160, _16>{}, make_coord(0, 0))).desc_;
}

uint64_t cute_descriptor(bool is_by_columns)
{
    return is_by_columns ? describe<SM90::GMMA::Major::MN>(by_columns()) : describe<SM90::GMMA::Major::K>(by_rows());
}
