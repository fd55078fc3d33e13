/* Kernels with one mistake each, to see that the emulation reports it. */
#ifndef ALIGNPROP_TESTS_CUDA_FAULTY_H
#define ALIGNPROP_TESTS_CUDA_FAULTY_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

enum faulty_kernel {
    FAULT_NONE,                /* for comparison: the same without a mistake */
    FAULT_MISSING_BARRIER,     /* reads a neighbour's value too early */
    FAULT_OVERWRITTEN,         /* writes what a neighbour may still read */
    FAULT_DIVERGED_BARRIER,    /* half of the threads leave before a barrier */
    FAULT_DIVERGED_SHUFFLE,    /* half of a warp skips a shuffle */
    FAULT_PARTIAL_MASK,        /* a shuffle that names half of its lanes */
    FAULT_OUTSIDE,             /* an index past shared memory */
    FAULT_COPY_NOT_WAITED,     /* reads before its asynchronous copy has landed: NaN too */
    FAULT_NOT_AWAITED,         /* may begin before the kernels before it have ended */
    FAULT_PRODUCT_NONE,        /* a warpgroup's product without a mistake */
    FAULT_PRODUCT_NOT_ORDERED, /* its operands were not ordered before it */
    FAULT_PRODUCT_NOT_BEGUN,   /* its sums may not be in registers yet */
    FAULT_PRODUCT_NOT_WAITED,  /* its sums are read too early */
    FAULT_PRODUCT_OFF,         /* its operand does not begin where lines of 128 bytes are counted from */
    FAULT_COUNT
};

/* values[64], aligned to 16 bytes: each thread's number goes to its neighbour; of a product, each row's number from 1
 * on. */
void launch_faulty(cudaStream_t stream, int fault, float *values);

#ifdef __cplusplus
}
#endif
#endif
