/* Additions folded into the operations whose results they add, for backends that can: a residual connection, the part
 * of an adapter or one more use of a tensor on the way back then costs no pass over memory of its own.
 *
 * Of an addition r + alpha s, s is a summand if its operation takes a residual (a matrix product, the derivative of a
 * norm) and nobody else reads it; r becomes its residual, if r is computed before it. Where s has one already, as in
 * r + (base + alpha correction), r goes to the summand that this one is, and so on: a sum of several is a chain in
 * which each takes the one before.
 *
 * One row added to all rows of a product, as a convolution's map gets what comes of the timestep, becomes its bias; a
 * bias that is there already becomes the residual of the row's own product. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

enum { NOWHERE = -1 };

struct folding {
    struct graph *graph;
    int *reads;    /* by storage: operands that it is */
    int *producer; /* by storage: the last node that writes it; NOWHERE: none */
    bool *folded;  /* by node: an addition that a summand makes itself */
};

static void prepare(struct folding *f)
{
    size_t tensors = (size_t)f->graph->tensor_count + 1, nodes = (size_t)f->graph->node_count + 1;
    f->reads = memory_take(tensors, sizeof *f->reads);
    f->producer = memory_take(tensors, sizeof *f->producer);
    f->folded = memory_take(nodes, sizeof *f->folded);
    for (size_t i = 0; i < tensors; i++) f->producer[i] = NOWHERE;
    for (int n = 0; n < f->graph->node_count; n++) {
        const struct node *node = &f->graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->input[i] != NO_TENSOR) f->reads[graph_storage(f->graph, node->input[i])]++;
        for (int i = 0; i < node->output_count; i++)
            if (node->output[i] != NO_TENSOR) f->producer[graph_storage(f->graph, node->output[i])] = n;
    }
}

static tensor_id residual_of(const struct node *node)
{
    int index = operation_facts(node->kind)->residual_input;
    return index < node->input_count ? node->input[index] : NO_TENSOR;
}

static bool takes_bias(const struct node *node)
{
    return node->kind == OPERATION_LINEAR || node->kind == OPERATION_CONVOLUTION;
}

static tensor_id bias_of(const struct node *node)
{
    return takes_bias(node) && node->input_count > 2 ? node->input[2] : NO_TENSOR;
}

static void set_input(struct node *node, int index, tensor_id id)
{
    for (int i = node->input_count; i < index; i++) node->input[i] = NO_TENSOR;
    node->input[index] = id;
    if (node->input_count <= index) node->input_count = index + 1;
}

/* First node of the sweep that the node belongs to: what is computed in another one is computed at another time. */
static int sweep_first(const struct graph *graph, int index)
{
    const int firsts[] = {graph_opening_nodes(graph), graph_forward_nodes(graph), graph_closing_first(graph)};
    int first = 0;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        if (firsts[i] <= index) first = firsts[i];
    return first;
}

/* The summand of this sweep that the tensor is, read by one operand alone; NOWHERE if it is none. */
static int summand_of(const struct folding *f, tensor_id id, int first)
{
    tensor_id storage = graph_storage(f->graph, id);
    const struct tensor *tensor = &f->graph->tensors[storage];
    int producer = f->producer[storage];
    if (tensor->role != TENSOR_COMPUTED || tensor->output || tensor->sum || f->reads[storage] != 1) return NOWHERE;
    if (producer < first || operation_facts(f->graph->nodes[producer].kind)->residual_input < 0) return NOWHERE;
    return producer;
}

static bool is_before(const struct folding *f, tensor_id id, int node)
{
    return f->producer[graph_storage(f->graph, id)] < node;
}

/* The summand to which `added` can be given instead of adding it to alpha times `summand`; NOWHERE if there is none. */
static int find_taker(const struct folding *f, int summand, tensor_id added, double alpha, int first)
{
    while (summand != NOWHERE) {
        const struct node *node = &f->graph->nodes[summand];
        tensor_id residual = residual_of(node);
        if (residual == NO_TENSOR)
            return is_before(f, added, summand) && (alpha == 1.0 || bias_of(node) == NO_TENSOR) ? summand : NOWHERE;
        summand = alpha == 1.0 ? summand_of(f, residual, first) : NOWHERE;
    }
    return NOWHERE;
}

static void give_residual(struct graph *graph, int taker, tensor_id added, double alpha)
{
    tensor_id residual = graph_reshape(graph, added, graph->tensors[graph->nodes[taker].output[0]].shape);
    struct node *node = &graph->nodes[taker];
    set_input(node, operation_facts(node->kind)->residual_input, residual);
    node->attributes.alpha = alpha;
}

