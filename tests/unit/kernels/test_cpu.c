/* Every operation of the CPU backend, and every product that belongs to it, against the reference backend. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/cpu/cpu.h"
#include "kernels/host_memory.h"
#include "tests/unit/kernels/cases.h"
#include "tests/unit/kernels/harness.h"
#include "tests/unit/kernels/operands.h"

#define TOLERANCE 5e-6 /* of the Euclidean distance, relative */

static void require(status state)
{
    if (state.code != STATUS_OK) fail_msg("%s", state.message);
}

static double worst;

/* Runs on both backends from the same inputs; twice on the CPU, whose results must agree in every bit; and in place
 * where the table allows it. */
static void compare(struct backend *cpu, const char *name, const struct operation *operation,
                    const struct tensors *from)
{
    struct tensors expected, found, again;
    struct tensors *all[] = {&expected, &found, &again};
    for (int i = 0; i < 3; i++) harness_copy(operation, from, ELEMENT_F32, all[i]);
    require(harness_run(harness_reference, operation, &expected, false));
    require(harness_run(cpu, operation, &found, false));
    require(harness_run(cpu, operation, &again, true));
    for (int j = 0; j < operation->output_count; j++) {
        if (!operation->output[j].present) continue;
        int64_t count = harness_elements(&operation->output[j]);
        double distance = harness_distance(found.output[j], expected.output[j], count);
        if (!(distance < TOLERANCE)) fail_msg("%s: output %d is off by %.3g", name, j, distance);
        if (memcmp(found.output[j], again.output[j], (size_t)count * sizeof(double)) != 0)
            fail_msg("%s: output %d differs between two runs", name, j);
        worst = fmax(worst, distance);
    }
    for (int i = 0; i < 3; i++) harness_release(all[i]);
}

/* Accumulating products are also run with `accumulate`; attention's also with one gradient left out. */
static void compare_variants(void *backend, const char *name, const struct operation *operation,
                             const struct tensors *from)
{
    struct backend *cpu = backend;
    char text[200];
    compare(cpu, name, operation, from);
    struct operation variant = *operation;
    if (operation->kind == OPERATION_LINEAR_VJP_WEIGHT || operation->kind == OPERATION_CONVOLUTION_VJP_WEIGHT) {
        variant.attributes.accumulate = true;
        snprintf(text, sizeof text, "%s, added", name);
        compare(cpu, text, &variant, from);
    }
    for (int i = 0; operation->kind == OPERATION_ATTENTION_VJP && i < 3; i++) {
        variant = *operation;
        variant.output[i].present = false;
        snprintf(text, sizeof text, "%s, without output %d", name, i);
        compare(cpu, text, &variant, from);
    }
}

static void compare_case(struct backend *cpu, const struct kernel_case *test, uint64_t seed)
{
    struct tensors forward;
    harness_allocate(&test->operation, &forward);
    harness_fill(&test->operation, ELEMENT_F32, seed, &forward);
    compare(cpu, test->name, &test->operation, &forward);
    require(
        harness_compare_vjps(test->name, &test->operation, ELEMENT_F32, seed + 1000, &forward, compare_variants, cpu));
    harness_release(&forward);
}

static void compare_all(const char *name, status created, struct backend *cpu)
{
    require(created);
    worst = 0;
    for (int i = 0; i < kernel_case_count; i++) compare_case(cpu, &kernel_cases[i], (uint64_t)i);
    cpu->interface->destroy(cpu);
    print_message("%d cases %s, worst relative distance %.2g\n", kernel_case_count, name, worst);
}

static void compare_on_threads(const char *name, int threads)
{
    struct backend *cpu;
    status created = backend_cpu_create(threads, &cpu);
    compare_all(name, created, cpu);
}

static void test_one_thread(void **unused)
{
    (void)unused;
    compare_on_threads("on one thread", 1);
}

