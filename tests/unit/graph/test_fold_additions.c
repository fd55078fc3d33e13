/* Additions folded into the operations before them: the same values and gradients from fewer operations, and only where
 * nobody else reads what is added. */
#include "engine/graph/internal.h"
#include "graph_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, SIDE = 4, WIDTH = 6, RANK = 2, TOKENS = SIDE * SIDE, ELEMENTS = BATCH * TOKENS * WIDTH };

static void must(status result)
{
    assert_string_equal(result.message, "");
}

static struct graph *new_graph(void)
{
    struct graph *graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    return graph;
}

static tensor_id tokens_input(struct graph *graph, const char *name)
{
    return graph_input(graph, name, SHAPE3(BATCH, TOKENS, WIDTH), ELEMENT_F64);
}

static tensor_id tanh_of(struct graph *graph, tensor_id x)
{
    return graph_unary(graph, UNARY_TANH, x);
}

static tensor_id constant_linear(struct graph *graph, tensor_id x, const char *name, bool has_bias)
{
    char bias_name[40];
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    tensor_id bias = has_bias ? graph_constant(graph, bias_name, SHAPE1(WIDTH)) : NO_TENSOR;
    return graph_linear(graph, x, graph_constant(graph, name, SHAPE2(WIDTH, WIDTH)), bias);
}

/* As engine/model/blocks.c attaches an adapter. */
static tensor_id adapted_linear(struct graph *graph, tensor_id x, const char *name)
{
    char down[40], up[40];
    snprintf(down, sizeof down, "%s.down", name);
    snprintf(up, sizeof up, "%s.up", name);
    tensor_id base = constant_linear(graph, x, name, true);
    tensor_id low = graph_linear(graph, x, graph_parameter(graph, down, SHAPE2(RANK, WIDTH)), NO_TENSOR);
    return graph_add_scaled(graph, base, 0.5,
                            graph_linear(graph, low, graph_parameter(graph, up, SHAPE2(WIDTH, RANK)), NO_TENSOR));
}

static tensor_id adapted_convolution(struct graph *graph, tensor_id x)
{
    tensor_id base = graph_convolution(graph, x, graph_constant(graph, "conv", SHAPE4(WIDTH, WIDTH, 3, 3)),
                                       graph_constant(graph, "conv.bias", SHAPE1(WIDTH)), 1, 1);
    tensor_id low =
        graph_convolution(graph, x, graph_parameter(graph, "conv.down", SHAPE4(RANK, WIDTH, 3, 3)), NO_TENSOR, 1, 1);
    tensor_id up = graph_parameter(graph, "conv.up", SHAPE4(WIDTH, RANK, 1, 1));
    return graph_add_scaled(graph, base, 0.5, graph_convolution(graph, low, up, NO_TENSOR, 1, 0));
}

static int count_residuals(const struct graph *graph)
{
    int count = 0;
    for (int n = 0; n < graph_node_count(graph); n++) {
        struct operation operation = graph_operation(graph, graph_node(graph, n));
        count += operation_residual(&operation) != NULL;
    }
    return count;
}

/* ---- a model's blocks ---- */

struct model {
    struct graph *graph;
    tensor_id x, output, cotangent, gradient;
};

enum { KEEP, FOLD, FOLD_AND_RECOMPUTE };

/* Where a block begins: something that is no product in the backward pass, and two norms. */
static tensor_id begin_block(struct graph *graph, tensor_id x, int block)
{
    if (block == 1) return tanh_of(graph, x);
    char gamma[32], beta[32];
    snprintf(gamma, sizeof gamma, "gamma%d", block);
    snprintf(beta, sizeof beta, "beta%d", block);
    tensor_id scale = graph_constant(graph, gamma, SHAPE1(WIDTH)), shift = graph_constant(graph, beta, SHAPE1(WIDTH));
    return block == 0 ? graph_layer_norm(graph, x, scale, shift, 1e-5)
                      : graph_group_norm(graph, x, scale, shift, 2, 1e-5, true);
}

/* An adapted convolution and two gated, adapted linear layers, each a residual block. The convolution sees the tokens
 * as a map, so that its result and its input's gradient are added in another shape than they have; the first block that
 * can be computed again holds it and the first linear layer. */
