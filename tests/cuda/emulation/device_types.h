/* The types that kernels/cuda/device.h declares before it takes in what the emulation does in the device's place. */
#ifndef ALIGNPROP_TESTS_CUDA_DEVICE_TYPES_H
#define ALIGNPROP_TESTS_CUDA_DEVICE_TYPES_H

#include <cstdint>

struct alignas(16) vector16 {
    uint32_t word[4];
};
struct bfloat16_format {
};
struct float16_format {
};
enum swizzle { SWIZZLE_128 = 1, SWIZZLE_64 = 2 };

#endif