static void test_two_threads(void **unused)
{
    (void)unused;
    compare_on_threads("on two threads", 2);
}

/* More threads than heads, items or cores. */
static void test_five_threads(void **unused)
{
    (void)unused;
    compare_on_threads("on five threads", 5);
}

static const char *const set_names[] = {"on baseline instructions", "on AVX2", "on AVX-512"};

/* The kernels of every instruction set that this processor has, with own products in place of oneDNN's. */
static void test_instruction_sets(void **unused)
{
    (void)unused;
    for (enum cpu_instructions set = CPU_BASELINE; set < CPU_BEST; set++) {
        struct backend *cpu;
        status created = cpu_backend_create(2, set, true, &cpu);
        if (set == CPU_BASELINE || created.code == STATUS_OK) compare_all(set_names[set], created, cpu);
    }
}

/* ---- Gradients that are zero whatever the numbers are ---- */

enum { ALL_GRADIENTS = -1, OF_QUERIES_AND_KEYS = 3 };

struct zero_case {
    const char *name;
    struct operation forward;
    int gradients;   /* a bit for each output of the product that is zero */
    double rounding; /* what may be left of terms of the order of 1 that cancel; 0: every bit is zero */
};

/* Between 1 and 2 or their negatives: nothing is divided by a small number. */
static void fill_moderately(const struct operation *operation, struct tensors *tensors)
{
    harness_fill(operation, ELEMENT_F32, 11, tensors);
    for (int i = 0; i < operation->input_count; i++)
        for (int64_t j = 0; j < harness_elements(&operation->input[i]); j++) {
            double value = tensors->input[i][j];
            tensors->input[i][j] = harness_round(ELEMENT_F32, copysign(1 + fmod(fabs(value), 1), value));
        }
}

static void require_zeros(const char *set, const struct zero_case *zero, int output, const double *values,
                          int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(values[i]) <= zero->rounding))
            fail_msg("%s %s: element %lld of gradient %d is %.3g, should be 0 (allowed %.3g)", zero->name, set,
                     (long long)i, output, values[i], zero->rounding);
}

/* From the backend's own forward results. */
static void require_zero_gradients(struct backend *cpu, const char *set, const struct zero_case *zero)
{
    struct tensors forward, filled;
    struct vjp vjps[MAXIMUM_VJPS];
    uint64_t state = 5;
    harness_allocate(&zero->forward, &forward);
    fill_moderately(&zero->forward, &forward);
    require(harness_run(cpu, &zero->forward, &forward, false));
    int64_t count = harness_elements(&zero->forward.output[0]);
    double *cotangent = calloc((size_t)count, sizeof *cotangent);
    assert_non_null(cotangent);
    for (int64_t i = 0; i < count; i++) cotangent[i] = harness_round(ELEMENT_F32, harness_normal(&state));
    assert_int_equal(harness_vjps(&zero->forward, vjps), 1);
    harness_allocate(&vjps[0].operation, &filled);
    harness_fill_vjp(&vjps[0], ELEMENT_F32, &forward, cotangent, &filled);
    require(harness_run(cpu, &vjps[0].operation, &filled, false));
    for (int j = 0; j < vjps[0].operation.output_count; j++)
        if (zero->gradients >> j & 1)
            require_zeros(set, zero, j, filled.output[j], harness_elements(&vjps[0].operation.output[j]));
    harness_release(&filled);
    harness_release(&forward);
    free(cotangent);
}

