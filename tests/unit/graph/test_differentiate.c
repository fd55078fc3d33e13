/* Every rule of differentiate.c against central differences in double precision, and what passes through views,
 * fan-out, stops and parameters. */
#include "graph_runner.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double tolerance = 1e-6;

typedef tensor_id build_function(struct graph *graph, tensor_id x, tensor_id y);

/* Builds f(x, y) with x, y [2,4,6,8], differentiates by both and checks. */
static void check(build_function *build, bool second_used)
{
    struct backend *backend;
    struct graph *graph;
    struct graph_runner runner;
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    tensor_id inputs[2], gradients[2], cotangent;
    inputs[0] = graph_input(graph, "x", SHAPE4(2, 4, 6, 8), ELEMENT_F64);
    inputs[1] = graph_input(graph, "y", SHAPE4(2, 4, 6, 8), ELEMENT_F64);
    tensor_id output = graph_output(graph, build(graph, inputs[0], inputs[1]), "output");
    assert_string_equal(graph_state(graph).message, "");
    struct differentiation request = {.output_count = 1,
                                      .outputs = &output,
                                      .cotangents = &cotangent,
                                      .wanted_count = second_used ? 2 : 1,
                                      .wanted = inputs,
                                      .gradients = gradients};
    status result = graph_differentiate(graph, &request);
    assert_string_equal(result.message, "");
    graph_runner_create(&runner, backend, graph);
    graph_runner_check_gradients(&runner, output, cotangent, inputs, gradients, request.wanted_count, tolerance);
    assert_int_equal(program_high_water(runner.program), program_sizes(runner.program).work_bytes);
    graph_runner_destroy(&runner);
    graph_destroy(graph);
    backend->interface->destroy(backend);
}

static tensor_id tokens(struct graph *graph, tensor_id x)
{
    return graph_reshape(graph, x, SHAPE3(2, 24, 8));
}

static tensor_id adapted_linear(struct graph *graph, tensor_id x, tensor_id y)
{
    (void)y;
    tensor_id base =
        graph_linear(graph, x, graph_constant(graph, "weight", SHAPE2(5, 8)), graph_constant(graph, "bias", SHAPE1(5)));
    tensor_id down = graph_linear(graph, x, graph_parameter(graph, "down", SHAPE2(3, 8)), NO_TENSOR);
    tensor_id up = graph_linear(graph, down, graph_parameter(graph, "up", SHAPE2(5, 3)), NO_TENSOR);
    return graph_add_scaled(graph, base, 1.5, up);
}

static tensor_id adapted_convolution(struct graph *graph, tensor_id x, tensor_id y)
{
    (void)y;
    tensor_id base = graph_convolution(graph, x, graph_constant(graph, "weight", SHAPE4(5, 8, 3, 3)),
                                       graph_constant(graph, "bias", SHAPE1(5)), 2, 1);
    tensor_id down = graph_convolution(graph, x, graph_parameter(graph, "down", SHAPE4(3, 8, 3, 3)), NO_TENSOR, 2, 1);
    tensor_id up = graph_convolution(graph, down, graph_parameter(graph, "up", SHAPE4(5, 3, 1, 1)), NO_TENSOR, 1, 0);
    return graph_add_scaled(graph, base, 0.5, up);
}

static tensor_id matmul_plain(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id b = graph_reshape(graph, y, SHAPE3(2, 8, 24));
    return graph_matmul(graph, tokens(graph, x), b, false, false, 0.7);
}

static tensor_id matmul_transpose_a(struct graph *graph, tensor_id x, tensor_id y)
{
    return graph_matmul(graph, tokens(graph, x), tokens(graph, y), true, false, 0.7);
}

static tensor_id matmul_transpose_b(struct graph *graph, tensor_id x, tensor_id y)
{
    return graph_matmul(graph, tokens(graph, x), tokens(graph, y), false, true, 0.7);
}

static tensor_id matmul_transpose_both(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id b = graph_reshape(graph, y, SHAPE3(2, 8, 24));
    return graph_matmul(graph, tokens(graph, x), b, true, true, 0.7);
}

static tensor_id norms(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id group = graph_group_norm(graph, x, graph_constant(graph, "g", SHAPE1(8)),
                                       graph_constant(graph, "b", SHAPE1(8)), 4, 1e-5, true);
    tensor_id layer =
        graph_layer_norm(graph, y, graph_constant(graph, "g", SHAPE1(8)), graph_constant(graph, "b", SHAPE1(8)), 1e-5);
    return graph_add(graph, group, layer);
}

