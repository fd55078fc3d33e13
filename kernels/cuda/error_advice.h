/* What to do about an error of the CUDA runtime. */
#ifndef ALIGNPROP_KERNELS_CUDA_ERROR_ADVICE_H
#define ALIGNPROP_KERNELS_CUDA_ERROR_ADVICE_H

#include <cuda_runtime.h>

/* What a person can do about it, as the end of a sentence ("; install ..."); "" where nothing is known to help. */
const char *cuda_advice(cudaError_t error);

#endif
