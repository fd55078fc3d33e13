/* Every operation of the CUDA backend, and every product that belongs to it, against the reference backend, with and
 * without cuBLASLt. Built twice: for the emulated device, forwards and backwards through threads and blocks; and, with
 * ON_DEVICE, for a real one, where the suite is skipped on machines without. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cuda/probe.h"
#include "tests/cuda/cases.h"
#include "tests/cuda/emulation/control.h"
#include "tests/unit/kernels/harness.h"

static void require(status state)
{
    if (state.code != STATUS_OK) fail_msg("%s", state.message);
}

struct precision {
    const char *name;
    enum cuda_precision precision;
    enum element_type type;
    double tolerance;
    double most_flops; /* of the own cases, four times those of all backends: larger ones would make the suite slow */
};

#ifdef ON_DEVICE
enum { IS_DEVICE = 1 };
#else
enum { IS_DEVICE = 0 };
#endif

static const struct precision precisions[] = {
    {"fp32", CUDA_PRECISION_F32, ELEMENT_F32, 5e-5, IS_DEVICE ? 1e12 : 1.5e6},
    {"bf16", CUDA_PRECISION_BF16, ELEMENT_BF16, 1e-2, IS_DEVICE ? 1e12 : 1.2e7},
    {"fp16", CUDA_PRECISION_F16, ELEMENT_F16, 2e-3, IS_DEVICE ? 1e12 : 4e6},
};
enum { EXIT_SKIPPED = 77 };

static void require_no_fault(const char *name)
{
    const char *fault = emulation_fault();
    if (fault) fail_msg("%s: %s", name, fault);
}

struct run {
    struct backend *cuda;
    const struct precision *precision;
    double worst;
    int compared;
};

/* Both orders of threads must give the same bits, near the reference's values. */
static void compare(struct run *run, const char *name, const struct operation *operation, const struct tensors *from)
{
    struct tensors expected, found, reversed;
    harness_copy(operation, from, ELEMENT_BF16, &expected);
    harness_copy(operation, from, ELEMENT_BF16, &found);
    harness_copy(operation, from, ELEMENT_BF16, &reversed);
    require(harness_run(harness_reference, operation, &expected, false));
    require(harness_run(run->cuda, operation, &found, false));
    require_no_fault(name);
    emulation_reverse(true);
    require(harness_run(run->cuda, operation, &reversed, true));
    emulation_reverse(false);
    require_no_fault(name);
    for (int i = 0; i < operation->output_count; i++) {
        if (!operation->output[i].present) continue;
        int64_t count = harness_elements(&operation->output[i]);
        double distance = harness_distance(found.output[i], expected.output[i], count);
        if (!(distance < run->precision->tolerance))
            fail_msg("%s in %s: output %d is off by %.3g", name, run->precision->name, i, distance);
        if (memcmp(found.output[i], reversed.output[i], (size_t)count * sizeof(double)) != 0)
            fail_msg("%s in %s: output %d depends on the order of threads", name, run->precision->name, i);
        run->worst = fmax(run->worst, distance);
    }
    run->compared++;
    harness_release(&expected);
    harness_release(&found);
    harness_release(&reversed);
}

static void compare_with_residual(struct run *run, const char *name, const struct operation *operation,
                                  const struct tensors *from)
{
    char text[200];
    struct operation with;
    struct tensors tensors = *from;
    if (!harness_add_residual(operation, run->precision->type, 77, &with, &tensors)) return;
    snprintf(text, sizeof text, "%s, with a residual", name);
    compare(run, text, &with, &tensors);
    free(tensors.input[with.input_count - 1]);
}

static void compare_variants(void *context, const char *name, const struct operation *operation,
                             const struct tensors *from)
{
    struct run *run = context;
    char text[200];
    compare(run, name, operation, from);
    compare_with_residual(run, name, operation, from);
    struct operation variant = *operation;
    if (operation->kind == OPERATION_LINEAR_VJP_WEIGHT || operation->kind == OPERATION_CONVOLUTION_VJP_WEIGHT) {
        variant.attributes.accumulate = true;
        snprintf(text, sizeof text, "%s, added", name);
        compare(run, text, &variant, from);
    }
    if (operation->kind == OPERATION_ATTENTION_VJP) {
        variant.output[0].present = variant.output[2].present = false;
        snprintf(text, sizeof text, "%s, of the keys alone", name);
        compare(run, text, &variant, from);
    }
}

/* What a case costs to emulate, whether or not it multiplies matrices; a window on a doubled map makes 4 of 9 products.
 */
static double cost(const struct operation *operation)
{
    double flops = operation_flops(operation) * (operation->attributes.doubled ? 4.0 / 9.0 : 1.0);
    return flops + 50.0 * (double)harness_elements(&operation->output[0]);
}

static void compare_case(struct run *run, const struct kernel_case *test, double most_flops, uint64_t seed)
{
    struct tensors forward;
    if (cost(&test->operation) > most_flops) return;
    harness_allocate(&test->operation, &forward);
    harness_fill(&test->operation, run->precision->type, seed, &forward);
    compare(run, test->name, &test->operation, &forward);
    compare_with_residual(run, test->name, &test->operation, &forward);
    require(harness_compare_vjps(test->name, &test->operation, run->precision->type, seed + 1000, &forward,
                                 compare_variants, run));
    harness_release(&forward);
}

