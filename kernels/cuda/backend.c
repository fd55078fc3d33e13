/* The CUDA backend: memory, copies, CUDA graphs, the backend's interface. */
#include "kernels/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/error_advice.h"
#include "kernels/cuda/internal.h"
#include "kernels/cuda/probe.h"
#include "kernels/operation_check.h"

enum { STAGING_HALF_BYTES = 2 << 20 };

status cuda_status(cudaError_t error, const char *doing)
{
    if (error == cudaSuccess) return status_ok();
    (void)cudaGetLastError(); /* told here, not once more by the next operation */
    return status_error(STATUS_FAILED, "the GPU failed while %s: %s%s", doing, cudaGetErrorString(error),
                        cuda_advice(error));
}

status cuda_queued(const struct kernel *kernel)
{
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) return status_ok();
    char text[400];
    snprintf(text, sizeof text, "%s%s", cudaGetErrorString(error), cuda_advice(error));
    return operation_error(&kernel->operation, text);
}

static struct cuda_backend *own(struct backend *backend)
{
    return (struct cuda_backend *)backend;
}

/* The runtime keeps the current device by host thread, and callers may use several. */
static status enter(struct backend *backend)
{
    return cuda_status(cudaSetDevice(own(backend)->ordinal), "selecting the device");
}

void *cuda_matrix_library(struct cuda_backend *backend)
{
    if (backend->library_tried) return backend->library_handle;
    backend->library_tried = true;
    if (!matrix_library_load(&backend->library)) return NULL;
    if (backend->library.create(&backend->library_handle) != 0) backend->library_handle = NULL;
    return backend->library_handle;
}

/* ---- memory ---- */

static status allocate(struct backend *backend, size_t bytes, void **memory)
{
    *memory = NULL;
    TRY(enter(backend));
    cudaError_t error = cudaMalloc(memory, bytes > 0 ? bytes : 1);
    if (error == cudaSuccess) return status_ok();
    size_t free_bytes = 0, total_bytes = 0;
    status failed = cuda_status(error, "allocating memory");
    if (error != cudaErrorMemoryAllocation || cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) return failed;
    return status_error(STATUS_NO_MEMORY, "%s: %zu bytes needed, %zu of %zu free", own(backend)->device_name, bytes,
                        free_bytes, total_bytes);
}

static void release(struct backend *backend, void *memory)
{
    (void)enter(backend);
    (void)cudaFree(memory);
}

static status memory_free(struct backend *backend, size_t *free_bytes, size_t *total_bytes)
{
    TRY(enter(backend));
    size_t total;
    return cuda_status(cudaMemGetInfo(free_bytes, total_bytes ? total_bytes : &total), "querying free memory");
}

/* Includes a fetch that is under way: what it reads may be overwritten afterwards. */
static status synchronize(struct backend *backend)
{
    struct cuda_backend *cuda = own(backend);
    TRY(enter(backend));
    if (cuda->fetching.under_way)
        TRY(cuda_status(cudaStreamWaitEvent(cuda->queue.stream, cuda->fetching.end, 0), "copying to the host"));
    return cuda_status(cudaStreamSynchronize(cuda->queue.stream), "computing");
}

/* Takes `bytes` of the staging memory, waiting for the device only when it is a whole half behind. */
static status stage(struct cuda_backend *backend, size_t bytes, char **place)
{
    struct staging *staging = &backend->staging;
    if (staging->used + bytes > staging->half_bytes) {
        TRY(cuda_status(cudaEventRecord(staging->read[staging->half], backend->queue.stream), "uploading"));
        staging->waiting[staging->half] = true;
        staging->half = 1 - staging->half;
        staging->used = 0;
        if (staging->waiting[staging->half])
            TRY(cuda_status(cudaEventSynchronize(staging->read[staging->half]), "uploading"));
        staging->waiting[staging->half] = false;
    }
    *place = staging->memory + (size_t)staging->half * staging->half_bytes + staging->used;
    staging->used += (bytes + 255) / 256 * 256;
    return status_ok();
}

static status upload(struct backend *backend, void *device, const void *host, size_t bytes)
{
    struct cuda_backend *cuda = own(backend);
    TRY(enter(backend));
    if (cuda->capturing) return status_error(STATUS_FAILED, "an upload cannot be part of a CUDA graph");
    if (bytes <= cuda->staging.half_bytes / 4) {
        char *place;
        TRY(stage(cuda, bytes, &place));
        memcpy(place, host, bytes);
        return cuda_status(cudaMemcpyAsync(device, place, bytes, cudaMemcpyHostToDevice, cuda->queue.stream),
                           "uploading");
    }
    TRY(cuda_status(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda->queue.stream), "uploading"));
    return synchronize(backend);
}

