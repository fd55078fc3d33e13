/* The builders: each checks its operands, infers the result's shape and appends one node. */
#include "engine/graph/internal.h"

#include <stdio.h>

/* True when the graph is sound and all given tensors exist; a NO_TENSOR operand follows from an earlier failure or is
 * the builder's mistake, which is then reported. */
static bool usable(struct graph *graph, const char *operation, const tensor_id *inputs, int count)
{
    if (graph->state.code != STATUS_OK) return false;
    for (int i = 0; i < count; i++) {
        if (inputs[i] < 0 || inputs[i] >= graph->tensor_count) {
            graph_fail(graph, status_error(STATUS_FAILED, "graph: operand %d of %s is missing", i, operation));
            return false;
        }
    }
    return true;
}

#define USABLE(operation, ...)                                                                                         \
    usable(graph, operation, (const tensor_id[]){__VA_ARGS__},                                                         \
           (int)(sizeof((tensor_id[]){__VA_ARGS__}) / sizeof(tensor_id)))

static const struct tensor *tensor_at(const struct graph *graph, tensor_id id)
{
    return &graph->tensors[id];
}

static tensor_id mismatch(struct graph *graph, const char *operation, tensor_id a, tensor_id b)
{
    char first[96], second[96];
    graph_fail(graph, status_error(STATUS_BAD_INPUT, "graph: %s cannot take %s%s%s and %s%s%s", operation,
                                   tensor_at(graph, a)->name, tensor_at(graph, a)->name[0] ? " " : "",
                                   shape_text(&tensor_at(graph, a)->shape, first, sizeof first),
                                   tensor_at(graph, b)->name, tensor_at(graph, b)->name[0] ? " " : "",
                                   shape_text(&tensor_at(graph, b)->shape, second, sizeof second)));
    return NO_TENSOR;
}

static int64_t last(const struct shape *shape)
{
    return shape->dimension[shape->rank - 1];
}

tensor_id graph_input(struct graph *graph, const char *name, struct shape shape, enum element_type type)
{
    return graph_new_tensor(graph, TENSOR_INPUT, name, shape, type);
}

static tensor_id named(struct graph *graph, enum tensor_role role, const char *name, struct shape shape,
                       enum element_type type)
{
    if (graph->state.code != STATUS_OK) return NO_TENSOR;
    tensor_id found = graph_find(graph, role, name);
    if (found == NO_TENSOR) return graph_new_tensor(graph, role, name, shape, type);
    if (!shape_equal(&tensor_at(graph, found)->shape, &shape) || tensor_at(graph, found)->type != type) {
        char first[96], second[96];
        graph_fail(graph, status_error(STATUS_FAILED, "graph: %s asked for as %s and as %s", name,
                                       shape_text(&tensor_at(graph, found)->shape, first, sizeof first),
                                       shape_text(&shape, second, sizeof second)));
        return NO_TENSOR;
    }
    return found;
}

tensor_id graph_constant(struct graph *graph, const char *name, struct shape shape)
{
    return named(graph, TENSOR_CONSTANT, name, shape, graph->compute);
}

tensor_id graph_exact_constant(struct graph *graph, const char *name, struct shape shape)
{
    return named(graph, TENSOR_CONSTANT, name, shape, graph->exact);
}

tensor_id graph_parameter(struct graph *graph, const char *name, struct shape shape)
{
    return named(graph, TENSOR_PARAMETER, name, shape, graph->exact);
}

tensor_id graph_output(struct graph *graph, tensor_id tensor, const char *name)
{
    if (!USABLE("output", tensor)) return NO_TENSOR;
    if (tensor_at(graph, tensor)->role != TENSOR_COMPUTED || tensor_at(graph, tensor)->storage != tensor ||
        tensor_at(graph, tensor)->output) {
        struct operation_attributes attributes = {.unary = UNARY_IDENTITY};
        tensor = graph_emit(graph, OPERATION_UNARY, &attributes, &tensor, 1, tensor_at(graph, tensor)->shape,
                            tensor_at(graph, tensor)->type);
        if (tensor == NO_TENSOR) return NO_TENSOR;
    }
    graph->tensors[tensor].output = true;
    snprintf(graph->tensors[tensor].name, sizeof graph->tensors[tensor].name, "%s", name);
    return tensor;
}

