/* The vector-Jacobian product of a graph: one walk backwards over the nodes, one rule an operation.
 *
 * Only what lies between the outputs and the wanted inputs or the parameters is differentiated; frozen weights get no
 * gradient, so their operations keep no inputs. Cotangents are kept per storage: a view passes its gradient on to the
 * tensor it looks at. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sweep {
    struct graph *graph;
    tensor_id *cotangent; /* by storage */
    bool *needed;         /* by storage: a wanted input or parameter reaches it */
    int tensors;          /* how many the forward sweep has */
};

static const struct tensor *tensor_at(const struct sweep *sweep, tensor_id id)
{
    return &sweep->graph->tensors[id];
}

static bool needs(const struct sweep *sweep, tensor_id id)
{
    if (id == NO_TENSOR) return false;
    tensor_id storage = graph_storage(sweep->graph, id);
    return storage < sweep->tensors && sweep->needed[storage];
}

/* Adds `gradient` (elements as `target`) to what flows into target's storage. */
static void contribute(struct sweep *sweep, tensor_id target, tensor_id gradient)
{
    if (gradient == NO_TENSOR) return;
    struct graph *graph = sweep->graph;
    tensor_id storage = graph_storage(graph, target);
    gradient = graph_convert(graph, gradient, tensor_at(sweep, storage)->type);
    if (gradient == NO_TENSOR) return;
    gradient = graph_reshape(graph, gradient, tensor_at(sweep, storage)->shape);
    tensor_id present = sweep->cotangent[storage];
    sweep->cotangent[storage] = present == NO_TENSOR ? gradient : graph_add(graph, present, gradient);
}

static tensor_id emit_like(struct sweep *sweep, const struct node *node, enum operation_kind kind,
                           const tensor_id *inputs, int count, tensor_id like)
{
    struct shape shape = tensor_at(sweep, like)->shape;
    enum element_type type = tensor_at(sweep, like)->type;
    return graph_emit(sweep->graph, kind, &node->attributes, inputs, count, shape, type);
}

/* The parameter that `weight` is, or is a mere conversion of; NO_TENSOR otherwise. Its gradient is then summed in the
 * accumulation type, without passing through the conversion. */
static tensor_id parameter_behind(const struct sweep *sweep, tensor_id weight)
{
    const struct graph *graph = sweep->graph;
    tensor_id storage = graph_storage(graph, weight);
    if (graph->tensors[storage].role == TENSOR_PARAMETER) return storage;
    for (int i = 0; i < graph_forward_nodes(graph); i++) {
        const struct node *node = &graph->nodes[i];
        if (node->output[0] != storage || node->kind != OPERATION_UNARY || node->attributes.unary != UNARY_IDENTITY)
            continue;
        tensor_id source = graph_storage(graph, node->input[0]);
        return graph->tensors[source].role == TENSOR_PARAMETER ? source : NO_TENSOR;
    }
    return NO_TENSOR;
}

/* The accumulator "gradient/NAME" of a parameter. */
static tensor_id gradient_state(struct sweep *sweep, tensor_id parameter)
{
    char name[sizeof tensor_at(sweep, parameter)->name];
    int length = snprintf(name, sizeof name, "gradient/%s", tensor_at(sweep, parameter)->name);
    if (length >= (int)sizeof name) {
        graph_fail(sweep->graph, status_error(STATUS_BAD_INPUT, "adapter name too long: %s", name));
        return NO_TENSOR;
    }
    tensor_id found = graph_find(sweep->graph, TENSOR_STATE, name);
    if (found != NO_TENSOR) return found;
    return graph_new_tensor(sweep->graph, TENSOR_STATE, name, tensor_at(sweep, parameter)->shape, sweep->graph->exact);
}

/* The weight's gradient of a linear or convolution: added to the parameter's state, or passed on where the weight is
 * computed. */
