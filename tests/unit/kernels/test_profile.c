/* Where time goes: classes, the backend that times another one, measured peaks and floors. A fake backend computes
 * nothing; its work takes time by a clock that stands still otherwise, and only once it is waited for. All its seconds
 * are sums of powers of two, so that every comparison here is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/host_backend.h"
#include "kernels/profile/kernel_profile.h"
#include "tests/unit/kernels/operands.h"

#define PRODUCT_RATE 0x1p37 /* operations a second */
#define KERNEL_RATE 0x1p31  /* bytes a second of operations without products */
#define COPY_RATE 0x1p30    /* bytes a second of copies */

static struct {
    double clock, queued; /* seconds: now, and of the work that was not waited for */
    int allocated, kernels;
    size_t free_bytes; /* 0: the machine's */
    bool broken;       /* run fails */
} fake;

struct kernel {
    struct operation operation;
};

static double fake_now(void *context)
{
    (void)context;
    return fake.clock;
}

static status fake_allocate(struct backend *backend, size_t bytes, void **memory)
{
    TRY(host_backend_allocate(backend, bytes, memory));
    fake.allocated++;
    return status_ok();
}

static void fake_release(struct backend *backend, void *memory)
{
    host_backend_release(backend, memory);
    fake.allocated--;
}

static status fake_memory_free(struct backend *backend, size_t *free_bytes, size_t *total_bytes)
{
    if (fake.free_bytes == 0) return host_backend_memory_free(backend, free_bytes, total_bytes);
    *free_bytes = fake.free_bytes;
    return status_ok();
}

static status fake_copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    fake.queued += 2.0 * (double)bytes / COPY_RATE;
    return host_backend_copy(backend, to, from, bytes);
}

static status fake_clear(struct backend *backend, void *memory, size_t bytes)
{
    fake.queued += (double)bytes / COPY_RATE;
    return host_backend_clear(backend, memory, bytes);
}

static status fake_prepare(struct backend *backend, const struct operation *operation, struct kernel **kernel,
                           struct kernel_requirements *requirements)
{
    (void)backend;
    if (operation->kind == OPERATION_SELECT_BOXES) return status_error(STATUS_FAILED, "no boxes here");
    *kernel = malloc(sizeof **kernel);
    if (!*kernel) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    **kernel = (struct kernel){*operation};
    bool packs = operation->kind == OPERATION_LINEAR;
    *requirements = (struct kernel_requirements){.scratch_bytes = 16, .packed_bytes = packs ? 64 : 0, .packing_key = 7};
    fake.kernels++;
    return status_ok();
}

static void fake_discard(struct backend *backend, struct kernel *kernel)
{
    (void)backend;
    free(kernel);
    fake.kernels--;
}

static status fake_pack(struct backend *backend, struct kernel *kernel, const void *weight, void *packed, void *scratch)
{
    (void)backend;
    assert_int_equal(kernel->operation.kind, OPERATION_LINEAR);
    assert_non_null(weight);
    assert_non_null(packed);
    assert_non_null(scratch);
    return status_ok();
}

static status fake_run(struct backend *backend, struct kernel *kernel, const void *const *inputs, void *const *outputs,
                       const void *packed, void *scratch)
{
    (void)backend, (void)inputs, (void)outputs, (void)packed, (void)scratch;
    if (fake.broken) return status_error(STATUS_FAILED, "broken");
    double flops = operation_flops(&kernel->operation);
    fake.queued += flops > 0.0 ? flops / PRODUCT_RATE : operation_bytes(&kernel->operation) / KERNEL_RATE;
    return status_ok();
}

static status fake_synchronize(struct backend *backend)
{
    (void)backend;
    fake.clock += fake.queued;
    fake.queued = 0.0;
    return status_ok();
}

static status fake_fetch(struct backend *backend, const void *device, size_t bytes)
{
    (void)backend, (void)device, (void)bytes;
    return status_ok();
}

static status fake_fetched(struct backend *backend, const void **host)
{
    (void)backend;
    *host = &fake;
    return status_ok();
}