static status download(struct backend *backend, void *host, const void *device, size_t bytes)
{
    TRY(enter(backend));
    if (own(backend)->capturing) return status_error(STATUS_FAILED, "a download cannot be part of a CUDA graph");
    TRY(cuda_status(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, own(backend)->queue.stream),
                    "downloading"));
    return synchronize(backend);
}

static status copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    TRY(enter(backend));
    return cuda_status(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, own(backend)->queue.stream),
                       "copying");
}

static status clear(struct backend *backend, void *device, size_t bytes)
{
    TRY(enter(backend));
    return cuda_status(cudaMemsetAsync(device, 0, bytes, own(backend)->queue.stream), "clearing memory");
}

/* ---- copies beside the computation ---- */

static status grow_fetching(struct fetching *fetching, size_t bytes)
{
    if (bytes <= fetching->bytes) return status_ok();
    if (fetching->memory) (void)cudaFreeHost(fetching->memory);
    fetching->memory = NULL;
    fetching->bytes = 0;
    TRY(cuda_status(cudaMallocHost(&fetching->memory, bytes), "allocating page-locked memory"));
    fetching->bytes = bytes;
    return status_ok();
}

static status fetch(struct backend *backend, const void *device, size_t bytes)
{
    struct cuda_backend *cuda = own(backend);
    struct fetching *fetching = &cuda->fetching;
    TRY(enter(backend));
    if (fetching->under_way) return status_error(STATUS_FAILED, "a fetch was begun before the last one was taken");
    TRY(grow_fetching(fetching, bytes));
    TRY(cuda_status(cudaEventRecord(fetching->begin, cuda->queue.stream), "copying to the host"));
    TRY(cuda_status(cudaStreamWaitEvent(fetching->stream, fetching->begin, 0), "copying to the host"));
    TRY(cuda_status(cudaMemcpyAsync(fetching->memory, device, bytes, cudaMemcpyDeviceToHost, fetching->stream),
                    "copying to the host"));
    TRY(cuda_status(cudaEventRecord(fetching->end, fetching->stream), "copying to the host"));
    fetching->under_way = true;
    return status_ok();
}

static status fetched(struct backend *backend, const void **host)
{
    struct fetching *fetching = &own(backend)->fetching;
    *host = NULL;
    TRY(enter(backend));
    if (!fetching->under_way) return status_error(STATUS_FAILED, "there is no fetch to take");
    cudaError_t state = cudaEventQuery(fetching->end);
    if (state == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* an answer, which the next operation must not find as a failure */
        return status_ok();
    }
    TRY(cuda_status(state, "copying to the host"));
    fetching->under_way = false;
    *host = fetching->memory;
    return status_ok();
}

/* ---- kernels ---- */

static bool is_floating(enum element_type type)
{
    return type == ELEMENT_F32 || type == ELEMENT_F16 || type == ELEMENT_BF16;
}

static status check_types(const struct operation *operation)
{
    for (int i = 0; i < operation->input_count; i++)
        if (operation->input[i].present && operation->input[i].type != ELEMENT_I32 &&
            !is_floating(operation->input[i].type))
            return operation_error(operation, "the CUDA engine computes in float32, float16 and bfloat16");
    for (int i = 0; i < operation->output_count; i++)
        if (operation->output[i].present && operation->output[i].type != ELEMENT_I32 &&
            !is_floating(operation->output[i].type))
            return operation_error(operation, "the CUDA engine computes in float32, float16 and bfloat16");
    return status_ok();
}

static void discard(struct backend *backend, struct kernel *kernel)
{
    if (!kernel) return;
    (void)enter(backend);
    if (kernel->family->discard) kernel->family->discard(own(backend), kernel);
    free(kernel->plan);
    free(kernel);
}

static status prepare(struct backend *backend, const struct operation *operation, struct kernel **kernel,
                      struct kernel_requirements *requirements)
{
    *kernel = NULL;
    *requirements = (struct kernel_requirements){0};
    TRY(enter(backend));
    TRY(operation_check(operation));
    TRY(check_types(operation));
    struct kernel *prepared = calloc(1, sizeof *prepared);
    if (!prepared) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    prepared->operation = *operation;
    prepared->family = cuda_family(operation->kind);
    status result =
        prepared->family->prepare ? prepared->family->prepare(own(backend), prepared, requirements) : status_ok();
    if (result.code != STATUS_OK) {
        discard(backend, prepared);
        return result;
    }
    *kernel = prepared;
    return status_ok();
}

static status pack(struct backend *backend, struct kernel *kernel, const void *weight, void *packed, void *scratch)
{
    (void)scratch;
    if (!kernel->family->pack) return status_ok();
    TRY(enter(backend));
    TRY(kernel->family->pack(own(backend), kernel, weight, packed));
    return cuda_queued(kernel);
}