static void contribute_weight(struct sweep *sweep, const struct node *node, enum operation_kind kind, tensor_id dy)
{
    tensor_id x = node->input[0], weight = node->input[1];
    if (!needs(sweep, weight)) return;
    tensor_id parameter = parameter_behind(sweep, weight);
    if (parameter == NO_TENSOR) {
        struct shape shape = tensor_at(sweep, weight)->shape;
        tensor_id gradient =
            graph_emit(sweep->graph, kind, &node->attributes, (tensor_id[]){dy, x}, 2, shape, sweep->graph->exact);
        contribute(sweep, weight, gradient);
        return;
    }
    tensor_id state = gradient_state(sweep, parameter);
    if (state == NO_TENSOR) return;
    struct node product = {.kind = kind, .attributes = node->attributes, .input_count = 2, .output_count = 1};
    product.attributes.accumulate = true;
    for (int i = 0; i < MAXIMUM_INPUTS; i++) product.input[i] = NO_TENSOR;
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++) product.output[i] = NO_TENSOR;
    product.input[0] = dy;
    product.input[1] = x;
    product.output[0] = graph_reshape(sweep->graph, state, tensor_at(sweep, weight)->shape);
    graph_append(sweep->graph, &product);
}

static void linear_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    if (needs(sweep, node->input[0]))
        contribute(
            sweep, node->input[0],
            emit_like(sweep, node, OPERATION_LINEAR_VJP_INPUT, (tensor_id[]){dy, node->input[1]}, 2, node->input[0]));
    contribute_weight(sweep, node, OPERATION_LINEAR_VJP_WEIGHT, dy);
}

static void convolution_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    if (needs(sweep, node->input[0]))
        contribute(sweep, node->input[0],
                   emit_like(sweep, node, OPERATION_CONVOLUTION_VJP_INPUT, (tensor_id[]){dy, node->input[1]}, 2,
                             node->input[0]));
    contribute_weight(sweep, node, OPERATION_CONVOLUTION_VJP_WEIGHT, dy);
}

/* With y = op(a) op(b):  d op(a) = dy op(b)^T,  d op(b) = op(a)^T dy; transposed back where op transposes. */
static void matmul_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    struct graph *graph = sweep->graph;
    tensor_id a = node->input[0], b = node->input[1];
    bool ta = node->attributes.transpose_a, tb = node->attributes.transpose_b;
    double alpha = node->attributes.alpha;
    if (needs(sweep, a))
        contribute(sweep, a,
                   ta ? graph_matmul(graph, b, dy, tb, true, alpha) : graph_matmul(graph, dy, b, false, !tb, alpha));
    if (needs(sweep, b))
        contribute(sweep, b,
                   tb ? graph_matmul(graph, dy, a, true, ta, alpha) : graph_matmul(graph, a, dy, !ta, false, alpha));
}

static void attention_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    struct graph *graph = sweep->graph;
    struct node product = {
        .kind = OPERATION_ATTENTION_VJP,
        .attributes = node->attributes,
        .input_count = 6,
        .output_count = 3,
        .input = {dy, node->input[0], node->input[1], node->input[2], node->output[0], node->output[1]}};
    for (int i = 0; i < 3; i++) {
        const struct tensor like = *tensor_at(sweep, node->input[i]);
        product.output[i] = needs(sweep, node->input[i])
                                ? graph_new_tensor(graph, TENSOR_COMPUTED, NULL, like.shape, like.type)
                                : NO_TENSOR;
    }
    graph_append(graph, &product);
    for (int i = 0; i < 3; i++)
        if (product.output[i] != NO_TENSOR) contribute(sweep, node->input[i], product.output[i]);
}

static void unary_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    tensor_id x = node->input[0];
    switch (node->attributes.unary) {
    case UNARY_IDENTITY: contribute(sweep, x, dy); break;
    case UNARY_AFFINE: contribute(sweep, x, graph_affine(sweep->graph, dy, node->attributes.alpha, 0.0)); break;
    default: contribute(sweep, x, emit_like(sweep, node, OPERATION_UNARY_VJP, (tensor_id[]){dy, x}, 2, x)); break;
    }
}

/* scale * gradient, summed over the dimensions along which `target` was broadcast. */
static void contribute_reduced(struct sweep *sweep, tensor_id target, tensor_id gradient, double scale)
{
    if (gradient == NO_TENSOR) return;
    struct graph *graph = sweep->graph;
    struct shape shape = tensor_at(sweep, target)->shape;
    if (!shape_equal(&shape, &tensor_at(sweep, gradient)->shape))
        gradient = graph_reduce(graph, gradient, shape, scale);
    else if (scale != 1.0)
        gradient = graph_affine(graph, gradient, scale, 0.0);
    contribute(sweep, target, gradient);
}