static status fake_capture_begin(struct backend *backend)
{
    (void)backend;
    return status_ok();
}

static const struct backend_interface fake_interface = {.name = "fake",
                                                        .compute_type = ELEMENT_F32,
                                                        .accumulation_type = ELEMENT_F32,
                                                        .folds_upsampling = true,
                                                        .pixels_at_once = 123,
                                                        .allocate = fake_allocate,
                                                        .release = fake_release,
                                                        .memory_free = fake_memory_free,
                                                        .upload = fake_copy,
                                                        .download = fake_copy,
                                                        .copy = fake_copy,
                                                        .clear = fake_clear,
                                                        .prepare = fake_prepare,
                                                        .discard = fake_discard,
                                                        .pack = fake_pack,
                                                        .run = fake_run,
                                                        .synchronize = fake_synchronize,
                                                        .fetch = fake_fetch,
                                                        .fetched = fake_fetched,
                                                        .capture_begin = fake_capture_begin};
static struct backend fake_backend = {&fake_interface};

static int begin(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    return 0;
}

/* Every operation reports to `profile`. */
static struct backend *open_timed(struct kernel_profile *profile)
{
    struct backend *timed;
    *profile = (struct kernel_profile){.peaks = {.flops_per_second = 0x1p38, .bytes_per_second = 0x1p32}};
    struct timed_hooks hooks = {profile, fake_now, kernel_profile_add};
    assert_int_equal(timed_backend_create(&fake_backend, hooks, &timed).code, STATUS_OK);
    return timed;
}

static void run_once(struct backend *timed, const struct operation *operation)
{
    struct kernel *kernel;
    struct kernel_requirements requirements;
    const void *inputs[MAXIMUM_INPUTS] = {0};
    void *outputs[MAXIMUM_OUTPUTS] = {0};
    assert_int_equal(timed->interface->prepare(timed, operation, &kernel, &requirements).code, STATUS_OK);
    assert_int_equal(timed->interface->run(timed, kernel, inputs, outputs, NULL, NULL).code, STATUS_OK);
    timed->interface->discard(timed, kernel);
}

/* ---- classes ---- */

