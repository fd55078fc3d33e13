/* Every vector-Jacobian product of the reference backend against central differences of its forward operation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/kernels/cases.h"
#include "tests/unit/kernels/harness.h"

static void require(status state)
{
    if (state.code != STATUS_OK) fail_msg("%s", state.message);
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/* <cotangent, output 0> of the forward operation with input `index` moved along `direction` by `step`. */
static double moved(const struct operation *forward, struct tensors *tensors, int index, const double *direction,
                    double step, const double *cotangent)
{
    int64_t count = harness_elements(&forward->input[index]);
    double *original = tensors->input[index];
    double *shifted = malloc((size_t)count * sizeof *shifted);
    assert_non_null(shifted);
    for (int64_t i = 0; i < count; i++) shifted[i] = original[i] + step * direction[i];
    tensors->input[index] = shifted;
    status ran = harness_run(harness_reference, forward, tensors, false);
    tensors->input[index] = original;
    free(shifted);
    require(ran);
    return dot(cotangent, tensors->output[0], harness_elements(&forward->output[0]));
}

/* A direction that is partly random and partly the gradient's, so that the derivative along it is not small. */
static double *direction_along(const double *gradient, int64_t count, uint64_t *state)
{
    double *direction = malloc((size_t)count * sizeof *direction);
    assert_non_null(direction);
    double norm = sqrt(dot(gradient, gradient, count) / (double)count);
    for (int64_t i = 0; i < count; i++) direction[i] = harness_normal(state) + (norm > 0 ? gradient[i] / norm : 0);
    return direction;
}

static double error_along_direction(const struct operation *forward, struct tensors *tensors, int index,
                                    const double *gradient, const double *cotangent)
{
    const double step = 1e-5;
    int64_t count = harness_elements(&forward->input[index]);
    uint64_t state = 99;
    double *direction = direction_along(gradient, count, &state);
    double claimed = dot(gradient, direction, count);
    double measured = (moved(forward, tensors, index, direction, step, cotangent) -
                       moved(forward, tensors, index, direction, -step, cotangent)) /
                      (2 * step);
    free(direction);
    return fabs(claimed - measured) / fmax(fabs(measured), 1e-300);
}

static double check_vjp(const struct kernel_case *test, const struct vjp *vjp, struct tensors *forward,
                        const double *cotangent)
{
    double worst = 0;
    struct tensors tensors;
    harness_allocate(&vjp->operation, &tensors);
    harness_fill_vjp(vjp, ELEMENT_F64, forward, cotangent, &tensors);
    require(harness_run(harness_reference, &vjp->operation, &tensors, false));
    for (int i = 0; i < vjp->operation.output_count; i++) {
        double error =
            error_along_direction(&test->operation, forward, vjp->gradient_of[i], tensors.output[i], cotangent);
        if (!(error < 1e-6))
            fail_msg("%s: %s, gradient of input %d: relative error %.3g", test->name,
                     operation_facts(vjp->operation.kind)->name, vjp->gradient_of[i], error);
        worst = fmax(worst, error);
    }
    harness_release(&tensors);
    return worst;
}

static void test_gradients(void **unused)
{
    (void)unused;
    double worst = 0;
    int checked = 0;
    for (int i = 0; i < kernel_case_count; i++) {
        const struct kernel_case *test = &kernel_cases[i];
        struct vjp vjps[MAXIMUM_VJPS];
        int count = harness_vjps(&test->operation, vjps);
        if (test->large || count == 0) continue;
        struct tensors forward;
        harness_allocate(&test->operation, &forward);
        harness_fill(&test->operation, ELEMENT_F64, (uint64_t)i, &forward);
        int64_t outputs = harness_elements(&test->operation.output[0]);
        double *cotangent = malloc((size_t)outputs * sizeof *cotangent);
        assert_non_null(cotangent);
        uint64_t state = (uint64_t)i + 1000;
        for (int64_t j = 0; j < outputs; j++) cotangent[j] = harness_normal(&state);
        for (int j = 0; j < count; j++, checked++) {
            require(harness_run(harness_reference, &test->operation, &forward, false));
            worst = fmax(worst, check_vjp(test, &vjps[j], &forward, cotangent));
        }
        free(cotangent);
        harness_release(&forward);
    }
    print_message("%d products, worst relative error %.2g\n", checked, worst);
    assert_true(checked > 60);
}