/* y = a ? (alpha b) */
static void binary_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    struct graph *graph = sweep->graph;
    tensor_id a = node->input[0], b = node->input[1], y = node->output[0];
    double alpha = node->attributes.alpha;
    bool products = node->attributes.binary == BINARY_MULTIPLY || node->attributes.binary == BINARY_DIVIDE;
    if (needs(sweep, a))
        contribute(sweep, a, products ? emit_like(sweep, node, OPERATION_BINARY, (tensor_id[]){dy, b}, 2, dy) : dy);
    if (!needs(sweep, b)) return;
    switch (node->attributes.binary) {
    case BINARY_ADD: contribute_reduced(sweep, b, dy, alpha); break;
    case BINARY_SUBTRACT: contribute_reduced(sweep, b, dy, -alpha); break;
    case BINARY_MULTIPLY: contribute_reduced(sweep, b, graph_multiply(graph, dy, a), alpha); break;
    case BINARY_DIVIDE: /* dy/db = -y / b */
        contribute_reduced(sweep, b, graph_divide(graph, graph_multiply(graph, dy, y), b), -1.0);
        break;
    case BINARY_KIND_COUNT: break;
    }
}

static void concatenate_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    int axis = node->attributes.axis;
    int64_t first = tensor_at(sweep, node->input[0])->shape.dimension[axis];
    int64_t second = tensor_at(sweep, node->input[1])->shape.dimension[axis];
    if (needs(sweep, node->input[0])) contribute(sweep, node->input[0], graph_slice(sweep->graph, dy, axis, 0, first));
    if (needs(sweep, node->input[1]))
        contribute(sweep, node->input[1], graph_slice(sweep->graph, dy, axis, first, second));
}

static void transpose_vjp(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    contribute(sweep, node->input[0], graph_transpose(sweep->graph, dy));
}

typedef void vjp_function(struct sweep *sweep, const struct node *node, tensor_id dy);

/* What an operation of the backward sweep reads of the forward one's node. */
enum { DY = 1, INPUT, OUTPUT = INPUT + MAXIMUM_INPUTS };

/* How an operation is differentiated: by a function; or by one operation that reads dy and what else is named, with the
 * node's own attributes, and gives the gradient of input 0. Neither: it has no gradient (indices, boxes, frozen
 * tables). */
struct vjp_rule {
    vjp_function *function;
    enum operation_kind kind;
    unsigned char reads[MAXIMUM_INPUTS]; /* DY, INPUT + i, OUTPUT + i; 0 ends the list */
};

static const struct vjp_rule rules[OPERATION_KIND_COUNT] = {
    [OPERATION_LINEAR] = {.function = linear_vjp},
    [OPERATION_CONVOLUTION] = {.function = convolution_vjp},
    [OPERATION_MATMUL] = {.function = matmul_vjp},
    [OPERATION_GROUP_NORM] = {.kind = OPERATION_GROUP_NORM_VJP,
                              .reads = {DY, INPUT, INPUT + 1, INPUT + 2, OUTPUT + 1, OUTPUT + 2}},
    [OPERATION_LAYER_NORM] = {.kind = OPERATION_LAYER_NORM_VJP,
                              .reads = {DY, INPUT, INPUT + 1, OUTPUT + 1, OUTPUT + 2}},
    [OPERATION_ATTENTION] = {.function = attention_vjp},
    [OPERATION_UNARY] = {.function = unary_vjp},
    [OPERATION_GEGLU] = {.kind = OPERATION_GEGLU_VJP, .reads = {DY, INPUT}},
    [OPERATION_BINARY] = {.function = binary_vjp},
    [OPERATION_REDUCE] = {.kind = OPERATION_BROADCAST, .reads = {DY}},
    [OPERATION_BROADCAST] = {.kind = OPERATION_REDUCE, .reads = {DY}},
    [OPERATION_CONCATENATE] = {.function = concatenate_vjp},
    [OPERATION_SLICE] = {.kind = OPERATION_PLACE, .reads = {DY}},
    [OPERATION_UPSAMPLE] = {.kind = OPERATION_UPSAMPLE_VJP, .reads = {DY}},
    [OPERATION_RESIZE] = {.kind = OPERATION_RESIZE_VJP, .reads = {DY}},
    [OPERATION_GATHER] = {.kind = OPERATION_GATHER_VJP, .reads = {DY, INPUT + 1}},
    [OPERATION_NORMALIZE] = {.kind = OPERATION_NORMALIZE_VJP, .reads = {DY, INPUT}},
    [OPERATION_TRANSPOSE] = {.function = transpose_vjp},
};