static const struct {
    const char *name;
    enum kernel_class expected;
    struct operation operation;
} examples[] = {
#define EXAMPLE(text, expected_, kind_, inputs, input_list, outputs, output_list)                                      \
    {                                                                                                                  \
        text, expected_,                                                                                               \
        {                                                                                                              \
            .kind = OPERATION_##kind_, .input_count = inputs, .input = input_list, .output_count = outputs,            \
            .output = output_list                                                                                      \
        }                                                                                                              \
    }
    EXAMPLE("3x3", KERNEL_CONVOLUTION, CONVOLUTION, 2, D(S4(1, 8, 8, 4), W4(8, 4, 3, 3)), 1, D(S4(1, 8, 8, 8))),
    EXAMPLE("patches", KERNEL_CONVOLUTION, CONVOLUTION, 2, D(S4(1, 8, 8, 4), W4(8, 4, 8, 8)), 1, D(S4(1, 1, 1, 8))),
    EXAMPLE("one column", KERNEL_CONVOLUTION, CONVOLUTION, 2, D(S4(1, 8, 8, 4), W4(8, 4, 3, 1)), 1, D(S4(1, 8, 8, 8))),
    EXAMPLE("3x3 back", KERNEL_CONVOLUTION_VJP, CONVOLUTION_VJP_INPUT, 2, D(S4(1, 8, 8, 8), W4(8, 4, 3, 3)), 1,
            D(S4(1, 8, 8, 4))),
    EXAMPLE("1x1", KERNEL_LINEAR, CONVOLUTION, 2, D(S4(1, 8, 8, 4), W4(8, 4, 1, 1)), 1, D(S4(1, 8, 8, 8))),
    EXAMPLE("1x1 back", KERNEL_LINEAR_VJP, CONVOLUTION_VJP_INPUT, 2, D(S4(1, 8, 8, 8), W4(8, 4, 1, 1)), 1,
            D(S4(1, 8, 8, 4))),
    EXAMPLE("linear", KERNEL_LINEAR, LINEAR, 2, D(S2(16, 8), W2(4, 8)), 1, D(S2(16, 4))),
    EXAMPLE("linear back", KERNEL_LINEAR_VJP, LINEAR_VJP_INPUT, 2, D(S2(16, 4), W2(4, 8)), 1, D(S2(16, 8))),
    EXAMPLE("factor", KERNEL_ADAPTER, LINEAR, 2, D(S2(16, 8), S2(4, 8)), 1, D(S2(16, 4))),
    EXAMPLE("3x3 factor", KERNEL_ADAPTER, CONVOLUTION, 2, D(S4(1, 8, 8, 4), S4(2, 4, 3, 3)), 1, D(S4(1, 8, 8, 2))),
    EXAMPLE("merge", KERNEL_ADAPTER, MATMUL, 2, D(S3(1, 8, 4), S3(1, 4, 16)), 1, D(S3(1, 8, 16))),
    EXAMPLE("factor back", KERNEL_ADAPTER_VJP, LINEAR_VJP_INPUT, 2, D(S2(16, 4), S2(4, 8)), 1, D(S2(16, 8))),
    EXAMPLE("3x3 factor back", KERNEL_ADAPTER_VJP, CONVOLUTION_VJP_INPUT, 2, D(S4(1, 8, 8, 2), S4(2, 4, 3, 3)), 1,
            D(S4(1, 8, 8, 4))),
    EXAMPLE("factor's gradient", KERNEL_ADAPTER_VJP, LINEAR_VJP_WEIGHT, 2, D(S2(16, 4), S2(16, 8)), 1, D(S2(4, 8))),
    EXAMPLE("3x3 factor's gradient", KERNEL_ADAPTER_VJP, CONVOLUTION_VJP_WEIGHT, 2, D(S4(1, 8, 8, 2), S4(1, 8, 8, 4)),
            1, D(S4(2, 4, 3, 3))),
    EXAMPLE("attention", KERNEL_ATTENTION, ATTENTION, 3, D(S3(1, 16, 8), S3(1, 4, 8), S3(1, 4, 8)), 2,
            D(S3(1, 16, 8), S3(1, 2, 16))),
    EXAMPLE("attention back", KERNEL_ATTENTION_VJP, ATTENTION_VJP, 6,
            D(S3(1, 16, 8), S3(1, 16, 8), S3(1, 4, 8), S3(1, 4, 8), S3(1, 16, 8), S3(1, 2, 16)), 3,
            D(S3(1, 16, 8), NONE, S3(1, 4, 8))),
    EXAMPLE("group norm", KERNEL_NORM, GROUP_NORM, 3, D(S4(2, 4, 4, 8), S1(8), S1(8)), 1, D(S4(2, 4, 4, 8))),
    EXAMPLE("group norm back", KERNEL_NORM_VJP, GROUP_NORM_VJP, 2, D(S4(2, 4, 4, 8), S4(2, 4, 4, 8)), 1,
            D(S4(2, 4, 4, 8))),
    EXAMPLE("layer norm", KERNEL_NORM, LAYER_NORM, 1, D(S2(8, 16)), 1, D(S2(8, 16))),
    EXAMPLE("layer norm back", KERNEL_NORM_VJP, LAYER_NORM_VJP, 2, D(S2(8, 16), S2(8, 16)), 1, D(S2(8, 16))),
    EXAMPLE("normalize", KERNEL_NORM, NORMALIZE, 1, D(S2(8, 16)), 1, D(S2(8, 16))),
    EXAMPLE("normalize back", KERNEL_NORM_VJP, NORMALIZE_VJP, 2, D(S2(8, 16), S2(8, 16)), 1, D(S2(8, 16))),
    EXAMPLE("unary", KERNEL_ELEMENTWISE, UNARY, 1, D(S1(64)), 1, D(S1(64))),
    EXAMPLE("unary back", KERNEL_ELEMENTWISE, UNARY_VJP, 2, D(S1(64), S1(64)), 1, D(S1(64))),
    EXAMPLE("geglu", KERNEL_ELEMENTWISE, GEGLU, 1, D(S2(4, 16)), 1, D(S2(4, 8))),
    EXAMPLE("geglu back", KERNEL_ELEMENTWISE, GEGLU_VJP, 2, D(S2(4, 8), S2(4, 16)), 1, D(S2(4, 16))),
    EXAMPLE("binary", KERNEL_ELEMENTWISE, BINARY, 2, D(S1(32), S1(32)), 1, D(S1(32))),
    EXAMPLE("reduce", KERNEL_ELEMENTWISE, REDUCE, 1, D(S2(4, 8)), 1, D(S2(1, 8))),
    EXAMPLE("broadcast", KERNEL_ELEMENTWISE, BROADCAST, 1, D(S2(1, 8)), 1, D(S2(4, 8))),
    EXAMPLE("concatenate", KERNEL_LAYOUT, CONCATENATE, 2, D(S1(8), S1(8)), 1, D(S1(16))),
    EXAMPLE("slice", KERNEL_LAYOUT, SLICE, 1, D(S1(64)), 1, D(S1(8))),
    EXAMPLE("place", KERNEL_LAYOUT, PLACE, 1, D(S1(8)), 1, D(S1(64))),
    EXAMPLE("transpose", KERNEL_LAYOUT, TRANSPOSE, 1, D(S4(1, 2, 4, 8)), 1, D(S4(1, 4, 2, 8))),
    EXAMPLE("upsample", KERNEL_LAYOUT, UPSAMPLE, 1, D(S4(1, 2, 2, 8)), 1, D(S4(1, 4, 4, 8))),
    EXAMPLE("upsample back", KERNEL_LAYOUT, UPSAMPLE_VJP, 1, D(S4(1, 4, 4, 8)), 1, D(S4(1, 2, 2, 8))),
    EXAMPLE("resize", KERNEL_OTHER, RESIZE, 1, D(S4(1, 4, 4, 2)), 1, D(S4(1, 2, 2, 2))),
    EXAMPLE("resize back", KERNEL_OTHER, RESIZE_VJP, 1, D(S4(1, 2, 2, 2)), 1, D(S4(1, 4, 4, 2))),
    EXAMPLE("embedding", KERNEL_OTHER, EMBEDDING, 2, D(I2(1, 4), W2(1000, 8)), 1, D(S3(1, 4, 8))),
    EXAMPLE("gather", KERNEL_OTHER, GATHER, 2, D(S3(1, 64, 8), I2(1, 4)), 1, D(S3(1, 4, 8))),
    EXAMPLE("gather back", KERNEL_OTHER, GATHER_VJP, 2, D(S3(1, 4, 8), I2(1, 4)), 1, D(S3(1, 64, 8))),
    EXAMPLE("boxes", KERNEL_OTHER, SELECT_BOXES, 2, D(S2(1, 8), S3(1, 8, 4)), 1, D(I2(1, 4))),
};
enum { EXAMPLES = sizeof examples / sizeof *examples };

