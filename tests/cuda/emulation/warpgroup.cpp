/* Products of a warpgroup: operands are read through their descriptors, as late as can be. */
#include "block.h"

namespace emulation
{
static const uint32_t SHARED_START = 1040; /* as if a kilobyte and sixteen bytes came before */
/* Bits of a descriptor's address that tell an operand inside a line (the depth that it begins at) from one whose lines
 * are not counted from a multiple of their group. */
static const uint64_t OFF_ALIGNMENT = 0x19;

uint32_t shared_address(const void *place)
{
    return SHARED_START + (uint32_t)((const char *)place - running->shared);
}

/* Where an operand's element lies. Lines of 128 (64) bytes; the 16-byte chunk's number within a line is changed by
 * three (two) bits of the line's number, which are bits of the address. */
static const uint16_t *operand_element(uint64_t descriptor, bool by_columns, int row, int depth)
{
    uint32_t start = (uint32_t)(descriptor & 0x3fff) << 4;
    uint32_t leading = (uint32_t)(descriptor >> 16 & 0x3fff) << 4, stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
    int swizzle = (int)(descriptor >> 62);
    if (swizzle != (by_columns ? SWIZZLE_64 : SWIZZLE_128)) fault("an operand with the other order of chunks");
    uint32_t address = by_columns ? start + (uint32_t)(row / 32) * leading + (uint32_t)(depth / 8) * stride +
                                        (uint32_t)(depth % 8 * 64 + row % 32 * 2)
                                  : start + (uint32_t)(row / 8) * stride + (uint32_t)(row % 8 * 128 + depth * 2);
    address ^= (address >> 7 & (by_columns ? 3u : 7u)) << 4;
    static const uint16_t nothing = 0;
    const char *element = running->shared + ((long)address - (long)SHARED_START);
    return in_shared(element, sizeof nothing) ? (const uint16_t *)element : &nothing;
}

/* What the products read must have been ordered before them by whoever wrote it: eight neighbours from here on. */
static void note_product_read(uint64_t descriptor, bool by_columns, int row, int depth)
{
    const uint16_t *element = operand_element(descriptor, by_columns, row, depth);
    if (!note_read(element, 16)) return;
    last_write write = last_write_to(element);
    /* Whoever wrote has ordered it before a barrier, or the reader has after one. */
    if (write.thread >= 0 && write.number > running->fibers[(size_t)write.thread].ordered_writes &&
        write.number > own_fiber().ordered_writes)
        fault("a warpgroup's product reads what thread %d wrote and did not order before it", write.thread);
}

void fence_proxy_async()
{
    own_fiber().ordered_writes = write_number();
}

void mbarrier_init(uint64_t *barrier, int arrivals)
{
    if ((uintptr_t)barrier % sizeof *barrier != 0) fault("a barrier off a boundary of its size");
    if (in_shared(barrier, sizeof *barrier)) running->barriers[barrier] = {arrivals, arrivals, 0, {}};
}

static shared_barrier *begun(const uint64_t *barrier)
{
    auto found = running->barriers.find(barrier);
    if (found != running->barriers.end()) return &found->second;
    fault("a barrier in shared memory that was not begun");
    return nullptr;
}

static void arrive(shared_barrier &barrier)
{
    if (--barrier.missing > 0) return;
    for (const auto &copy : barrier.copies) land(copy.second, copy.first);
    barrier.copies.clear();
    barrier.missing = barrier.arrivals;
    barrier.phase++;
    shared_memory_ordered(*running);
}

void mbarrier_arrive(uint64_t *barrier)
{
    if (shared_barrier *found = begun(barrier)) arrive(*found);
}

void cp_async_mbarrier_arrive(uint64_t *barrier)
{
    shared_barrier *found = begun(barrier);
    if (!found) return;
    for (const copy &copy : own_fiber().open) found->copies.push_back({current_thread(), copy});
    own_fiber().open.clear();
    arrive(*found);
}

void mbarrier_wait(uint64_t *barrier, int phase)
{
    shared_barrier *found = begun(barrier);
    if (!found || found->phase == phase + 1) return;
    if (found->phase != phase) fault("a barrier's phase %d is waited for in phase %ld", phase, found->phase);
    fiber &own = own_fiber();
    own.waits = AT_SHARED_BARRIER;
    own.awaits = found;
    own.phase = phase;
    switch_to_scheduler(false);
}

void wgmma_fence()
{
    own_fiber().products_begun = true;
}

/* Where this thread's row of the operand a begins. */
static int first_product_row()
{
    return current_thread() % WARPGROUP / WARP * 16 + current_thread() % WARP / 4;
}

void warpgroup_multiply(const warpgroup_product &product)
{
    fiber &own = own_fiber();
    if (!own.products_begun) fault("a warpgroup's product without wgmma_fence");
    if ((product.a | product.b) & OFF_ALIGNMENT) fault("a warpgroup's operand off its alignment of 512 bytes");
    if (block_threads() % WARPGROUP != 0) fault("a warpgroup in a block of %d threads", block_threads());
    auto &issued = running->warpgroup_products[(size_t)current_thread() / WARPGROUP];
    size_t number = (size_t)own.products_issued++;
    if (number == issued.size()) {
        issued.push_back({product.a, product.b});
        traffic.product_bytes += (64 + product.columns) * 16 * (long)sizeof(uint16_t);
    }
    if (number > issued.size() || issued[number] != std::make_pair(product.a, product.b))
        fault("threads of a warpgroup begin different products");
    for (int depth = 0; depth < 16; depth += 8)
        for (int half = 0; half < 2; half++) note_product_read(product.a, false, first_product_row() + 8 * half, depth);
    int row_step = product.b_by_columns ? 8 : 1, depth_step = product.b_by_columns ? 1 : 8;
    for (int row = 0; row < product.columns && current_thread() % WARP == 0; row += row_step)
        for (int depth = 0; depth < 16; depth += depth_step)
            note_product_read(product.b, product.b_by_columns, row, depth);
    own.open_products.push_back(product);
}

void wgmma_commit_group()
{
    own_fiber().product_groups.push_back(std::move(own_fiber().open_products));
    own_fiber().open_products.clear();
}

/* As late as can be: with what lies in shared memory when the thread waits. */
static void carry_out(const warpgroup_product &product)
{
    float a[2][16];
    int first_column = 2 * (current_thread() % 4);
    auto value = [&](uint64_t descriptor, bool by_columns, int row, int depth) {
        return widen(*operand_element(descriptor, by_columns, row, depth), product.brain);
    };
    for (int half = 0; half < 2; half++)
        for (int depth = 0; depth < 16; depth++)
            a[half][depth] = value(product.a, false, first_product_row() + 8 * half, depth);
    for (int i = 0; i < product.columns / 4; i++) {
        int column = first_column + i / 2 * 8 + i % 2;
        for (int depth = 0; depth < 16; depth++) {
            float b = value(product.b, product.b_by_columns, column, depth);
            for (int half = 0; half < 2 && !broken_warpgroups; half++)
                product.sum[i / 2 * 4 + 2 * half + i % 2] += a[half][depth] * b;
        }
    }
}

void wgmma_wait_group(int groups)
{
    fiber &own = own_fiber();
    own.products_begun = false;
    while ((int)own.product_groups.size() > groups) {
        for (const warpgroup_product &product : own.product_groups.front()) carry_out(product);
        own.product_groups.erase(own.product_groups.begin());
    }
    /* The instruction waits for the warp's other lanes as well, though it orders nothing that they wrote. */
    (void)__any_sync(0xffffffffu, false);
}
} // namespace emulation