void graph_rename(struct graph *graph, tensor_id constant, const char *name)
{
    if (!USABLE("rename", constant)) return;
    snprintf(graph->tensors[constant].name, sizeof graph->tensors[constant].name, "%s", name);
    graph->tensors[constant].replaced = true;
}

tensor_id graph_reshape(struct graph *graph, tensor_id x, struct shape shape)
{
    if (!USABLE("reshape", x)) return NO_TENSOR;
    struct tensor source = *tensor_at(graph, x);
    if (shape_equal(&source.shape, &shape)) return x;
    tensor_id view = graph_new_tensor(graph, source.role, NULL, shape, source.type);
    if (view == NO_TENSOR) return NO_TENSOR;
    if (shape_elements(&shape) != shape_elements(&source.shape)) return mismatch(graph, "reshape", x, view);
    graph->tensors[view].storage = source.storage;
    graph->tensors[view].offset = source.offset;
    graph->tensors[view].row_step = source.row_step;
    return view;
}

tensor_id graph_convert(struct graph *graph, tensor_id x, enum element_type type)
{
    if (!USABLE("convert", x)) return NO_TENSOR;
    if (tensor_at(graph, x)->type == type) return x;
    struct operation_attributes attributes = {.unary = UNARY_IDENTITY};
    return graph_emit(graph, OPERATION_UNARY, &attributes, &x, 1, tensor_at(graph, x)->shape, type);
}

tensor_id graph_linear(struct graph *graph, tensor_id x, tensor_id weight, tensor_id bias)
{
    if (!USABLE("linear", x, weight)) return NO_TENSOR;
    const struct shape *input = &tensor_at(graph, x)->shape, *matrix = &tensor_at(graph, weight)->shape;
    if (matrix->rank != 2 || matrix->dimension[1] != last(input)) return mismatch(graph, "linear", x, weight);
    if (bias != NO_TENSOR && shape_elements(&tensor_at(graph, bias)->shape) != matrix->dimension[0])
        return mismatch(graph, "linear bias", weight, bias);
    struct shape shape = *input;
    shape.dimension[shape.rank - 1] = matrix->dimension[0];
    tensor_id inputs[3] = {x, weight, bias};
    return graph_emit(graph, OPERATION_LINEAR, NULL, inputs, bias == NO_TENSOR ? 2 : 3, shape,
                      tensor_at(graph, x)->type);
}

tensor_id graph_convolution(struct graph *graph, tensor_id x, tensor_id weight, tensor_id bias, int stride, int padding)
{
    if (!USABLE("convolution", x, weight)) return NO_TENSOR;
    const struct shape *input = &tensor_at(graph, x)->shape, *window = &tensor_at(graph, weight)->shape;
    if (input->rank != 4 || window->rank != 4 || window->dimension[1] != input->dimension[3] || stride < 1)
        return mismatch(graph, "convolution", x, weight);
    if (bias != NO_TENSOR && shape_elements(&tensor_at(graph, bias)->shape) != window->dimension[0])
        return mismatch(graph, "convolution bias", weight, bias);
    int64_t room_height = input->dimension[1] + 2 * (int64_t)padding - window->dimension[2];
    int64_t room_width = input->dimension[2] + 2 * (int64_t)padding - window->dimension[3];
    if (room_height < 0 || room_width < 0) return mismatch(graph, "convolution", x, weight);
    struct shape shape =
        SHAPE4(input->dimension[0], room_height / stride + 1, room_width / stride + 1, window->dimension[0]);
    struct operation_attributes attributes = {.stride = stride,
                                              .padding_top = padding,
                                              .padding_left = padding,
                                              .padding_bottom = padding,
                                              .padding_right = padding};
    tensor_id inputs[3] = {x, weight, bias};
    return graph_emit(graph, OPERATION_CONVOLUTION, &attributes, inputs, bias == NO_TENSOR ? 2 : 3, shape,
                      tensor_at(graph, x)->type);
}