static void test_every_operation_has_its_class(void **unused)
{
    (void)unused;
    bool seen[OPERATION_KIND_COUNT] = {false};
    for (int i = 0; i < EXAMPLES; i++) {
        enum kernel_class found = kernel_class_of(&examples[i].operation);
        if (found != examples[i].expected) fail_msg("%s is among %s", examples[i].name, kernel_class_name(found));
        seen[examples[i].operation.kind] = true;
    }
    for (int kind = 0; kind < OPERATION_KIND_COUNT; kind++)
        if (!seen[kind]) fail_msg("no example of %s", operation_facts((enum operation_kind)kind)->name);
}

static void test_names_are_told_apart(void **unused)
{
    (void)unused;
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++)
        for (int j = 0; j < i; j++) {
            enum kernel_class a = (enum kernel_class)i, b = (enum kernel_class)j;
            assert_string_not_equal(kernel_class_name(a), kernel_class_name(b));
            assert_string_not_equal(kernel_class_key(a), kernel_class_key(b));
        }
}

/* ---- the backend that times another one ---- */

/* Every example is run by itself: its time, operations and bytes are its class's, and no other class has any. */
static void test_time_belongs_to_the_class(void **unused)
{
    (void)unused;
    for (int i = 0; i < EXAMPLES; i++) {
        const struct operation *operation = &examples[i].operation;
        if (operation->kind == OPERATION_SELECT_BOXES) continue;
        struct kernel_profile profile;
        struct backend *timed = open_timed(&profile);
        for (int call = 0; call < 3; call++) run_once(timed, operation);
        timed->interface->destroy(timed);
        const struct kernel_totals *totals = &profile.totals[examples[i].expected];
        struct kernel_totals sum = kernel_profile_sum(&profile);
        double flops = operation_flops(operation), bytes = operation_bytes(operation);
        double by_products = flops / 0x1p38, by_memory = bytes / 0x1p32;
        assert_true(totals->calls == 3.0 && sum.calls == 3.0);
        assert_true(totals->flops == 3.0 * flops && sum.flops == totals->flops);
        assert_true(totals->bytes == 3.0 * bytes && sum.bytes == totals->bytes);
        assert_true(totals->seconds == 3.0 * (flops > 0.0 ? flops / PRODUCT_RATE : bytes / KERNEL_RATE));
        assert_true(sum.seconds == totals->seconds && totals->seconds > 0.0);
        assert_true(totals->floor_seconds == 3.0 * (by_products > by_memory ? by_products : by_memory));
    }
    assert_int_equal(fake.kernels, 0);
}

