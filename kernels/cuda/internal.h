/* What the files of the CUDA backend share. */
#ifndef ALIGNPROP_KERNELS_CUDA_INTERNAL_H
#define ALIGNPROP_KERNELS_CUDA_INTERNAL_H

#include <cuda_runtime.h>

#include "kernels/backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/library.h"

/* Page-locked memory through which small uploads go, so that they neither wait for the device nor tie up the caller's
 * buffer. Filled half by half; a half is used again when the device has read it. */
struct staging {
    char *memory;
    size_t half_bytes, used;
    int half;
    cudaEvent_t read[2];
    bool waiting[2]; /* read[half] was recorded */
};

/* A copy to the host on a stream of its own, so that the computation goes on meanwhile. */
struct fetching {
    cudaStream_t stream;
    cudaEvent_t begin, end; /* the device memory is computed; the host memory is filled */
    void *memory;           /* page-locked */
    size_t bytes;
    bool under_way;
};

struct cuda_backend {
    struct backend base;
    struct backend_interface interface; /* compute_type depends on the precision */
    int ordinal;
    struct product_device product_device;
    size_t memory_bytes;
    char device_name[256];
    struct queue queue;
    struct staging staging;
    struct fetching fetching;
    bool capturing;
    bool library_tried;
    struct matrix_library library;
    void *library_handle; /* NULL: own kernels multiply */
};

struct call {
    const void *const *inputs;
    void *const *outputs;
    const void *packed;
    void *scratch;
};

/* What a family of operations does with its kernels. `prepare` sets plan and requirements; `run` queues work and
 * reports only what it can tell without waiting. pack may be NULL. */
struct family {
    status (*prepare)(struct cuda_backend *backend, struct kernel *kernel, struct kernel_requirements *requirements);
    status (*run)(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call);
    status (*pack)(struct cuda_backend *backend, const struct kernel *kernel, const void *weight, void *packed);
    void (*discard)(struct cuda_backend *backend, struct kernel *kernel);
};

struct kernel {
    struct operation operation;
    const struct family *family;
    void *plan; /* the family's; freed with the kernel */
};

/* The family of every kind of operation. */
const struct family *cuda_family(enum operation_kind kind);

extern const struct family cuda_linear_family, cuda_convolution_family, cuda_attention_family,
    cuda_attention_vjp_family;

/* STATUS_FAILED with the runtime's message for `error` after what was being done; success for cudaSuccess. */
status cuda_status(cudaError_t error, const char *doing);
/* Whether queueing failed since the last look. */
status cuda_queued(const struct kernel *kernel);

/* Whether the device's warpgroups multiply as they should in the backend's 16-bit compute type: every kind of tile
 * once, against whole numbers. A few milliseconds. */
status cuda_check_warpgroups(struct cuda_backend *backend, bool *right);

/* The cuBLASLt handle, loaded at the first call; NULL where it is not installed. */
void *cuda_matrix_library(struct cuda_backend *backend);

static inline struct array input_array(const struct kernel *kernel, const struct call *call, int index)
{
    struct array array = {NULL, kernel->operation.input[index].type};
    if (index < kernel->operation.input_count && kernel->operation.input[index].present)
        array.data = (void *)(uintptr_t)call->inputs[index];
    return array;
}

static inline struct array output_array(const struct kernel *kernel, const struct call *call, int index)
{
    struct array array = {NULL, kernel->operation.output[index].type};
    if (index < kernel->operation.output_count && kernel->operation.output[index].present)
        array.data = call->outputs[index];
    return array;
}

static inline int64_t last_dimension(const struct shape *shape)
{
    return shape->dimension[shape->rank - 1];
}

static inline int64_t row_count(const struct shape *shape)
{
    return shape_elements(shape) / last_dimension(shape);
}

#endif
