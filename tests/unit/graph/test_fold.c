/* Upsampling folded into the convolutions that read it: the same values and gradients, from a map a quarter as large.
 */
#include "graph_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHANNELS = 4, ELEMENTS = 2 * 4 * 6 * CHANNELS, OUTPUTS = 2 * 8 * 12 * 3, PARAMETERS = 3 * CHANNELS * 9 };

struct built {
    struct graph *graph;
    tensor_id x, output, cotangent, gradient;
};

/* Upsampling, a frozen and a trained convolution of it summed; with `other` something else reads it as well. */
static struct built build(bool fold, bool other)
{
    struct built built;
    built.graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    struct graph *graph = built.graph;
    built.x = graph_input(graph, "x", SHAPE4(2, 4, 6, CHANNELS), ELEMENT_F64);
    tensor_id large = graph_upsample(graph, graph_unary(graph, UNARY_TANH, built.x));
    tensor_id frozen = graph_constant(graph, "weight", SHAPE4(3, CHANNELS, 3, 3));
    tensor_id trained = graph_parameter(graph, "trained", SHAPE4(3, CHANNELS, 3, 3));
    tensor_id y = graph_add(graph, graph_convolution(graph, large, frozen, NO_TENSOR, 1, 1),
                            graph_convolution(graph, large, trained, NO_TENSOR, 1, 1));
    graph_end_block(graph);
    if (other) y = graph_add(graph, y, graph_slice(graph, large, 3, 0, 3));
    built.output = graph_output(graph, y, "output");
    if (fold) assert_string_equal(graph_fold_upsampling(graph).message, "");
    assert_string_equal(
        graph_differentiate_one(graph, built.output, built.x, &built.cotangent, &built.gradient).message, "");
    return built;
}

static int count_kind(const struct graph *graph, enum operation_kind kind)
{
    int count = 0;
    for (int n = 0; n < graph_node_count(graph); n++) count += graph_node(graph, n)->kind == kind;
    return count;
}

struct results {
    double output[OUTPUTS], gradient[ELEMENTS], trained[PARAMETERS];
};

static void run(bool fold, struct results *results)
{
    struct backend *backend;
    struct graph_runner runner;
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    struct built built = build(fold, false);
    graph_runner_create(&runner, backend, built.graph);
    graph_runner_forward(&runner);
    graph_runner_backward(&runner);
    graph_runner_read(&runner, built.output, results->output);
    graph_runner_read(&runner, built.gradient, results->gradient);
    graph_runner_read(&runner, graph_find(built.graph, TENSOR_STATE, "gradient/trained"), results->trained);
    graph_runner_destroy(&runner);
    graph_destroy(built.graph);
    backend->interface->destroy(backend);
}

static void test_folded_equals_upsampled(void **state)
{
    (void)state;
    static struct results upsampled, folded;
    run(false, &upsampled);
    run(true, &folded);
    graph_runner_require_near(folded.output, upsampled.output, OUTPUTS);
    graph_runner_require_near(folded.gradient, upsampled.gradient, ELEMENTS);
    graph_runner_require_near(folded.trained, upsampled.trained, PARAMETERS);
}

static void test_what_is_folded(void **state)
{
    (void)state;
    struct built folded = build(true, false), read_otherwise = build(true, true);
    assert_int_equal(count_kind(folded.graph, OPERATION_UPSAMPLE), 0);
    assert_int_equal(count_kind(folded.graph, OPERATION_UPSAMPLE_VJP), 0);
    assert_int_equal(count_kind(read_otherwise.graph, OPERATION_UPSAMPLE), 1);
    assert_int_equal(graph_fold_upsampling(folded.graph).code, STATUS_FAILED); /* too late */
    graph_destroy(folded.graph);
    graph_destroy(read_otherwise.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folded_equals_upsampled),
        cmocka_unit_test(test_what_is_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
