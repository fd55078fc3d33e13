/* Blocks computed again in the backward pass: the same bits from a smaller saved region. */
#include "graph_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 8, ROWS = 24, ELEMENTS = 2 * ROWS * WIDTH };

/* norm -> adapted linear -> gated, added to x, as a model's blocks are; a view within, and two outputs of one node. */
static tensor_id build_block(struct graph *graph, tensor_id x, int number)
{
    char name[32];
    snprintf(name, sizeof name, "gamma%d", number);
    tensor_id gamma = graph_constant(graph, name, SHAPE1(WIDTH)), beta = graph_constant(graph, "beta", SHAPE1(WIDTH));
    tensor_id h = graph_layer_norm(graph, x, gamma, beta, 1e-5);
    snprintf(name, sizeof name, "weight%d", number);
    h = graph_linear(graph, h, graph_parameter(graph, name, SHAPE2(2 * WIDTH, WIDTH)), NO_TENSOR);
    h = graph_reshape(graph, graph_geglu(graph, h), SHAPE4(2, 4, 6, WIDTH));
    h = graph_unary(graph, UNARY_TANH, h);
    tensor_id y = graph_add(graph, x, graph_reshape(graph, h, SHAPE3(2, ROWS, WIDTH)));
    graph_end_block(graph);
    return y;
}

/* Three blocks, the last of which also reads the first one's result, as a U-Net's skips do. */
struct built {
    struct graph *graph;
    tensor_id input, output, cotangent, gradient;
};

static struct built build(enum element_type type, bool recompute)
{
    struct built built;
    built.graph = graph_create(type, type);
    struct graph *graph = built.graph;
    built.input = graph_input(graph, "x", SHAPE3(2, ROWS, WIDTH), type);
    tensor_id first = build_block(graph, built.input, 0), second = build_block(graph, first, 1);
    tensor_id third = build_block(graph, graph_multiply(graph, second, first), 2);
    built.output = graph_output(graph, graph_unary(graph, UNARY_SQUARE, third), "output");
    assert_string_equal(
        graph_differentiate_one(graph, built.output, built.input, &built.cotangent, &built.gradient).message, "");
    if (recompute) assert_string_equal(graph_recompute_blocks(graph).message, "");
    return built;
}

/* The input's gradient and one parameter's, in that order. */
static void gradients(struct backend *backend, bool recompute, double *values, struct program_sizes *sizes)
{
    struct built built = build(backend->interface->compute_type, recompute);
    struct graph_runner runner;
    graph_runner_create(&runner, backend, built.graph);
    graph_runner_forward(&runner);
    graph_runner_backward(&runner);
    graph_runner_read(&runner, built.gradient, values);
    graph_runner_read(&runner, graph_find(built.graph, TENSOR_STATE, "gradient/weight0"), values + ELEMENTS);
    *sizes = program_sizes(runner.program);
    assert_int_equal(program_high_water(runner.program), sizes->work_bytes);
    graph_runner_destroy(&runner);
    graph_destroy(built.graph);
}

static void test_the_same_bits_from_less(void **state)
{
    (void)state;
    double kept[ELEMENTS + 2 * WIDTH * WIDTH], again[ELEMENTS + 2 * WIDTH * WIDTH];
    struct program_sizes kept_sizes, again_sizes;
    struct backend *backend;
    assert_int_equal(backend_cpu_create(1, &backend).code, STATUS_OK);
    gradients(backend, false, kept, &kept_sizes);
    gradients(backend, true, again, &again_sizes);
    assert_memory_equal(kept, again, sizeof kept);
    assert_true(again_sizes.saved_bytes < kept_sizes.saved_bytes / 2);
    backend->interface->destroy(backend);
}

static void test_gradients_are_right(void **state)
{
    (void)state;
    struct backend *backend;
    struct graph_runner runner;
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    struct built built = build(ELEMENT_F64, true);
    graph_runner_create(&runner, backend, built.graph);
    graph_runner_check_gradients(&runner, built.output, built.cotangent, &built.input, &built.gradient, 1, 1e-6);
    graph_runner_destroy(&runner);
    graph_destroy(built.graph);
    backend->interface->destroy(backend);
}

static void test_needs_a_backward_sweep(void **state)
{
    (void)state;
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    build_block(graph, graph_input(graph, "x", SHAPE3(2, ROWS, WIDTH), ELEMENT_F32), 0);
    assert_int_equal(graph_recompute_blocks(graph).code, STATUS_FAILED);
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_bits_from_less),
        cmocka_unit_test(test_gradients_are_right),
        cmocka_unit_test(test_needs_a_backward_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
