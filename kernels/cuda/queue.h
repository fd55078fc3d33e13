/* Where kernels are queued. */
#ifndef ALIGNPROP_KERNELS_CUDA_QUEUE_H
#define ALIGNPROP_KERNELS_CUDA_QUEUE_H

#include <cuda_runtime.h>
#include <stdbool.h>

struct queue {
    cudaStream_t stream;
    bool overlaps; /* a kernel may be brought onto the device while the one before it still works; it waits there for
                      that one's end (await_earlier_kernels). Compute capability 9.0 and later. */
};

#endif
