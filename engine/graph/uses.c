/* What rewriting a graph needs to know of it, and how nodes leave it. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>

void uses_find(const struct graph *graph, struct uses *uses)
{
    size_t tensors = (size_t)graph->tensor_count + 1;
    uses->tensors = graph->tensor_count;
    uses->reads = memory_take(tensors, sizeof *uses->reads);
    uses->producer = memory_take(tensors, sizeof *uses->producer);
    for (size_t i = 0; i < tensors; i++) uses->producer[i] = NOWHERE;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->input[i] != NO_TENSOR) uses->reads[graph_storage(graph, node->input[i])]++;
        for (int i = 0; i < node->output_count; i++)
            if (node->output[i] != NO_TENSOR) uses->producer[graph_storage(graph, node->output[i])] = n;
    }
}

void uses_clear(struct uses *uses)
{
    free(uses->reads);
    free(uses->producer);
    *uses = (struct uses){0};
}

tensor_id node_residual(const struct node *node)
{
    int index = operation_facts(node->kind)->residual_input;
    return index >= 0 && index < node->input_count ? node->input[index] : NO_TENSOR;
}

void node_set_input(struct node *node, int index, tensor_id id)
{
    for (int i = node->input_count; i < index; i++) node->input[i] = NO_TENSOR;
    node->input[index] = id;
    if (node->input_count <= index) node->input_count = index + 1;
}

void node_set_residual(struct node *node, tensor_id residual)
{
    int index = operation_facts(node->kind)->residual_input;
    if (residual != NO_TENSOR)
        node_set_input(node, index, residual);
    else if (node->input_count > index)
        node->input_count = index;
}

int graph_sweep_first(const struct graph *graph, int index)
{
    const int firsts[] = {graph_prologue_nodes(graph), graph_forward_nodes(graph), graph_epilogue_first(graph)};
    int first = 0;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        if (firsts[i] <= index) first = firsts[i];
    return first;
}

/* Nodes that stay among the first `count`. */
static int remaining(const bool *removed, int count)
{
    int kept = 0;
    for (int n = 0; n < count; n++) kept += !removed[n];
    return kept;
}

void graph_remove_nodes(struct graph *graph, const bool *removed)
{
    for (int i = 0; i < graph->block_count; i++) graph->block_ends[i] = remaining(removed, graph->block_ends[i]);
    graph->prologue_nodes = remaining(removed, graph->prologue_nodes);
    if (graph->forward_nodes >= 0) {
        graph->forward_nodes = remaining(removed, graph->forward_nodes);
        graph->epilogue_first = remaining(removed, graph->epilogue_first);
    }
    int kept = 0;
    for (int n = 0; n < graph->node_count; n++)
        if (!removed[n]) graph->nodes[kept++] = graph->nodes[n];
    graph->node_count = kept;
}
