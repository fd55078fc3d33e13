/* What normalisation and element-wise kernels share of SiLU: two instructions of the special function unit. */
#ifndef ALIGNPROP_KERNELS_CUDA_ACTIVATION_H
#define ALIGNPROP_KERNELS_CUDA_ACTIVATION_H

#include "kernels/cuda/device.h"

#define LOG2_E 1.4426950408889634f

static __device__ __forceinline__ float sigmoid(float x)
{
    return reciprocal(1.0f + exponential_of_two(-LOG2_E * x));
}

static __device__ __forceinline__ float silu_derivative(float x)
{
    float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

#endif
