/* The planner: every computed tensor gets an offset by its lifetime.
 *
 * What the backward sweep reads of the forward sweep goes to the saved region, side by side, and what any later sweep
 * reads of the prologue to the persistent region. Everything else is placed in the work region, each sweep on its own:
 * at every node the results take the best fitting hole, and what was read for the last time leaves one (as in ggml's
 * allocator). A result takes over the memory of an operand that dies there, where the operation can work in place. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

struct hole {
    size_t offset, bytes;
};

struct planner {
    const struct graph *graph;
    struct placement *placements;
    int *last_use;   /* by storage: index of the last node that reads it; -1: never */
    int *first_node; /* by storage: index of the node that computes it; -1: none */
    struct hole *holes;
    int hole_count, hole_capacity;
    size_t end; /* of the work region so far, in this sweep */
};

size_t align_up(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static size_t tensor_bytes(const struct tensor *tensor)
{
    return align_up((size_t)shape_elements(&tensor->shape) * element_size(tensor->type));
}

static bool placeable(const struct tensor *tensor, tensor_id id)
{
    return tensor->role == TENSOR_COMPUTED && tensor->storage == id && !tensor->output;
}

static void add_hole(struct planner *planner, size_t offset, size_t bytes)
{
    int at = 0;
    while (at < planner->hole_count && planner->holes[at].offset < offset) at++;
    bool joins_previous = at > 0 && planner->holes[at - 1].offset + planner->holes[at - 1].bytes == offset;
    bool joins_next = at < planner->hole_count && offset + bytes == planner->holes[at].offset;
    if (joins_previous && joins_next) {
        planner->holes[at - 1].bytes += bytes + planner->holes[at].bytes;
        memmove(&planner->holes[at], &planner->holes[at + 1],
                (size_t)(--planner->hole_count - at) * sizeof *planner->holes);
    } else if (joins_previous) {
        planner->holes[at - 1].bytes += bytes;
    } else if (joins_next) {
        planner->holes[at].offset = offset;
        planner->holes[at].bytes += bytes;
    } else {
        planner->holes =
            memory_grow(planner->holes, planner->hole_count, &planner->hole_capacity, sizeof *planner->holes);
        memmove(&planner->holes[at + 1], &planner->holes[at],
                (size_t)(planner->hole_count++ - at) * sizeof *planner->holes);
        planner->holes[at] = (struct hole){offset, bytes};
    }
}

/* The smallest hole that fits, else the end of the region (a hole that touches the end grows into it). */
static size_t take(struct planner *planner, size_t bytes)
{
    int best = -1;
    for (int i = 0; i < planner->hole_count; i++)
        if (planner->holes[i].bytes >= bytes && (best < 0 || planner->holes[i].bytes < planner->holes[best].bytes))
            best = i;
    if (best < 0 && planner->hole_count > 0) {
        const struct hole *tail = &planner->holes[planner->hole_count - 1];
        if (tail->offset + tail->bytes == planner->end) {
            size_t offset = tail->offset;
            planner->hole_count--;
            planner->end = offset + bytes;
            return offset;
        }
    }
    if (best < 0) {
        size_t offset = planner->end;
        planner->end += bytes;
        return offset;
    }
    struct hole *hole = &planner->holes[best];
    size_t offset = hole->offset;
    hole->offset += bytes;
    hole->bytes -= bytes;
    if (hole->bytes == 0) memmove(hole, hole + 1, (size_t)(--planner->hole_count - best) * sizeof *planner->holes);
    return offset;
}

static void find_lifetimes(struct planner *planner)
{
    const struct graph *graph = planner->graph;
    for (int i = 0; i < graph->tensor_count; i++) planner->last_use[i] = planner->first_node[i] = -1;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->input[i] != NO_TENSOR) planner->last_use[graph_storage(graph, node->input[i])] = n;
        for (int i = 0; i < node->output_count; i++)
            if (node->output[i] != NO_TENSOR) planner->first_node[graph_storage(graph, node->output[i])] = n;
    }
}

static void place_at_end(struct planner *planner, tensor_id id, enum placement_region region, size_t *end)
{
    planner->placements[id] = (struct placement){region, *end, tensor_bytes(&planner->graph->tensors[id])};
    *end += planner->placements[id].bytes;
}

/* Side by side: what nodes [first, past) compute and later ones read. */
static void place_crossing(struct planner *planner, int first, int past, enum placement_region region, size_t *end)
{
    const struct graph *graph = planner->graph;
    for (int i = 0; i < graph->tensor_count; i++) {
        bool crosses = planner->first_node[i] >= first && planner->first_node[i] < past && planner->last_use[i] >= past;
        if (crosses && placeable(&graph->tensors[i], i)) place_at_end(planner, i, region, end);
    }
}

