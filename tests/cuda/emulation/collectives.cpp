/* What the lanes of a warp do together. */
#include "block.h"

#include <cstring>

namespace emulation
{
namespace
{
enum collective { BARRIER = 1, SHUFFLE, ANY, LOAD, LOAD_TRANSPOSED, MULTIPLY_BFLOAT16, MULTIPLY_FLOAT16 };

void finish_shuffle(exchange_slot &slot)
{
    for (int lane = 0; lane < WARP; lane++) {
        int from;
        memcpy(&from, slot.in[lane] + 4, 4);
        if (from < 0 || from >= WARP) {
            fault("a shuffle reads lane %d", from);
            from = lane;
        }
        memcpy(slot.out[lane], slot.in[from], 4);
    }
}

void finish_any(exchange_slot &slot)
{
    unsigned char any = 0;
    for (int lane = 0; lane < WARP; lane++) any |= slot.in[lane][0];
    for (int lane = 0; lane < WARP; lane++) slot.out[lane][0] = any;
}

void finish_load(exchange_slot &slot, bool transposed)
{
    for (int matrix = 0; matrix < 4; matrix++) {
        uint16_t element[8][8];
        for (int row = 0; row < 8; row++) memcpy(element[row], slot.in[8 * matrix + row], 16);
        for (int lane = 0; lane < WARP; lane++)
            for (int i = 0; i < 2; i++) {
                int outer = lane / 4, inner = 2 * (lane % 4) + i;
                uint16_t value = transposed ? element[inner][outer] : element[outer][inner];
                memcpy(slot.out[lane] + 4 * matrix + 2 * i, &value, 2);
            }
    }
}

void finish_multiply(exchange_slot &slot, bool brain)
{
    float a[16][16], b[16][8], c[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        uint32_t word[6];
        float sums[4];
        memcpy(word, slot.in[lane], sizeof word);
        memcpy(sums, slot.in[lane] + sizeof word, sizeof sums);
        int group = lane / 4, pair = 2 * (lane % 4);
        for (int i = 0; i < 2; i++) {
            auto half = [&](int index) { return widen((uint16_t)(word[index] >> 16 * i), brain); };
            a[group][pair + i] = half(0);
            a[group + 8][pair + i] = half(1);
            a[group][pair + 8 + i] = half(2);
            a[group + 8][pair + 8 + i] = half(3);
            b[pair + i][group] = half(4);
            b[pair + 8 + i][group] = half(5);
            c[group][pair + i] = sums[i];
            c[group + 8][pair + i] = sums[2 + i];
        }
    }
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++)
            for (int k = 0; k < 16; k++) c[row][column] += a[row][k] * b[k][column];
    for (int lane = 0; lane < WARP; lane++) {
        int group = lane / 4, pair = 2 * (lane % 4);
        float sums[4] = {c[group][pair], c[group][pair + 1], c[group + 8][pair], c[group + 8][pair + 1]};
        memcpy(slot.out[lane], sums, sizeof sums);
    }
}

void finish(exchange_slot &slot)
{
    switch (slot.kind) {
    case BARRIER: break;
    case SHUFFLE: finish_shuffle(slot); break;
    case ANY: finish_any(slot); break;
    case LOAD: finish_load(slot, false); break;
    case LOAD_TRANSPOSED: finish_load(slot, true); break;
    case MULTIPLY_BFLOAT16: finish_multiply(slot, true); break;
    case MULTIPLY_FLOAT16: finish_multiply(slot, false); break;
    }
}

void expect_all_lanes(unsigned mask)
{
    if (mask != 0xffffffffu) fault("a collective of the lanes %08x alone", mask);
}

/* Brings `in`, waits for the warp's other lanes, returns this lane's result. */
const unsigned char *collective(int kind, const void *in, size_t bytes)
{
    warp &warp = own_warp();
    exchange_slot &slot = warp.slot[warp.generation % 2];
    int lane = current_thread() % WARP;
    int lanes = block_threads() % WARP == 0 ? WARP : 0;
    if (lanes == 0) fault("a collective in a block of %d threads", block_threads());
    if (warp.arrived > 0 && slot.kind != kind) fault("lanes of a warp meet in different collectives");
    slot.kind = kind;
    memcpy(slot.in[lane], in, bytes);
    if (++warp.arrived == WARP) {
        finish(slot);
        warp.arrived = 0;
        warp.generation++;
        if (kind == BARRIER) warp.epoch++;
    } else {
        fiber &own = own_fiber();
        own.waits = IN_COLLECTIVE;
        own.generation = warp.generation;
        switch_to_scheduler(false);
    }
    return slot.out[lane];
}
} // namespace

void ldmatrix_x4(uint32_t registers[4], const uint16_t *row, bool transposed)
{
    unsigned char in[16] = {};
    if ((uintptr_t)row % 16 != 0) fault("a matrix row off a 16-byte boundary");
    if (traffic_is_measured) note_traffic(EMULATION_MATRICES, __builtin_return_address(0), row, 16);
    if (note_read(row, 16)) memcpy(in, row, 16);
    memcpy(registers, collective(transposed ? LOAD_TRANSPOSED : LOAD, in, sizeof in), 16);
}

void multiply(float c[4], const uint32_t a[4], const uint32_t b[2], bool brain)
{
    unsigned char in[40];
    memcpy(in, a, 16);
    memcpy(in + 16, b, 8);
    memcpy(in + 24, c, 16);
    memcpy(c, collective(brain ? MULTIPLY_BFLOAT16 : MULTIPLY_FLOAT16, in, sizeof in), 16);
}
} // namespace emulation

using namespace emulation;

void __syncwarp(unsigned mask)
{
    char nothing = 0;
    expect_all_lanes(mask);
    collective(BARRIER, &nothing, 1);
}

/* The value of lane `from`. */
static float shuffle(unsigned mask, float value, int from)
{
    unsigned char in[8];
    expect_all_lanes(mask);
    memcpy(in, &value, 4);
    memcpy(in + 4, &from, 4);
    memcpy(&value, collective(SHUFFLE, in, sizeof in), 4);
    return value;
}

float __shfl_xor_sync(unsigned mask, float value, int lane_mask)
{
    return shuffle(mask, value, current_thread() % WARP ^ lane_mask);
}

float __shfl_sync(unsigned mask, float value, int lane)
{
    return shuffle(mask, value, lane);
}

int __any_sync(unsigned mask, int condition)
{
    unsigned char in = condition != 0;
    expect_all_lanes(mask);
    return *collective(ANY, &in, 1) != 0;
}
