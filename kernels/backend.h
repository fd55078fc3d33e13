/* What a device must offer: memory and the operations of operations.h.
 *
 * A kernel is an operation prepared once for fixed shapes. Running it allocates nothing. The caller owns all memory:
 * tensors, one scratch area (shared by all kernels, contents undefined between calls) and one packed area for each
 * frozen weight that the kernel wants in a layout of its own. */
#ifndef ALIGNPROP_KERNELS_BACKEND_H
#define ALIGNPROP_KERNELS_BACKEND_H

#include "kernels/operations.h"
#include "kernels/status.h"

struct backend;
struct kernel;

struct kernel_requirements {
    size_t scratch_bytes; /* needed during each run */
    size_t packed_bytes;  /* of the weight (input 1 of the linear and convolution family) in this kernel's own layout;
                             0: the kernel reads the weight as it is */
    uint64_t packing_key; /* kernels with equal key, weight and packed_bytes share one packed copy */
};

struct backend_interface {
    const char *name; /* "cpu", "cuda", "reference" */

    /* Element types of ordinary tensors, and of those that are accumulated (`exact` in operations.def), on this device.
     */
    enum element_type compute_type, accumulation_type;

    /* Whether convolutions have the attribute `doubled`. */
    bool folds_upsampling;

    /* Whether the operations that may have a residual take it. */
    bool adds_residual;

    /* Whether the operands of operation_takes_columns may be columns of a wider tensor. Such a device reads the weights
     * of linear layers as they are: it packs none. */
    bool takes_columns;

    /* What a person should know of this device, a sentence; NULL: nothing. */
    const char *remark;

    /* Pixels of pictures that are worth decoding at once: fewer leave the device idle, more only take memory. */
    int64_t pixels_at_once;

    /* Device memory, aligned to 256 bytes. STATUS_NO_MEMORY names needed and free bytes. */
    status (*allocate)(struct backend *backend, size_t bytes, void **memory);
    void (*release)(struct backend *backend, void *memory);
    /* Bytes that may still be allocated, as well as the device can tell; total may be NULL. */
    status (*memory_free)(struct backend *backend, size_t *free_bytes, size_t *total_bytes);

    /* Copies; ordered with kernels. upload and download return when the host buffer may be reused or read. */
    status (*upload)(struct backend *backend, void *device, const void *host, size_t bytes);
    status (*download)(struct backend *backend, void *host, const void *device, size_t bytes);
    status (*copy)(struct backend *backend, void *to, const void *from, size_t bytes);
    status (*clear)(struct backend *backend, void *device, size_t bytes);

    /* Prepares a kernel. STATUS_FAILED names operation and shapes where the backend cannot do it. */
    status (*prepare)(struct backend *backend, const struct operation *operation, struct kernel **kernel,
                      struct kernel_requirements *requirements);
    void (*discard)(struct backend *backend, struct kernel *kernel);
    /* Writes the kernel's layout of `weight` to `packed`. To be called again after the weight changed. */
    status (*pack)(struct backend *backend, struct kernel *kernel, const void *weight, void *packed, void *scratch);
    /* Queues one call. Absent operands are NULL, and so may a weight be that the kernel has packed. `packed` is NULL
     * when packed_bytes was 0. */
    status (*run)(struct backend *backend, struct kernel *kernel, const void *const *inputs, void *const *outputs,
                  const void *packed, void *scratch);
    /* Waits until everything queued is done and reports what failed. */
    status (*synchronize)(struct backend *backend);

    /* Optional (NULL where a copy holds nothing up): begins to copy device memory to the host beside what is queued
     * from now on, which must leave it as it is until synchronize. One copy at a time: not before `fetched` gave the
     * last. */
    status (*fetch)(struct backend *backend, const void *device, size_t bytes);
    /* The bytes of the last fetch, the backend's until the next one; NULL while they are under way. Does not wait. */
    status (*fetched)(struct backend *backend, const void **host);

    /* Optional (NULL where a device has none): records everything queued between begin and end as one replayable
     * sequence over the same pointers. */
    status (*capture_begin)(struct backend *backend);
    status (*capture_end)(struct backend *backend, void **sequence);
    status (*replay)(struct backend *backend, void *sequence);
    void (*sequence_discard)(struct backend *backend, void *sequence);

    void (*destroy)(struct backend *backend);
};

/* Every backend's own struct begins with this. */
struct backend {
    const struct backend_interface *interface;
};

/* The CPU backend: fp32. threads: 0 takes all cores. Deterministic for a given thread count. */
status backend_cpu_create(int threads, struct backend **backend);

/* Plain loops in double precision, one thread: the oracle of the tests and of gradcheck. */
status backend_reference_create(struct backend **backend);

enum cuda_precision { CUDA_PRECISION_BF16, CUDA_PRECISION_F16, CUDA_PRECISION_F32 };

/* The CUDA backend on device `ordinal`. STATUS_FAILED says what is missing (driver, device, library, build). */
status backend_cuda_create(int ordinal, enum cuda_precision precision, struct backend **backend);

#endif