static void test_copies(void **unused)
{
    (void)unused;
    struct kernel_profile profile;
    struct backend *timed = open_timed(&profile);
    const struct backend_interface *interface = timed->interface;
    char from[64] = "bytes", to[64];
    assert_int_equal(interface->copy(timed, to, from, 64).code, STATUS_OK);
    assert_string_equal(to, "bytes");
    assert_int_equal(interface->clear(timed, to, 32).code, STATUS_OK);
    assert_int_equal(interface->upload(timed, to, from, 16).code, STATUS_OK);
    assert_int_equal(interface->download(timed, to, from, 8).code, STATUS_OK);
    const struct kernel_totals *copies = &profile.totals[KERNEL_COPY], *transfers = &profile.totals[KERNEL_TRANSFER];
    assert_true(copies->calls == 2.0 && copies->bytes == 128.0 + 32.0 && copies->seconds == 160.0 / COPY_RATE);
    assert_true(copies->floor_seconds == 160.0 / 0x1p32);
    assert_true(transfers->calls == 2.0 && transfers->bytes == 24.0 && transfers->seconds == 48.0 / COPY_RATE);
    assert_true(transfers->floor_seconds == 0.0);
    interface->destroy(timed);
}

static void test_the_rest_passes_through(void **unused)
{
    (void)unused;
    struct kernel_profile profile;
    struct backend *timed = open_timed(&profile);
    const struct backend_interface *interface = timed->interface;
    const void *host = NULL;
    size_t available;
    assert_string_equal(interface->name, "fake");
    assert_true(interface->folds_upsampling && interface->pixels_at_once == 123);
    assert_null(interface->capture_begin); /* within a recorded sequence no call has a time */
    assert_int_equal(interface->fetch(timed, &host, sizeof host).code, STATUS_OK);
    assert_int_equal(interface->fetched(timed, &host).code, STATUS_OK);
    assert_ptr_equal(host, &fake);
    fake.free_bytes = 99;
    assert_int_equal(interface->memory_free(timed, &available, NULL).code, STATUS_OK);
    assert_int_equal(available, 99);
    struct kernel_totals sum = kernel_profile_sum(&profile);
    assert_true(sum.calls == 0.0);
    interface->destroy(timed);
    struct backend_interface bare = fake_interface;
    bare.fetch = NULL;
    bare.fetched = NULL;
    struct backend without = {&bare};
    assert_int_equal(timed_backend_create(&without, (struct timed_hooks){0}, &timed).code, STATUS_OK);
    assert_true(!timed->interface->fetch && !timed->interface->fetched);
    timed->interface->destroy(timed);
}