/* dW is added to what is there when `accumulate`. */
static void test_accumulation(void **unused)
{
    (void)unused;
    struct operation operation = {
        .kind = OPERATION_LINEAR_VJP_WEIGHT,
        .input_count = 2,
        .input = {{.shape = {2, {3, 2}}, .present = true}, {.shape = {2, {3, 2}}, .present = true}},
        .output_count = 1,
        .output = {{.shape = {2, {2, 2}}, .present = true}},
        .attributes = {.accumulate = true},
    };
    struct tensors tensors;
    harness_allocate(&operation, &tensors);
    const double dy[] = {1, 2, 3, 4, 5, 6}, x[] = {1, 0, 0, 1, 1, 1};
    for (int i = 0; i < 6; i++) {
        tensors.input[0][i] = dy[i];
        tensors.input[1][i] = x[i];
    }
    for (int i = 0; i < 4; i++) tensors.output[0][i] = 10 * i;
    require(harness_run(harness_reference, &operation, &tensors, false));
    const double expected[] = {6, 18, 28, 40};
    for (int i = 0; i < 4; i++) assert_true(tensors.output[0][i] == expected[i]);
    harness_release(&tensors);
}

static int64_t width_of(const struct operand *operand)
{
    return operand->shape.dimension[operand->shape.rank - 1];
}

/* The operation with every operand that may be columns of a tensor more than twice as wide; false where none may. */
static bool take_columns(struct operation *operation)
{
    bool any = false;
    for (int i = 0; i < operation->input_count + operation->output_count; i++) {
        bool output = i >= operation->input_count;
        int index = output ? i - operation->input_count : i;
        struct operand *operand = output ? &operation->output[index] : &operation->input[index];
        if (!operation_takes_columns(operation->kind, output, index)) continue;
        operand->row_step = 2 * width_of(operand) + 3;
        any = true;
    }
    return any;
}

struct columns_check {
    int checked;
};

static void compare_columns(void *context, const char *name, const struct operation *operation,
                            const struct tensors *from)
{
    struct columns_check *check = context;
    struct operation columns = *operation;
    struct tensors adjoining, apart;
    if (!take_columns(&columns)) return;
    harness_copy(operation, from, ELEMENT_F64, &adjoining);
    harness_copy(operation, from, ELEMENT_F64, &apart);
    require(harness_run(harness_reference, operation, &adjoining, false));
    require(harness_run(harness_reference, &columns, &apart, true));
    for (int i = 0; i < operation->output_count; i++)
        for (int64_t j = 0; operation->output[i].present && j < harness_elements(&operation->output[i]); j++)
            if (adjoining.output[i][j] != apart.output[i][j]) fail_msg("%s of columns: output %d", name, i);
    harness_release(&adjoining);
    harness_release(&apart);
    check->checked++;
}

/* Operands that are columns of a wider tensor give the same bits; nothing is written between them (harness.h). */
static void test_columns(void **unused)
{
    (void)unused;
    struct columns_check check = {0};
    for (int i = 0; i < kernel_case_count; i++) {
        const struct kernel_case *test = &kernel_cases[i];
        struct operation with;
        struct tensors forward;
        if (test->large) continue;
        harness_allocate(&test->operation, &forward);
        harness_fill(&test->operation, ELEMENT_F64, (uint64_t)i, &forward);
        compare_columns(&check, test->name, &test->operation, &forward);
        require(harness_compare_vjps(test->name, &test->operation, ELEMENT_F64, 3, &forward, compare_columns, &check));
        if (test->operation.kind == OPERATION_LINEAR &&
            harness_add_residual(&test->operation, ELEMENT_F64, 5, &with, &forward))
            compare_columns(&check, test->name, &with, &forward);
        harness_release(&forward);
    }
    assert_true(check.checked > 20);
}

static void require_refusal(struct backend *backend, const struct operation *operation, const char *reason)
{
    struct tensors tensors;
    const struct operation adjoining = harness_adjoining(operation);
    harness_allocate(&adjoining, &tensors);
    harness_fill(&adjoining, ELEMENT_F32, 1, &tensors);
    require(harness_run(backend, &adjoining, &tensors, false));
    status refused = harness_run(backend, operation, &tensors, false);
    assert_int_equal(refused.code, STATUS_FAILED);
    if (!strstr(refused.message, reason)) fail_msg("%s", refused.message);
    harness_release(&tensors);
}

static void test_columns_refused(void **unused)
{
    (void)unused;
    const struct operand dense = {.shape = {2, {3, 2}}, .present = true};
    const struct operand columns = {.shape = {2, {3, 2}}, .present = true, .row_step = 5};
    const struct operand overlapping = {.shape = {2, {3, 2}}, .present = true, .row_step = 1};
    const struct operand tokens = {.shape = {3, {1, 3, 2}}, .present = true},
                         lse = {.shape = {3, {1, 1, 3}}, .present = true};
    struct operand token_columns = tokens;
    token_columns.row_step = 6;
    const struct operation unary = {
        .kind = OPERATION_UNARY, .input_count = 1, .input = {columns}, .output_count = 1, .output = {dense}};
    const struct operation overlap = {.kind = OPERATION_BROADCAST,
                                      .attributes = {.alpha = 1},
                                      .input_count = 1,
                                      .input = {overlapping},
                                      .output_count = 1,
                                      .output = {dense}};
    struct operation attention = {.kind = OPERATION_ATTENTION,
                                  .attributes = {.heads = 1, .alpha = 1},
                                  .input_count = 3,
                                  .input = {tokens, token_columns, tokens},
                                  .output_count = 2,
                                  .output = {tokens, lse}};
    require_refusal(harness_reference, &unary, "the rows of an operand must adjoin");
    require_refusal(harness_reference, &overlap, "rows overlap");
    require_refusal(harness_reference, &attention, "keys and values differ in the step of their rows");
    struct backend *cpu;
    require(backend_cpu_create(1, &cpu));
    attention.input[2] = token_columns;
    require_refusal(cpu, &attention, "whole rows alone");
    cpu->interface->destroy(cpu);
}

