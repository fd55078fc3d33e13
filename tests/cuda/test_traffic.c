/* What the kernels move through shared memory, counted on the emulated device: no bank is asked twice for what one pass
 * over all of them could give, and a tile of a product moves what its shape says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/backend.h"
#include "tests/cuda/cases.h"
#include "tests/cuda/emulation/control.h"
#include "tests/unit/kernels/harness.h"
#include "tests/unit/kernels/operands.h"

static void require(status state)
{
    if (state.code != STATUS_OK) fail_msg("%s", state.message);
}

/* Wavefronts allowed for a hundred that there must be, by kind of access. */
struct bounds {
    long percent[EMULATION_ACCESSES];
};

static bool uses_matrices(const struct emulation_traffic *traffic)
{
    return traffic->product_bytes > 0 || traffic->access[EMULATION_MATRICES].fewest > 0;
}

/* Attention's rows are padded, so that eight chunks that are copied at once overlap in the banks where they are of two
 * rows. The exact products in fp32 wait for arithmetic, not for shared memory. */
static struct bounds bounds_of(enum operation_kind kind, const struct emulation_traffic *traffic)
{
    if (kind == OPERATION_ATTENTION || kind == OPERATION_ATTENTION_VJP) return (struct bounds){{100, 100, 200, 100}};
    if (uses_matrices(traffic)) return (struct bounds){{100, 100, 100, 100}};
    return (struct bounds){{200, 200, 100, 100}};
}

static void require_bounds(const char *name, enum operation_kind kind, const struct emulation_traffic *traffic)
{
    static const char *const message[EMULATION_ACCESSES] = {
        [EMULATION_READ] = "read",
        [EMULATION_WRITE] = "write",
        [EMULATION_COPY] = "copy",
        [EMULATION_MATRICES] = "matrices",
    };
    struct bounds bounds = bounds_of(kind, traffic);
    printf("%s:", name);
    for (int access = 0; access < EMULATION_ACCESSES; access++) {
        long wavefronts = traffic->access[access].wavefronts, fewest = traffic->access[access].fewest;
        printf(" %s %ld of %ld", message[access], wavefronts, fewest);
        if (100 * wavefronts > bounds.percent[access] * fewest)
            fail_msg("%s: %s in %ld wavefronts where %ld would do", name, message[access], wavefronts, fewest);
    }
    printf("\n");
}

struct measurement {
    struct backend *cuda;
    struct emulation_traffic traffic; /* of the last operation */
};

static void measure(void *context, const char *name, const struct operation *operation, const struct tensors *from)
{
    struct measurement *measurement = context;
    struct tensors tensors;
    harness_copy(operation, from, ELEMENT_BF16, &tensors);
    emulation_measure_traffic(true);
    require(harness_run(measurement->cuda, operation, &tensors, false));
    emulation_measure_traffic(false);
    measurement->traffic = emulation_measured_traffic();
    require_bounds(name, operation->kind, &measurement->traffic);
    harness_release(&tensors);
}

static void measure_all(struct measurement *measurement, const char *name, const struct operation *operation)
{
    struct tensors forward;
    harness_allocate(operation, &forward);
    harness_fill(operation, ELEMENT_BF16, 1, &forward);
    measure(measurement, name, operation, &forward);
    require(harness_compare_vjps(name, operation, ELEMENT_BF16, 2, &forward, measure, measurement));
    harness_release(&forward);
}

static void open_backend(bool by_warps, struct backend **cuda)
{
    emulation_set_machine((struct emulation_machine){13000, 1, 9, 0, (size_t)1 << 30, false, 0});
    if ((by_warps ? setenv("ALIGNPROP_WARPGROUPS", "off", 1) : unsetenv("ALIGNPROP_WARPGROUPS")) != 0)
        fail_msg("the environment cannot be changed");
    require(backend_cuda_create(0, CUDA_PRECISION_BF16, cuda));
}

