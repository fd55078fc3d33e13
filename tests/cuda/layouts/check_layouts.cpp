/* A check for development: what device.h, warpgroup.h and the emulation take for the layouts of the matrix
 * instructions' operands is what CuTe does. Built where -Dcutlass names a copy of CUTLASS. */
#include <cstdio>
#include <cstdlib>

#include "cute_layouts.h"
#include "kernels/cuda/product_warpgroup.cu"

static int wrong;

static void expect(const char *what, long found, long expected, int first, int second)
{
    if (found != expected && wrong++ < 20)
        printf("%s (%d, %d): %ld, to CuTe %ld\n", what, first, second, found, expected);
}

/* As the comments of mma_m16n8k16 say it. */
static void check_fragments()
{
    for (int lane = 0; lane < 32; lane++) {
        int group = lane / 4, pair = 2 * (lane % 4);
        for (int value = 0; value < 8; value++) {
            int word = value / 2, row = group + word % 2 * 8, depth = pair + word / 2 * 8 + value % 2;
            expect("a", row + 16 * depth, cute_element(CUTE_A, lane, value), lane, value);
            if (value < 4) expect("half of a", row + 16 * depth, cute_element(CUTE_HALF_A, lane, value), lane, value);
        }
        for (int value = 0; value < 4; value++) {
            int depth = pair + value / 2 * 8 + value % 2;
            expect("b", group + 8 * depth, cute_element(CUTE_B, lane, value), lane, value);
            if (value < 2) expect("half of b", group + 8 * depth, cute_element(CUTE_HALF_B, lane, value), lane, value);
            int row = group + value / 2 * 8, column = pair + value % 2;
            expect("c", row + 16 * column, cute_element(CUTE_C, lane, value), lane, value);
        }
    }
}

/* As the comment of wgmma says it. */
static void check_warpgroup_sums()
{
    for (int thread = 0; thread < WARPGROUP_THREADS; thread++)
        for (int value = 0; value < 80; value++) {
            int row = thread / 32 * 16 + thread % 32 / 4 + value / 2 % 2 * 8;
            int column = value / 4 * 8 + 2 * (thread % 4) + value % 2;
            expect("sums of 160", row + 64 * column, cute_element(CUTE_WARPGROUP_160, thread, value), thread, value);
            if (value < 64)
                expect("sums of 128", row + 64 * column, cute_element(CUTE_WARPGROUP_128, thread, value), thread,
                       value);
        }
}

static void check_operands()
{
    for (int row = 0; row < 160; row++)
        for (int depth = 0; depth < DEPTH; depth++) {
            int chunk = depth / CHUNK * CHUNK, block = row / CHUNK * CHUNK;
            expect("by rows", swizzled_rows::at(row, chunk) + depth % CHUNK, cute_by_rows(row, depth), row, depth);
            expect("by columns", swizzled_columns<160>::at(block, depth) + row % CHUNK, cute_by_columns(row, depth),
                   row, depth);
        }
    const uint64_t address = 0x3fff;
    uint64_t by_rows = (uint64_t)(swizzled_rows::group_bytes >> 4) << 32 | (uint64_t)SWIZZLE_128 << 62;
    typedef swizzled_columns<160> columns;
    uint64_t by_columns = (uint64_t)(columns::block_bytes >> 4) << 16 | (uint64_t)(columns::layer_bytes >> 4) << 32 |
                          (uint64_t)SWIZZLE_64 << 62;
    const uint64_t leading = (uint64_t)0x3fff << 16; /* unused by rows */
    expect("descriptor by rows", (long)by_rows, (long)(cute_descriptor(false) & ~address & ~leading), 0, 0);
    expect("descriptor by columns", (long)by_columns, (long)(cute_descriptor(true) & ~address), 0, 0);
}

int main()
{
    check_fragments();
    check_warpgroup_sums();
    check_operands();
    printf(wrong ? "%d differences\n" : "fragments, sums, operands and descriptors are as CuTe's\n", wrong);
    return wrong ? 1 : 0;
}
