#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "control.h"
#include "recorder.h"

struct emulated_stream {
    emulated_graph *capture;
};
struct emulated_event {
    int unused;
};
struct emulated_graph {
    std::vector<std::function<void()>> work;
};

namespace
{
struct emulation_machine machine = {13000, 1, 9, 0, (size_t)1 << 30, true};
std::map<void *, size_t> allocations;
size_t allocated;
cudaError_t last_error;

cudaError_t answer(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t missing()
{
    if (machine.driver_version < 13000) return cudaErrorInsufficientDriver;
    return machine.devices < 1 ? cudaErrorNoDevice : cudaSuccess;
}
} // namespace

void emulation_set_machine(struct emulation_machine other)
{
    machine = other;
}

struct emulation_machine emulation_present_machine(void)
{
    return machine;
}

void recorder_queue(cudaStream_t stream, std::function<void()> work)
{
    if (stream->capture)
        stream->capture->work.push_back(std::move(work));
    else
        work();
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = missing() == cudaSuccess ? machine.devices : 0;
    return answer(missing());
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    if (device < 0 || device >= machine.devices) return answer(cudaErrorInvalidDevice);
    *properties = {};
    strcpy(properties->name, "emulated device");
    properties->totalGlobalMem = machine.memory_bytes;
    properties->sharedMemPerBlockOptin = 99 * 1024;
    properties->major = machine.major;
    properties->minor = machine.minor;
    properties->multiProcessorCount = 4;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = machine.driver_version;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (missing() != cudaSuccess) return answer(missing());
    return device < 0 || device >= machine.devices ? answer(cudaErrorInvalidDevice) : cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *total_bytes = machine.memory_bytes;
    *free_bytes = machine.memory_bytes - allocated;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    emulation_count_allocation();
    if (bytes > machine.memory_bytes - allocated) return answer(cudaErrorMemoryAllocation);
    if (posix_memalign(memory, 256, bytes) != 0) return answer(cudaErrorMemoryAllocation);
    memset(*memory, 0xff, bytes);
    allocations[*memory] = bytes;
    allocated += bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory) return cudaSuccess;
    auto found = allocations.find(memory);
    if (found == allocations.end()) return answer(cudaErrorInvalidValue);
    allocated -= found->second;
    allocations.erase(found);
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    *memory = malloc(bytes);
    return *memory ? cudaSuccess : answer(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *memory)
{
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    if (stream->capture && kind != cudaMemcpyDeviceToDevice) return answer(cudaErrorStreamCaptureUnsupported);
    recorder_queue(stream, [=] { memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    recorder_queue(stream, [=] { memset(memory, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new emulated_stream{nullptr};
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    delete stream->capture;
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    emulation_count_synchronization();
    return stream->capture ? answer(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new emulated_event{0};
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode)
{
    if (stream->capture) return answer(cudaErrorStreamCaptureUnsupported);
    stream->capture = new emulated_graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    if (!stream->capture) return answer(cudaErrorStreamCaptureUnsupported);
    *graph = stream->capture;
    stream->capture = nullptr;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    *executable = new emulated_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream)
{
    for (const auto &work : executable->work) recorder_queue(stream, work);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable)
{
    delete executable;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    default: return "emulated error";
    }
}