static struct model build_model(int way)
{
    struct model model = {.graph = new_graph()};
    struct graph *graph = model.graph;
    model.x = tokens_input(graph, "x");
    tensor_id h = graph_reshape(graph, begin_block(graph, model.x, 2), SHAPE4(BATCH, SIDE, SIDE, WIDTH));
    h = graph_reshape(graph, adapted_convolution(graph, h), SHAPE3(BATCH, TOKENS, WIDTH));
    tensor_id x = graph_add(graph, h, model.x);
    for (int block = 0; block < 2; block++) {
        char name[3][32];
        for (int i = 0; i < 3; i++) snprintf(name[i], sizeof name[i], "linear%d.%d", block, i);
        h = begin_block(graph, x, block);
        tensor_id gate = adapted_linear(graph, h, name[0]);
        h = graph_multiply(graph, gate, adapted_linear(graph, h, name[1]));
        x = graph_add(graph, x, adapted_linear(graph, h, name[2]));
        graph_end_block(graph);
    }
    model.output = graph_output(graph, x, "output");
    must(graph_differentiate_one(graph, model.output, model.x, &model.cotangent, &model.gradient));
    if (way != KEEP) must(graph_fold_additions(graph));
    if (way == FOLD_AND_RECOMPUTE) must(graph_recompute_blocks(graph));
    return model;
}

enum { PARAMETERS = WIDTH * RANK };
struct results {
    double output[ELEMENTS], gradient[ELEMENTS], linear[PARAMETERS], convolution[PARAMETERS];
};

static void run(int way, struct results *results)
{
    struct backend *backend;
    struct graph_runner runner;
    must(backend_reference_create(&backend));
    struct model model = build_model(way);
    graph_runner_create(&runner, backend, model.graph);
    graph_runner_forward(&runner);
    graph_runner_backward(&runner);
    graph_runner_read(&runner, model.output, results->output);
    graph_runner_read(&runner, model.gradient, results->gradient);
    graph_runner_read(&runner, graph_find(model.graph, TENSOR_STATE, "gradient/linear0.1.down"), results->linear);
    graph_runner_read(&runner, graph_find(model.graph, TENSOR_STATE, "gradient/conv.up"), results->convolution);
    graph_runner_destroy(&runner);
    graph_destroy(model.graph);
    backend->interface->destroy(backend);
}

static void test_the_same_values_and_gradients(void **state)
{
    (void)state;
    static struct results added, folded, again;
    run(KEEP, &added);
    run(FOLD, &folded);
    run(FOLD_AND_RECOMPUTE, &again);
    graph_runner_require_near(folded.output, added.output, ELEMENTS);
    graph_runner_require_near(folded.gradient, added.gradient, ELEMENTS);
    graph_runner_require_near(folded.linear, added.linear, PARAMETERS);
    graph_runner_require_near(folded.convolution, added.convolution, PARAMETERS);
    assert_memory_equal(&again, &folded, sizeof folded);
}

static void test_gradients_against_differences(void **state)
{
    (void)state;
    struct backend *backend;
    struct graph_runner runner;
    must(backend_reference_create(&backend));
    struct model model = build_model(FOLD);
    graph_runner_create(&runner, backend, model.graph);
    graph_runner_check_gradients(&runner, model.output, model.cotangent, &model.x, &model.gradient, 1, 1e-6);
    graph_runner_destroy(&runner);
    graph_destroy(model.graph);
    backend->interface->destroy(backend);
}

static int count_additions(const struct graph *graph, int first, int past)
{
    int count = 0;
    for (int n = first; n < past; n++) {
        const struct node *node = graph_node(graph, n);
        count += node->kind == OPERATION_BINARY && node->attributes.binary == BINARY_ADD;
    }
    return count;
}

static void test_what_is_left(void **state)
{
    (void)state;
    enum {
        ADAPTERS = 7,
        CONNECTIONS = 3,
        USES = 2 * (3 + 1) + 1, /* of an adapted layer's input beside the first */
        NORMS = 2,
        DERIVATIVES = 1 /* of tanh, which takes no residual */
    };
    struct model added = build_model(KEEP), folded = build_model(FOLD);
    int before = graph_node_count(added.graph), after = graph_node_count(folded.graph);
    int forward_before = graph_forward_nodes(added.graph), forward_after = graph_forward_nodes(folded.graph);
    assert_int_equal(forward_before - forward_after, ADAPTERS + CONNECTIONS);
    assert_int_equal(count_additions(folded.graph, 0, forward_after), 0);
    assert_int_equal(before - after, ADAPTERS + CONNECTIONS + USES + NORMS);
    assert_int_equal(count_residuals(folded.graph), ADAPTERS + CONNECTIONS + USES + NORMS);
    assert_int_equal(count_additions(folded.graph, forward_after, after), DERIVATIVES);
    graph_destroy(added.graph);
    graph_destroy(folded.graph);
}

