/* Upsampling folded into the convolutions that read it, for backends whose convolutions can. */
#include "engine/graph/internal.h"

#include <string.h>

/* Whether convolutions are all that reads the node's result. */
static bool is_for_convolutions(const struct graph *graph, const struct node *upsample)
{
    tensor_id y = upsample->output[0];
    if (graph->tensors[y].output) return false;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (graph_storage(graph, node->input[i]) == y &&
                (node->kind != OPERATION_CONVOLUTION || i != 0 || node->attributes.doubled))
                return false;
    }
    return true;
}

static void redirect(struct graph *graph, tensor_id y, tensor_id x)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        if (node->kind != OPERATION_CONVOLUTION || graph_storage(graph, node->input[0]) != y) continue;
        node->input[0] = x;
        node->attributes.doubled = true;
    }
}

static void remove_node(struct graph *graph, int index)
{
    memmove(&graph->nodes[index], &graph->nodes[index + 1],
            (size_t)(--graph->node_count - index) * sizeof *graph->nodes);
    for (int block = 0; block < graph->block_count; block++)
        if (graph->block_ends[block] > index) graph->block_ends[block]--;
}

status graph_fold_upsampling(struct graph *graph)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    if (graph->forward_nodes >= 0 || graph->prologue_nodes > 0)
        return status_error(STATUS_FAILED, "graph: upsampling is folded before anything else is done to a graph");
    for (int n = 0; n < graph->node_count; n++) {
        const struct node node = graph->nodes[n];
        if (node.kind != OPERATION_UPSAMPLE || !is_for_convolutions(graph, &node)) continue;
        redirect(graph, node.output[0], node.input[0]);
        remove_node(graph, n--);
    }
    return status_ok();
}
