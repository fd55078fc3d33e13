/* Queries, keys and values made by one product: the same values and gradients from fewer operations and no more memory,
 * and only where attention alone reads them. */
#include "engine/graph/internal.h"
#include "engine/graph/weights.h"
#include "graph_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, TOKENS = 5, WIDTH = 16, HEADS = 2, RANK = 2, ELEMENTS = BATCH * TOKENS * WIDTH, LAYERS = 2 };

static void must(status result)
{
    assert_string_equal(result.message, "");
}

enum adaptation { UNADAPTED, ADAPTED, ADAPTED_WITH_SCALE, ADAPTED_VALUES };
enum { APART = 0, JOIN = 1, RECOMPUTE = 2, READ_OTHERWISE = 4, ONE_REPLACED = 8, NO_FOLDING = 16, SHARED = 32 };

struct model {
    enum adaptation adaptation;
    bool biases;
    int way; /* bits of the above */
    struct graph *graph;
    tensor_id x, output, cotangent, gradient;
};

/* As engine/model/blocks.c attaches an adapter. */
static tensor_id project(const struct model *model, tensor_id x, int layer, const char *which)
{
    struct graph *graph = model->graph;
    char name[64];
    if (model->way & SHARED) layer = 0;
    snprintf(name, sizeof name, "%s%d.bias", which, layer);
    tensor_id bias = model->biases ? graph_constant(graph, name, SHAPE1(WIDTH)) : NO_TENSOR;
    snprintf(name, sizeof name, "%s%d", which, layer);
    tensor_id base = graph_linear(graph, x, graph_constant(graph, name, SHAPE2(WIDTH, WIDTH)), bias);
    if (model->adaptation == UNADAPTED || (model->adaptation == ADAPTED_VALUES && strcmp(which, "v") != 0)) return base;
    snprintf(name, sizeof name, "%s%d.down", which, layer);
    tensor_id low = graph_linear(graph, x, graph_parameter(graph, name, SHAPE2(RANK, WIDTH)), NO_TENSOR);
    snprintf(name, sizeof name, "%s%d.up", which, layer);
    tensor_id up = graph_linear(graph, low, graph_parameter(graph, name, SHAPE2(WIDTH, RANK)), NO_TENSOR);
    return graph_add_scaled(graph, base, model->adaptation == ADAPTED_WITH_SCALE ? 0.5 : 1.0, up);
}

static tensor_id build_layer(struct model *model, tensor_id x, int layer)
{
    struct graph *graph = model->graph;
    char gamma[32], beta[32];
    snprintf(gamma, sizeof gamma, "gamma%d", layer);
    snprintf(beta, sizeof beta, "beta%d", layer);
    tensor_id normal = graph_layer_norm(graph, x, graph_constant(graph, gamma, SHAPE1(WIDTH)),
                                        graph_constant(graph, beta, SHAPE1(WIDTH)), 1e-5);
    tensor_id q = project(model, normal, layer, "q"), k = project(model, normal, layer, "k");
    tensor_id v = project(model, normal, layer, "v");
    tensor_id mixed = graph_attention(graph, q, k, v, HEADS, 0.35, false);
    if (model->way & READ_OTHERWISE) mixed = graph_add(graph, mixed, graph_unary(graph, UNARY_TANH, v));
    x = graph_add(graph, x, mixed);
    graph_end_block(graph);
    return x;
}

static void build(struct model *model)
{
    model->graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    struct graph *graph = model->graph;
    model->x = graph_input(graph, "x", SHAPE3(BATCH, TOKENS, WIDTH), ELEMENT_F64);
    tensor_id x = model->x;
    for (int layer = 0; layer < LAYERS; layer++) x = build_layer(model, x, layer);
    /* After the last block, so that the layers are inside of those that can be computed again. */
    model->output = graph_output(graph, graph_unary(graph, UNARY_TANH, x), "output");
    if (model->way & ONE_REPLACED) graph_rename(graph, graph_find(graph, TENSOR_CONSTANT, "k0"), "other");
    must(graph_differentiate_one(graph, model->output, model->x, &model->cotangent, &model->gradient));
    if (!(model->way & NO_FOLDING)) must(graph_fold_additions(graph));
    if (model->way & JOIN) must(graph_join_projections(graph));
    if (model->way & RECOMPUTE) must(graph_recompute_blocks(graph));
}

