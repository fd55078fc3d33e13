/* Every operation of the CUDA backend, and every product that belongs to it, against the reference backend, with and
 * without cuBLASLt. A wrong one is told, and the next one follows. Built twice: for the emulated device, forwards and
 * backwards through threads and blocks; and, with ON_DEVICE, for a real one, where the suite is skipped on machines
 * without.
 *
 * usage: test_kernels [--from N] [--to N] [--position FILE] [--limit SECONDS] [test_fp32|test_bf16|test_fp16]
 * Cases of a test are numbered from 1; position.h says what the options mean. */
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
#include "tests/cuda/position.h"
#include "tests/cuda/product_way.h"
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

struct run {
    struct backend *cuda;
    const struct precision *precision;
    enum product_way way;
    double worst;
    int compared, wrong;
    bool failed; /* the device's last call did, so that it may be lost */
};

static struct position position;

__attribute__((format(printf, 2, 3))) static void tell_wrong(struct run *run, const char *format, ...)
{
    va_list arguments;
    printf("wrong: case %d, %s by %s, ", position.number, run->precision->name, product_way_name(run->way));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    run->wrong++;
}

static void run_on_cuda(struct run *run, const char *name, const struct operation *operation, struct tensors *tensors,
                        bool in_place)
{
    status state = harness_run(run->cuda, operation, tensors, in_place);
    const char *fault = emulation_fault();
    run->failed = run->failed || state.code != STATUS_OK;
    if (state.code != STATUS_OK) tell_wrong(run, "%s: %s", name, state.message);
    if (fault) tell_wrong(run, "%s: %s", name, fault);
}

static void compare_output(struct run *run, const char *name, const struct operation *operation, int output,
                           const double *found, const double *reversed, const double *expected)
{
    int64_t count = harness_elements(&operation->output[output]);
    double distance = harness_distance(found, expected, count);
    if (!(distance < run->precision->tolerance))
        tell_wrong(run, "%s: output %d is off by %.3g", name, output, distance);
    if (memcmp(found, reversed, (size_t)count * sizeof(double)) != 0)
        tell_wrong(run, "%s: output %d depends on the order of threads", name, output);
    run->worst = fmax(run->worst, distance);
}

/* Both orders of threads must give the same bits, near the reference's values. */
static void compare(struct run *run, const char *name, const struct operation *operation, const struct tensors *from)
{
    struct tensors expected, found, reversed;
    if (run->failed) return;
    harness_copy(operation, from, ELEMENT_BF16, &expected);
    harness_copy(operation, from, ELEMENT_BF16, &found);
    harness_copy(operation, from, ELEMENT_BF16, &reversed);
    const struct operation adjoining = harness_adjoining(operation);
    require(harness_run(harness_reference, &adjoining, &expected, false));
    run_on_cuda(run, name, operation, &found, false);
    emulation_reverse(true);
    if (!run->failed) run_on_cuda(run, name, operation, &reversed, true);
    emulation_reverse(false);
    for (int i = 0; i < operation->output_count && !run->failed; i++)
        if (operation->output[i].present)
            compare_output(run, name, operation, i, found.output[i], reversed.output[i], expected.output[i]);
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

static void compare_case(struct run *run, const struct kernel_case *test, uint64_t seed)
{
    struct tensors forward;
    harness_allocate(&test->operation, &forward);
    harness_fill(&test->operation, run->precision->type, seed, &forward);
    compare(run, test->name, &test->operation, &forward);
    compare_with_residual(run, test->name, &test->operation, &forward);
    require(harness_compare_vjps(test->name, &test->operation, run->precision->type, seed + 1000, &forward,
                                 compare_variants, run));
    harness_release(&forward);
}

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
static bool is_wanted(const struct precision *precision, enum product_way way, const struct kernel_case *test)
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

/* After a call that failed: where not even that is possible any more, the process has lost the device. */
static void open_anew(struct run *run)
{
    run->cuda->interface->destroy(run->cuda);
    status opened = product_way_open(run->way, run->precision->precision, &run->cuda);
    if (opened.code != STATUS_OK) fail_msg("the device is lost after case %d: %s", position.number, opened.message);
    run->failed = false;
}

static void compare_cases(struct run *run, const struct kernel_case *cases, int count, double most_flops, uint64_t seed)
{
    for (int i = 0; i < count; i++) {
        if (!is_wanted(run->precision, run->way, &cases[i]) || cost(&cases[i].operation) > most_flops) continue;
        if (!position_next(&position, cases[i].name)) continue;
        compare_case(run, &cases[i], seed + (uint64_t)i);
        if (run->failed) open_anew(run);
    }
}

/* Returns how many are wrong. */
static int compare_all(const struct precision *precision, enum product_way way)
{
    struct run run = {.precision = precision, .way = way};
    require(product_way_open(way, precision->precision, &run.cuda));
    compare_cases(&run, kernel_cases, kernel_case_count, precision->most_flops / 4, 0);
    compare_cases(&run, cuda_cases, cuda_case_count, precision->most_flops, 500);
    run.cuda->interface->destroy(run.cuda);
    print_message("%s by %s: %d operations, %d wrong, worst relative distance %.2g\n", precision->name,
                  product_way_name(way), run.compared, run.wrong, run.worst);
    return run.wrong;
}

static void test_precision(const struct precision *precision, const enum product_way *ways, int count)
{
    int wrong = 0;
    position.number = 0;
    for (int i = 0; i < count; i++) wrong += compare_all(precision, ways[i]);
    position_end(&position);
    if (wrong > 0) fail_msg("%d wrong in %s", wrong, precision->name);
}

static void test_fp32(void **unused)
{
    (void)unused;
    test_precision(&precisions[0], (const enum product_way[]){BY_WARPGROUPS, BY_LIBRARY}, 2);
}

static void test_bf16(void **unused)
{
    (void)unused;
    static const enum product_way ways[] = {BY_WARPGROUPS, BY_DIVIDED_WARPGROUPS, BY_WARPS, BY_LIBRARY,
                                            FOR_MANY_MULTIPROCESSORS};
    test_precision(&precisions[1], ways, IS_DEVICE ? 4 : 5);
}

static void test_fp16(void **unused)
{
    (void)unused;
    test_precision(&precisions[2], (const enum product_way[]){BY_WARPGROUPS}, 1);
}

int main(int count, char **arguments)
{
    struct cuda_probe probe;
    if (!position_read(&count, arguments, &position)) {
        fprintf(stderr, "usage: %s [--from N] [--to N] [--position FILE] [--limit SECONDS] [TEST]\n", arguments[0]);
        return 2;
    }
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
