/* Elements of the three floating types, by cuBLASLt's number for the type. */
#ifndef ALIGNPROP_TESTS_CUDA_VALUES_H
#define ALIGNPROP_TESTS_CUDA_VALUES_H

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

double value_load(int type, const void *data, int64_t index);
void value_store(int type, void *data, int64_t index, double value);

/* Runs work(copy of context) in the stream's order. */
void emulation_queue(cudaStream_t stream, void (*work)(void *context), const void *context, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