static int count_kind(const struct model *model, enum operation_kind kind)
{
    int count = 0;
    for (int n = 0; n < graph_node_count(model->graph); n++) count += graph_node(model->graph, n)->kind == kind;
    return count;
}

enum { PARAMETERS = LAYERS * 3 * 2 * WIDTH * RANK };
struct results {
    double output[ELEMENTS], gradient[ELEMENTS], parameters[PARAMETERS];
    int parameter_count;
    struct program_sizes sizes;
};

static void read_parameters(const struct model *model, struct graph_runner *runner, struct results *results)
{
    results->parameter_count = 0;
    for (int i = 0; i < graph_tensor_count(model->graph); i++) {
        const struct tensor *tensor = graph_tensor(model->graph, i);
        if (tensor->role != TENSOR_STATE || tensor->storage != i) continue;
        graph_runner_read(runner, i, results->parameters + results->parameter_count);
        results->parameter_count += (int)shape_elements(&tensor->shape);
    }
}

static void run(struct model *model, struct results *results)
{
    struct backend *backend;
    struct graph_runner runner;
    must(backend_reference_create(&backend));
    build(model);
    graph_runner_create(&runner, backend, model->graph);
    graph_runner_forward(&runner);
    graph_runner_backward(&runner);
    graph_runner_read(&runner, model->output, results->output);
    graph_runner_read(&runner, model->gradient, results->gradient);
    read_parameters(model, &runner, results);
    results->sizes = program_sizes(runner.program);
    graph_runner_destroy(&runner);
    backend->interface->destroy(backend);
}

/* How many products there are with frozen weights there and back; a block that is computed again counts twice. */
static void require_products(const struct model *model, int there, int back)
{
    int adapted = model->adaptation == UNADAPTED ? 0 : model->adaptation == ADAPTED_VALUES ? 1 : 3;
    int again = model->way & RECOMPUTE ? 2 : 1;
    assert_int_equal(count_kind(model, OPERATION_LINEAR), again * LAYERS * (there + 2 * adapted));
    assert_int_equal(count_kind(model, OPERATION_LINEAR_VJP_INPUT), LAYERS * (back + 2 * adapted));
}

static void compare(struct model apart, int way, int there, int back)
{
    static struct results expected, found;
    struct model joined = apart;
    joined.way |= way;
    run(&apart, &expected);
    run(&joined, &found);
    require_products(&joined, there, back);
    graph_runner_require_near(found.output, expected.output, ELEMENTS);
    graph_runner_require_near(found.gradient, expected.gradient, ELEMENTS);
    assert_int_equal(found.parameter_count, expected.parameter_count);
    if (found.parameter_count > 0)
        graph_runner_require_near(found.parameters, expected.parameters, found.parameter_count);
    assert_true(found.sizes.saved_bytes <= expected.sizes.saved_bytes);
    assert_true(found.sizes.weight_bytes <= expected.sizes.weight_bytes);
    graph_destroy(apart.graph);
    graph_destroy(joined.graph);
}

static void test_joined_equals_apart(void **state)
{
    (void)state;
    for (int adaptation = UNADAPTED; adaptation <= ADAPTED_VALUES; adaptation++)
        for (int biases = 0; biases < 2; biases++)
            for (int recompute = 0; recompute < 2; recompute++) {
                struct model apart = {
                    .adaptation = (enum adaptation)adaptation, .biases = biases, .way = recompute ? RECOMPUTE : APART};
                compare(apart, JOIN, 1, 1);
            }
}

static void test_weights_of_two_layers(void **state)
{
    (void)state;
    compare((struct model){.way = SHARED, .biases = true}, JOIN, 1, 1);
    compare((struct model){.way = SHARED, .adaptation = ADAPTED_WITH_SCALE}, JOIN, 1, 1);
}