tensor_id graph_matmul(struct graph *graph, tensor_id a, tensor_id b, bool transpose_a, bool transpose_b, double alpha)
{
    if (!USABLE("matmul", a, b)) return NO_TENSOR;
    const struct shape *left = &tensor_at(graph, a)->shape, *right = &tensor_at(graph, b)->shape;
    if (left->rank != 3 || right->rank != 3 || left->dimension[0] != right->dimension[0] ||
        left->dimension[transpose_a ? 1 : 2] != right->dimension[transpose_b ? 2 : 1])
        return mismatch(graph, "matmul", a, b);
    struct shape shape =
        SHAPE3(left->dimension[0], left->dimension[transpose_a ? 2 : 1], right->dimension[transpose_b ? 1 : 2]);
    struct operation_attributes attributes = {.transpose_a = transpose_a, .transpose_b = transpose_b, .alpha = alpha};
    return graph_emit(graph, OPERATION_MATMUL, &attributes, (tensor_id[]){a, b}, 2, shape, tensor_at(graph, a)->type);
}

/* A normalisation: result and two exact statistics. */
static tensor_id normalization(struct graph *graph, enum operation_kind kind,
                               const struct operation_attributes *attributes, const tensor_id *inputs,
                               struct shape statistics)
{
    struct shape shape = tensor_at(graph, inputs[0])->shape;
    enum element_type type = tensor_at(graph, inputs[0])->type;
    struct node node = {.kind = kind, .attributes = *attributes, .input_count = 3, .output_count = 3};
    for (int i = 0; i < MAXIMUM_INPUTS; i++) node.input[i] = i < 3 ? inputs[i] : NO_TENSOR;
    node.output[0] = graph_new_tensor(graph, TENSOR_COMPUTED, NULL, shape, type);
    node.output[1] = graph_new_tensor(graph, TENSOR_COMPUTED, NULL, statistics, graph->exact);
    node.output[2] = graph_new_tensor(graph, TENSOR_COMPUTED, NULL, statistics, graph->exact);
    return graph_append(graph, &node);
}

tensor_id graph_group_norm(struct graph *graph, tensor_id x, tensor_id gamma, tensor_id beta, int groups,
                           double epsilon, bool fused_silu)
{
    if (!USABLE("group norm", x, gamma, beta)) return NO_TENSOR;
    const struct shape *input = &tensor_at(graph, x)->shape;
    if (input->rank < 3 || groups < 1 || last(input) % groups != 0 ||
        shape_elements(&tensor_at(graph, gamma)->shape) != last(input))
        return mismatch(graph, "group norm", x, gamma);
    if (shape_elements(&tensor_at(graph, beta)->shape) != last(input)) return mismatch(graph, "group norm", x, beta);
    struct operation_attributes attributes = {.groups = groups, .epsilon = epsilon, .fused_silu = fused_silu};
    return normalization(graph, OPERATION_GROUP_NORM, &attributes, (tensor_id[]){x, gamma, beta},
                         SHAPE2(input->dimension[0], groups));
}

tensor_id graph_layer_norm(struct graph *graph, tensor_id x, tensor_id gamma, tensor_id beta, double epsilon)
{
    if (!USABLE("layer norm", x, gamma, beta)) return NO_TENSOR;
    const struct shape *input = &tensor_at(graph, x)->shape;
    if (shape_elements(&tensor_at(graph, gamma)->shape) != last(input)) return mismatch(graph, "layer norm", x, gamma);
    if (shape_elements(&tensor_at(graph, beta)->shape) != last(input)) return mismatch(graph, "layer norm", x, beta);
    struct operation_attributes attributes = {.epsilon = epsilon};
    return normalization(graph, OPERATION_LAYER_NORM, &attributes, (tensor_id[]){x, gamma, beta},
                         SHAPE1(shape_elements(input) / last(input)));
}