static tensor_id attention(struct graph *graph, tensor_id x, tensor_id y)
{
    return graph_attention(graph, tokens(graph, x), tokens(graph, y), tokens(graph, y), 2, 0.5, false);
}

static tensor_id attention_by_itself(struct graph *graph, tensor_id x, tensor_id y)
{
    (void)y;
    tensor_id t = tokens(graph, x);
    return graph_attention(graph, t, t, t, 4, 0.7, true);
}

/* Queries from x only: keys and values need no gradient. */
static tensor_id attention_of_query(struct graph *graph, tensor_id x, tensor_id y)
{
    (void)y;
    tensor_id context = graph_input(graph, "context", SHAPE3(2, 5, 8), ELEMENT_F64);
    return graph_attention(graph, tokens(graph, x), context, context, 2, 0.5, false);
}

static tensor_id divide_positive(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id positive = graph_affine(graph, graph_unary(graph, UNARY_SQUARE, y), 1.0, 1.0);
    return graph_divide(graph, x, positive);
}

static tensor_id broadcast_products(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id row = graph_mean(graph, y, SHAPE4(2, 1, 1, 8));
    tensor_id column = graph_reduce(graph, y, SHAPE4(2, 4, 6, 1), 0.3);
    tensor_id product = graph_multiply(graph, graph_multiply(graph, x, row), column);
    tensor_id wide = graph_broadcast(graph, graph_mean(graph, x, SHAPE4(1, 1, 1, 1)), SHAPE4(2, 4, 6, 8));
    return graph_subtract(graph, graph_add_scaled(graph, product, -2.0, row), graph_multiply(graph, wide, wide));
}

static tensor_id divide_broadcast(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id positive = graph_affine(graph, graph_unary(graph, UNARY_SQUARE, y), 1.0, 1.0);
    return graph_divide(graph, x, graph_mean(graph, positive, SHAPE4(2, 1, 1, 8)));
}

static tensor_id shapes(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id joined = graph_concatenate(graph, x, y, 3);
    tensor_id part = graph_slice(graph, joined, 3, 5, 7);
    tensor_id rows = graph_slice(graph, graph_concatenate(graph, part, part, 0), 0, 1, 2);
    return graph_transpose(graph, graph_upsample(graph, rows));
}

static tensor_id resized(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id small = graph_resize(graph, x, 3, 4, RESIZE_BICUBIC, true);
    tensor_id other = graph_resize(graph, y, 3, 4, RESIZE_BILINEAR, false);
    return graph_add(graph, small, other);
}

static tensor_id normalized(struct graph *graph, tensor_id x, tensor_id y)
{
    return graph_multiply(graph, graph_normalize(graph, x, 1e-6), graph_unary(graph, UNARY_SIGMOID, y));
}

static tensor_id gated(struct graph *graph, tensor_id x, tensor_id y)
{
    return graph_add(graph, graph_geglu(graph, x), graph_geglu(graph, graph_affine(graph, y, 2.0, 0.1)));
}

static tensor_id fan_out(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id a = graph_unary(graph, UNARY_SILU, x);
    tensor_id b = graph_multiply(graph, a, a);
    tensor_id c = graph_add(graph, b, graph_reshape(graph, tokens(graph, a), SHAPE4(2, 4, 6, 8)));
    return graph_add(graph, graph_multiply(graph, c, y), graph_unary(graph, UNARY_TANH, graph_add(graph, c, a)));
}

/* A parameter that is no weight: its gradient goes through the cotangents. */
static tensor_id free_parameter(struct graph *graph, tensor_id x, tensor_id y)
{
    tensor_id scale = graph_parameter(graph, "scale", SHAPE4(1, 1, 1, 8));
    return graph_add(graph, graph_multiply(graph, x, scale), graph_multiply(graph, y, scale));
}

#define RULE(name, both)                                                                                               \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check(name, both);                                                                                             \
    }
RULE(adapted_linear, false)
RULE(adapted_convolution, false)
RULE(matmul_plain, true)
RULE(matmul_transpose_a, true)
RULE(matmul_transpose_b, true)
RULE(matmul_transpose_both, true)
RULE(norms, true)
RULE(attention, true)
RULE(attention_by_itself, false)
RULE(attention_of_query, false)
RULE(divide_positive, true)
RULE(divide_broadcast, true)
RULE(broadcast_products, true)
RULE(shapes, true)
RULE(resized, true)
RULE(normalized, true)
RULE(gated, true)
RULE(fan_out, true)
RULE(free_parameter, true)

