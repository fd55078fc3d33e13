/* The CUDA backend around its kernels, on the emulated device: recorded sequences, memory, what is missing on other
 * machines; and the emulation itself, which must see the mistakes it is there for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime.h>

#include "kernels/backend.h"
#include "kernels/convert.h"
#include "kernels/cuda/probe.h"
#include "tests/cuda/division.h"
#include "tests/cuda/emulation/control.h"
#include "tests/cuda/faulty.h"

static const struct emulation_machine usual = {13000, 1, 9, 0, (size_t)1 << 30, true, 0};

static void require(status state)
{
    if (state.code != STATUS_OK) fail_msg("%s", state.message);
}

static struct backend *create(void)
{
    struct backend *backend;
    emulation_set_machine(usual);
    require(backend_cuda_create(0, CUDA_PRECISION_F32, &backend));
    return backend;
}

static struct operation linear(int64_t rows, int64_t in, int64_t out)
{
    return (struct operation){
        .kind = OPERATION_LINEAR,
        .input_count = 2,
        .input = {{.shape = {2, {rows, in}}, .type = ELEMENT_F32, .present = true},
                  {.shape = {2, {out, in}}, .type = ELEMENT_F32, .present = true}},
        .output_count = 1,
        .output = {{.shape = {2, {rows, out}}, .type = ELEMENT_F32, .present = true}},
    };
}

static void test_recorded_sequence(void **unused)
{
    (void)unused;
    struct backend *backend = create();
    const struct backend_interface *interface = backend->interface;
    struct operation operation = linear(2, 3, 2);
    struct kernel *kernel;
    struct kernel_requirements requirements;
    void *x, *weight, *y, *scratch, *sequence;
    const float x_values[] = {1, 2, 3, 4, 5, 6}, other_values[] = {2, 0, 0, 0, 1, 0};
    const float weight_values[] = {1, 0, -1, 0.5f, 1, 2};
    float result[4], poison[4] = {NAN, NAN, NAN, NAN};
    require(interface->prepare(backend, &operation, &kernel, &requirements));
    require(interface->allocate(backend, sizeof x_values, &x));
    require(interface->allocate(backend, sizeof weight_values, &weight));
    require(interface->allocate(backend, sizeof result, &y));
    require(interface->allocate(backend, requirements.scratch_bytes + 1, &scratch));
    require(interface->upload(backend, x, x_values, sizeof x_values));
    require(interface->upload(backend, weight, weight_values, sizeof weight_values));
    require(interface->upload(backend, y, poison, sizeof poison));

    require(interface->capture_begin(backend));
    struct emulation_counters before = emulation_count();
    require(interface->run(backend, kernel, (const void *[]){x, weight}, (void *[]){y}, NULL, scratch));
    struct emulation_counters after = emulation_count();
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.synchronizations, before.synchronizations);
    assert_int_equal(interface->upload(backend, x, x_values, sizeof x_values).code, STATUS_FAILED);
    assert_int_equal(interface->download(backend, result, y, sizeof result).code, STATUS_FAILED);
    require(interface->capture_end(backend, &sequence));
    require(interface->download(backend, result, y, sizeof result));
    assert_true(isnan(result[0])); /* recorded, not run */

    require(interface->replay(backend, sequence));
    require(interface->download(backend, result, y, sizeof result));
    assert_memory_equal(result, ((float[]){-2, 8.5f, -2, 19}), sizeof result);
    require(interface->upload(backend, x, other_values, sizeof other_values));
    require(interface->replay(backend, sequence));
    require(interface->download(backend, result, y, sizeof result));
    assert_memory_equal(result, ((float[]){2, 1, 0, 1}), sizeof result);

    interface->sequence_discard(backend, sequence);
    interface->discard(backend, kernel);
    interface->release(backend, x);
    interface->release(backend, weight);
    interface->release(backend, y);
    interface->release(backend, scratch);
    interface->destroy(backend);
}

/* ---- what cannot be part of a recorded sequence ---- */

struct recording {
    cudaStream_t stream, other;
    cudaEvent_t event; /* recorded on the other stream beforehand */
    void *device;
    char host[16];
};