/* ---- one addition ---- */

static tensor_id product_after(struct graph *graph, tensor_id x)
{
    tensor_id r = tanh_of(graph, x);
    return graph_add(graph, r, constant_linear(graph, x, "w", true));
}

static tensor_id product_first_operand(struct graph *graph, tensor_id x)
{
    tensor_id r = tanh_of(graph, x);
    return graph_add(graph, constant_linear(graph, x, "w", true), r);
}

static tensor_id scaled_product(struct graph *graph, tensor_id x)
{
    return graph_add_scaled(graph, x, 0.5, constant_linear(graph, x, "w", false));
}

static tensor_id two_products(struct graph *graph, tensor_id x)
{
    return graph_add(graph, constant_linear(graph, x, "w", true), constant_linear(graph, x, "v", false));
}

static tensor_id before_adapted(struct graph *graph, tensor_id x)
{
    tensor_id r = tanh_of(graph, x);
    return graph_add(graph, r, adapted_linear(graph, x, "w"));
}

static tensor_id after_adapted(struct graph *graph, tensor_id x)
{
    tensor_id y = adapted_linear(graph, x, "w");
    return graph_add(graph, tanh_of(graph, x), y);
}

static tensor_id as_map(struct graph *graph, tensor_id x)
{
    tensor_id y = graph_reshape(graph, constant_linear(graph, x, "w", true), SHAPE4(BATCH, SIDE, SIDE, WIDTH));
    return graph_add(graph, graph_reshape(graph, x, SHAPE4(BATCH, SIDE, SIDE, WIDTH)), y);
}

static tensor_id one_place_for_two(struct graph *graph, tensor_id x)
{
    tensor_id first = tanh_of(graph, x), second = graph_unary(graph, UNARY_SIGMOID, x);
    return graph_add(graph, second, graph_add(graph, first, constant_linear(graph, x, "w", true)));
}

static tensor_id read_twice(struct graph *graph, tensor_id x)
{
    tensor_id product = constant_linear(graph, x, "w", true);
    return graph_multiply(graph, graph_add(graph, x, product), product);
}

static tensor_id added_to_itself(struct graph *graph, tensor_id x)
{
    tensor_id product = constant_linear(graph, x, "w", true);
    return graph_add(graph, product, product);
}

static tensor_id wanted_by_the_caller(struct graph *graph, tensor_id x)
{
    return graph_add(graph, x, graph_output(graph, constant_linear(graph, x, "w", true), "product"));
}

static tensor_id with_a_row(struct graph *graph, tensor_id x)
{
    return graph_add(graph, constant_linear(graph, x, "w", true), graph_constant(graph, "row", SHAPE3(1, 1, WIDTH)));
}

static tensor_id with_a_row_for_a_bias(struct graph *graph, tensor_id x)
{
    return graph_add(graph, constant_linear(graph, x, "w", false), graph_constant(graph, "row", SHAPE3(1, 1, WIDTH)));
}

/* One row that is a product itself, as that of a timestep is. */
static tensor_id product_row(struct graph *graph, tensor_id x)
{
    return constant_linear(graph, graph_slice(graph, graph_slice(graph, x, 0, 0, 1), 1, 0, 1), "v", true);
}

static tensor_id with_a_product_row(struct graph *graph, tensor_id x)
{
    tensor_id row = product_row(graph, x);
    return graph_add(graph, constant_linear(graph, x, "w", true), row);
}

static tensor_id with_a_later_row(struct graph *graph, tensor_id x)
{
    tensor_id y = constant_linear(graph, x, "w", true);
    return graph_add(graph, y, product_row(graph, x));
}

static tensor_id with_a_row_read_twice(struct graph *graph, tensor_id x)
{
    tensor_id row = product_row(graph, x);
    return graph_multiply(graph, graph_add(graph, constant_linear(graph, x, "w", true), row), row);
}

static tensor_id with_a_scaled_row(struct graph *graph, tensor_id x)
{
    tensor_id row = product_row(graph, x);
    return graph_add_scaled(graph, constant_linear(graph, x, "w", false), 0.5, row);
}