tensor_id graph_attention(struct graph *graph, tensor_id q, tensor_id k, tensor_id v, int heads, double scale,
                          bool causal)
{
    if (!USABLE("attention", q, k, v)) return NO_TENSOR;
    struct shape query = tensor_at(graph, q)->shape;
    const struct shape *key = &tensor_at(graph, k)->shape;
    if (query.rank != 3 || key->rank != 3 || query.dimension[0] != key->dimension[0] ||
        query.dimension[2] != key->dimension[2] || heads < 1 || query.dimension[2] % heads != 0)
        return mismatch(graph, "attention", q, k);
    if (!shape_equal(key, &tensor_at(graph, v)->shape)) return mismatch(graph, "attention", k, v);
    struct node node = {.kind = OPERATION_ATTENTION,
                        .attributes = {.heads = heads, .alpha = scale, .causal = causal},
                        .input_count = 3,
                        .output_count = 2,
                        .input = {q, k, v, NO_TENSOR, NO_TENSOR, NO_TENSOR},
                        .output = {NO_TENSOR, NO_TENSOR, NO_TENSOR}};
    node.output[0] = graph_new_tensor(graph, TENSOR_COMPUTED, NULL, query, tensor_at(graph, q)->type);
    node.output[1] = graph_new_tensor(graph, TENSOR_COMPUTED, NULL,
                                      SHAPE3(query.dimension[0], heads, query.dimension[1]), graph->exact);
    return graph_append(graph, &node);
}

static tensor_id unary(struct graph *graph, tensor_id x, struct operation_attributes attributes)
{
    if (!USABLE("unary", x)) return NO_TENSOR;
    return graph_emit(graph, OPERATION_UNARY, &attributes, &x, 1, tensor_at(graph, x)->shape,
                      tensor_at(graph, x)->type);
}

tensor_id graph_unary(struct graph *graph, enum unary_kind kind, tensor_id x)
{
    return unary(graph, x, (struct operation_attributes){.unary = kind, .alpha = 1.0});
}

tensor_id graph_affine(struct graph *graph, tensor_id x, double scale, double shift)
{
    return unary(graph, x, (struct operation_attributes){.unary = UNARY_AFFINE, .alpha = scale, .beta = shift});
}

tensor_id graph_clamp(struct graph *graph, tensor_id x, double low, double high)
{
    return unary(graph, x, (struct operation_attributes){.unary = UNARY_CLAMP, .alpha = low, .beta = high});
}

tensor_id graph_geglu(struct graph *graph, tensor_id x)
{
    if (!USABLE("geglu", x)) return NO_TENSOR;
    struct shape shape = tensor_at(graph, x)->shape;
    if (last(&shape) % 2 != 0) return mismatch(graph, "geglu", x, x);
    shape.dimension[shape.rank - 1] /= 2;
    return graph_emit(graph, OPERATION_GEGLU, NULL, &x, 1, shape, tensor_at(graph, x)->type);
}

/* small's dimensions equal large's or are 1. */
static bool broadcasts(const struct shape *large, const struct shape *small)
{
    if (large->rank != small->rank) return false;
    for (int i = 0; i < large->rank; i++)
        if (small->dimension[i] != large->dimension[i] && small->dimension[i] != 1) return false;
    return true;
}

static tensor_id binary(struct graph *graph, enum binary_kind kind, tensor_id a, double alpha, tensor_id b)
{
    if (!USABLE("binary", a, b)) return NO_TENSOR;
    if (!broadcasts(&tensor_at(graph, a)->shape, &tensor_at(graph, b)->shape)) return mismatch(graph, "binary", a, b);
    struct operation_attributes attributes = {.binary = kind, .alpha = alpha};
    return graph_emit(graph, OPERATION_BINARY, &attributes, (tensor_id[]){a, b}, 2, tensor_at(graph, a)->shape,
                      tensor_at(graph, a)->type);
}

tensor_id graph_add(struct graph *graph, tensor_id a, tensor_id b)
{
    return binary(graph, BINARY_ADD, a, 1.0, b);
}

tensor_id graph_add_scaled(struct graph *graph, tensor_id a, double scale, tensor_id b)
{
    return binary(graph, BINARY_ADD, a, scale, b);
}

tensor_id graph_subtract(struct graph *graph, tensor_id a, tensor_id b)
{
    return binary(graph, BINARY_SUBTRACT, a, 1.0, b);
}

tensor_id graph_multiply(struct graph *graph, tensor_id a, tensor_id b)
{
    return binary(graph, BINARY_MULTIPLY, a, 1.0, b);
}

tensor_id graph_divide(struct graph *graph, tensor_id a, tensor_id b)
{
    return binary(graph, BINARY_DIVIDE, a, 1.0, b);
}

