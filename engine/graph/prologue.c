/* What depends on nothing that changes from call to call, set apart: the prologue. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

static bool stands(const struct graph *graph, const bool *persistent, tensor_id id)
{
    if (id == NO_TENSOR) return true;
    tensor_id storage = graph_storage(graph, id);
    enum tensor_role role = graph->tensors[storage].role;
    return role == TENSOR_CONSTANT || role == TENSOR_PARAMETER || persistent[storage];
}

/* Whether the node belongs to the prologue; its results then stand. The caller's outputs are made in every call. */
static bool note_node(const struct graph *graph, const struct node *node, bool *persistent)
{
    for (int i = 0; i < node->input_count; i++)
        if (!stands(graph, persistent, node->input[i])) return false;
    for (int i = 0; i < node->output_count; i++)
        if (node->output[i] != NO_TENSOR && graph->tensors[node->output[i]].output) return false;
    for (int i = 0; i < node->output_count; i++)
        if (node->output[i] != NO_TENSOR) persistent[graph_storage(graph, node->output[i])] = true;
    return true;
}

/* The prologue's nodes first, both in their order; blocks end where they did among the others. */
static void reorder(struct graph *graph, bool *persistent, struct node *prologue, struct node *others)
{
    int prologue_count = 0, other_count = 0, block = 0;
    for (int n = 0; n < graph->node_count; n++) {
        while (block < graph->block_count && graph->block_ends[block] == n) graph->block_ends[block++] = other_count;
        if (note_node(graph, &graph->nodes[n], persistent))
            prologue[prologue_count++] = graph->nodes[n];
        else
            others[other_count++] = graph->nodes[n];
    }
    while (block < graph->block_count) graph->block_ends[block++] = other_count;
    for (int i = 0; i < graph->block_count; i++) graph->block_ends[i] += prologue_count;
    memcpy(graph->nodes, prologue, (size_t)prologue_count * sizeof *prologue);
    memcpy(graph->nodes + prologue_count, others, (size_t)other_count * sizeof *others);
    graph->prologue_nodes = prologue_count;
}

status graph_separate_prologue(struct graph *graph, const tensor_id *inputs, int count)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    if (graph->forward_nodes >= 0 || graph->prologue_nodes > 0)
        return status_error(STATUS_FAILED, "graph: the prologue is set apart once, before it is differentiated");
    bool *persistent = memory_take((size_t)graph->tensor_count + 1, sizeof *persistent);
    struct node *prologue = memory_take((size_t)graph->node_count + 1, sizeof *prologue);
    struct node *others = memory_take((size_t)graph->node_count + 1, sizeof *others);
    for (int i = 0; i < count; i++) persistent[graph_storage(graph, inputs[i])] = true;
    reorder(graph, persistent, prologue, others);
    free(persistent);
    free(prologue);
    free(others);
    return status_ok();
}