/* The softmax of one score is 1, a row of one number normalises to nothing: what goes in does not matter. */
static const struct zero_case zero_cases[] = {
    {"layer norm of rows of one",
     {.kind = OPERATION_LAYER_NORM,
      .attributes = {.epsilon = 1e-5},
      .input_count = 3,
      .input = {S3(2, 37, 1), S1(1), S1(1)},
      .output_count = 3,
      .output = {S3(2, 37, 1), S2(2, 37), S2(2, 37)}},
     ALL_GRADIENTS,
     0},
    {"clamp outside of its bounds",
     {.kind = OPERATION_UNARY,
      .attributes = {.unary = UNARY_CLAMP, .alpha = -0.5, .beta = 0.5},
      .input_count = 1,
      .input = {S2(37, 29)},
      .output_count = 1,
      .output = {S2(37, 29)}},
     ALL_GRADIENTS,
     0},
    {"group norm of groups of one",
     {.kind = OPERATION_GROUP_NORM,
      .attributes = {.groups = 37, .epsilon = 1},
      .input_count = 3,
      .input = {S4(3, 1, 1, 37), S1(37), S1(37)},
      .output_count = 3,
      .output = {S4(3, 1, 1, 37), S2(3, 37), S2(3, 37)}},
     ALL_GRADIENTS,
     4e-6},
    {"normalize of rows of one",
     {.kind = OPERATION_NORMALIZE, .input_count = 1, .input = {S2(37, 1)}, .output_count = 1, .output = {S2(37, 1)}},
     ALL_GRADIENTS,
     2e-6},
};

static void require_zeros_of_one_key(struct backend *cpu, const char *set)
{
    const int64_t widths[] = {1, 4, 6, 13, 40, 64}, queries[] = {1, 3, 17, 70};
    for (int w = 0; w < 6; w++)
        for (int n = 0; n < 4; n++) {
            const int64_t row = 2 * widths[w];
            struct zero_case zero = {"attention to one key",
                                     {.kind = OPERATION_ATTENTION,
                                      .attributes = {.heads = 2, .alpha = 0.3},
                                      .input_count = 3,
                                      .input = {S3(2, queries[n], row), S3(2, 1, row), S3(2, 1, row)},
                                      .output_count = 2,
                                      .output = {S3(2, queries[n], row), S3(2, 2, queries[n])}},
                                     OF_QUERIES_AND_KEYS,
                                     0};
            require_zero_gradients(cpu, set, &zero);
        }
}

/* On every instruction set, by whatever compiler: kernels whose terms cancel exactly sum both in the same way. */
static void test_zero_gradients(void **unused)
{
    (void)unused;
    for (enum cpu_instructions set = CPU_BASELINE; set < CPU_BEST; set++) {
        struct backend *cpu;
        if (cpu_backend_create(2, set, true, &cpu).code != STATUS_OK) continue;
        for (size_t i = 0; i < sizeof zero_cases / sizeof *zero_cases; i++)
            require_zero_gradients(cpu, set_names[set], &zero_cases[i]);
        require_zeros_of_one_key(cpu, set_names[set]);
        cpu->interface->destroy(cpu);
    }
}

/* The matrix of scores of 4096 queries and keys would take 64 MiB: attention's scratch stays far below. */
static void test_attention_memory(void **unused)
{
    (void)unused;
    enum { LENGTH = 4096, WIDTH = 320, HEADS = 8 };
    struct operand rows = {.shape = {3, {1, LENGTH, WIDTH}}, .present = true};
    struct operand lse = {.shape = {3, {1, HEADS, LENGTH}}, .present = true};
    struct operation forward = {.kind = OPERATION_ATTENTION,
                                .attributes = {.heads = HEADS, .alpha = 0.15},
                                .input_count = 3,
                                .input = {rows, rows, rows},
                                .output_count = 2,
                                .output = {rows, lse}};
    struct operation product = {.kind = OPERATION_ATTENTION_VJP,
                                .attributes = forward.attributes,
                                .input_count = 6,
                                .input = {rows, rows, rows, rows, rows, lse},
                                .output_count = 3,
                                .output = {rows, rows, rows}};
    const struct operation *operations[] = {&forward, &product};
    struct backend *cpu;
    require(backend_cpu_create(2, &cpu));
    for (int i = 0; i < 2; i++) {
        struct kernel *kernel;
        struct kernel_requirements requirements;
        require(cpu->interface->prepare(cpu, operations[i], &kernel, &requirements));
        print_message("%s of %d: %.2f MiB of scratch on 2 threads\n", operation_facts(operations[i]->kind)->name,
                      LENGTH, (double)requirements.scratch_bytes / 1048576);
        assert_true(requirements.scratch_bytes < (size_t)8 << 20);
        assert_int_equal(requirements.packed_bytes, 0);
        cpu->interface->discard(cpu, kernel);
    }
    cpu->interface->destroy(cpu);
}

