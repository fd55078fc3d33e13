/* Blocks of a model computed again in the backward pass instead of kept (Chen et al. 2016, "Training Deep Nets with
 * Sublinear Memory Cost").
 *
 * What the backward sweep reads of a block's inside is computed a second time, by copies of the block's own operations
 * that stand right before the first reader. The copies run the same kernels over the same values, so gradients keep
 * their bits. What later blocks read as well stays saved: it is what the copies begin from. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

struct rewriting {
    struct graph *graph;
    int boundary, old_count;    /* forward nodes; nodes before the rewriting */
    int old_tensors;            /* the arrays below hold so many */
    int *producer;              /* by storage: the forward node that computes it; NOWHERE: none */
    int *last_forward_reader;   /* by storage */
    int *first_backward_reader; /* by storage */
    bool *again;                /* by storage: is computed again */
    tensor_id *copy;            /* by storage: what the backward sweep reads instead; NO_TENSOR: itself */
    bool *copied;               /* by forward node */
    int *copied_before;         /* by block: the backward node before which its copies stand; NOWHERE: none */
    struct node *old_nodes;
};

static int block_first(const struct graph *graph, int block)
{
    return block > 0 ? graph->block_ends[block - 1] : graph->prologue_nodes;
}

static void prepare(struct rewriting *r)
{
    size_t tensors = (size_t)r->graph->tensor_count + 1, nodes = (size_t)r->old_count + 1;
    size_t blocks = (size_t)r->graph->block_count + 1;
    r->producer = memory_take(tensors, sizeof *r->producer);
    r->last_forward_reader = memory_take(tensors, sizeof *r->last_forward_reader);
    r->first_backward_reader = memory_take(tensors, sizeof *r->first_backward_reader);
    r->again = memory_take(tensors, sizeof *r->again);
    r->copy = memory_take(tensors, sizeof *r->copy);
    r->copied = memory_take(nodes, sizeof *r->copied);
    r->copied_before = memory_take(blocks, sizeof *r->copied_before);
    r->old_nodes = memory_take(nodes, sizeof *r->old_nodes);
    memcpy(r->old_nodes, r->graph->nodes, (size_t)r->old_count * sizeof *r->old_nodes);
    for (size_t i = 0; i < tensors; i++) {
        r->producer[i] = r->last_forward_reader[i] = r->first_backward_reader[i] = NOWHERE;
        r->copy[i] = NO_TENSOR;
    }
    for (size_t block = 0; block < blocks; block++) r->copied_before[block] = NOWHERE;
}

static void find_uses(struct rewriting *r)
{
    for (int n = 0; n < r->old_count; n++) {
        const struct node *node = &r->old_nodes[n];
        for (int i = 0; i < node->input_count; i++) {
            tensor_id storage = graph_storage(r->graph, node->input[i]);
            if (storage == NO_TENSOR) continue;
            if (n < r->boundary)
                r->last_forward_reader[storage] = n;
            else if (r->first_backward_reader[storage] == NOWHERE)
                r->first_backward_reader[storage] = n;
        }
        for (int i = 0; i < node->output_count && n < r->boundary; i++)
            if (node->output[i] != NO_TENSOR) r->producer[graph_storage(r->graph, node->output[i])] = n;
    }
}

/* Whether the backward sweep finds it in memory: an output of the caller's, or saved because later blocks read it. */
static bool stays(const struct rewriting *r, tensor_id storage, int past)
{
    return r->graph->tensors[storage].output ||
           (r->first_backward_reader[storage] != NOWHERE && r->last_forward_reader[storage] >= past);
}

/* Marks what of the block [first, past) is computed again: what is read in the backward pass, and what that is made of.
 */
static void choose(struct rewriting *r, int block, int first, int past)
{
    for (int n = past - 1; n >= first; n--) {
        const struct node *node = &r->old_nodes[n];
        for (int i = 0; i < node->output_count; i++) {
            tensor_id storage = graph_storage(r->graph, node->output[i]);
            if (storage == NO_TENSOR || stays(r, storage, past)) continue;
            int reader = r->first_backward_reader[storage];
            if (reader != NOWHERE) {
                r->again[storage] = true;
                if (r->copied_before[block] == NOWHERE || reader < r->copied_before[block])
                    r->copied_before[block] = reader;
            }
            if (r->again[storage]) r->copied[n] = true;
        }
        for (int i = 0; i < node->input_count && r->copied[n]; i++) {
            tensor_id storage = graph_storage(r->graph, node->input[i]);
            if (storage != NO_TENSOR && r->producer[storage] >= first && !stays(r, storage, past))
                r->again[storage] = true;
        }
    }
}

/* The tensor to read instead of `id` in the backward pass. */
static tensor_id replaced(struct rewriting *r, tensor_id id)
{
    tensor_id storage = graph_storage(r->graph, id);
    if (storage == NO_TENSOR || storage >= r->old_tensors || r->copy[storage] == NO_TENSOR) return id;
    return graph_view_like(r->graph, r->copy[storage], id);
}

static void append_reading_copies(struct rewriting *r, struct node node, bool is_copy)
{
    for (int i = 0; i < node.input_count; i++) node.input[i] = replaced(r, node.input[i]);
    for (int i = 0; i < node.output_count && is_copy; i++) {
        tensor_id original = node.output[i];
        if (original == NO_TENSOR) continue;
        const struct tensor like = r->graph->tensors[original];
        if (like.row_step > 0 && r->copy[like.storage] != NO_TENSOR) { /* the copy of what was written whole before */
            node.output[i] = graph_view_like(r->graph, r->copy[like.storage], original);
            continue;
        }
        node.output[i] = graph_new_tensor(r->graph, TENSOR_COMPUTED, NULL, like.shape, like.type);
        if (r->again[like.storage]) r->copy[like.storage] = node.output[i];
    }
    graph_append(r->graph, &node);
}

static void rewrite_backward(struct rewriting *r)
{
    struct graph *graph = r->graph;
    int epilogue = graph->epilogue_first;
    graph->node_count = r->boundary;
    for (int n = r->boundary; n < r->old_count; n++) {
        if (n == epilogue) graph->epilogue_first = graph->node_count;
        for (int block = graph->block_count; block-- > 0;) {
            if (r->copied_before[block] != n) continue;
            for (int i = block_first(graph, block); i < graph->block_ends[block]; i++)
                if (r->copied[i]) append_reading_copies(r, r->old_nodes[i], true);
        }
        append_reading_copies(r, r->old_nodes[n], false);
    }
    if (epilogue == r->old_count) graph->epilogue_first = graph->node_count;
}

status graph_recompute_blocks(struct graph *graph)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    if (graph->forward_nodes < 0)
        return status_error(STATUS_FAILED, "graph: blocks are recomputed for a backward sweep, and there is none");
    struct rewriting r = {.graph = graph,
                          .boundary = graph->forward_nodes,
                          .old_count = graph->node_count,
                          .old_tensors = graph->tensor_count};
    prepare(&r);
    find_uses(&r);
    for (int block = 0; block < graph->block_count; block++)
        choose(&r, block, block_first(graph, block), graph->block_ends[block]);
    rewrite_backward(&r);
    free(r.producer);
    free(r.last_forward_reader);
    free(r.first_backward_reader);
    free(r.again);
    free(r.copy);
    free(r.copied);
    free(r.copied_before);
    free(r.old_nodes);
    return graph->state;
}