tensor_id graph_reduce(struct graph *graph, tensor_id x, struct shape to, double scale)
{
    if (!USABLE("reduce", x)) return NO_TENSOR;
    if (!broadcasts(&tensor_at(graph, x)->shape, &to)) {
        char from[96], text[96];
        graph_fail(graph, status_error(STATUS_BAD_INPUT, "graph: %s does not reduce to %s",
                                       shape_text(&tensor_at(graph, x)->shape, from, sizeof from),
                                       shape_text(&to, text, sizeof text)));
        return NO_TENSOR;
    }
    struct operation_attributes attributes = {.alpha = scale};
    return graph_emit(graph, OPERATION_REDUCE, &attributes, &x, 1, to, tensor_at(graph, x)->type);
}

tensor_id graph_mean(struct graph *graph, tensor_id x, struct shape to)
{
    if (!USABLE("mean", x)) return NO_TENSOR;
    double count = (double)shape_elements(&tensor_at(graph, x)->shape) / (double)shape_elements(&to);
    return graph_reduce(graph, x, to, 1.0 / count);
}

tensor_id graph_broadcast(struct graph *graph, tensor_id x, struct shape to)
{
    if (!USABLE("broadcast", x)) return NO_TENSOR;
    if (!broadcasts(&to, &tensor_at(graph, x)->shape)) {
        char from[96], text[96];
        graph_fail(graph, status_error(STATUS_BAD_INPUT, "graph: %s does not broadcast to %s",
                                       shape_text(&tensor_at(graph, x)->shape, from, sizeof from),
                                       shape_text(&to, text, sizeof text)));
        return NO_TENSOR;
    }
    struct operation_attributes attributes = {.alpha = 1.0};
    return graph_emit(graph, OPERATION_BROADCAST, &attributes, &x, 1, to, tensor_at(graph, x)->type);
}

tensor_id graph_concatenate(struct graph *graph, tensor_id a, tensor_id b, int axis)
{
    if (!USABLE("concatenate", a, b)) return NO_TENSOR;
    struct shape shape = tensor_at(graph, a)->shape, other = tensor_at(graph, b)->shape;
    if (axis < 0 || axis >= shape.rank || other.rank != shape.rank) return mismatch(graph, "concatenate", a, b);
    int64_t joined = shape.dimension[axis] + other.dimension[axis];
    other.dimension[axis] = shape.dimension[axis];
    if (!shape_equal(&shape, &other)) return mismatch(graph, "concatenate", a, b);
    shape.dimension[axis] = joined;
    struct operation_attributes attributes = {.axis = axis};
    return graph_emit(graph, OPERATION_CONCATENATE, &attributes, (tensor_id[]){a, b}, 2, shape,
                      tensor_at(graph, a)->type);
}

tensor_id graph_slice(struct graph *graph, tensor_id x, int axis, int64_t start, int64_t length)
{
    if (!USABLE("slice", x)) return NO_TENSOR;
    struct shape shape = tensor_at(graph, x)->shape;
    if (axis < 0 || axis >= shape.rank || start < 0 || length < 1 || start + length > shape.dimension[axis]) {
        char text[96];
        graph_fail(graph,
                   status_error(STATUS_BAD_INPUT, "graph: no slice [%lld, +%lld) of axis %d in %s", (long long)start,
                                (long long)length, axis, shape_text(&shape, text, sizeof text)));
        return NO_TENSOR;
    }
    if (length == shape.dimension[axis]) return x;
    shape.dimension[axis] = length;
    struct operation_attributes attributes = {.axis = axis, .start = start, .length = length};
    return graph_emit(graph, OPERATION_SLICE, &attributes, &x, 1, shape, tensor_at(graph, x)->type);
}

tensor_id graph_upsample(struct graph *graph, tensor_id x)
{
    if (!USABLE("upsample", x)) return NO_TENSOR;
    struct shape shape = tensor_at(graph, x)->shape;
    if (shape.rank != 4) return mismatch(graph, "upsample", x, x);
    shape.dimension[1] *= 2;
    shape.dimension[2] *= 2;
    return graph_emit(graph, OPERATION_UPSAMPLE, NULL, &x, 1, shape, tensor_at(graph, x)->type);
}