static status run(struct backend *backend, struct kernel *kernel, const void *const *inputs, void *const *outputs,
                  const void *packed, void *scratch)
{
    struct call call = {inputs, outputs, packed, scratch};
    TRY(enter(backend));
    TRY(kernel->family->run(own(backend), kernel, &call));
    return cuda_queued(kernel);
}

/* ---- recorded sequences ---- */

static status capture_begin(struct backend *backend)
{
    TRY(enter(backend));
    TRY(cuda_status(cudaStreamBeginCapture(own(backend)->queue.stream, cudaStreamCaptureModeThreadLocal),
                    "starting a stream capture"));
    own(backend)->capturing = true;
    return status_ok();
}

static status capture_end(struct backend *backend, void **sequence)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    *sequence = NULL;
    TRY(enter(backend));
    own(backend)->capturing = false;
    TRY(cuda_status(cudaStreamEndCapture(own(backend)->queue.stream, &graph), "recording"));
    cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
    (void)cudaGraphDestroy(graph);
    TRY(cuda_status(error, "instantiating a CUDA graph"));
    *sequence = executable;
    return status_ok();
}

static status replay(struct backend *backend, void *sequence)
{
    TRY(enter(backend));
    return cuda_status(cudaGraphLaunch((cudaGraphExec_t)sequence, own(backend)->queue.stream),
                       "launching a CUDA graph");
}

static void sequence_discard(struct backend *backend, void *sequence)
{
    (void)enter(backend);
    if (sequence) (void)cudaGraphExecDestroy((cudaGraphExec_t)sequence);
}

/* ---- life ---- */

static status open_fetching(struct fetching *fetching)
{
    TRY(cuda_status(cudaStreamCreateWithFlags(&fetching->stream, cudaStreamNonBlocking), "creating a stream"));
    TRY(cuda_status(cudaEventCreateWithFlags(&fetching->begin, cudaEventDisableTiming), "creating an event"));
    return cuda_status(cudaEventCreateWithFlags(&fetching->end, cudaEventDisableTiming), "creating an event");
}

static void close_fetching(struct fetching *fetching)
{
    if (fetching->stream) (void)cudaStreamSynchronize(fetching->stream);
    if (fetching->begin) (void)cudaEventDestroy(fetching->begin);
    if (fetching->end) (void)cudaEventDestroy(fetching->end);
    if (fetching->memory) (void)cudaFreeHost(fetching->memory);
    if (fetching->stream) (void)cudaStreamDestroy(fetching->stream);
}

static void destroy(struct backend *backend)
{
    struct cuda_backend *cuda = own(backend);
    (void)enter(backend);
    if (cuda->queue.stream) (void)cudaStreamSynchronize(cuda->queue.stream);
    if (cuda->library_handle) (void)cuda->library.destroy(cuda->library_handle);
    matrix_library_unload(&cuda->library);
    for (int half = 0; half < 2; half++)
        if (cuda->staging.read[half]) (void)cudaEventDestroy(cuda->staging.read[half]);
    if (cuda->staging.memory) (void)cudaFreeHost(cuda->staging.memory);
    close_fetching(&cuda->fetching);
    if (cuda->queue.stream) (void)cudaStreamDestroy(cuda->queue.stream);
    free(cuda);
}

static const struct backend_interface interface = {
    .name = "cuda",
    .accumulation_type = ELEMENT_F32,
    .folds_upsampling = true,
    .adds_residual = true,
    .takes_columns = true,
    .pixels_at_once = 512 * 512,
    .allocate = allocate,
    .release = release,
    .memory_free = memory_free,
    .upload = upload,
    .download = download,
    .copy = copy,
    .clear = clear,
    .fetch = fetch,
    .fetched = fetched,
    .prepare = prepare,
    .discard = discard,
    .pack = pack,
    .run = run,
    .synchronize = synchronize,
    .capture_begin = capture_begin,
    .capture_end = capture_end,
    .replay = replay,
    .sequence_discard = sequence_discard,
    .destroy = destroy,
};

static status check_device(int ordinal)
{
    struct cuda_probe probe;
    cuda_probe(&probe);
    if (probe.device_count == 0) return status_error(STATUS_FAILED, "%s", probe.missing);
    if (ordinal < 0 || ordinal >= probe.device_count)
        return status_error(STATUS_FAILED, "there is no GPU %d: this machine has %d, numbered from 0", ordinal,
                            probe.device_count);
    const struct cuda_device *device = &probe.device[ordinal];
    if (device->usable) return status_ok();
    return status_error(STATUS_FAILED,
                        "GPU %d (%s) has compute capability %d.%d; this build needs 8.0 (Ampere) or later and has "
                        "code for %s%s",
                        ordinal, device->name, device->major, device->minor, probe.architectures,
                        device->major >= 8 ? ": add this GPU to -Dgpu_architectures and build again" : "");
}

