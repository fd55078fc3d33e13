/* Streams of the emulated runtime, as the launcher sees them. */
#ifndef ALIGNPROP_TESTS_CUDA_RECORDER_H
#define ALIGNPROP_TESTS_CUDA_RECORDER_H

#include <cuda_runtime.h>

#include <functional>

/* Runs `work` now, or keeps it for the graph while the stream is captured. */
cudaError_t recorder_queue(cudaStream_t stream, std::function<void()> work);

void emulation_count_allocation(void);
void emulation_count_synchronization(void);
void emulation_count_queued(void);
void emulation_count_replay(void);

#endif