tensor_id graph_resize(struct graph *graph, tensor_id x, int64_t height, int64_t width, enum resize_filter filter,
                       bool antialias)
{
    if (!USABLE("resize", x)) return NO_TENSOR;
    struct shape shape = tensor_at(graph, x)->shape;
    if (shape.rank != 4) return mismatch(graph, "resize", x, x);
    if (shape.dimension[1] == height && shape.dimension[2] == width) return x;
    shape.dimension[1] = height;
    shape.dimension[2] = width;
    struct operation_attributes attributes = {.filter = filter, .antialias = antialias};
    return graph_emit(graph, OPERATION_RESIZE, &attributes, &x, 1, shape, tensor_at(graph, x)->type);
}

/* ids must be [B, n] int32. */
static bool is_index(const struct tensor *ids)
{
    return ids->type == ELEMENT_I32 && ids->shape.rank == 2;
}

tensor_id graph_embedding(struct graph *graph, tensor_id ids, tensor_id table)
{
    if (!USABLE("embedding", ids, table)) return NO_TENSOR;
    const struct tensor *index = tensor_at(graph, ids), *rows = tensor_at(graph, table);
    if (!is_index(index) || rows->shape.rank != 2) return mismatch(graph, "embedding", ids, table);
    struct shape shape = SHAPE3(index->shape.dimension[0], index->shape.dimension[1], rows->shape.dimension[1]);
    return graph_emit(graph, OPERATION_EMBEDDING, NULL, (tensor_id[]){ids, table}, 2, shape, rows->type);
}

tensor_id graph_gather(struct graph *graph, tensor_id x, tensor_id ids)
{
    if (!USABLE("gather", x, ids)) return NO_TENSOR;
    const struct tensor *rows = tensor_at(graph, x), *index = tensor_at(graph, ids);
    if (!is_index(index) || rows->shape.rank != 3 || rows->shape.dimension[0] != index->shape.dimension[0])
        return mismatch(graph, "gather", x, ids);
    struct shape shape = SHAPE3(rows->shape.dimension[0], index->shape.dimension[1], rows->shape.dimension[2]);
    return graph_emit(graph, OPERATION_GATHER, NULL, (tensor_id[]){x, ids}, 2, shape, rows->type);
}

tensor_id graph_normalize(struct graph *graph, tensor_id x, double epsilon)
{
    if (!USABLE("normalize", x)) return NO_TENSOR;
    struct operation_attributes attributes = {.epsilon = epsilon};
    return graph_emit(graph, OPERATION_NORMALIZE, &attributes, &x, 1, tensor_at(graph, x)->shape,
                      tensor_at(graph, x)->type);
}

tensor_id graph_transpose(struct graph *graph, tensor_id x)
{
    if (!USABLE("transpose", x)) return NO_TENSOR;
    struct shape shape = tensor_at(graph, x)->shape;
    if (shape.rank != 4) return mismatch(graph, "transpose", x, x);
    shape.dimension[1] = tensor_at(graph, x)->shape.dimension[2];
    shape.dimension[2] = tensor_at(graph, x)->shape.dimension[1];
    return graph_emit(graph, OPERATION_TRANSPOSE, NULL, &x, 1, shape, tensor_at(graph, x)->type);
}

tensor_id graph_select_boxes(struct graph *graph, tensor_id logits, tensor_id boxes, int64_t count, double overlap)
{
    if (!USABLE("select boxes", logits, boxes)) return NO_TENSOR;
    const struct shape *scores = &tensor_at(graph, logits)->shape, *places = &tensor_at(graph, boxes)->shape;
    if (scores->rank != 2 || places->rank != 3 || places->dimension[2] != 4 ||
        places->dimension[0] != scores->dimension[0] || places->dimension[1] != scores->dimension[1] || count < 1 ||
        count > scores->dimension[1])
        return mismatch(graph, "select boxes", logits, boxes);
    struct operation_attributes attributes = {.alpha = overlap};
    return graph_emit(graph, OPERATION_SELECT_BOXES, &attributes, (tensor_id[]){logits, boxes}, 2,
                      SHAPE2(scores->dimension[0], count), ELEMENT_I32);
}