static void test_failures_pass_through(void **unused)
{
    (void)unused;
    struct kernel_profile profile;
    struct backend *timed = open_timed(&profile);
    struct kernel *kernel;
    struct kernel_requirements requirements;
    for (int i = 0; i < EXAMPLES; i++)
        if (examples[i].operation.kind == OPERATION_SELECT_BOXES)
            assert_string_equal(
                timed->interface->prepare(timed, &examples[i].operation, &kernel, &requirements).message,
                "no boxes here");
    assert_int_equal(timed->interface->prepare(timed, &examples[0].operation, &kernel, &requirements).code, STATUS_OK);
    assert_true(requirements.scratch_bytes == 16 && requirements.packing_key == 7);
    fake.broken = true;
    const void *inputs[MAXIMUM_INPUTS] = {0};
    void *outputs[MAXIMUM_OUTPUTS] = {0};
    assert_string_equal(timed->interface->run(timed, kernel, inputs, outputs, NULL, NULL).message, "broken");
    struct kernel_totals sum = kernel_profile_sum(&profile);
    assert_true(sum.calls == 0.0);
    timed->interface->discard(timed, kernel);
    timed->interface->destroy(timed);
}

/* ---- peaks ---- */

static void test_peaks(void **unused)
{
    (void)unused;
    struct machine_peaks peaks;
    assert_string_equal(machine_peaks_measure(&fake_backend, fake_now, NULL, &peaks).message, "");
    assert_true(peaks.flops_per_second == PRODUCT_RATE);
    assert_true(peaks.bytes_per_second == KERNEL_RATE); /* the faster one of the two copies */
    assert_true(peaks.call_seconds == 8.0 / KERNEL_RATE);
    assert_int_equal(peaks.product_side, 2048);  /* 2 * 2048^3 / 2^37 = 0.125 s; half the side takes 0.016 s */
    assert_int_equal(peaks.copy_bytes, 1 << 26); /* 2 * 2^26 / 2^31 = 0.063 s; half of it takes 0.031 s */
    assert_int_equal(peaks.compute_type, ELEMENT_F32);
    assert_int_equal(fake.allocated, 0);
    assert_int_equal(fake.kernels, 0);
}

static void test_peaks_with_little_memory(void **unused)
{
    (void)unused;
    struct machine_peaks peaks;
    fake.free_bytes = (size_t)8 << 20;
    assert_string_equal(machine_peaks_measure(&fake_backend, fake_now, NULL, &peaks).message, "");
    assert_int_equal(peaks.product_side, 512); /* four matrices of 1 MiB are half of what is free */
    assert_int_equal(peaks.copy_bytes, 2 << 20);
    assert_int_equal(fake.allocated, 0);
}

static void test_peaks_of_a_broken_device(void **unused)
{
    (void)unused;
    struct machine_peaks peaks;
    fake.broken = true;
    assert_string_equal(machine_peaks_measure(&fake_backend, fake_now, NULL, &peaks).message, "broken");
    assert_int_equal(fake.allocated, 0);
    assert_int_equal(fake.kernels, 0);
}

/* ---- what they say together ---- */

