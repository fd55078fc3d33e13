/* A graph's nodes and tensors, its error state, and what can be asked of them. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph *graph_create(enum element_type compute, enum element_type exact)
{
    struct graph *graph = memory_take(1, sizeof *graph);
    graph->compute = compute;
    graph->exact = exact;
    graph->forward_nodes = -1;
    graph->state = status_ok();
    return graph;
}

void graph_destroy(struct graph *graph)
{
    if (!graph) return;
    free(graph->tensors);
    free(graph->nodes);
    free(graph->block_ends);
    free(graph);
}

status graph_state(const struct graph *graph)
{
    return graph->state;
}

int graph_node_count(const struct graph *graph)
{
    return graph->node_count;
}

int graph_forward_nodes(const struct graph *graph)
{
    return graph->forward_nodes < 0 ? graph->node_count : graph->forward_nodes;
}

int graph_prologue_nodes(const struct graph *graph)
{
    return graph->prologue_nodes;
}

int graph_epilogue_first(const struct graph *graph)
{
    return graph->forward_nodes < 0 ? graph->node_count : graph->epilogue_first;
}

const struct node *graph_node(const struct graph *graph, int index)
{
    return &graph->nodes[index];
}

int graph_tensor_count(const struct graph *graph)
{
    return graph->tensor_count;
}

const struct tensor *graph_tensor(const struct graph *graph, tensor_id id)
{
    return id == NO_TENSOR ? NULL : &graph->tensors[id];
}

enum element_type graph_compute_type(const struct graph *graph)
{
    return graph->compute;
}

enum element_type graph_accumulation_type(const struct graph *graph)
{
    return graph->exact;
}

bool tensor_is_weight(const struct tensor *tensor)
{
    return tensor->role == TENSOR_CONSTANT && tensor->name[0] != '\0';
}

tensor_id graph_find(const struct graph *graph, enum tensor_role role, const char *name)
{
    for (int i = 0; i < graph->tensor_count; i++) {
        const struct tensor *tensor = &graph->tensors[i];
        bool found = role == TENSOR_COMPUTED   ? tensor->output
                     : role == TENSOR_CONSTANT ? tensor_is_weight(tensor)
                                               : tensor->role == role && tensor->storage == i;
        if (found && strcmp(tensor->name, name) == 0) return i;
    }
    return NO_TENSOR;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    return a->rank == b->rank && memcmp(a->dimension, b->dimension, (size_t)a->rank * sizeof a->dimension[0]) == 0;
}

const char *shape_text(const struct shape *shape, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < shape->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "[", (long long)shape->dimension[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

void graph_fail(struct graph *graph, status failure)
{
    if (graph->state.code == STATUS_OK) graph->state = failure;
}

static bool shape_valid(const struct shape *shape)
{
    if (shape->rank < 1 || shape->rank > MAXIMUM_RANK) return false;
    int64_t elements = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dimension[i] < 1 || __builtin_mul_overflow(elements, shape->dimension[i], &elements)) return false;
    return elements < INT64_MAX / 8;
}

tensor_id graph_new_tensor(struct graph *graph, enum tensor_role role, const char *name, struct shape shape,
                           enum element_type type)
{
    if (graph->state.code != STATUS_OK) return NO_TENSOR;
    if (!shape_valid(&shape)) {
        char text[96] = "";
        graph_fail(graph, status_error(STATUS_BAD_INPUT, "tensor %s: impossible shape %s", name ? name : "",
                                       shape_text(&shape, text, sizeof text)));
        return NO_TENSOR;
    }
    graph->tensors = memory_grow(graph->tensors, graph->tensor_count, &graph->tensor_capacity, sizeof *graph->tensors);
    tensor_id id = graph->tensor_count++;
    struct tensor *tensor = &graph->tensors[id];
    memset(tensor, 0, sizeof *tensor);
    tensor->role = role;
    tensor->shape = shape;
    tensor->type = type;
    tensor->storage = id;
    if (name) {
        if (strlen(name) >= sizeof tensor->name) {
            graph_fail(graph, status_error(STATUS_BAD_INPUT, "tensor name of more than %zu bytes: %.60s...",
                                           sizeof tensor->name - 1, name));
            return NO_TENSOR;
        }
        strcpy(tensor->name, name);
    }
    return id;
}

void graph_end_block(struct graph *graph)
{
    if (graph->state.code != STATUS_OK) return;
    graph->block_ends =
        memory_grow(graph->block_ends, graph->block_count, &graph->block_capacity, sizeof *graph->block_ends);
    graph->block_ends[graph->block_count++] = graph->node_count;
}

tensor_id graph_append(struct graph *graph, const struct node *node)
{
    if (graph->state.code != STATUS_OK) return NO_TENSOR;
    graph->nodes = memory_grow(graph->nodes, graph->node_count, &graph->node_capacity, sizeof *graph->nodes);
    graph->nodes[graph->node_count++] = *node;
    return node->output[0];
}

tensor_id graph_emit(struct graph *graph, enum operation_kind kind, const struct operation_attributes *attributes,
                     const tensor_id *inputs, int input_count, struct shape shape, enum element_type type)
{
    if (graph->state.code != STATUS_OK) return NO_TENSOR;
    struct node node = {.kind = kind, .input_count = input_count, .output_count = 1};
    if (attributes) node.attributes = *attributes;
    for (int i = 0; i < MAXIMUM_INPUTS; i++) node.input[i] = i < input_count ? inputs[i] : NO_TENSOR;
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++) node.output[i] = NO_TENSOR;
    node.output[0] = graph_new_tensor(graph, TENSOR_COMPUTED, NULL, shape, type);
    return graph_append(graph, &node);
}

tensor_id graph_view_like(struct graph *graph, tensor_id storage, tensor_id like)
{
    const struct tensor seen = graph->tensors[like];
    if (seen.offset == 0 && seen.row_step == 0) return graph_reshape(graph, storage, seen.shape);
    tensor_id view = graph_new_tensor(graph, seen.role, NULL, seen.shape, seen.type);
    if (view == NO_TENSOR) return NO_TENSOR;
    graph->tensors[view].storage = storage;
    graph->tensors[view].offset = seen.offset;
    graph->tensors[view].row_step = seen.row_step;
    return view;
}

tensor_id graph_storage(const struct graph *graph, tensor_id id)
{
    return id == NO_TENSOR ? NO_TENSOR : graph->tensors[id].storage;
}

static struct operand operand_of(const struct graph *graph, tensor_id id)
{
    struct operand operand = {.present = id != NO_TENSOR};
    if (id == NO_TENSOR) return operand;
    const struct tensor *tensor = &graph->tensors[id];
    operand.shape = tensor->shape;
    operand.type = tensor->type;
    operand.row_step = tensor->row_step;
    operand.constant = graph->tensors[tensor->storage].role == TENSOR_CONSTANT;
    return operand;
}

struct operation graph_operation(const struct graph *graph, const struct node *node)
{
    struct operation operation = {.kind = node->kind,
                                  .attributes = node->attributes,
                                  .input_count = node->input_count,
                                  .output_count = node->output_count};
    for (int i = 0; i < node->input_count; i++) operation.input[i] = operand_of(graph, node->input[i]);
    for (int i = 0; i < node->output_count; i++) operation.output[i] = operand_of(graph, node->output[i]);
    return operation;
}