static void test_gather(void **state)
{
    (void)state;
    struct backend *backend;
    struct graph *graph;
    struct graph_runner runner;
    tensor_id gradient, cotangent;
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    tensor_id x = graph_input(graph, "x", SHAPE3(2, 5, 3), ELEMENT_F64);
    tensor_id ids = graph_input(graph, "ids", SHAPE2(2, 3), ELEMENT_I32);
    tensor_id output = graph_output(graph, graph_gather(graph, x, ids), "output");
    assert_int_equal(graph_differentiate_one(graph, output, x, &cotangent, &gradient).code, STATUS_OK);
    graph_runner_create(&runner, backend, graph);
    graph_runner_write_index(&runner, ids, (int32_t[]){0, 4, 4, 2, 2, 1});
    graph_runner_check_gradients(&runner, output, cotangent, &x, &gradient, 1, tolerance);
    graph_runner_destroy(&runner);
    graph_destroy(graph);
    backend->interface->destroy(backend);
}

/* x * stop(x): the derivative by x is stop(x) alone. */
static void test_stop(void **state)
{
    (void)state;
    struct backend *backend;
    struct graph *graph;
    struct graph_runner runner;
    tensor_id gradient, cotangent;
    double values[4] = {1.0, -2.0, 3.0, 0.5}, ones[4] = {1, 1, 1, 1}, found[4];
    assert_int_equal(backend_reference_create(&backend).code, STATUS_OK);
    graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    tensor_id x = graph_input(graph, "x", SHAPE1(4), ELEMENT_F64);
    tensor_id stopped = graph_affine(graph, x, 3.0, 0.0);
    tensor_id output = graph_output(graph, graph_multiply(graph, x, stopped), "output");
    struct differentiation request = {1, &output, &cotangent, 1, &x, &gradient, 1, &stopped};
    assert_int_equal(graph_differentiate(graph, &request).code, STATUS_OK);
    graph_runner_create(&runner, backend, graph);
    graph_runner_write(&runner, x, values);
    graph_runner_write(&runner, cotangent, ones);
    graph_runner_forward(&runner);
    graph_runner_backward(&runner);
    graph_runner_read(&runner, gradient, found);
    for (int i = 0; i < 4; i++) assert_true(fabs(found[i] - 3.0 * values[i]) < 1e-12);
    graph_runner_destroy(&runner);
    graph_destroy(graph);
    backend->interface->destroy(backend);
}

static void test_unused_input_is_named(void **state)
{
    (void)state;
    struct graph *graph;
    tensor_id gradient, cotangent;
    graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    tensor_id x = graph_input(graph, "x", SHAPE1(4), ELEMENT_F64),
              lonely = graph_input(graph, "lonely", SHAPE1(4), ELEMENT_F64);
    tensor_id output = graph_output(graph, graph_unary(graph, UNARY_TANH, x), "output");
    status result = graph_differentiate_one(graph, output, lonely, &cotangent, &gradient);
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "lonely"));
    graph_destroy(graph);
}

static void test_mismatch_is_named(void **state)
{
    (void)state;
    struct graph *graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    tensor_id x = graph_input(graph, "x", SHAPE2(3, 4), ELEMENT_F64);
    tensor_id y = graph_linear(graph, x, graph_constant(graph, "to_q.weight", SHAPE2(5, 6)), NO_TENSOR);
    assert_int_equal(graph_unary(graph, UNARY_TANH, y), NO_TENSOR); /* later builders keep quiet */
    assert_non_null(strstr(graph_state(graph).message, "to_q.weight [5, 6]"));
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapted_linear),
        cmocka_unit_test(test_adapted_convolution),
        cmocka_unit_test(test_matmul_plain),
        cmocka_unit_test(test_matmul_transpose_a),
        cmocka_unit_test(test_matmul_transpose_b),
        cmocka_unit_test(test_matmul_transpose_both),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_by_itself),
        cmocka_unit_test(test_attention_of_query),
        cmocka_unit_test(test_divide_positive),
        cmocka_unit_test(test_divide_broadcast),
        cmocka_unit_test(test_broadcast_products),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_resized),
        cmocka_unit_test(test_normalized),
        cmocka_unit_test(test_gated),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_free_parameter),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_unused_input_is_named),
        cmocka_unit_test(test_mismatch_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