/* How products are computed: by cuBLASLt where it can; else by warpgroups where there are any; else by warps. An H200's
 * 132 multiprocessors divide even small products into many parts. */
enum way { BY_LIBRARY, BY_WARPGROUPS, BY_DIVIDED_WARPGROUPS, BY_WARPS, FOR_MANY_MULTIPROCESSORS };
enum { MANY_MULTIPROCESSORS = 132 };

static bool is_product(enum operation_kind kind)
{
    return kind == OPERATION_LINEAR || kind == OPERATION_CONVOLUTION || kind == OPERATION_MATMUL;
}

/* Whether its depth is enough for more parts than a device of few multiprocessors makes. */
static bool divides_more(const struct kernel_case *test)
{
    enum { FEWEST_TERMS = 512, MOST_RESULTS = 3000 };
    int64_t results = harness_elements(&test->operation.output[0]);
    return results <= MOST_RESULTS && operation_flops(&test->operation) >= 2.0 * FEWEST_TERMS * (double)results;
}

/* By warps and by the library, what would be computed by other kernels otherwise. Kernels for fp16 of their own have
 * products, attention and layer norm alone; the others read every type through the same few functions. */
static bool is_wanted(const struct precision *precision, enum way way, const struct kernel_case *test)
{
    enum operation_kind kind = test->operation.kind;
    if (way == BY_WARPS) return is_product(kind) && strstr(test->name, "warpgroup") != NULL;
    if (way == BY_DIVIDED_WARPGROUPS)
        return strstr(test->name, "warpgroup's tiles, crossing taps") != NULL ||
               strstr(test->name, "wide tiles") != NULL;
    if (way == FOR_MANY_MULTIPROCESSORS) return is_product(kind) && divides_more(test);
    if (way == BY_LIBRARY)
        return kind == OPERATION_LINEAR || kind == OPERATION_MATMUL || strstr(test->name, "1x1") != NULL;
    return IS_DEVICE || precision->precision != CUDA_PRECISION_F16 || is_product(kind) || kind == OPERATION_ATTENTION ||
           kind == OPERATION_LAYER_NORM || kind == OPERATION_UNARY;
}

static void open_backend(const struct precision *precision, enum way way, struct backend **cuda)
{
    struct emulation_machine machine = emulation_present_machine();
    machine.has_matrix_library = way == BY_LIBRARY;
    machine.multiprocessors = way == FOR_MANY_MULTIPROCESSORS ? MANY_MULTIPROCESSORS : 0;
    emulation_set_machine(machine);
    const char *warpgroups = way == BY_WARPS ? "off" : way == BY_DIVIDED_WARPGROUPS ? "divided" : "";
    if (setenv("ALIGNPROP_WARPGROUPS", warpgroups, 1) != 0) fail_msg("the environment cannot be changed");
    require(backend_cuda_create(0, precision->precision, cuda));
}

static void compare_all(const struct precision *precision, enum way way)
{
    static const char *const words[] = {
        [BY_LIBRARY] = " with cuBLASLt",
        [BY_WARPGROUPS] = "",
        [BY_DIVIDED_WARPGROUPS] = " by divided warpgroups",
        [BY_WARPS] = " by warps",
        [FOR_MANY_MULTIPROCESSORS] = " for 132 multiprocessors",
    };
    struct run run = {.precision = precision};
    open_backend(precision, way, &run.cuda);
    for (int i = 0; i < kernel_case_count; i++)
        if (is_wanted(precision, way, &kernel_cases[i]))
            compare_case(&run, &kernel_cases[i], precision->most_flops / 4, (uint64_t)i);
    for (int i = 0; i < cuda_case_count; i++)
        if (is_wanted(precision, way, &cuda_cases[i]))
            compare_case(&run, &cuda_cases[i], precision->most_flops, (uint64_t)i + 500);
    run.cuda->interface->destroy(run.cuda);
    print_message("%s%s: %d operations, worst relative distance %.2g\n", precision->name, words[way], run.compared,
                  run.worst);
}

static void test_fp32(void **unused)
{
    (void)unused;
    compare_all(&precisions[0], BY_WARPGROUPS);
    compare_all(&precisions[0], BY_LIBRARY);
}

static void test_bf16(void **unused)
{
    (void)unused;
    compare_all(&precisions[1], BY_WARPGROUPS);
    compare_all(&precisions[1], BY_DIVIDED_WARPGROUPS);
    compare_all(&precisions[1], BY_WARPS);
    compare_all(&precisions[1], BY_LIBRARY);
    if (!IS_DEVICE) compare_all(&precisions[1], FOR_MANY_MULTIPROCESSORS);
}

static void test_fp16(void **unused)
{
    (void)unused;
    compare_all(&precisions[2], BY_WARPGROUPS);
}

int main(int count, char **arguments)
{
    struct cuda_probe probe;
    if (count > 1) cmocka_set_test_filter(arguments[1]);
    cuda_probe(&probe);
    if (probe.missing[0] != '\0') {
        printf("skipped: %s\n", probe.missing);
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_fp16),
    };
    return cmocka_run_group_tests(tests, harness_open_reference, harness_close_reference);
}
