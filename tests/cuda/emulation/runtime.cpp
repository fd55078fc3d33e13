/* CUDA's runtime functions on the host: memory, queues, recorded sequences, and errors on request. */
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "control.h"
#include "recorder.h"

/* A stream that waits for another's event is late: its work is done when somebody waits for it in turn, or has asked
 * for it twice. What it reads may have been overwritten by then, as on a device. */
struct emulated_stream {
    emulated_graph *capture;
    bool late;
    std::vector<std::function<void()>> delayed;
};
struct emulated_event {
    emulated_stream *stream; /* where it was recorded last */
    int asked;
    bool captured; /* then it was part of a graph: nothing can wait for it */
};
struct emulated_graph {
    std::vector<std::function<void()>> work;
    bool invalid; /* something was done while it was captured that cannot be */
};

namespace
{
struct emulation_machine machine_at_start()
{
    struct emulation_machine machine = {13000, 1, 9, 0, (size_t)1 << 30, true, 0};
    const char *text = getenv("ALIGNPROP_EMULATION_MACHINE");
    if (text && sscanf(text, "%d,%d,%d,%d,%zu", &machine.driver_version, &machine.devices, &machine.major,
                       &machine.minor, &machine.memory_bytes) != 5)
        abort();
    return machine;
}

struct loss {
    long left; /* things that may still be queued before the device is lost; -1: it never is */
    int error;
    loss() : left(-1), error(0)
    {
        const char *text = getenv("ALIGNPROP_EMULATION_LOST");
        if (text && sscanf(text, "%ld,%d", &left, &error) != 2) abort();
    }
};

struct emulation_machine machine = machine_at_start();
struct loss lost;
bool capture_refused;
std::map<void *, size_t> allocations;
size_t allocated;
cudaError_t last_error;

cudaError_t answer(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

/* The error that everything gets once the device is lost. */
cudaError_t device_error()
{
    return answer(lost.left == 0 ? (cudaError_t)lost.error : cudaSuccess);
}

/* The stream that this thread captures. A capture by one thread forbids it, and only it, what may wait for the device
 * (cudaStreamCaptureModeThreadLocal): that spoils the graph, whichever stream it was done with. */
thread_local emulated_stream *captured_stream;

cudaError_t spoil_capture(cudaError_t error)
{
    if (captured_stream) captured_stream->capture->invalid = true;
    return answer(error);
}

/* Of what cannot be done while the thread captures. */
cudaError_t capture_error()
{
    return captured_stream ? spoil_capture(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
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

void emulation_lose_device(long after, int error)
{
    lost.left = error ? after : -1;
    lost.error = error;
}

void emulation_refuse_capture(bool refuse)
{
    capture_refused = refuse;
}

cudaError_t recorder_queue(cudaStream_t stream, std::function<void()> work)
{
    emulation_count_queued();
    if (device_error() != cudaSuccess) return device_error();
    if (stream->capture && stream->capture->invalid) return answer(cudaErrorStreamCaptureInvalidated);
    if (lost.left > 0) lost.left--;
    if (stream->capture)
        stream->capture->work.push_back(std::move(work));
    else if (stream->late)
        stream->delayed.push_back(std::move(work));
    else
        work();
    return cudaSuccess;
}

static void catch_up(cudaStream_t stream)
{
    std::vector<std::function<void()>> delayed;
    delayed.swap(stream->delayed);
    for (const auto &work : delayed) work();
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
    properties->multiProcessorCount = machine.multiprocessors > 0 ? machine.multiprocessors : 4;
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
    if (device_error() != cudaSuccess) return device_error();
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    if (bytes > machine.memory_bytes - allocated) return answer(cudaErrorMemoryAllocation);
    if (posix_memalign(memory, 256, bytes) != 0) return answer(cudaErrorMemoryAllocation);
    if (!emulation_is_idle()) memset(*memory, 0xff, bytes);
    allocations[*memory] = bytes;
    allocated += bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory) return cudaSuccess;
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    auto found = allocations.find(memory);
    if (found == allocations.end()) return answer(cudaErrorInvalidValue);
    allocated -= found->second;
    allocations.erase(found);
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    emulation_count_allocation();
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    *memory = malloc(bytes);
    return *memory ? cudaSuccess : answer(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *memory)
{
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    /* The device would let it pass, and read or write the host's memory again at every replay. */
    if (stream->capture && kind != cudaMemcpyDeviceToDevice) return spoil_capture(cudaErrorStreamCaptureUnsupported);
    bool left_out = emulation_is_idle() && kind != cudaMemcpyDeviceToHost;
    return recorder_queue(stream, [=] {
        if (!left_out) memcpy(to, from, bytes);
    });
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    return recorder_queue(stream, [=] {
        if (!emulation_is_idle()) memset(memory, value, bytes);
    });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    emulation_count_allocation();
    *stream = new emulated_stream{nullptr, false, {}};
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (captured_stream == stream) captured_stream = nullptr;
    delete stream->capture;
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    emulation_count_synchronization();
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    catch_up(stream);
    return device_error();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    /* A graph waits for nothing outside of it, and branches of one are not emulated. */
    if (stream->capture && !event->captured) return spoil_capture(cudaErrorStreamCaptureIsolation);
    if (event->captured) return stream->capture ? cudaSuccess : spoil_capture(cudaErrorStreamCaptureUnsupported);
    if (event->stream && event->stream->late)
        catch_up(event->stream);
    else
        stream->late = true;
    return device_error();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    emulation_count_allocation();
    *event = new emulated_event{nullptr, 0, false};
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    *event = {stream, 0, stream->capture != nullptr};
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (device_error() != cudaSuccess) return device_error();
    if (event->captured) return spoil_capture(cudaErrorCapturedEvent);
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    if (event->stream && !event->stream->delayed.empty() && event->asked++ == 0) return answer(cudaErrorNotReady);
    if (event->stream) catch_up(event->stream);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    emulation_count_synchronization();
    if (event->captured) return spoil_capture(cudaErrorCapturedEvent);
    if (capture_error() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    if (event->stream) catch_up(event->stream);
    return device_error();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode)
{
    if (stream->capture || captured_stream || capture_refused) return answer(cudaErrorStreamCaptureUnsupported);
    stream->capture = new emulated_graph{{}, false};
    captured_stream = stream;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    if (!stream->capture) return answer(cudaErrorStreamCaptureUnsupported);
    if (captured_stream != stream) return answer(cudaErrorStreamCaptureWrongThread);
    emulated_graph *captured = stream->capture;
    stream->capture = nullptr;
    captured_stream = nullptr;
    if (captured->invalid) {
        delete captured;
        return answer(cudaErrorStreamCaptureInvalidated);
    }
    *graph = captured;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    emulation_count_allocation();
    if (!graph) return answer(cudaErrorInvalidValue);
    *executable = new emulated_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream)
{
    emulation_count_replay();
    return recorder_queue(stream, [=] {
        for (const auto &work : executable->work) work();
    });
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
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorSystemDriverMismatch: return "system has unsupported display driver / cuda driver combination";
    default: return "emulated error";
    }
}
