/* A timed program: what its sweeps report is the graph's operations, to the last call and operation. */
#include "graph_runner.h"

#include "engine/graph/internal.h"
#include "kernels/profile/kernel_profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { CHANNELS = 8, SIDE = 6, RANK = 2, TEXT = 5, HEADS = 2, SWEEPS = 3 };

struct built {
    struct graph *graph;
    tensor_id output, cotangent, gradient;
};

static tensor_id constant(struct graph *graph, const char *name, struct shape shape)
{
    return graph_constant(graph, name, shape);
}

/* What a U-Net is made of: convolutions, norms, attention to a text, an adapter. */
static struct built build(void)
{
    struct built built;
    built.graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    struct graph *graph = built.graph;
    tensor_id x = graph_input(graph, "x", SHAPE4(2, SIDE, SIDE, 3), ELEMENT_F64);
    tensor_id text = graph_input(graph, "text", SHAPE3(2, TEXT, CHANNELS), ELEMENT_F64);
    tensor_id map = graph_convolution(graph, x, constant(graph, "in", SHAPE4(CHANNELS, 3, 3, 3)), NO_TENSOR, 1, 1);
    tensor_id norm = graph_group_norm(graph, map, constant(graph, "gamma", SHAPE1(CHANNELS)),
                                      constant(graph, "beta", SHAPE1(CHANNELS)), 2, 1e-5, true);
    tensor_id mixed =
        graph_convolution(graph, norm, constant(graph, "1x1", SHAPE4(CHANNELS, CHANNELS, 1, 1)), NO_TENSOR, 1, 0);
    tensor_id tokens = graph_reshape(graph, mixed, SHAPE3(2, SIDE * SIDE, CHANNELS));
    tensor_id query = graph_linear(graph, tokens, constant(graph, "query", SHAPE2(CHANNELS, CHANNELS)), NO_TENSOR);
    tensor_id low = graph_linear(graph, tokens, graph_parameter(graph, "down", SHAPE2(RANK, CHANNELS)), NO_TENSOR);
    tensor_id high = graph_linear(graph, low, graph_parameter(graph, "up", SHAPE2(CHANNELS, RANK)), NO_TENSOR);
    query = graph_add_scaled(graph, query, 0.5, high);
    tensor_id seen = graph_attention(graph, query, text, text, HEADS, 0.5, false);
    tensor_id skip = graph_concatenate(graph, seen, tokens, 2);
    built.output = graph_output(graph, skip, "y");
    assert_string_equal(graph_differentiate_one(graph, built.output, x, &built.cotangent, &built.gradient).message, "");
    return built;
}

/* The table of a graph's operations, without running any. */
static void count_nodes(const struct graph *graph, struct kernel_totals totals[KERNEL_CLASS_COUNT])
{
    for (int i = 0; i < graph_node_count(graph); i++) {
        struct operation operation = graph_operation(graph, graph_node(graph, i));
        struct kernel_totals *row = &totals[kernel_class_of(&operation)];
        row->calls += SWEEPS;
        row->flops += SWEEPS * operation_flops(&operation);
        row->bytes += SWEEPS * operation_bytes(&operation);
    }
}

static void run_sweeps(const struct built *built, struct backend *backend, struct kernel_profile *profile)
{
    struct timed_hooks hooks = {profile, timed_wall_clock, kernel_profile_add};
    struct backend *timed;
    struct graph_runner runner;
    assert_int_equal(timed_backend_create(backend, hooks, &timed).code, STATUS_OK);
    graph_runner_create(&runner, timed, built->graph);
    kernel_profile_clear(profile);
    for (int i = 0; i < SWEEPS; i++) {
        graph_runner_forward(&runner);
        graph_runner_backward(&runner);
    }
    struct kernel_totals sum = kernel_profile_sum(profile);
    assert_true(sum.flops == SWEEPS * (program_flops(runner.program, false) + program_flops(runner.program, true)));
    assert_true(sum.calls == SWEEPS * graph_node_count(built->graph));
    graph_runner_destroy(&runner);
    timed->interface->destroy(timed);
}

static void check(struct backend *backend)
{
    struct built built = build();
    struct kernel_profile profile = {.peaks = {.flops_per_second = 1.0, .bytes_per_second = 1.0}};
    struct kernel_totals expected[KERNEL_CLASS_COUNT] = {{0}};
    count_nodes(built.graph, expected);
    run_sweeps(&built, backend, &profile);
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
        const struct kernel_totals *found = &profile.totals[i];
        const char *name = kernel_class_name((enum kernel_class)i);
        if (found->calls != expected[i].calls) fail_msg("%s: %g calls", name, found->calls);
        if (found->flops != expected[i].flops) fail_msg("%s: %g operations", name, found->flops);
        if (found->bytes != expected[i].bytes) fail_msg("%s: %g bytes", name, found->bytes);
        if (found->calls > 0.0 && found->seconds <= 0.0) fail_msg("%s takes no time", name);
        bool in_graph = i < KERNEL_OTHER;
        assert_true((found->calls > 0.0) == in_graph); /* the graph above has an operation of each of these classes */
    }
    graph_destroy(built.graph);
}

static void test_counts(void **unused)
{
    (void)unused;
    struct backend *backend;
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    check(backend);
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
