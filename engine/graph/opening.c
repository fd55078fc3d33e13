/* What depends on nothing that changes from call to call, set apart: the opening sweep. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

static bool stands(const struct graph *graph, const bool *standing, tensor_id id)
{
    if (id == NO_TENSOR) return true;
    tensor_id storage = graph_storage(graph, id);
    enum tensor_role role = graph->tensors[storage].role;
    return role == TENSOR_CONSTANT || role == TENSOR_PARAMETER || standing[storage];
}

/* Whether the node belongs to the opening; its results then stand. The caller's outputs are made in every call. */
static bool note_node(const struct graph *graph, const struct node *node, bool *standing)
{
    for (int i = 0; i < node->input_count; i++)
        if (!stands(graph, standing, node->input[i])) return false;
    for (int i = 0; i < node->output_count; i++)
        if (node->output[i] != NO_TENSOR && graph->tensors[node->output[i]].output) return false;
    for (int i = 0; i < node->output_count; i++)
        if (node->output[i] != NO_TENSOR) standing[graph_storage(graph, node->output[i])] = true;
    return true;
}

/* The opening's nodes first, both in their order; blocks end where they did among the others. */
static void reorder(struct graph *graph, bool *standing, struct node *opening, struct node *others)
{
    int opening_count = 0, other_count = 0, block = 0;
    for (int n = 0; n < graph->node_count; n++) {
        while (block < graph->block_count && graph->block_ends[block] == n) graph->block_ends[block++] = other_count;
        if (note_node(graph, &graph->nodes[n], standing))
            opening[opening_count++] = graph->nodes[n];
        else
            others[other_count++] = graph->nodes[n];
    }
    while (block < graph->block_count) graph->block_ends[block++] = other_count;
    for (int i = 0; i < graph->block_count; i++) graph->block_ends[i] += opening_count;
    memcpy(graph->nodes, opening, (size_t)opening_count * sizeof *opening);
    memcpy(graph->nodes + opening_count, others, (size_t)other_count * sizeof *others);
    graph->opening_nodes = opening_count;
}

status graph_separate_opening(struct graph *graph, const tensor_id *inputs, int count)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    if (graph->forward_nodes >= 0 || graph->opening_nodes > 0)
        return status_error(STATUS_FAILED, "graph: the opening is set apart once, before it is differentiated");
    bool *standing = memory_take((size_t)graph->tensor_count + 1, sizeof *standing);
    struct node *opening = memory_take((size_t)graph->node_count + 1, sizeof *opening);
    struct node *others = memory_take((size_t)graph->node_count + 1, sizeof *others);
    for (int i = 0; i < count; i++) standing[graph_storage(graph, inputs[i])] = true;
    reorder(graph, standing, opening, others);
    free(standing);
    free(opening);
    free(others);
    return status_ok();
}