static void test_what_stays_apart(void **state)
{
    (void)state;
    compare((struct model){.way = READ_OTHERWISE}, JOIN, 3, 3);
    compare((struct model){.way = NO_FOLDING, .adaptation = ADAPTED}, JOIN, 3, 3);
    /* Without folding, what needs no addition is joined there; the sum of three gradients is not one product's. */
    compare((struct model){.way = NO_FOLDING}, JOIN, 1, 3);
}

/* A layer of which one weight alone is replaced is left; the other one is not. */
static void test_replaced_weights(void **state)
{
    (void)state;
    struct model model = {.way = ONE_REPLACED | JOIN};
    build(&model);
    assert_int_equal(count_kind(&model, OPERATION_LINEAR), 1 + 3);
    graph_destroy(model.graph);
}

/* ---- weights ---- */

static status give(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    float values[WIDTH * WIDTH];
    (void)context;
    if (strcmp(name, "missing") == 0) return status_error(STATUS_BAD_INPUT, "there is no %s", name);
    for (int i = 0; i < shape_elements(shape); i++) values[i] = (float)(name[0] + i);
    return weight_sink_give(sink, ELEMENT_F32, values);
}

static void test_joined_weights(void **state)
{
    (void)state;
    const char *names[] = {"q", "k", "v"}, *missing[] = {"a", "missing", "b"}, *late[] = {"x", "y", "z"};
    const struct shape shape = SHAPE1(3);
    struct backend *backend;
    struct weight_set *set;
    void *joined, *again, *part;
    must(backend_reference_create(&backend));
    set = weight_set_create(backend, (struct weight_source){give, NULL});
    must(weight_set_get_joined(set, names, 3, &shape, ELEMENT_F64, &joined));
    for (int i = 0; i < 9; i++) assert_true(((double *)joined)[i] == names[i / 3][0] + i % 3);
    must(weight_set_get(set, "k", &shape, ELEMENT_F64, &part));
    assert_ptr_equal(part, (double *)joined + 3);
    must(weight_set_get_joined(set, names, 3, &shape, ELEMENT_F64, &again));
    assert_ptr_equal(again, joined);
    ((double *)joined)[4] = 0.0;
    must(weight_set_renew(set, "k"));
    assert_true(((double *)joined)[4] == 'k' + 1);
    assert_int_equal(weight_set_bytes(set), 9 * sizeof(double));
    assert_int_equal(weight_set_get_joined(set, missing, 3, &shape, ELEMENT_F64, &again).code, STATUS_BAD_INPUT);
    assert_int_equal(weight_set_bytes(set), 9 * sizeof(double));
    must(weight_set_get(set, "y", &shape, ELEMENT_F64, &part));
    assert_int_equal(weight_set_get_joined(set, late, 3, &shape, ELEMENT_F64, &again).code, STATUS_FAILED);
    weight_set_destroy(set);
    backend->interface->destroy(backend);
}

/* Parts that the caller binds must lie one behind the other. */
static void test_bound_parts(void **state)
{
    (void)state;
    struct backend *backend;
    struct program *program;
    struct model model = {.way = JOIN};
    static double memory[4 * WIDTH * WIDTH];
    must(backend_reference_create(&backend));
    build(&model);
    must(program_create(backend, model.graph, NULL, &program));
    must(program_bind(program, graph_find(model.graph, TENSOR_CONSTANT, "q0"), memory));
    must(program_bind(program, graph_find(model.graph, TENSOR_CONSTANT, "k0"), memory + WIDTH * WIDTH));
    status apart = program_bind(program, graph_find(model.graph, TENSOR_CONSTANT, "v0"), memory + 3 * WIDTH * WIDTH);
    assert_int_equal(apart.code, STATUS_FAILED);
    assert_non_null(strstr(apart.message, "v0"));
    program_destroy(program);
    graph_destroy(model.graph);
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined_equals_apart), cmocka_unit_test(test_weights_of_two_layers),
        cmocka_unit_test(test_what_stays_apart),    cmocka_unit_test(test_replaced_weights),
        cmocka_unit_test(test_joined_weights),      cmocka_unit_test(test_bound_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