static bool has_gradient(enum operation_kind kind)
{
    return rules[kind].function || rules[kind].reads[0] == DY;
}

static tensor_id read_by_rule(const struct node *node, tensor_id dy, int what)
{
    if (what == DY) return dy;
    return what < OUTPUT ? node->input[what - INPUT] : node->output[what - OUTPUT];
}

static void apply_rule(struct sweep *sweep, const struct node *node, tensor_id dy)
{
    const struct vjp_rule *rule = &rules[node->kind];
    if (rule->function) {
        rule->function(sweep, node, dy);
        return;
    }
    tensor_id inputs[MAXIMUM_INPUTS];
    int count = 0;
    for (; count < MAXIMUM_INPUTS && rule->reads[count]; count++)
        inputs[count] = read_by_rule(node, dy, rule->reads[count]);
    contribute(sweep, node->input[0], emit_like(sweep, node, rule->kind, inputs, count, node->input[0]));
}

static bool is_stopped(const struct sweep *sweep, const struct differentiation *request, tensor_id storage)
{
    for (int i = 0; i < request->stop_count; i++)
        if (graph_storage(sweep->graph, request->stop[i]) == storage) return true;
    return false;
}

/* Marks what depends on a wanted input or a parameter. Of several outputs only the first carries a gradient; the others
 * are statistics. */
static void mark_needed(struct sweep *sweep, const struct differentiation *request)
{
    struct graph *graph = sweep->graph;
    for (int i = 0; i < request->wanted_count; i++) sweep->needed[graph_storage(graph, request->wanted[i])] = true;
    for (int i = 0; i < sweep->tensors; i++)
        if (graph->tensors[i].role == TENSOR_PARAMETER) sweep->needed[graph->tensors[i].storage] = true;
    for (int i = 0; i < sweep->tensors; i++)
        if (is_stopped(sweep, request, graph->tensors[i].storage)) sweep->needed[graph->tensors[i].storage] = false;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (!has_gradient(node->kind) || is_stopped(sweep, request, node->output[0])) continue;
        for (int i = 0; i < node->input_count; i++)
            if (needs(sweep, node->input[i])) sweep->needed[node->output[0]] = true;
    }
}

static void seed_cotangents(struct sweep *sweep, const struct differentiation *request)
{
    struct graph *graph = sweep->graph;
    for (int i = 0; i < request->output_count; i++) {
        char name[192];
        const struct tensor output = *tensor_at(sweep, request->outputs[i]);
        snprintf(name, sizeof name, "cotangent/%s", output.name);
        request->cotangents[i] = graph_input(graph, name, output.shape, output.type);
        contribute(sweep, request->outputs[i], request->cotangents[i]);
    }
}

/* to += x */
static void append_accumulation(struct graph *graph, tensor_id x, tensor_id to)
{
    struct node sum = {.kind = OPERATION_REDUCE,
                       .attributes = {.alpha = 1.0, .accumulate = true},
                       .input_count = 1,
                       .output_count = 1,
                       .input = {x, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR},
                       .output = {to, NO_TENSOR, NO_TENSOR}};
    graph_append(graph, &sum);
}

/* Parameters that are used otherwise than as a weight have their gradient among the cotangents. */
static void finish_parameters(struct sweep *sweep)
{
    struct graph *graph = sweep->graph;
    for (int i = 0; i < sweep->tensors; i++) {
        if (graph->tensors[i].role != TENSOR_PARAMETER || graph->tensors[i].storage != i) continue;
        tensor_id state = gradient_state(sweep, i), gradient = sweep->cotangent[i];
        if (gradient == NO_TENSOR || state == NO_TENSOR) continue;
        append_accumulation(graph, gradient, state);
        sweep->cotangent[i] = NO_TENSOR;
    }
}

