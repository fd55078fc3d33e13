/* Device memory whose element type is known at run time, read and written as fp32.
 *
 * The type is the same for all threads, so the branch costs next to nothing in kernels that wait for memory, and one
 * compiled kernel serves every mix of types. */
#ifndef ALIGNPROP_KERNELS_CUDA_ARRAY_H
#define ALIGNPROP_KERNELS_CUDA_ARRAY_H

#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"

static __device__ __forceinline__ float load(const struct array &array, int64_t index)
{
    if (array.type == ELEMENT_F32) return static_cast<const float *>(array.data)[index];
    uint16_t bits = static_cast<const uint16_t *>(array.data)[index];
    return array.type == ELEMENT_BF16 ? bfloat16_to_float(bits) : float16_to_float(bits);
}

static __device__ __forceinline__ void store(const struct array &array, int64_t index, float value)
{
    if (array.type == ELEMENT_F32)
        static_cast<float *>(array.data)[index] = value;
    else
        static_cast<uint16_t *>(array.data)[index] =
            array.type == ELEMENT_BF16 ? float_to_bfloat16(value) : float_to_float16(value);
}

static __device__ __forceinline__ int element_bytes(const struct array &array)
{
    return array.type == ELEMENT_F32 ? 4 : 2;
}

/* The array from `first` on. */
static __device__ __forceinline__ struct array array_from(const struct array &array, int64_t first)
{
    struct array rest = array;
    if (array.data) rest.data = static_cast<char *>(array.data) + first * element_bytes(array);
    return rest;
}

/* ---- eight elements at a time: `index` a multiple of 8, the array 16-byte aligned ---- */

/* As they lie in memory; the second half is of fp32 alone. Reading and converting are apart, so that a thread can ask
 * for all it needs before it waits. Index: int where the array's first element is near, else int64_t. */
struct packed8 {
    vector16 half[2];
};

template <class Index> static __device__ __forceinline__ const vector16 *place8(const struct array &array, Index index)
{
    const char *data = static_cast<const char *>(array.data);
    return reinterpret_cast<const vector16 *>(data + (int64_t)index * element_bytes(array));
}

template <class Index> static __device__ __forceinline__ struct packed8 fetch8(const struct array &array, Index index)
{
    const vector16 *from = place8(array, index);
    struct packed8 packed;
    packed.half[0] = from[0];
    if (array.type == ELEMENT_F32) packed.half[1] = from[1];
    return packed;
}

/* Stores elements of the array's own type. */
template <class Index>
static __device__ __forceinline__ void put8(const struct array &array, Index index, const struct packed8 &packed)
{
    vector16 *to = const_cast<vector16 *>(place8(array, index));
    to[0] = packed.half[0];
    if (array.type == ELEMENT_F32) to[1] = packed.half[1];
}

static __device__ __forceinline__ void unpack8(const struct array &array, const struct packed8 &packed, float value[8])
{
    if (array.type == ELEMENT_F32) {
#pragma unroll
        for (int i = 0; i < 8; i++) value[i] = __uint_as_float(packed.half[i / 4].word[i % 4]);
    } else if (array.type == ELEMENT_BF16) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            value[2 * i] = __uint_as_float(packed.half[0].word[i] << 16);
            value[2 * i + 1] = __uint_as_float(packed.half[0].word[i] & 0xffff0000u);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            value[2 * i] = float16_to_float((uint16_t)(packed.half[0].word[i] & 0xffffu));
            value[2 * i + 1] = float16_to_float((uint16_t)(packed.half[0].word[i] >> 16));
        }
    }
}

template <class Index>
static __device__ __forceinline__ void load8(const struct array &array, Index index, float value[8])
{
    unpack8(array, fetch8(array, index), value);
}

template <class Index>
static __device__ __forceinline__ void store8(const struct array &array, Index index, const float value[8])
{
    vector16 *to = const_cast<vector16 *>(place8(array, index));
    if (array.type == ELEMENT_F32) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            struct alignas(16) four {
                float value[4];
            } words = {{value[4 * half], value[4 * half + 1], value[4 * half + 2], value[4 * half + 3]}};
            reinterpret_cast<four *>(to)[half] = words;
        }
        return;
    }
    vector16 words;
#pragma unroll
    for (int i = 0; i < 4; i++)
        words.word[i] = array.type == ELEMENT_BF16 ? round_pair<bfloat16_format>(value[2 * i], value[2 * i + 1])
                                                   : round_pair<float16_format>(value[2 * i], value[2 * i + 1]);
    *to = words;
}

/* `count` (1..8) consecutive elements, in one access where `wide` says that all of this call's arrays allow it. */
static __device__ __forceinline__ void load_some(const struct array &array, int64_t index, int count, bool wide,
                                                 float value[8])
{
    if (wide) {
        load8(array, index, value);
        return;
    }
    for (int i = 0; i < 8; i++) value[i] = i < count ? load(array, index + i) : 0.0f;
}

static __device__ __forceinline__ void store_some(const struct array &array, int64_t index, int count, bool wide,
                                                  const float value[8])
{
    if (wide) {
        store8(array, index, value);
        return;
    }
    for (int i = 0; i < 8; i++)
        if (i < count) store(array, index + i, value[i]);
}

/* ---- as many elements at a time as the compiled kernel takes: 8, or 1 where lengths or addresses forbid that ---- */

template <int width> struct packed;
template <> struct packed<8> {
    struct packed8 bits;
};
template <> struct packed<1> {
    float value;
};

template <int width, class Index>
static __device__ __forceinline__ packed<width> fetch(const struct array &array, Index index)
{
    if constexpr (width == 8)
        return packed<8>{fetch8(array, index)};
    else
        return packed<1>{load(array, index)};
}

template <int width>
static __device__ __forceinline__ void unpack(const struct array &array, const struct packed<width> &packed,
                                              float *value)
{
    if constexpr (width == 8)
        unpack8(array, packed.bits, value);
    else
        value[0] = packed.value;
}

template <int width, class Index>
static __device__ __forceinline__ void store_all(const struct array &array, Index index, const float *value)
{
    if constexpr (width == 8)
        store8(array, index, value);
    else
        store(array, index, value[0]);
}

/* Index of this thread among all of a one-dimensional grid. */
static __device__ __forceinline__ int64_t global_thread()
{
    int block = blockIdx.x, threads = blockDim.x, thread = threadIdx.x;
    return (int64_t)block * threads + thread;
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
