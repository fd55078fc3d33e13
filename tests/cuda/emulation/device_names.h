/* CUDA's own names for the host compiler: qualifiers, indices, and what the threads of a block and of a warp do
 * together. Found through cuda_runtime.h, as nvcc's are. `kernel<<<...>>>` is beyond a preprocessor: kernels are
 * launched by the function launch (kernels/cuda/device.h). */
#ifndef ALIGNPROP_TESTS_CUDA_DEVICE_NAMES_H
#define ALIGNPROP_TESTS_CUDA_DEVICE_NAMES_H

#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)

/* Of the fiber that runs. */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads();
/* The mask must name every lane of the warp. */
void __syncwarp(unsigned mask = 0xffffffffu);
float __shfl_xor_sync(unsigned mask, float value, int lane_mask);
float __shfl_sync(unsigned mask, float value, int lane);
int __any_sync(unsigned mask, int condition);

static inline float __uint_as_float(unsigned bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