/* Has the summand write what the addition did. */
static void replace_addition(struct folding *f, int addition, int summand)
{
    struct graph *graph = f->graph;
    tensor_id sum = graph->nodes[addition].output[0], replaced = graph->nodes[summand].output[0];
    graph->nodes[summand].output[0] = graph_reshape(graph, sum, graph->tensors[replaced].shape);
    f->reads[graph_storage(graph, replaced)] = 0;
    f->producer[graph_storage(graph, sum)] = summand;
    f->folded[addition] = true;
}

/* Whether the addition could be folded into the summand that operand `which` is. */
static bool fold_operand(struct folding *f, int addition, int which)
{
    const struct node *node = &f->graph->nodes[addition];
    tensor_id added = node->input[1 - which];
    double alpha = which == 1 ? node->attributes.alpha : 1.0;
    if (which == 0 && node->attributes.alpha != 1.0) return false;
    int first = sweep_first(f->graph, addition), summand = summand_of(f, node->input[which], first);
    int taker = find_taker(f, summand, added, alpha, first);
    if (taker == NOWHERE) return false;
    give_residual(f->graph, taker, added, alpha);
    replace_addition(f, addition, summand);
    return true;
}

/* Whether the product can have the row as its bias: at once, or because the row's product takes the one there is. */
static bool make_room(struct folding *f, int product, tensor_id row, int first)
{
    const struct node *node = &f->graph->nodes[product];
    tensor_id bias = bias_of(node);
    if (!takes_bias(node) || !is_before(f, row, product)) return false;
    if (bias == NO_TENSOR) return true;
    if (f->graph->tensors[bias].type != f->graph->tensors[row].type) return false;
    int taker = find_taker(f, summand_of(f, row, first), bias, 1.0, first);
    if (taker == NOWHERE) return false;
    give_residual(f->graph, taker, bias, 1.0);
    return true;
}

/* Folds the row that is the second operand into the product that is the first, if it can be. */
static void fold_row(struct folding *f, int addition)
{
    const struct node *node = &f->graph->nodes[addition];
    tensor_id row = node->input[1];
    int first = sweep_first(f->graph, addition), product = summand_of(f, node->input[0], first);
    if (product == NOWHERE || !make_room(f, product, row, first)) return;
    set_input(&f->graph->nodes[product], 2, row);
    replace_addition(f, addition, product);
}

static bool is_row(const struct shape *shape, const struct shape *rows)
{
    return shape_elements(shape) == rows->dimension[rows->rank - 1] &&
           shape->dimension[shape->rank - 1] == rows->dimension[rows->rank - 1];
}

static void fold_addition(struct folding *f, int index)
{
    const struct node *node = &f->graph->nodes[index];
    if (node->kind != OPERATION_BINARY || node->attributes.binary != BINARY_ADD || node->attributes.alpha == 0.0)
        return;
    const struct tensor *a = &f->graph->tensors[node->input[0]], *b = &f->graph->tensors[node->input[1]];
    if (a->type != b->type || a->type != f->graph->tensors[node->output[0]].type) return;
    if (!shape_equal(&a->shape, &b->shape)) {
        if (is_row(&b->shape, &a->shape) && node->attributes.alpha == 1.0) fold_row(f, index);
    } else if (!fold_operand(f, index, 1)) {
        (void)fold_operand(f, index, 0);
    }
}

/* Nodes that stay among the first `count`. */
static int remaining(const struct folding *f, int count)
{
    int kept = 0;
    for (int n = 0; n < count; n++) kept += !f->folded[n];
    return kept;
}

static void remove_folded(struct folding *f)
{
    struct graph *graph = f->graph;
    for (int i = 0; i < graph->block_count; i++) graph->block_ends[i] = remaining(f, graph->block_ends[i]);
    graph->opening_nodes = remaining(f, graph->opening_nodes);
    if (graph->forward_nodes >= 0) {
        graph->forward_nodes = remaining(f, graph->forward_nodes);
        graph->closing_first = remaining(f, graph->closing_first);
    }
    int kept = 0;
    for (int n = 0; n < graph->node_count; n++)
        if (!f->folded[n]) graph->nodes[kept++] = graph->nodes[n];
    graph->node_count = kept;
}

status graph_fold_additions(struct graph *graph)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    struct folding f = {.graph = graph};
    prepare(&f);
    for (int n = 0; n < graph->node_count && graph->state.code == STATUS_OK; n++) fold_addition(&f, n);
    graph->additions_folded = true;
    remove_folded(&f);
    free(f.reads);
    free(f.producer);
    free(f.folded);
    return graph->state;
}