static status finish_wanted(struct sweep *sweep, const struct differentiation *request)
{
    struct graph *graph = sweep->graph;
    for (int i = 0; i < request->wanted_count; i++) {
        tensor_id wanted = request->wanted[i], gradient = sweep->cotangent[graph_storage(graph, wanted)];
        if (gradient == NO_TENSOR)
            return status_error(STATUS_FAILED, "graph: no output depends on input %s", tensor_at(sweep, wanted)->name);
        char name[192];
        snprintf(name, sizeof name, "gradient/%s", tensor_at(sweep, wanted)->name);
        gradient = graph_reshape(graph, gradient, tensor_at(sweep, wanted)->shape);
        request->gradients[i] = graph_output(graph, gradient, name);
    }
    return status_ok();
}

/* The rules of nodes [first, past), last to first. */
static void walk_backward(struct sweep *sweep, int first, int past)
{
    struct graph *graph = sweep->graph;
    for (int i = past - 1; i >= first && graph->state.code == STATUS_OK; i--) {
        const struct node node = graph->nodes[i]; /* a copy: the array may move while rules append */
        tensor_id dy = sweep->needed[node.output[0]] ? sweep->cotangent[node.output[0]] : NO_TENSOR;
        if (dy != NO_TENSOR) apply_rule(sweep, &node, dy);
    }
}

/* Adds what this backward sweep contributed to a result of the prologue to the sum over all of them. */
static tensor_id append_sum(struct sweep *sweep, tensor_id storage)
{
    struct graph *graph = sweep->graph;
    tensor_id sum = graph_new_tensor(graph, TENSOR_COMPUTED, NULL, tensor_at(sweep, storage)->shape, graph->exact);
    if (sum == NO_TENSOR) return NO_TENSOR;
    graph->tensors[sum].sum = true;
    append_accumulation(graph, sweep->cotangent[storage], sum);
    return sum;
}

/* Through the prologue, from the sums on. */
static void append_epilogue(struct sweep *sweep)
{
    struct graph *graph = sweep->graph;
    for (int n = 0; n < graph->prologue_nodes; n++) {
        tensor_id y = graph->nodes[n].output[0];
        if (sweep->cotangent[y] != NO_TENSOR) sweep->cotangent[y] = append_sum(sweep, y);
    }
    graph->epilogue_first = graph->node_count;
    for (int n = 0; n < graph->prologue_nodes; n++) {
        tensor_id y = graph->nodes[n].output[0];
        if (sweep->cotangent[y] != NO_TENSOR)
            sweep->cotangent[y] = graph_convert(graph, sweep->cotangent[y], tensor_at(sweep, y)->type);
    }
    walk_backward(sweep, 0, graph->prologue_nodes);
    finish_parameters(sweep);
}

status graph_differentiate(struct graph *graph, const struct differentiation *request)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    if (graph->forward_nodes >= 0) return status_error(STATUS_FAILED, "graph: differentiated twice");
    if (graph->additions_folded)
        return status_error(STATUS_FAILED, "graph: differentiated after its additions were folded");
    int forward = graph->node_count;
    struct sweep sweep = {.graph = graph, .tensors = graph->tensor_count};
    sweep.cotangent = memory_take((size_t)graph->tensor_count, sizeof *sweep.cotangent);
    sweep.needed = memory_take((size_t)graph->tensor_count, sizeof *sweep.needed);
    for (int i = 0; i < graph->tensor_count; i++) sweep.cotangent[i] = NO_TENSOR;

    mark_needed(&sweep, request);
    graph->forward_nodes = forward;
    seed_cotangents(&sweep, request);
    walk_backward(&sweep, graph->prologue_nodes, forward);
    finish_parameters(&sweep);
    status result = graph->state.code == STATUS_OK ? finish_wanted(&sweep, request) : graph->state;
    if (result.code == STATUS_OK) append_epilogue(&sweep);
    free(sweep.cotangent);
    free(sweep.needed);
    return result.code == STATUS_OK ? graph->state : result;
}

status graph_differentiate_one(struct graph *graph, tensor_id output, tensor_id wanted, tensor_id *cotangent,
                               tensor_id *gradient)
{
    const struct differentiation request = {.output_count = 1,
                                            .outputs = &output,
                                            .cotangents = cotangent,
                                            .wanted_count = 1,
                                            .wanted = &wanted,
                                            .gradients = gradient};
    return graph_differentiate(graph, &request);
}