/* Where fp32 is at its limits: large means against the deviation, far tails, scores that overflow exp. */
static void test_extremes(void **unused)
{
    (void)unused;
    struct backend *cpu;
    require(backend_cpu_create(2, &cpu));
    for (int i = 0; i < kernel_case_count; i++) {
        const struct kernel_case *test = &kernel_cases[i];
        enum operation_kind kind = test->operation.kind;
        enum unary_kind unary = test->operation.attributes.unary;
        bool bounded =
            kind == OPERATION_UNARY && (unary == UNARY_SILU || unary == UNARY_GELU_ERF || unary == UNARY_SIGMOID ||
                                        unary == UNARY_TANH || unary == UNARY_LOG_SIGMOID || unary == UNARY_ELU);
        if (kind != OPERATION_ATTENTION && !bounded) continue;
        struct tensors tensors;
        harness_allocate(&test->operation, &tensors);
        harness_fill(&test->operation, ELEMENT_F32, 7, &tensors);
        int64_t count = harness_elements(&test->operation.input[0]);
        for (int64_t j = 0; j < count; j++) tensors.input[0][j] *= kind == OPERATION_ATTENTION ? 8 : 40;
        for (int64_t j = 0; j < count; j++) tensors.input[0][j] = harness_round(ELEMENT_F32, tensors.input[0][j]);
        compare(cpu, test->name, &test->operation, &tensors);
        harness_release(&tensors);
    }
    cpu->interface->destroy(cpu);
}

/* The tolerance catches formulas that are wrong by little: constants changed by 1 in 10000, an epsilon
 * larger by 1e-4, another approximation of GELU. */
static void test_wrong_formulas(void **unused)
{
    (void)unused;
    struct backend *cpu;
    int caught = 0;
    require(backend_cpu_create(1, &cpu));
    for (int i = 0; i < kernel_case_count; i++) {
        const struct kernel_case *test = &kernel_cases[i];
        struct operation wrong = test->operation;
        const struct operation_attributes *given = &test->operation.attributes;
        wrong.attributes.alpha *= 1.0001;
        if (wrong.attributes.epsilon > 0) wrong.attributes.epsilon += 1e-4;
        if (wrong.attributes.unary == UNARY_GELU_ERF) wrong.attributes.unary = UNARY_GELU_TANH;
        bool changed = wrong.attributes.alpha != given->alpha || wrong.attributes.epsilon != given->epsilon ||
                       wrong.attributes.unary != given->unary;
        bool without_effect = test->operation.kind == OPERATION_SELECT_BOXES ||
                              (test->operation.kind == OPERATION_ATTENTION && wrong.input[1].shape.dimension[1] == 1) ||
                              (test->operation.kind == OPERATION_UNARY && wrong.attributes.unary == given->unary &&
                               wrong.attributes.unary != UNARY_AFFINE);
        if (!changed || without_effect) continue;
        struct tensors right, found;
        harness_allocate(&wrong, &right);
        harness_allocate(&wrong, &found);
        harness_fill(&wrong, ELEMENT_F32, (uint64_t)i, &right);
        harness_fill(&wrong, ELEMENT_F32, (uint64_t)i, &found);
        require(harness_run(harness_reference, &test->operation, &right, false));
        require(harness_run(cpu, &wrong, &found, false));
        double distance = harness_distance(found.output[0], right.output[0], harness_elements(&wrong.output[0]));
        if (distance < TOLERANCE) fail_msg("%s: a wrong formula is off by only %.3g", test->name, distance);
        caught++;
        harness_release(&right);
        harness_release(&found);
    }
    cpu->interface->destroy(cpu);
    print_message("%d wrong formulas caught\n", caught);
    assert_true(caught > 30);
}