/* y = alpha x W^T + b + r, also where y takes the memory of r. */
static void test_residual(void **unused)
{
    (void)unused;
    const double x[] = {1, 2, 3, 4}, weight[] = {1, 0, 1, 1}, bias[] = {10, 20}, residual[] = {100, 200, 300, 400};
    const double *inputs[] = {x, weight, bias, residual}, expected[] = {112, 226, 316, 434};
    const struct operand matrix = {.shape = {2, {2, 2}}, .present = true};
    struct operation operation = {
        .kind = OPERATION_LINEAR,
        .attributes = {.alpha = 2},
        .input_count = 4,
        .input = {matrix, matrix, {.shape = {1, {2}}, .present = true}, matrix},
        .output_count = 1,
        .output = {matrix},
    };
    struct tensors tensors;
    harness_allocate(&operation, &tensors);
    for (int i = 0; i < 4; i++)
        memcpy(tensors.input[i], inputs[i], (size_t)harness_elements(&operation.input[i]) * sizeof(double));
    for (int in_place = 0; in_place < 2; in_place++) {
        require(harness_run(harness_reference, &operation, &tensors, in_place));
        for (int i = 0; i < 4; i++) assert_true(tensors.output[0][i] == expected[i]);
    }
    operation.attributes.alpha = 0;
    assert_int_equal(harness_run(harness_reference, &operation, &tensors, false).code, STATUS_FAILED);
    operation.attributes.alpha = 2;
    operation.input[3].shape = (struct shape){1, {4}};
    assert_int_equal(harness_run(harness_reference, &operation, &tensors, false).code, STATUS_FAILED);
    harness_release(&tensors);
}

/* With a residual every product of the table is alpha times what it is without, beside what is added. */
static void test_residual_of_every_product(void **unused)
{
    (void)unused;
    int checked = 0;
    for (int i = 0; i < kernel_case_count; i++) {
        const struct kernel_case *test = &kernel_cases[i];
        struct operation plain = test->operation, with;
        struct tensors tensors;
        if (test->large || operation_facts(plain.kind)->residual_input < 0) continue;
        plain.input_count = 2;
        harness_allocate(&plain, &tensors);
        harness_fill(&plain, ELEMENT_F64, (uint64_t)i, &tensors);
        assert_true(harness_add_residual(&plain, ELEMENT_F64, 5, &with, &tensors));
        int64_t count = harness_elements(&plain.output[0]);
        double *product = malloc((size_t)count * sizeof *product);
        assert_non_null(product);
        require(harness_run(harness_reference, &plain, &tensors, false));
        memcpy(product, tensors.output[0], (size_t)count * sizeof *product);
        require(harness_run(harness_reference, &with, &tensors, true));
        for (int64_t j = 0; j < count; j++)
            product[j] = with.attributes.alpha * product[j] + tensors.input[with.input_count - 1][j];
        assert_true(harness_distance(tensors.output[0], product, count) < 1e-14);
        free(product);
        harness_release(&tensors);
        checked++;
    }
    assert_true(checked > 15);
}

/* The gradient of x / (|x| + epsilon) at 0 is 0 by definition. */
static void test_normalize_at_zero(void **unused)
{
    (void)unused;
    struct operand row = {.shape = {2, {1, 3}}, .present = true};
    struct operation operation = {
        .kind = OPERATION_NORMALIZE_VJP, .input_count = 2, .input = {row, row}, .output_count = 1, .output = {row}};
    struct tensors tensors;
    harness_allocate(&operation, &tensors);
    for (int i = 0; i < 3; i++) tensors.input[0][i] = 1 + i;
    require(harness_run(harness_reference, &operation, &tensors, false));
    for (int i = 0; i < 3; i++) assert_true(tensors.output[0][i] == 0);
    harness_release(&tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),         cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_columns),           cmocka_unit_test(test_columns_refused),
        cmocka_unit_test(test_residual),          cmocka_unit_test(test_residual_of_every_product),
        cmocka_unit_test(test_normalize_at_zero),
    };
    return cmocka_run_group_tests(tests, harness_open_reference, harness_close_reference);
}