/* ALIGNPROP_WARPGROUPS=off leaves products to the instructions of a warp; =divided has a warpgroup of its own copy what
 * the others multiply. */
static bool is_choice_of_warpgroups(const char *word)
{
    const char *choice = getenv("ALIGNPROP_WARPGROUPS");
    return choice && strcmp(choice, word) == 0;
}

static bool use_warpgroups(int major, int minor)
{
    if (is_choice_of_warpgroups("off")) return false;
    return cuda_code_has_warpgroups(CUDA_ARCHITECTURES, major, minor);
}

/* ALIGNPROP_KERNEL_OVERLAP=on brings each kernel onto the device while the one before still works. */
static bool overlap_kernels(int major)
{
    const char *choice = getenv("ALIGNPROP_KERNEL_OVERLAP");
    return major >= 9 && choice && strcmp(choice, "on") == 0;
}

static status open_device(struct cuda_backend *cuda)
{
    struct cudaDeviceProp properties;
    TRY(enter(&cuda->base));
    TRY(cuda_status(cudaGetDeviceProperties(&properties, cuda->ordinal), "querying the device's properties"));
    snprintf(cuda->device_name, sizeof cuda->device_name, "%s", properties.name);
    cuda->product_device.multiprocessors = properties.multiProcessorCount;
    cuda->product_device.warpgroups =
        cuda->interface.compute_type != ELEMENT_F32 && use_warpgroups(properties.major, properties.minor);
    cuda->product_device.warp_specialized = is_choice_of_warpgroups("divided");
    cuda->queue.overlaps = overlap_kernels(properties.major);
    cuda->memory_bytes = properties.totalGlobalMem;
    TRY(cuda_status(cudaStreamCreateWithFlags(&cuda->queue.stream, cudaStreamNonBlocking), "creating a stream"));
    cuda->staging.half_bytes = STAGING_HALF_BYTES;
    TRY(cuda_status(cudaMallocHost((void **)&cuda->staging.memory, 2 * (size_t)STAGING_HALF_BYTES),
                    "allocating page-locked memory"));
    for (int half = 0; half < 2; half++)
        TRY(cuda_status(cudaEventCreateWithFlags(&cuda->staging.read[half], cudaEventDisableTiming),
                        "creating an event"));
    return open_fetching(&cuda->fetching);
}

static status check_warpgroups(struct cuda_backend *cuda)
{
    if (!cuda->product_device.warpgroups) return status_ok();
    TRY(status_context(cuda_check_warpgroups(cuda, &cuda->product_device.warpgroups),
                       "checking the warpgroup matrix instructions (ALIGNPROP_WARPGROUPS=off disables them)"));
    if (!cuda->product_device.warpgroups)
        cuda->interface.remark = "this GPU's warpgroup matrix instructions (wgmma) gave wrong results in a check, so "
                                 "slower ones (mma) are used; "
                                 "please report this with the output of `alignprop doctor`";
    return status_ok();
}

static enum element_type compute_type(enum cuda_precision precision)
{
    switch (precision) {
    case CUDA_PRECISION_BF16: return ELEMENT_BF16;
    case CUDA_PRECISION_F16: return ELEMENT_F16;
    case CUDA_PRECISION_F32: break;
    }
    return ELEMENT_F32;
}

/* The environment variables ALIGNPROP_CUDA_GRAPHS=off, which keeps sweeps from being recorded, and
 * ALIGNPROP_JOINED_PROJECTIONS=off, which leaves queries, keys and values to a product each, are there to compare with.
 */
status backend_cuda_create(int ordinal, enum cuda_precision precision, struct backend **backend)
{
    *backend = NULL;
    TRY(check_device(ordinal));
    struct cuda_backend *cuda = calloc(1, sizeof *cuda);
    if (!cuda) return status_error(STATUS_NO_MEMORY, "no memory for the CUDA backend");
    cuda->interface = interface;
    cuda->interface.compute_type = compute_type(precision);
    const char *graphs = getenv("ALIGNPROP_CUDA_GRAPHS");
    if (graphs && strcmp(graphs, "off") == 0) cuda->interface.capture_begin = NULL;
    const char *joined = getenv("ALIGNPROP_JOINED_PROJECTIONS");
    if (joined && strcmp(joined, "off") == 0) cuda->interface.takes_columns = false;
    cuda->base.interface = &cuda->interface;
    cuda->ordinal = ordinal;
    status result = open_device(cuda);
    if (result.code == STATUS_OK) result = check_warpgroups(cuda);
    if (result.code != STATUS_OK) {
        destroy(&cuda->base);
        return result;
    }
    *backend = &cuda->base;
    return status_ok();
}