static void test_refusals(void **unused)
{
    (void)unused;
    struct backend *cpu;
    struct kernel *kernel;
    struct kernel_requirements requirements;
    require(backend_cpu_create(1, &cpu));
    struct operation operation = kernel_cases[0].operation;
    operation.input[1].shape.dimension[1]++;
    status refused = cpu->interface->prepare(cpu, &operation, &kernel, &requirements);
    assert_int_equal(refused.code, STATUS_FAILED);
    assert_non_null(strstr(refused.message, "linear([7,33], [17,34], [17]) -> [7,17]"));
    cpu->interface->destroy(cpu);
    assert_int_equal(backend_cpu_create(-1, &cpu).code, STATUS_USAGE);
}

static void test_bad_id(void **unused)
{
    (void)unused;
    struct backend *cpu;
    require(backend_cpu_create(1, &cpu));
    struct operation operation = {
        .kind = OPERATION_EMBEDDING,
        .input_count = 2,
        .input = {{.shape = {2, {1, 2}}, .type = ELEMENT_I32, .present = true},
                  {.shape = {2, {4, 3}}, .present = true}},
        .output_count = 1,
        .output = {{.shape = {3, {1, 2, 3}}, .present = true}},
    };
    struct tensors tensors;
    harness_allocate(&operation, &tensors);
    tensors.input[0][1] = 4;
    status refused = harness_run(cpu, &operation, &tensors, false);
    assert_int_equal(refused.code, STATUS_FAILED);
    assert_string_equal(refused.message, "embedding: id 4 is not in 0..3");
    assert_int_equal(harness_run(harness_reference, &operation, &tensors, false).code, STATUS_FAILED);
    harness_release(&tensors);
    cpu->interface->destroy(cpu);
}

static void test_memory_free(void **unused)
{
    (void)unused;
    struct backend *cpu;
    size_t free_bytes = 0, total_bytes = 0;
    void *memory = NULL;
    require(backend_cpu_create(1, &cpu));
    require(cpu->interface->memory_free(cpu, &free_bytes, &total_bytes));
    assert_true(free_bytes > 0 && free_bytes <= total_bytes);
    status refused = cpu->interface->allocate(cpu, SIZE_MAX, &memory);
    assert_int_equal(refused.code, STATUS_NO_MEMORY);
    require(cpu->interface->allocate(cpu, 1000, &memory));
    assert_int_equal((uintptr_t)memory % 256, 0);
    cpu->interface->release(cpu, memory);
    cpu->interface->destroy(cpu);
}

/* What was given back before the peak was forgotten is not in it any more. */
static void test_memory_peak(void **unused)
{
    (void)unused;
    enum { BYTES = 64 << 20, NOISE = 16 << 20 };
    if (access("/proc/self/clear_refs", W_OK) != 0) skip();
    size_t before = host_memory_resident();
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    memset(memory, 1, BYTES);
    assert_int_equal(munmap(memory, BYTES), 0);
    assert_true(host_memory_peak() + NOISE > before + BYTES);
    host_memory_forget_peak();
    assert_true(host_memory_peak() < before + NOISE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_gradients),   cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_two_threads),      cmocka_unit_test(test_five_threads),
        cmocka_unit_test(test_instruction_sets), cmocka_unit_test(test_attention_memory),
        cmocka_unit_test(test_extremes),         cmocka_unit_test(test_wrong_formulas),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_bad_id),
        cmocka_unit_test(test_memory_free),      cmocka_unit_test(test_memory_peak),
    };
    return cmocka_run_group_tests(tests, harness_open_reference, harness_close_reference);
}
