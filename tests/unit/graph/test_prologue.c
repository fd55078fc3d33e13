/* What is computed once for many calls: the same values, and gradients that are summed over the calls. */
#include "graph_runner.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 6, WIDTH = 8, TEXT = 5, CALLS = 3, RANK = 2, ELEMENTS = 2 * ROWS * WIDTH };

/* x attends to a text through adapted keys, and is gated by a factor that is used as it is. */
struct built {
    struct graph *graph;
    tensor_id x, text, output, cotangent, gradient;
};

static struct built build(bool separate)
{
    struct built built;
    built.graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    struct graph *graph = built.graph;
    built.x = graph_input(graph, "x", SHAPE3(2, ROWS, WIDTH), ELEMENT_F64);
    built.text = graph_input(graph, "text", SHAPE3(2, TEXT, WIDTH), ELEMENT_F64);
    tensor_id low = graph_linear(graph, built.text, graph_parameter(graph, "down", SHAPE2(RANK, WIDTH)), NO_TENSOR);
    tensor_id keys = graph_linear(graph, built.text, graph_constant(graph, "weight", SHAPE2(WIDTH, WIDTH)), NO_TENSOR);
    keys = graph_add_scaled(graph, keys, 0.7,
                            graph_linear(graph, low, graph_parameter(graph, "up", SHAPE2(WIDTH, RANK)), NO_TENSOR));
    tensor_id gate = graph_unary(graph, UNARY_SIGMOID, graph_parameter(graph, "gate", SHAPE3(1, 1, WIDTH)));
    tensor_id mixed = graph_attention(graph, built.x, keys, keys, 2, 0.5, false);
    tensor_id y = graph_add(graph, built.x, graph_multiply(graph, mixed, gate));
    built.output = graph_output(graph, graph_unary(graph, UNARY_TANH, y), "output");
    if (separate) assert_string_equal(graph_separate_prologue(graph, &built.text, 1).message, "");
    assert_string_equal(
        graph_differentiate_one(graph, built.output, built.x, &built.cotangent, &built.gradient).message, "");
    return built;
}

struct results {
    double output[CALLS][ELEMENTS], gradient[CALLS][ELEMENTS];
    double down[RANK * WIDTH], up[WIDTH * RANK], gate[WIDTH];
};

static void open_persistent(struct graph_runner *runner, struct memory_region *persistent)
{
    persistent->bytes = program_sizes(runner->program).persistent_bytes;
    persistent->base = NULL;
    if (persistent->bytes == 0) return;
    struct backend *backend = runner->backend;
    assert_int_equal(backend->interface->allocate(backend, persistent->bytes, &persistent->base).code, STATUS_OK);
    program_bind_persistent(runner->program, persistent->base);
}

/* CALLS calls with another x each, and the parameters' gradients after all of them. */
static void run(bool separate, struct results *results)
{
    struct backend *backend;
    struct graph_runner runner;
    struct memory_region persistent;
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    struct built built = build(separate);
    graph_runner_create(&runner, backend, built.graph);
    open_persistent(&runner, &persistent);
    assert_int_equal(program_open(runner.program, runner.work, runner.scratch).code, STATUS_OK);
    for (int call = 0; call < CALLS; call++) {
        double x[ELEMENTS];
        for (int i = 0; i < ELEMENTS; i++) x[i] = sin(1.0 + i + 100.0 * call);
        graph_runner_write(&runner, built.x, x);
        graph_runner_forward(&runner);
        graph_runner_backward(&runner);
        graph_runner_read(&runner, built.output, results->output[call]);
        graph_runner_read(&runner, built.gradient, results->gradient[call]);
    }
    assert_int_equal(program_close(runner.program, runner.work, runner.scratch).code, STATUS_OK);
    graph_runner_read(&runner, graph_find(built.graph, TENSOR_STATE, "gradient/down"), results->down);
    graph_runner_read(&runner, graph_find(built.graph, TENSOR_STATE, "gradient/up"), results->up);
    graph_runner_read(&runner, graph_find(built.graph, TENSOR_STATE, "gradient/gate"), results->gate);
    if (persistent.base) backend->interface->release(backend, persistent.base);
    graph_runner_destroy(&runner);
    graph_destroy(built.graph);
    backend->interface->destroy(backend);
}

static void test_opened_once_equals_every_time(void **state)
{
    (void)state;
    static struct results every, once;
    run(false, &every);
    run(true, &once);
    assert_memory_equal(every.output, once.output, sizeof every.output);
    assert_memory_equal(every.gradient, once.gradient, sizeof every.gradient);
    graph_runner_require_near(once.down, every.down, RANK * WIDTH);
    graph_runner_require_near(once.up, every.up, WIDTH * RANK);
    graph_runner_require_near(once.gate, every.gate, WIDTH);
}

/* In a call remain the attention, the gating, the sum and the tanh, and what goes back through them. */
static void test_what_a_call_computes(void **state)
{
    (void)state;
    struct built every = build(false), once = build(true);
    assert_int_equal(graph_prologue_nodes(every.graph), 0);
    assert_int_equal(graph_epilogue_first(every.graph), graph_node_count(every.graph));
    assert_int_equal(graph_prologue_nodes(once.graph), 5);
    assert_int_equal(graph_forward_nodes(once.graph) - graph_prologue_nodes(once.graph), 4);
    assert_int_equal(graph_forward_nodes(once.graph), graph_forward_nodes(every.graph));
    for (int n = graph_forward_nodes(once.graph); n < graph_epilogue_first(once.graph); n++) {
        enum operation_kind kind = graph_node(once.graph, n)->kind;
        assert_true(kind != OPERATION_LINEAR_VJP_WEIGHT && kind != OPERATION_LINEAR_VJP_INPUT);
    }
    graph_destroy(every.graph);
    graph_destroy(once.graph);
}

static void test_only_before_differentiation(void **state)
{
    (void)state;
    struct built built = build(false);
    assert_int_equal(graph_separate_prologue(built.graph, &built.text, 1).code, STATUS_FAILED);
    graph_destroy(built.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opened_once_equals_every_time),
        cmocka_unit_test(test_what_a_call_computes),
        cmocka_unit_test(test_only_before_differentiation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
