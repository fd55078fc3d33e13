/* Additions folded into the products whose results they add, for backends that can: a residual connection, the part of
 * an adapter or one more use of a tensor on the way back then costs no pass over memory of its own.
 *
 * An addition r + alpha p of a product p that nobody else reads becomes the product's residual, if r is computed before
 * the product. Where p has a residual already, as in r + (base + alpha correction), r goes to the product that this one
 * is, and so on: a sum of products is a chain in which each takes the one before as its residual. */
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

enum { NOWHERE = -1 };

struct folding {
    struct graph *graph;
    int *reads;    /* by storage: operands that it is */
    int *producer; /* by storage: the last node that writes it; NOWHERE: none */
    bool *folded;  /* by node: an addition that a product makes */
};

static status prepare(struct folding *f)
{
    size_t tensors = (size_t)f->graph->tensor_count + 1, nodes = (size_t)f->graph->node_count + 1;
    f->reads = calloc(tensors, sizeof *f->reads);
    f->producer = malloc(tensors * sizeof *f->producer);
    f->folded = calloc(nodes, sizeof *f->folded);
    if (!f->reads || !f->producer || !f->folded)
        return status_error(STATUS_NO_MEMORY, "no memory to fold the additions of a graph of %d operations",
                            f->graph->node_count);
    for (size_t i = 0; i < tensors; i++) f->producer[i] = NOWHERE;
    for (int n = 0; n < f->graph->node_count; n++) {
        const struct node *node = &f->graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->input[i] != NO_TENSOR) f->reads[graph_storage(f->graph, node->input[i])]++;
        for (int i = 0; i < node->output_count; i++)
            if (node->output[i] != NO_TENSOR) f->producer[graph_storage(f->graph, node->output[i])] = n;
    }
    return status_ok();
}

static tensor_id residual_of(const struct node *node)
{
    int index = operation_facts(node->kind)->residual_input;
    return index < node->input_count ? node->input[index] : NO_TENSOR;
}

static bool has_bias(const struct node *node)
{
    bool takes_bias = node->kind == OPERATION_LINEAR || node->kind == OPERATION_CONVOLUTION;
    return takes_bias && node->input_count > 2 && node->input[2] != NO_TENSOR;
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

/* The product of this sweep whose result the tensor is, read by one operand alone; NOWHERE if it is none. */
static int product_of(const struct folding *f, tensor_id id, int first)
{
    tensor_id storage = graph_storage(f->graph, id);
    const struct tensor *tensor = &f->graph->tensors[storage];
    int producer = f->producer[storage];
    if (tensor->role != TENSOR_COMPUTED || tensor->output || tensor->sum || f->reads[storage] != 1) return NOWHERE;
    if (producer < first || operation_facts(f->graph->nodes[producer].kind)->residual_input < 0) return NOWHERE;
    return producer;
}

/* The product to which `added` can be given instead of adding it to alpha times the result of `product`. */
static int find_taker(const struct folding *f, int product, tensor_id added, double alpha, int first)
{
    while (product != NOWHERE) {
        const struct node *node = &f->graph->nodes[product];
        tensor_id residual = residual_of(node);
        if (residual == NO_TENSOR) {
            bool is_there = f->producer[graph_storage(f->graph, added)] < product;
            return is_there && (alpha == 1.0 || !has_bias(node)) ? product : NOWHERE;
        }
        product = alpha == 1.0 ? product_of(f, residual, first) : NOWHERE;
    }
    return NOWHERE;
}

/* Has product `taker` add the tensor, and `product` write the sum's memory. */
static void fold(struct folding *f, int addition, int product, int taker, tensor_id added, double alpha)
{
    struct graph *graph = f->graph;
    tensor_id sum = graph->nodes[addition].output[0], replaced = graph->nodes[product].output[0];
    int index = operation_facts(graph->nodes[taker].kind)->residual_input;
    tensor_id residual = graph_reshape(graph, added, graph->tensors[graph->nodes[taker].output[0]].shape);
    tensor_id result = graph_reshape(graph, sum, graph->tensors[replaced].shape);
    graph->nodes[taker].input[index] = residual;
    graph->nodes[taker].input_count = index + 1;
    graph->nodes[taker].attributes.alpha = alpha;
    graph->nodes[product].output[0] = result;
    f->reads[graph_storage(graph, replaced)] = 0;
    f->producer[graph_storage(graph, sum)] = product;
    f->folded[addition] = true;
}

/* Whether the addition becomes part of the product that operand `which` is. */
static bool fold_operand(struct folding *f, int addition, int which)
{
    const struct node *node = &f->graph->nodes[addition];
    tensor_id added = node->input[1 - which];
    double alpha = which == 1 ? node->attributes.alpha : 1.0;
    if (which == 0 && node->attributes.alpha != 1.0) return false;
    int first = sweep_first(f->graph, addition), product = product_of(f, node->input[which], first);
    int taker = find_taker(f, product, added, alpha, first);
    if (taker == NOWHERE) return false;
    fold(f, addition, product, taker, added, alpha);
    return true;
}

static bool adds_alike(const struct graph *graph, const struct node *node)
{
    if (node->kind != OPERATION_BINARY || node->attributes.binary != BINARY_ADD || node->attributes.alpha == 0.0)
        return false;
    const struct tensor *a = &graph->tensors[node->input[0]], *b = &graph->tensors[node->input[1]];
    const struct tensor *y = &graph->tensors[node->output[0]];
    return shape_equal(&a->shape, &b->shape) && a->type == b->type && a->type == y->type;
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
    status result = prepare(&f);
    if (result.code == STATUS_OK) {
        for (int n = 0; n < graph->node_count && graph->state.code == STATUS_OK; n++)
            if (adds_alike(graph, &graph->nodes[n]) && !fold_operand(&f, n, 1)) (void)fold_operand(&f, n, 0);
        graph->additions_folded = true;
        remove_folded(&f);
        result = graph->state;
    }
    free(f.reads);
    free(f.producer);
    free(f.folded);
    return result;
}