/* Products and attention; by warps, what would be by warpgroups. */
static bool is_measured(const struct operation *operation, const char *name, bool by_warps)
{
    enum { MOST_FLOPS = 4000000 };
    if (operation_flops(operation) > MOST_FLOPS) return false;
    if (operation->kind == OPERATION_ATTENTION) return !by_warps;
    bool is_product = operation->kind == OPERATION_LINEAR || operation->kind == OPERATION_CONVOLUTION;
    return is_product && (!by_warps || strstr(name, "warpgroup") != NULL);
}

static void test_wavefronts(void **unused)
{
    (void)unused;
    for (int by_warps = 0; by_warps < 2; by_warps++) {
        struct measurement measurement;
        open_backend(by_warps, &measurement.cuda);
        for (int i = 0; i < cuda_case_count; i++)
            if (is_measured(&cuda_cases[i].operation, cuda_cases[i].name, by_warps))
                measure_all(&measurement, cuda_cases[i].name, &cuda_cases[i].operation);
        measurement.cuda->interface->destroy(measurement.cuda);
    }
}

/* 512 by 320 of a depth of 256 are eight blocks of 128 by 160, four tiles deep. */
static void test_bytes_of_a_tile(void **unused)
{
    (void)unused;
    enum { TILES = 8 * 4, ROWS = 128, COLUMNS = 160, DEPTH = 64, WARPGROUPS = 2, ELEMENT = 2 };
    static const struct operation whole_tiles = {
        .kind = OPERATION_LINEAR,
        .input_count = 2,
        .input = {S2(512, 256), S2(320, 256)},
        .output_count = 1,
        .output = {S2(512, 320)},
    };
    struct measurement measurement;
    struct tensors tensors;
    open_backend(false, &measurement.cuda);
    harness_allocate(&whole_tiles, &tensors);
    harness_fill(&whole_tiles, ELEMENT_BF16, 1, &tensors);
    measure(&measurement, "linear of whole tiles", &whole_tiles, &tensors);
    assert_int_equal(measurement.traffic.copied_bytes, TILES * (ROWS + COLUMNS) * DEPTH * ELEMENT);
    assert_int_equal(measurement.traffic.product_bytes, TILES * (ROWS + WARPGROUPS * COLUMNS) * DEPTH * ELEMENT);
    harness_release(&tensors);
    measurement.cuda->interface->destroy(measurement.cuda);
}

/* Latents and pictures have fewer channels than are gathered at once: their convolutions, and the derivatives of those
 * that make them, are still products of matrices. */
static void test_few_channels(void **unused)
{
    (void)unused;
    static const struct operation forward = {
        .kind = OPERATION_CONVOLUTION,
        .attributes = {.stride = 1, .padding_top = 1, .padding_left = 1, .padding_bottom = 1, .padding_right = 1},
        .input_count = 2,
        .input = {S4(1, 9, 8, 4), S4(16, 4, 3, 3)},
        .output_count = 1,
        .output = {S4(1, 9, 8, 16)},
    };
    static const struct operation backward = {
        .kind = OPERATION_CONVOLUTION_VJP_INPUT,
        .attributes = {.stride = 1, .padding_top = 1, .padding_left = 1, .padding_bottom = 1, .padding_right = 1},
        .input_count = 2,
        .input = {S4(1, 9, 8, 3), S4(3, 16, 3, 3)},
        .output_count = 1,
        .output = {S4(1, 9, 8, 16)},
    };
    struct measurement measurement;
    open_backend(false, &measurement.cuda);
    for (int i = 0; i < 2; i++) {
        const struct operation *operation = i ? &backward : &forward;
        struct tensors tensors;
        harness_allocate(operation, &tensors);
        harness_fill(operation, ELEMENT_BF16, 1, &tensors);
        measure(&measurement, i ? "convolution to 3 channels, backward" : "convolution of 4 channels", operation,
                &tensors);
        assert_true(uses_matrices(&measurement.traffic));
        harness_release(&tensors);
    }
    measurement.cuda->interface->destroy(measurement.cuda);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wavefronts),
        cmocka_unit_test(test_bytes_of_a_tile),
        cmocka_unit_test(test_few_channels),
    };
    return cmocka_run_group_tests(tests, harness_open_reference, harness_close_reference);
}