static void test_next_gain(void **unused)
{
    (void)unused;
    struct kernel_profile profile = {.peaks = {.call_seconds = 0x1p-10}};
    struct kernel_gain gain = kernel_profile_next_gain(&profile, 0.5);
    assert_true(gain.seconds == 0.0);
    profile.totals[KERNEL_CONVOLUTION] = (struct kernel_totals){.calls = 1, .seconds = 8.0, .floor_seconds = 3.75};
    profile.totals[KERNEL_ATTENTION_VJP] = (struct kernel_totals){.calls = 2, .seconds = 2.0, .floor_seconds = 0.25};
    profile.totals[KERNEL_ELEMENTWISE] = (struct kernel_totals){.calls = 4096, .seconds = 4.0, .floor_seconds = 0.0};
    profile.totals[KERNEL_TRANSFER] = (struct kernel_totals){.calls = 1, .seconds = 100.0};
    gain = kernel_profile_next_gain(&profile, 0.5);
    assert_int_equal(gain.kernel_class, KERNEL_ATTENTION_VJP); /* waits are all of the element-wise class's seconds */
    assert_true(gain.seconds == 2.0 - 2.0 * 0x1p-10 - 0.5);
    gain = kernel_profile_next_gain(&profile, 1.0);
    assert_int_equal(gain.kernel_class, KERNEL_CONVOLUTION);
    assert_true(gain.seconds == 8.0 - 0x1p-10 - 3.75);
}

static void test_mean_step(void **unused)
{
    (void)unused;
    struct kernel_profile profile = {.peaks = {.call_seconds = 1.0}};
    profile.totals[KERNEL_LAYOUT] = (struct kernel_totals){12.0, 8.0, 16.0, 4.0, 2.0};
    kernel_profile_average(&profile, 4);
    const struct kernel_totals *totals = &profile.totals[KERNEL_LAYOUT];
    assert_true(totals->calls == 3.0 && totals->seconds == 2.0 && totals->flops == 4.0 && totals->bytes == 1.0 &&
                totals->floor_seconds == 0.5);
    kernel_profile_clear(&profile);
    assert_true(totals->calls == 0.0 && profile.peaks.call_seconds == 1.0);
}

/* ---- bytes ---- */

static void test_bytes(void **unused)
{
    (void)unused;
    struct {
        const char *name;
        double bytes;
    } expected[] = {{"linear", 4.0 * (16 * 8 + 4 * 8 + 16 * 4)},
                    {"attention back", 4.0 * (4 * 16 * 8 + 3 * 4 * 8 + 2 * 16)}, /* dk is left out */
                    {"slice", 4.0 * (8 + 8)},
                    {"embedding", 4.0 * (4 + 4 * 8 + 4 * 8)},
                    {"gather", 4.0 * (4 * 8 + 4 + 4 * 8)},
                    {"gather back", 4.0 * (4 * 8 + 4 + 64 * 8)}};
    for (size_t e = 0; e < sizeof expected / sizeof *expected; e++)
        for (int i = 0; i < EXAMPLES; i++)
            if (strcmp(examples[i].name, expected[e].name) == 0)
                assert_true(operation_bytes(&examples[i].operation) == expected[e].bytes);
    struct operation mixed = {.kind = OPERATION_UNARY,
                              .input_count = 1,
                              .input = {{.shape = {1, {10}}, .type = ELEMENT_BF16, .present = true}},
                              .output_count = 1,
                              .output = {{.shape = {1, {10}}, .type = ELEMENT_F64, .present = true}}};
    assert_true(operation_bytes(&mixed) == 10 * 2 + 10 * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_operation_has_its_class, begin),
        cmocka_unit_test_setup(test_names_are_told_apart, begin),
        cmocka_unit_test_setup(test_time_belongs_to_the_class, begin),
        cmocka_unit_test_setup(test_copies, begin),
        cmocka_unit_test_setup(test_the_rest_passes_through, begin),
        cmocka_unit_test_setup(test_failures_pass_through, begin),
        cmocka_unit_test_setup(test_peaks, begin),
        cmocka_unit_test_setup(test_peaks_with_little_memory, begin),
        cmocka_unit_test_setup(test_peaks_of_a_broken_device, begin),
        cmocka_unit_test_setup(test_next_gain, begin),
        cmocka_unit_test_setup(test_mean_step, begin),
        cmocka_unit_test_setup(test_bytes, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