static size_t place_sums(struct planner *planner)
{
    size_t end = 0;
    for (int i = 0; i < planner->graph->tensor_count; i++)
        if (planner->graph->tensors[i].sum) place_at_end(planner, i, PLACED_PERSISTENT, &end);
    return end;
}

/* The operand whose memory the node's first result can take over; NO_TENSOR if there is none. */
static tensor_id dying_operand(const struct planner *planner, const struct node *node, int index)
{
    const struct graph *graph = planner->graph;
    int which = operation_facts(node->kind)->in_place_input;
    if (which < 0 || which >= node->input_count || node->input[which] == NO_TENSOR || node->output[0] == NO_TENSOR)
        return NO_TENSOR;
    tensor_id operand = node->input[which], storage = graph_storage(graph, operand);
    const struct tensor *from = &graph->tensors[storage], *to = &graph->tensors[node->output[0]];
    if (planner->placements[storage].region != PLACED_WORK || planner->last_use[storage] != index ||
        from->type != to->type || shape_elements(&from->shape) != shape_elements(&to->shape))
        return NO_TENSOR;
    for (int i = 0; i < node->input_count; i++)
        if (i != which && graph_storage(graph, node->input[i]) == storage) return NO_TENSOR;
    return storage;
}

static void place_node(struct planner *planner, int index)
{
    const struct graph *graph = planner->graph;
    const struct node *node = &graph->nodes[index];
    tensor_id reused = NO_TENSOR;
    for (int i = 0; i < node->output_count; i++) {
        tensor_id id = graph_storage(graph, node->output[i]);
        if (id == NO_TENSOR || !placeable(&graph->tensors[id], id) || planner->placements[id].region != PLACED_NOWHERE)
            continue;
        size_t bytes = tensor_bytes(&graph->tensors[id]);
        tensor_id operand = i == 0 ? dying_operand(planner, node, index) : NO_TENSOR;
        size_t offset = operand != NO_TENSOR ? planner->placements[operand].offset : take(planner, bytes);
        if (operand != NO_TENSOR) reused = operand;
        planner->placements[id] = (struct placement){PLACED_WORK, offset, bytes};
    }
    for (int i = 0; i < node->input_count + node->output_count; i++) {
        tensor_id id = i < node->input_count ? node->input[i] : node->output[i - node->input_count];
        tensor_id storage = graph_storage(graph, id);
        if (storage == NO_TENSOR || storage == reused || planner->placements[storage].region != PLACED_WORK) continue;
        bool dies = planner->last_use[storage] == index || (planner->last_use[storage] < 0 && i >= node->input_count);
        bool seen = false; /* an operand that the node reads twice leaves one hole */
        for (int j = 0; j < i && j < node->input_count; j++)
            if (graph_storage(graph, node->input[j]) == storage) seen = true;
        if (dies && !seen) add_hole(planner, planner->placements[storage].offset, planner->placements[storage].bytes);
    }
}

static void place_sweep(struct planner *planner, int first, int past)
{
    planner->hole_count = 0;
    planner->end = 0;
    size_t highest = 0;
    for (int n = first; n < past; n++) {
        place_node(planner, n);
        if (planner->end > highest) highest = planner->end;
    }
    planner->end = highest;
}

static void plan_with(struct planner *planner, struct region_sizes *sizes)
{
    const struct graph *graph = planner->graph;
    const int ends[] = {0, graph_prologue_nodes(graph), graph_forward_nodes(graph), graph_epilogue_first(graph),
                        graph->node_count};
    find_lifetimes(planner);
    *sizes = (struct region_sizes){0};
    sizes->persistent = sizes->sums = place_sums(planner);
    place_crossing(planner, ends[0], ends[1], PLACED_PERSISTENT, &sizes->persistent);
    place_crossing(planner, ends[1], ends[2], PLACED_SAVED, &sizes->saved);
    for (size_t sweep = 1; sweep < sizeof ends / sizeof *ends; sweep++) {
        place_sweep(planner, ends[sweep - 1], ends[sweep]);
        if (planner->end > sizes->work) sizes->work = planner->end;
    }
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].storage != i) planner->placements[i] = planner->placements[graph->tensors[i].storage];
}

void graph_plan(const struct graph *graph, struct placement *placements, struct region_sizes *sizes)
{
    size_t count = (size_t)graph->tensor_count;
    struct planner planner = {.graph = graph, .placements = placements};
    memset(placements, 0, count * sizeof *placements);
    planner.last_use = memory_take(count, sizeof(int));
    planner.first_node = memory_take(count, sizeof(int));
    plan_with(&planner, sizes);
    free(planner.last_use);
    free(planner.first_node);
    free(planner.holes);
}