static tensor_id with_a_row_each(struct graph *graph, tensor_id x)
{
    tensor_id rows = constant_linear(graph, graph_slice(graph, x, 1, 0, 1), "v", true);
    return graph_add(graph, constant_linear(graph, x, "w", true), rows);
}

/* The adapter's part takes the row, and the base what else is added. */
static tensor_id adapted_with_a_row(struct graph *graph, tensor_id x)
{
    tensor_id row = product_row(graph, x);
    return graph_add(graph, x, graph_add(graph, adapted_linear(graph, x, "w"), row));
}

static tensor_id product_repeated(struct graph *graph, tensor_id x)
{
    return graph_add(graph, x, constant_linear(graph, graph_slice(graph, x, 1, 0, 1), "w", true));
}

static tensor_id scaled_bias(struct graph *graph, tensor_id x)
{
    return graph_add_scaled(graph, x, 0.5, constant_linear(graph, x, "w", true));
}

static tensor_id scaled_other(struct graph *graph, tensor_id x)
{
    return graph_add_scaled(graph, constant_linear(graph, x, "w", true), 0.5, x);
}

static tensor_id subtracted(struct graph *graph, tensor_id x)
{
    return graph_subtract(graph, x, constant_linear(graph, x, "w", true));
}

static tensor_id other_computed_later(struct graph *graph, tensor_id x)
{
    tensor_id product = constant_linear(graph, x, "w", true);
    return graph_add(graph, product, tanh_of(graph, x));
}

static const struct {
    const char *name;
    tensor_id (*build)(struct graph *graph, tensor_id x);
    int folded, residuals;
} situations[] = {
    {"a product after the other operand", product_after, 1, 1},
    {"a product as the first operand", product_first_operand, 1, 1},
    {"a scaled product", scaled_product, 1, 1},
    {"two products", two_products, 1, 1},
    {"an adapted layer and a tensor before it", before_adapted, 2, 2},
    {"an adapted layer and a tensor after it", after_adapted, 1, 1},
    {"other shapes of both", as_map, 1, 1},
    {"a product that has a residual", one_place_for_two, 1, 1},
    {"a product read twice", read_twice, 0, 0},
    {"a product added to itself", added_to_itself, 0, 0},
    {"a product that the caller wants", wanted_by_the_caller, 0, 0},
    {"a row in place of a bias", with_a_row_for_a_bias, 1, 0},
    {"a row that is a product", with_a_product_row, 1, 1},
    {"a row and a tensor for an adapted layer", adapted_with_a_row, 3, 2},
    {"a row beside a bias", with_a_row, 0, 0},
    {"a row computed after the product", with_a_later_row, 0, 0},
    {"a row beside a bias, read twice", with_a_row_read_twice, 0, 0},
    {"a scaled row", with_a_scaled_row, 0, 0},
    {"a row for each item", with_a_row_each, 0, 0},
    {"a product added to each row", product_repeated, 0, 0},
    {"a scaled product with a bias", scaled_bias, 0, 0},
    {"the other operand scaled", scaled_other, 0, 0},
    {"a product subtracted", subtracted, 0, 0},
    {"the other operand computed after the product", other_computed_later, 0, 0},
};

static void run_situation(int which, bool fold, struct backend *backend, double *values)
{
    struct graph *graph = new_graph();
    struct graph_runner runner;
    tensor_id y = graph_output(graph, situations[which].build(graph, tokens_input(graph, "x")), "y");
    int before = graph_node_count(graph);
    if (fold) {
        must(graph_fold_additions(graph));
        int gone = before - graph_node_count(graph), residuals = count_residuals(graph);
        if (gone != situations[which].folded || residuals != situations[which].residuals)
            fail_msg("%s: %d additions gone, %d residuals", situations[which].name, gone, residuals);
    }
    graph_runner_create(&runner, backend, graph);
    graph_runner_forward(&runner);
    graph_runner_read(&runner, y, values);
    graph_runner_destroy(&runner);
    graph_destroy(graph);
}

static void test_situations(void **state)
{
    (void)state;
    struct backend *backend;
    double added[ELEMENTS], folded[ELEMENTS];
    must(backend_reference_create(&backend));
    for (size_t i = 0; i < sizeof situations / sizeof *situations; i++) {
        run_situation((int)i, false, backend, added);
        run_situation((int)i, true, backend, folded);
        graph_runner_require_near(folded, added, ELEMENTS);
    }
    backend->interface->destroy(backend);
}

