/* Device memory whose element type is known at run time, read and written as fp32.
 *
 * The type is the same for all threads, so the branch costs next to nothing in kernels that wait for memory, and one
 * compiled kernel serves every mix of types. */
#ifndef ALIGNPROP_KERNELS_CUDA_ARRAY_H
#define ALIGNPROP_KERNELS_CUDA_ARRAY_H

#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"

DEVICE float load(const struct array &array, int64_t index)
{
    if (array.type == ELEMENT_F32) return static_cast<const float *>(array.data)[index];
    uint16_t bits = static_cast<const uint16_t *>(array.data)[index];
    return array.type == ELEMENT_BF16 ? bfloat16_to_float(bits) : float16_to_float(bits);
}

DEVICE void store(const struct array &array, int64_t index, float value)
{
    if (array.type == ELEMENT_F32)
        static_cast<float *>(array.data)[index] = value;
    else
        static_cast<uint16_t *>(array.data)[index] =
            array.type == ELEMENT_BF16 ? float_to_bfloat16(value) : float_to_float16(value);
}

/* Eight elements at a time: `index` a multiple of 8, the array 16-byte aligned. */
DEVICE void load8(const struct array &array, int64_t index, float value[8])
{
    if (array.type == ELEMENT_F32) {
        const vector16 *from = reinterpret_cast<const vector16 *>(static_cast<const float *>(array.data) + index);
        for (int half = 0; half < 2; half++) {
            vector16 words = from[half];
            for (int i = 0; i < 4; i++) value[4 * half + i] = bits_to_float(words.word[i]);
        }
        return;
    }
    vector16 words = *reinterpret_cast<const vector16 *>(static_cast<const uint16_t *>(array.data) + index);
    for (int i = 0; i < 4; i++) {
        uint16_t low = (uint16_t)(words.word[i] & 0xffffu), high = (uint16_t)(words.word[i] >> 16);
        bool brain = array.type == ELEMENT_BF16;
        value[2 * i] = brain ? bfloat16_to_float(low) : float16_to_float(low);
        value[2 * i + 1] = brain ? bfloat16_to_float(high) : float16_to_float(high);
    }
}

DEVICE void store8(const struct array &array, int64_t index, const float value[8])
{
    if (array.type == ELEMENT_F32) {
        float *to = static_cast<float *>(array.data) + index;
        for (int half = 0; half < 2; half++) {
            struct alignas(16) four {
                float value[4];
            } words = {{value[4 * half], value[4 * half + 1], value[4 * half + 2], value[4 * half + 3]}};
            reinterpret_cast<four *>(to)[half] = words;
        }
        return;
    }
    vector16 words;
    for (int i = 0; i < 4; i++)
        words.word[i] = array.type == ELEMENT_BF16 ? round_pair<bfloat16_format>(value[2 * i], value[2 * i + 1])
                                                   : round_pair<float16_format>(value[2 * i], value[2 * i + 1]);
    *reinterpret_cast<vector16 *>(static_cast<uint16_t *>(array.data) + index) = words;
}

/* `count` (1..8) consecutive elements, in one access where `wide` says that all of this call's arrays allow it. */
DEVICE void load_some(const struct array &array, int64_t index, int count, bool wide, float value[8])
{
    if (wide) {
        load8(array, index, value);
        return;
    }
    for (int i = 0; i < 8; i++) value[i] = i < count ? load(array, index + i) : 0.0f;
}

DEVICE void store_some(const struct array &array, int64_t index, int count, bool wide, const float value[8])
{
    if (wide) {
        store8(array, index, value);
        return;
    }
    for (int i = 0; i < 8; i++)
        if (i < count) store(array, index + i, value[i]);
}

/* Index of this thread among all of a one-dimensional grid. */
DEVICE int64_t global_thread()
{
    return (int64_t)block_x() * block_threads() + thread_index();
}

static inline int blocks_for(int64_t items, int threads)
{
    return (int)((items + threads - 1) / threads);
}

static inline bool is_aligned(const struct array &array)
{
    return (uintptr_t)array.data % 16 == 0;
}

#endif
