/* Additions folded into the operations whose results they add, for backends that can: a residual connection, the part
 * of an adapter or one more use of a tensor in the backward pass then costs no pass over memory of its own.
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

struct folding {
    struct graph *graph;
    struct uses uses; /* kept up to date */
    bool *folded;     /* by node: an addition that a summand makes itself */
};

static void prepare(struct folding *f)
{
    uses_find(f->graph, &f->uses);
    f->folded = memory_take((size_t)f->graph->node_count + 1, sizeof *f->folded);
}

static bool takes_bias(const struct node *node)
{
    return node->kind == OPERATION_LINEAR || node->kind == OPERATION_CONVOLUTION;
}

static tensor_id bias_of(const struct node *node)
{
    return takes_bias(node) && node->input_count > 2 ? node->input[2] : NO_TENSOR;
}

/* The summand of this sweep that the tensor is, read by one operand alone; NOWHERE if it is none. */
static int summand_of(const struct folding *f, tensor_id id, int first)
{
    tensor_id storage = graph_storage(f->graph, id);
    const struct tensor *tensor = &f->graph->tensors[storage];
    int producer = f->uses.producer[storage];
    if (tensor->role != TENSOR_COMPUTED || tensor->output || tensor->sum || f->uses.reads[storage] != 1) return NOWHERE;
    if (producer < first || operation_facts(f->graph->nodes[producer].kind)->residual_input < 0) return NOWHERE;
    return producer;
}

static bool is_before(const struct folding *f, tensor_id id, int node)
{
    return f->uses.producer[graph_storage(f->graph, id)] < node;
}

/* The summand to which `added` can be given instead of adding it to alpha times `summand`; NOWHERE if there is none. */
static int find_taker(const struct folding *f, int summand, tensor_id added, double alpha, int first)
{
    while (summand != NOWHERE) {
        const struct node *node = &f->graph->nodes[summand];
        tensor_id residual = node_residual(node);
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
    node_set_residual(node, residual);
    node->attributes.alpha = alpha;
}

/* Has the summand write what the addition did. */
static void replace_addition(struct folding *f, int addition, int summand)
{
    struct graph *graph = f->graph;
    tensor_id sum = graph->nodes[addition].output[0], replaced = graph->nodes[summand].output[0];
    graph->nodes[summand].output[0] = graph_reshape(graph, sum, graph->tensors[replaced].shape);
    f->uses.reads[graph_storage(graph, replaced)] = 0;
    f->uses.producer[graph_storage(graph, sum)] = summand;
    f->folded[addition] = true;
}

/* Whether the addition could be folded into the summand that operand `which` is. */
static bool fold_operand(struct folding *f, int addition, int which)
{
    const struct node *node = &f->graph->nodes[addition];
    tensor_id added = node->input[1 - which];
    double alpha = which == 1 ? node->attributes.alpha : 1.0;
    if (which == 0 && node->attributes.alpha != 1.0) return false;
    int first = graph_sweep_first(f->graph, addition), summand = summand_of(f, node->input[which], first);
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
    int first = graph_sweep_first(f->graph, addition), product = summand_of(f, node->input[0], first);
    if (product == NOWHERE || !make_room(f, product, row, first)) return;
    node_set_input(&f->graph->nodes[product], 2, row);
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

status graph_fold_additions(struct graph *graph)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    struct folding f = {.graph = graph};
    prepare(&f);
    for (int n = 0; n < graph->node_count && graph->state.code == STATUS_OK; n++) fold_addition(&f, n);
    graph->additions_folded = true;
    graph_remove_nodes(graph, f.folded);
    uses_clear(&f.uses);
    free(f.folded);
    return graph->state;
}