static void test_other_types_are_left(void **state)
{
    (void)state;
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F64);
    tensor_id exact = graph_input(graph, "exact", SHAPE2(3, WIDTH), ELEMENT_F64);
    tensor_id x = graph_input(graph, "x", SHAPE2(3, WIDTH), ELEMENT_F32);
    graph_output(graph, graph_add(graph, exact, constant_linear(graph, x, "w", true)), "y");
    must(graph_fold_additions(graph));
    assert_int_equal(count_residuals(graph), 0);
    graph_destroy(graph);
}

/* The prologue runs before the calls in which x has its values. */
static void test_no_residual_across_sweeps(void **state)
{
    (void)state;
    struct graph *graph = new_graph();
    tensor_id context = tokens_input(graph, "context"), x = tokens_input(graph, "x"), cotangent, gradient;
    tensor_id opened = graph_add(graph, context, constant_linear(graph, context, "v", true));
    tensor_id y = graph_add(graph, x, constant_linear(graph, opened, "w", true));
    y = graph_output(graph, graph_add(graph, y, constant_linear(graph, tanh_of(graph, x), "u", true)), "y");
    must(graph_separate_prologue(graph, &context, 1));
    must(graph_differentiate_one(graph, y, x, &cotangent, &gradient));
    int prologue = graph_prologue_nodes(graph), forward = graph_forward_nodes(graph);
    int epilogue = graph_epilogue_first(graph), all = graph_node_count(graph);
    must(graph_fold_additions(graph));
    assert_int_equal(graph_prologue_nodes(graph), prologue - 1);
    assert_int_equal(graph_forward_nodes(graph), forward - 2);
    assert_int_equal(graph_epilogue_first(graph), epilogue - 2);
    assert_int_equal(graph_node_count(graph), all - 2);
    assert_int_equal(count_residuals(graph), 2);
    for (int n = 0; n < prologue - 1; n++) {
        const struct node *node = graph_node(graph, n);
        for (int i = 0; i < node->input_count; i++) assert_int_not_equal(node->input[i], x);
    }
    graph_destroy(graph);
}

/* Where the sum lies, and where the tensor it adds to. */
static void place(bool read_later, struct placement *sum, struct placement *residual)
{
    struct graph *graph = new_graph();
    struct region_sizes sizes;
    tensor_id x = tokens_input(graph, "x"), r = tanh_of(graph, x), h = graph_unary(graph, UNARY_SIGMOID, x);
    tensor_id y = graph_add(graph, r, constant_linear(graph, h, "w", true));
    graph_output(graph, read_later ? graph_multiply(graph, y, r) : graph_unary(graph, UNARY_SQUARE, y), "y");
    must(graph_fold_additions(graph));
    assert_int_equal(count_residuals(graph), 1);
    struct placement *placements = calloc((size_t)graph_tensor_count(graph), sizeof *placements);
    assert_non_null(placements);
    graph_plan(graph, placements, &sizes);
    *sum = placements[y];
    *residual = placements[r];
    free(placements);
    graph_destroy(graph);
}

static void test_the_residual_is_updated_in_place(void **state)
{
    (void)state;
    struct placement sum, residual;
    place(false, &sum, &residual);
    assert_int_equal(sum.region, PLACED_WORK);
    assert_int_equal(sum.offset, residual.offset);
    place(true, &sum, &residual);
    assert_int_equal(sum.region, PLACED_WORK);
    assert_int_not_equal(sum.offset, residual.offset);
}

static void test_is_differentiated_before(void **state)
{
    (void)state;
    struct graph *graph = new_graph();
    tensor_id x = tokens_input(graph, "x"), cotangent, gradient;
    tensor_id y = graph_output(graph, product_after(graph, x), "y");
    must(graph_fold_additions(graph));
    assert_int_equal(graph_differentiate_one(graph, y, x, &cotangent, &gradient).code, STATUS_FAILED);
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_values_and_gradients),
        cmocka_unit_test(test_gradients_against_differences),
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_situations),
        cmocka_unit_test(test_other_types_are_left),
        cmocka_unit_test(test_no_residual_across_sweeps),
        cmocka_unit_test(test_the_residual_is_updated_in_place),
        cmocka_unit_test(test_is_differentiated_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