static cudaError_t wait_for_stream(struct recording *r)
{
    return cudaStreamSynchronize(r->stream);
}
static cudaError_t wait_for_other_stream(struct recording *r)
{
    return cudaStreamSynchronize(r->other);
}
static cudaError_t wait_for_event(struct recording *r)
{
    return cudaEventSynchronize(r->event);
}
static cudaError_t ask_event(struct recording *r)
{
    return cudaEventQuery(r->event);
}
static cudaError_t depend_on_outside(struct recording *r)
{
    return cudaStreamWaitEvent(r->stream, r->event, 0);
}
static cudaError_t branch(struct recording *r)
{
    cudaError_t error = cudaEventRecord(r->event, r->stream);
    return error == cudaSuccess ? cudaStreamWaitEvent(r->other, r->event, 0) : cudaSuccess;
}
static cudaError_t wait_for_recorded_event(struct recording *r)
{
    cudaError_t error = cudaEventRecord(r->event, r->stream);
    return error == cudaSuccess ? cudaEventSynchronize(r->event) : cudaSuccess;
}
static cudaError_t allocate_memory(struct recording *r)
{
    void *memory;
    (void)r;
    return cudaMalloc(&memory, 16);
}
static cudaError_t allocate_host_memory(struct recording *r)
{
    void *memory;
    (void)r;
    return cudaMallocHost(&memory, 16);
}
static cudaError_t free_memory(struct recording *r)
{
    return cudaFree(r->device);
}
static cudaError_t copy_from_host(struct recording *r)
{
    return cudaMemcpyAsync(r->device, r->host, sizeof r->host, cudaMemcpyHostToDevice, r->stream);
}
static cudaError_t copy_to_host(struct recording *r)
{
    return cudaMemcpyAsync(r->host, r->device, sizeof r->host, cudaMemcpyDeviceToHost, r->stream);
}

/* Each fails at once and spoils what is recorded; afterwards the stream can be used, and recorded, again. */
static void test_spoiled_recording(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        cudaError_t (*act)(struct recording *recording);
    } cases[] = {
        {"waiting for the stream", wait_for_stream},
        {"waiting for another stream", wait_for_other_stream},
        {"waiting for an event", wait_for_event},
        {"asking for an event", ask_event},
        {"depending on an event outside", depend_on_outside},
        {"a branch", branch},
        {"waiting for an event inside", wait_for_recorded_event},
        {"allocating", allocate_memory},
        {"allocating page-locked memory", allocate_host_memory},
        {"freeing", free_memory},
        {"a copy from the host", copy_from_host},
        {"a copy to the host", copy_to_host},
    };
    struct recording r;
    emulation_set_machine(usual);
    assert_int_equal(cudaStreamCreateWithFlags(&r.stream, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaStreamCreateWithFlags(&r.other, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreateWithFlags(&r.event, cudaEventDisableTiming), cudaSuccess);
    assert_int_equal(cudaMalloc(&r.device, sizeof r.host), cudaSuccess);
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        cudaGraph_t graph;
        bool spoils = i < sizeof cases / sizeof *cases;
        assert_int_equal(cudaEventRecord(r.event, r.other), cudaSuccess);
        assert_int_equal(cudaStreamBeginCapture(r.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
        assert_int_equal(cudaMemsetAsync(r.device, 0, sizeof r.host, r.stream), cudaSuccess);
        if (spoils && cases[i].act(&r) == cudaSuccess) fail_msg("%s was recorded", cases[i].name);
        cudaError_t ended = cudaStreamEndCapture(r.stream, &graph);
        if (ended != (spoils ? cudaErrorStreamCaptureInvalidated : cudaSuccess))
            fail_msg("%s: recording ended with %d", spoils ? cases[i].name : "nothing", ended);
        assert_int_equal(cudaStreamSynchronize(r.stream), cudaSuccess);
        if (!spoils) cudaGraphDestroy(graph);
    }
    cudaFree(r.device);
    cudaEventDestroy(r.event);
    cudaStreamDestroy(r.other);
    cudaStreamDestroy(r.stream);
    (void)cudaGetLastError();
}

/* Many small uploads pass through page-locked memory and must not overtake each other; large ones go straight. */
static void test_uploads(void **unused)
{
    (void)unused;
    enum { COUNT = 100, BYTES = 100000, LARGE = 5 << 20 };
    struct backend *backend = create();
    const struct backend_interface *interface = backend->interface;
    unsigned char *host = malloc(LARGE), *back = malloc(LARGE);
    void *device, *other;
    assert_true(host && back);
    require(interface->allocate(backend, (size_t)COUNT * BYTES, &device));
    require(interface->allocate(backend, LARGE, &other));
    for (int i = 0; i < COUNT; i++) {
        memset(host, i, BYTES);
        require(interface->upload(backend, (char *)device + (size_t)i * BYTES, host, BYTES));
    }
    for (int i = 0; i < COUNT; i++) {
        require(interface->download(backend, back, (char *)device + (size_t)i * BYTES, BYTES));
        memset(host, i, BYTES);
        assert_memory_equal(back, host, BYTES);
    }
    for (int i = 0; i < LARGE; i++) host[i] = (unsigned char)(i * 31 >> 3);
    require(interface->upload(backend, other, host, LARGE));
    require(interface->copy(backend, device, other, LARGE));
    require(interface->clear(backend, other, LARGE));
    require(interface->download(backend, back, device, LARGE));
    assert_memory_equal(back, host, LARGE);
    require(interface->download(backend, back, other, LARGE));
    for (int i = 0; i < LARGE; i++) assert_int_equal(back[i], 0);
    interface->release(backend, device);
    interface->release(backend, other);
    interface->destroy(backend);
    free(host);
    free(back);
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    struct backend *backend = create();
    void *memory;
    size_t free_bytes = 0, total_bytes = 0;
    require(backend->interface->memory_free(backend, &free_bytes, &total_bytes));
    assert_int_equal(total_bytes, usual.memory_bytes);
    status refused = backend->interface->allocate(backend, (size_t)3 << 30, &memory);
    assert_int_equal(refused.code, STATUS_NO_MEMORY);
    assert_non_null(strstr(refused.message, "3221225472 bytes needed, 1073741824 of 1073741824 free"));
    assert_null(memory);
    require(backend->interface->allocate(backend, 100, &memory)); /* the failure has not stuck */
    backend->interface->release(backend, memory);
    backend->interface->destroy(backend);
}

static void test_what_is_missing(void **unused)
{
    (void)unused;
    static const struct {
        struct emulation_machine machine;
        int ordinal;
        const char *message;
    } cases[] = {
        {{0, 0, 0, 0, 0, false, 0}, 0, "no NVIDIA driver is installed; this build (CUDA 13.0) needs driver 580.65.06"},
        {{12040, 1, 9, 0, 1, true, 0}, 0, "supports CUDA 12.4 at most; this build (CUDA 13.0) needs driver 580.65.06"},
        {{13000, 0, 0, 0, 0, true, 0}, 0, "the NVIDIA driver found no GPU"},
        {{12040, 1, 9, 0, 1, true, 0}, 0, "driver 580.65.06 or later"},
        {{13000, 1, 7, 5, 1, true, 0}, 0, "compute capability 7.5; this build needs 8.0 (Ampere)"},
        {{13000, 2, 8, 6, 1, true, 0}, 2, "there is no GPU 2: this machine has 2, numbered from 0"},
        {{13000, 1, 8, 6, 1, true, 0}, -1, "there is no GPU -1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend *backend;
        emulation_set_machine(cases[i].machine);
        status refused = backend_cuda_create(cases[i].ordinal, CUDA_PRECISION_BF16, &backend);
        assert_int_equal(refused.code, STATUS_FAILED);
        assert_null(backend);
        if (!strstr(refused.message, cases[i].message))
            fail_msg("\"%s\" lacks \"%s\"", refused.message, cases[i].message);
    }
}

static void test_probe(void **unused)
{
    (void)unused;
    struct cuda_probe probe;
    emulation_set_machine(usual);
    cuda_probe(&probe);
    assert_true(probe.built && probe.matrix_library);
    assert_int_equal(probe.device_count, 1);
    assert_int_equal(probe.driver_version, 13000);
    assert_true(probe.device[0].usable);
    assert_string_equal(probe.device[0].name, "emulated device");
    assert_string_equal(probe.missing, "");
    emulation_set_machine((struct emulation_machine){0, 0, 0, 0, 0, false, 0});
    cuda_probe(&probe);
    assert_true(probe.built && !probe.matrix_library);
    assert_int_equal(probe.device_count, 0);
    assert_non_null(strstr(probe.missing, "no NVIDIA driver"));
    emulation_set_machine(usual);
}

static void test_code_for_devices(void **unused)
{
    (void)unused;
    static const struct {
        const char *architectures;
        int major, minor;
        bool covered;
    } cases[] = {
        {"sm_80 sm_86 sm_89 sm_90a compute_90", 8, 0, true},
        {"sm_80 sm_86 sm_89 sm_90a compute_90", 8, 7, true},
        {"sm_80 sm_86 sm_89 sm_90a compute_90", 9, 0, true},
        {"sm_80 sm_86 sm_89 sm_90a compute_90", 12, 0, true}, /* through PTX */
        {"sm_80 sm_86 sm_89 sm_90a compute_90", 7, 5, false},
        {"sm_90a compute_90", 8, 0, false},
        {"sm_90a compute_90", 10, 0, true},
        {"sm_86", 8, 0, false},
        {"sm_86", 8, 9, true},
        {"sm_86", 9, 0, false},
        {"sm_90a", 9, 0, true},
        {"", 9, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cuda_code_covers(cases[i].architectures, cases[i].major, cases[i].minor) != cases[i].covered)
            fail_msg("\"%s\" on a device of %d.%d", cases[i].architectures, cases[i].major, cases[i].minor);
}

static void test_code_with_warpgroups(void **unused)
{
    (void)unused;
    assert_true(cuda_code_has_warpgroups("sm_80 sm_86 sm_89 sm_90a compute_90", 9, 0));
    assert_true(cuda_code_has_warpgroups("sm_90a compute_90", 9, 0));
    assert_false(cuda_code_has_warpgroups("sm_80 sm_86 sm_89 sm_90a compute_90", 8, 9));
    assert_false(cuda_code_has_warpgroups("sm_90a compute_90", 10, 0)); /* runs the intermediate code, which has none */
    assert_false(cuda_code_has_warpgroups("sm_80 compute_90", 9, 0));
    assert_false(cuda_code_has_warpgroups("sm_90 sm_90a compute_90", 9, 0)); /* either may be chosen */
}

/* y = x w^T of ones: every element is the width. */
static void require_product_of_ones(struct backend *backend)
{
    enum { ROWS = 64, WIDTH = 256 };
    static uint16_t ones[ROWS * WIDTH], result[ROWS * ROWS];
    struct operation operation = linear(ROWS, WIDTH, ROWS);
    operation.input[0].type = operation.input[1].type = operation.output[0].type = ELEMENT_BF16;
    for (int i = 0; i < ROWS * WIDTH; i++) ones[i] = bfloat16_from_float(1);
    const struct backend_interface *interface = backend->interface;
    struct kernel *kernel;
    struct kernel_requirements requirements;
    void *x, *y, *scratch;
    require(interface->prepare(backend, &operation, &kernel, &requirements));
    require(interface->allocate(backend, sizeof ones, &x));
    require(interface->allocate(backend, sizeof result, &y));
    require(interface->allocate(backend, requirements.scratch_bytes, &scratch));
    require(interface->upload(backend, x, ones, sizeof ones));
    require(interface->run(backend, kernel, (const void *[]){x, x}, (void *[]){y}, NULL, scratch));
    require(interface->download(backend, result, y, sizeof result));
    for (int i = 0; i < ROWS * ROWS; i++) assert_true(float_from_bfloat16(result[i]) == WIDTH);
    interface->release(backend, x);
    interface->release(backend, y);
    interface->release(backend, scratch);
    interface->discard(backend, kernel);
}

/* A device whose warpgroups multiply wrongly is told of and computes without them. */
/* In both ways to keep warpgroups supplied, and both orders of threads. */
static void test_wrong_warpgroups(void **unused)
{
    (void)unused;
    struct emulation_machine machine = usual;
    machine.has_matrix_library = false;
    emulation_set_machine(machine);
    for (int i = 0; i < 8; i++) {
        bool broken = i % 2, reversed = i / 2 % 2, divided = i / 4;
        struct backend *backend;
        assert_int_equal(setenv("ALIGNPROP_WARPGROUPS", divided ? "divided" : "", 1), 0);
        emulation_break_warpgroups(broken);
        emulation_reverse(reversed);
        require(backend_cuda_create(0, CUDA_PRECISION_BF16, &backend));
        emulation_reverse(false);
        const char *fault = emulation_fault();
        if (fault) fail_msg("%s", fault);
        assert_int_equal(backend->interface->remark != NULL, broken);
        require_product_of_ones(backend);
        backend->interface->destroy(backend);
    }
    assert_int_equal(unsetenv("ALIGNPROP_WARPGROUPS"), 0);
    emulation_break_warpgroups(false);
    emulation_set_machine(usual);
}

/* What the runtime says, and what a person can do about it; told once, not again by the next call. */
static void test_errors_say_what_helps(void **unused)
{
    (void)unused;
    static const struct {
        int error;
        const char *message;
    } cases[] = {
        {cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device; this build has "
                                          "code for sm_80 sm_86 sm_89 sm_90a compute_90: add this GPU to "
                                          "-Dgpu_architectures"},
        {cudaErrorInsufficientDriver, "install a newer NVIDIA driver (`alignprop doctor` says which)"},
        {cudaErrorSystemDriverMismatch, "the driver was updated while it was loaded: reboot"},
        {cudaErrorLaunchFailure, "unspecified launch failure; this process can no longer use the GPU"},
        {cudaErrorMemoryAllocation, "out of memory; other programs have taken memory on this GPU"},
    };
    struct backend *backend = create();
    const struct backend_interface *interface = backend->interface;
    struct operation operation = linear(2, 3, 2);
    struct kernel *kernel;
    struct kernel_requirements requirements;
    void *memory;
    float result[4] = {0};
    require(interface->prepare(backend, &operation, &kernel, &requirements));
    require(interface->allocate(backend, 4096 + requirements.scratch_bytes, &memory));
    require(interface->clear(backend, memory, 4096));
    void *y = (char *)memory + 1024, *scratch = (char *)memory + 4096;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        emulation_lose_device(0, cases[i].error);
        status of_run = interface->run(backend, kernel, (const void *[]){memory, memory}, (void *[]){y}, NULL, scratch);
        status of_wait = interface->synchronize(backend);
        emulation_lose_device(0, 0);
        assert_int_equal(of_run.code, STATUS_FAILED);
        assert_int_equal(of_wait.code, STATUS_FAILED);
        if (!strstr(of_run.message, "linear([2,3]") || !strstr(of_run.message, cases[i].message))
            fail_msg("\"%s\" lacks \"%s\"", of_run.message, cases[i].message);
        if (!strstr(of_wait.message, "the GPU failed while computing") || !strstr(of_wait.message, cases[i].message))
            fail_msg("\"%s\" lacks \"%s\"", of_wait.message, cases[i].message);
        require(interface->run(backend, kernel, (const void *[]){memory, memory}, (void *[]){y}, NULL, scratch));
        require(interface->download(backend, result, y, sizeof result));
    }
    interface->discard(backend, kernel);
    interface->release(backend, memory);
    interface->destroy(backend);
}

/* An id outside the table must neither read outside nor pass unseen. */
static void test_bad_id(void **unused)
{
    (void)unused;
    struct backend *backend = create();
    const struct backend_interface *interface = backend->interface;
    struct operation operation = {
        .kind = OPERATION_EMBEDDING,
        .input_count = 2,
        .input = {{.shape = {2, {1, 2}}, .type = ELEMENT_I32, .present = true},
                  {.shape = {2, {4, 2}}, .type = ELEMENT_F32, .present = true}},
        .output_count = 1,
        .output = {{.shape = {3, {1, 2, 2}}, .type = ELEMENT_F32, .present = true}},
    };
    const int32_t ids[] = {3, 4};
    const float table[] = {0, 1, 2, 3, 4, 5, 6, 7};
    float result[4];
    void *ids_memory, *table_memory, *y;
    struct kernel *kernel;
    struct kernel_requirements requirements;
    require(interface->allocate(backend, sizeof ids, &ids_memory));
    require(interface->allocate(backend, sizeof table, &table_memory));
    require(interface->allocate(backend, sizeof result, &y));
    require(interface->upload(backend, ids_memory, ids, sizeof ids));
    require(interface->upload(backend, table_memory, table, sizeof table));
    require(interface->prepare(backend, &operation, &kernel, &requirements));
    require(interface->run(backend, kernel, (const void *[]){ids_memory, table_memory}, (void *[]){y}, NULL, NULL));
    require(interface->download(backend, result, y, sizeof result));
    assert_true(result[0] == 6 && result[1] == 7 && isnan(result[2]) && isnan(result[3]));
    interface->discard(backend, kernel);
    interface->release(backend, ids_memory);
    interface->release(backend, table_memory);
    interface->release(backend, y);
    interface->destroy(backend);
}

static void test_refusals(void **unused)
{
    (void)unused;
    struct backend *backend = create();
    struct kernel *kernel;
    struct kernel_requirements requirements;
    struct operation operation = linear(2, 3, 4);
    operation.input[0].type = ELEMENT_F64;
    status refused = backend->interface->prepare(backend, &operation, &kernel, &requirements);
    assert_int_equal(refused.code, STATUS_FAILED);
    assert_non_null(strstr(refused.message, "linear([2,3], [4,3]) -> [2,4]"));
    operation = linear(2, 3, 4);
    operation.output[0].shape.dimension[1] = 5;
    assert_int_equal(backend->interface->prepare(backend, &operation, &kernel, &requirements).code, STATUS_FAILED);
    assert_null(kernel);
    backend->interface->destroy(backend);
}

/* ---- the emulation ---- */

static const char *run_faulty(int fault, bool reversed, float values[64])
{
    cudaStream_t stream;
    void *memory;
    emulation_set_machine(usual);
    assert_int_equal(cudaStreamCreateWithFlags(&stream, 0), cudaSuccess);
    assert_int_equal(cudaMalloc(&memory, 64 * sizeof(float)), cudaSuccess);
    memset(memory, 0, 64 * sizeof(float));
    emulation_reverse(reversed);
    launch_faulty(stream, fault, memory);
    emulation_reverse(false);
    memcpy(values, memory, 64 * sizeof(float));
    cudaFree(memory);
    cudaStreamDestroy(stream);
    return emulation_fault();
}

static void test_emulation_sees_mistakes(void **unused)
{
    (void)unused;
    static const char *const message[FAULT_COUNT] = {
        [FAULT_MISSING_BARRIER] = "race",
        [FAULT_OVERWRITTEN] = "race",
        [FAULT_DIVERGED_BARRIER] = "threads",
        [FAULT_DIVERGED_SHUFFLE] = "wait for each other",
        [FAULT_PARTIAL_MASK] = "of the lanes 0000ffff alone",
        [FAULT_OUTSIDE] = "an access to shared memory",
        [FAULT_COPY_NOT_WAITED] = "race",
        [FAULT_NOT_AWAITED] = "does not await the earlier kernels",
        [FAULT_PRODUCT_NOT_ORDERED] = "did not order before it",
        [FAULT_PRODUCT_NOT_BEGUN] = "without wgmma_fence",
        [FAULT_PRODUCT_NOT_WAITED] = "products under way",
        [FAULT_PRODUCT_OFF] = "off its alignment",
    };
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int reversed = 0; reversed < 2; reversed++) {
            float values[64];
            const char *seen = run_faulty(fault, reversed, values);
            if (message[fault] && (!seen || !strstr(seen, message[fault])))
                fail_msg("mistake %d: \"%s\" instead of \"%s\"", fault, seen ? seen : "nothing", message[fault]);
            if (!message[fault] && seen) fail_msg("mistake %d: \"%s\"", fault, seen);
            if (fault == FAULT_NONE)
                for (int i = 0; i < 64; i++) assert_true(values[i] == (float)((i + 1) % 64));
            if (fault == FAULT_COPY_NOT_WAITED) assert_true(isnan(values[0]));
            if (fault == FAULT_PRODUCT_NONE)
                for (int i = 0; i < 64; i++) assert_true(values[i] == (float)(i + 1));
        }
}

static void test_division_by_multiplying(void **unused)
{
    (void)unused;
    for (int64_t value = 1; value <= 5000; value++)
        if (!division_is_exact(value)) fail_msg("dividing by %lld is wrong", (long long)value);
    for (int bits = 13; bits < 40; bits++)
        for (int64_t value = ((int64_t)1 << bits) - 3; value <= ((int64_t)1 << bits) + 3; value++)
            if (!division_is_exact(value)) fail_msg("dividing by %lld is wrong", (long long)value);
    for (int64_t value = 5003; value < (int64_t)1 << 33; value += value / 50)
        if (!division_is_exact(value)) fail_msg("dividing by %lld is wrong", (long long)value);
    assert_true(division_is_right((int64_t)1 << 32, 320));
    assert_true(division_is_right(((int64_t)1 << 40) + 12345, 320));
    assert_true(division_is_right(((int64_t)1 << 40) + 12345, ((int64_t)1 << 33) + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_sequence),
        cmocka_unit_test(test_spoiled_recording),
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_code_for_devices),
        cmocka_unit_test(test_code_with_warpgroups),
        cmocka_unit_test(test_wrong_warpgroups),
        cmocka_unit_test(test_errors_say_what_helps),
        cmocka_unit_test(test_bad_id),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_emulation_sees_mistakes),
        cmocka_unit_test(test_division_by_multiplying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
