/* Queries, keys and values of self-attention made by one product, and their gradients taken back by one, for backends
 * that can.
 *
 * Three narrow products of one operand, x Wq^T, x Wk^T and x Wv^T, are the columns of x W^T, where W has the rows of
 * all three: it reads x once and fills a device better. What an adapter adds to one of them is added to its columns.
 * Attention reads its operands as columns of the wide result. In the backward pass it writes its gradients as columns
 * as well, and dq Wq + dk Wk + dv Wv is one product three times as deep, which writes its result once. */
#include "engine/base/memory.h"
#include "engine/graph/internal.h"

#include <stdlib.h>

enum { PARTS = MAXIMUM_JOINED, ALIGNED_ELEMENTS = 8 /* what devices read at once */ };

struct joining {
    struct graph *graph;
    struct uses uses; /* before the rewriting */
    bool *removed;    /* by node */
};

/* One of the three products. */
struct projection {
    int base;         /* the node that multiplies by the frozen weight */
    tensor_id result; /* storage of what that one writes */
    tensor_id whole;  /* storage of what attention reads: the result, or that with what an adapter adds */
};

static const struct node *node_at(const struct joining *j, int index)
{
    return &j->graph->nodes[index];
}

static const struct tensor *tensor_at(const struct joining *j, tensor_id id)
{
    return &j->graph->tensors[id];
}

static int64_t width_of(const struct tensor *tensor)
{
    return tensor->shape.dimension[tensor->shape.rank - 1];
}

/* Whether the storage is the planner's to place, and was there before the rewriting. */
static bool is_own(const struct joining *j, tensor_id storage)
{
    const struct tensor *tensor = tensor_at(j, storage);
    return storage < j->uses.tensors && tensor->role == TENSOR_COMPUTED && !tensor->output && !tensor->sum;
}

/* ---- the way there ---- */

/* Whether the node is nothing but a product of a frozen weight, perhaps with a bias. */
static bool is_plain_product(const struct joining *j, int index)
{
    const struct node *node = index == NOWHERE ? NULL : node_at(j, index);
    if (!node || node->kind != OPERATION_LINEAR || node_residual(node) != NO_TENSOR) return false;
    bool has_bias = node->input_count > 2 && node->input[2] != NO_TENSOR;
    return tensor_is_weight(tensor_at(j, node->input[1])) &&
           (!has_bias || tensor_is_weight(tensor_at(j, node->input[2])));
}

static bool find_projection(const struct joining *j, tensor_id read, struct projection *projection)
{
    tensor_id whole = graph_storage(j->graph, read);
    if (!is_own(j, whole) || j->uses.producer[whole] == NOWHERE) return false;
    *projection = (struct projection){.base = j->uses.producer[whole], .result = whole, .whole = whole};
    const struct node *last = node_at(j, projection->base);
    if (last->kind == OPERATION_LINEAR && node_residual(last) != NO_TENSOR) {
        projection->result = graph_storage(j->graph, node_residual(last));
        if (!is_own(j, projection->result) || j->uses.reads[projection->result] != 1) return false;
        projection->base = j->uses.producer[projection->result];
    }
    return is_plain_product(j, projection->base);
}

/* Whether all that reads what attention reads are the attention and its derivative. */
static bool is_for_attention(const struct joining *j, const struct projection projection[PARTS], int attention)
{
    for (int n = 0; n < j->graph->node_count; n++) {
        const struct node *node = node_at(j, n);
        for (int i = 0; i < node->input_count; i++)
            for (int part = 0; part < PARTS; part++) {
                if (node->input[i] == NO_TENSOR || graph_storage(j->graph, node->input[i]) != projection[part].whole)
                    continue;
                bool fits = n == attention || (node->kind == OPERATION_ATTENTION_VJP && i >= 1 && i <= PARTS);
                if (!fits) return false;
            }
    }
    return true;
}

/* Whether the constants can be one behind the other: all parts of one already, or none of any. */
static bool can_join(const struct joining *j, const tensor_id parts[PARTS])
{
    const struct tensor *first = tensor_at(j, parts[0]);
    int64_t elements = shape_elements(&first->shape);
    for (int i = 0; i < PARTS; i++) {
        const struct tensor *part = tensor_at(j, parts[i]);
        bool is_part = part->storage != parts[i];
        if (!shape_equal(&part->shape, &first->shape) || part->type != first->type ||
            part->replaced != first->replaced || is_part != (first->storage != parts[0]))
            return false;
        if (is_part && (part->storage != first->storage || part->offset != i * elements)) return false;
        for (int other = 0; other < i; other++)
            if (parts[other] == parts[i]) return false;
    }
    /* Weights in whose place the caller binds others lie at multiples of the arena's alignment. */
    return !first->replaced || (size_t)elements * element_size(first->type) % ARENA_ALIGNMENT == 0;
}

static bool are_alike(const struct joining *j, const struct projection projection[PARTS])
{
    const struct node *first = node_at(j, projection[0].base);
    const struct tensor *result = tensor_at(j, first->output[0]);
    bool has_bias = first->input_count > 2;
    tensor_id weights[PARTS], biases[PARTS];
    for (int i = 0; i < PARTS; i++) {
        const struct node *base = node_at(j, projection[i].base);
        const struct tensor *own = tensor_at(j, base->output[0]), *whole = tensor_at(j, projection[i].whole);
        if (base->input[0] != first->input[0] || (base->input_count > 2) != has_bias) return false;
        if (!shape_equal(&own->shape, &result->shape) || own->type != result->type) return false;
        if (width_of(whole) != width_of(result) || whole->type != result->type) return false;
        if (graph_sweep_first(j->graph, projection[i].base) != graph_sweep_first(j->graph, projection[0].base))
            return false;
        weights[i] = base->input[1];
        biases[i] = has_bias ? base->input[2] : NO_TENSOR;
    }
    return width_of(result) % ALIGNED_ELEMENTS == 0 && can_join(j, weights) && (!has_bias || can_join(j, biases));
}

/* The tensors that are or look at `storage` become columns of `wide`, or rows where `row_step` is 0. */
static void move_into(struct graph *graph, tensor_id storage, tensor_id wide, int64_t offset, int64_t row_step)
{
    for (int i = 0; i < graph->tensor_count; i++) {
        struct tensor *tensor = &graph->tensors[i];
        if (tensor->storage != storage || i == wide) continue;
        tensor->storage = wide;
        tensor->offset = offset;
        tensor->row_step = row_step;
    }
}

/* The constant that the parts make together. */
static tensor_id join_constants(struct graph *graph, const tensor_id parts[PARTS])
{
    const struct tensor part = graph->tensors[parts[0]];
    struct shape shape = part.shape;
    shape.dimension[0] *= PARTS;
    if (part.storage != parts[0]) return part.storage;
    tensor_id joined = graph_new_tensor(graph, TENSOR_CONSTANT, NULL, shape, part.type);
    if (joined == NO_TENSOR) return NO_TENSOR;
    for (int i = 0; i < PARTS; i++) move_into(graph, parts[i], joined, i * shape_elements(&part.shape), 0);
    return joined;
}

/* A tensor with room for three like that one, side by side. */
static tensor_id wide_like(struct graph *graph, tensor_id narrow)
{
    const struct tensor like = graph->tensors[narrow];
    struct shape shape = like.shape;
    shape.dimension[shape.rank - 1] *= PARTS;
    return graph_new_tensor(graph, TENSOR_COMPUTED, NULL, shape, like.type);
}

/* The earliest of the three products makes all; returns what it writes. */
static tensor_id join_products(struct joining *j, const struct projection projection[PARTS])
{
    struct graph *graph = j->graph;
    tensor_id weights[PARTS], biases[PARTS];
    int earliest = projection[0].base;
    for (int i = 0; i < PARTS; i++) {
        const struct node *base = node_at(j, projection[i].base);
        weights[i] = base->input[1];
        biases[i] = base->input_count > 2 ? base->input[2] : NO_TENSOR;
        j->removed[projection[i].base] = true;
        if (projection[i].base < earliest) earliest = projection[i].base;
    }
    tensor_id narrow = node_at(j, earliest)->output[0], wide = wide_like(graph, narrow);
    tensor_id weight = join_constants(graph, weights);
    tensor_id bias = biases[0] == NO_TENSOR ? NO_TENSOR : join_constants(graph, biases);
    if (wide == NO_TENSOR || weight == NO_TENSOR) return NO_TENSOR;
    int64_t width = width_of(tensor_at(j, narrow));
    for (int i = 0; i < PARTS; i++) {
        move_into(graph, projection[i].result, wide, i * width, PARTS * width);
        move_into(graph, projection[i].whole, wide, i * width, PARTS * width);
    }
    struct node *node = &graph->nodes[earliest];
    node->input[1] = weight;
    if (bias != NO_TENSOR) node->input[2] = bias;
    node->output[0] = wide;
    j->removed[earliest] = false;
    return wide;
}

/* ---- the backward pass ---- */

/* The products that take the three gradients on to what the projections were made from. */
struct return_path {
    tensor_id weight; /* the joined one */
    int product[PARTS];
    int last; /* of them */
};

/* Whether the node is the product of gradient `part` with its rows of the joined weight. */
static bool takes_back(const struct joining *j, const struct node *node, tensor_id joined, int part)
{
    if (node->kind != OPERATION_LINEAR_VJP_INPUT) return false;
    const struct tensor *weight = tensor_at(j, node->input[1]);
    bool scaled = node_residual(node) != NO_TENSOR && node->attributes.alpha != 1.0;
    return weight->storage == joined && !scaled && weight->offset == part * shape_elements(&weight->shape);
}

/* alpha x: what an adapter's scale makes of a gradient. A broadcast that repeats nothing is the same. */
static bool is_scaling(const struct node *node)
{
    return node->kind == OPERATION_UNARY && node->attributes.unary == UNARY_AFFINE && node->attributes.beta == 0.0;
}

/* Whether all that reads the gradient can read columns; finds the product that takes it back. */
static bool find_return(const struct joining *j, tensor_id gradient, int part, struct return_path *path)
{
    path->product[part] = NOWHERE;
    for (int n = 0; n < j->graph->node_count; n++) {
        const struct node *node = node_at(j, n);
        for (int i = 0; i < node->input_count; i++) {
            if (node->input[i] == NO_TENSOR || graph_storage(j->graph, node->input[i]) != gradient) continue;
            if (!is_scaling(node) && !operation_takes_columns(node->kind, false, i)) return false;
            if (i != 0 || !takes_back(j, node, path->weight, part)) continue;
            if (path->product[part] != NOWHERE) return false;
            path->product[part] = n;
        }
    }
    if (path->product[part] == NOWHERE) return false;
    if (part == 0 || path->product[part] > path->last) path->last = path->product[part];
    return true;
}

static bool is_of_path(const struct return_path *path, int node)
{
    for (int i = 0; i < PARTS; i++)
        if (path->product[i] == node && node != path->last) return true;
    return false;
}

/* The node whose result is node `index`'s residual and nothing else; NOWHERE if there is none. */
static int summand_before(const struct joining *j, int index)
{
    tensor_id residual = node_residual(node_at(j, index));
    if (residual == NO_TENSOR) return NOWHERE;
    tensor_id storage = graph_storage(j->graph, residual);
    if (!is_own(j, storage) || j->uses.reads[storage] != 1) return NOWHERE;
    int producer = j->uses.producer[storage];
    bool is_summand = producer != NOWHERE && operation_facts(node_at(j, producer)->kind)->residual_input >= 0;
    return is_summand ? producer : NOWHERE;
}

/* Whether the products are summands of one sum, in which each takes the one before. */
static bool is_one_sum(const struct joining *j, const struct return_path *path)
{
    int found = 1;
    for (int node = path->last, before; found < PARTS; node = before) {
        before = summand_before(j, node);
        if (before == NOWHERE) return false;
        if (!is_of_path(path, before)) continue;
        /* Without a residual a factor means nothing. */
        if (node_at(j, node)->attributes.alpha != 1.0) return false;
        found++;
    }
    return true;
}

/* The last product of the sum makes all three; what followed one of the others takes what came before that. */
static void join_return(struct joining *j, const struct return_path *path, tensor_id wide)
{
    int found = 1;
    for (int node = path->last; found < PARTS;) {
        int before = summand_before(j, node);
        if (!is_of_path(path, before)) {
            node = before;
            continue;
        }
        tensor_id residual = node_residual(node_at(j, before));
        if (residual != NO_TENSOR)
            residual = graph_view_like(j->graph, graph_storage(j->graph, residual), node_at(j, node)->output[0]);
        node_set_residual(&j->graph->nodes[node], residual);
        j->removed[before] = true;
        found++;
    }
    j->graph->nodes[path->last].input[0] = wide;
    j->graph->nodes[path->last].input[1] = path->weight;
}

static void scale_by_broadcasts(struct graph *graph, tensor_id wide)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        if (is_scaling(node) && graph_storage(graph, node->input[0]) == wide) node->kind = OPERATION_BROADCAST;
    }
}

static void join_gradients(struct joining *j, int derivative, tensor_id weight)
{
    struct graph *graph = j->graph;
    struct return_path path = {.weight = weight};
    tensor_id gradient[PARTS];
    for (int i = 0; i < PARTS; i++) {
        tensor_id output = node_at(j, derivative)->output[i];
        if (output == NO_TENSOR) return;
        gradient[i] = graph_storage(graph, output);
        if (!is_own(j, gradient[i]) || j->uses.producer[gradient[i]] != derivative) return;
        if (!find_return(j, gradient[i], i, &path)) return;
    }
    if (graph_sweep_first(graph, derivative) != graph_sweep_first(graph, path.last) || !is_one_sum(j, &path)) return;
    tensor_id wide = wide_like(graph, node_at(j, derivative)->output[0]);
    if (wide == NO_TENSOR) return;
    int64_t width = width_of(tensor_at(j, gradient[0]));
    for (int i = 0; i < PARTS; i++) move_into(graph, gradient[i], wide, i * width, PARTS * width);
    scale_by_broadcasts(graph, wide);
    join_return(j, &path, wide);
}

static bool is_derivative_of(const struct joining *j, const struct node *node, tensor_id wide)
{
    if (node->kind != OPERATION_ATTENTION_VJP) return false;
    for (int i = 1; i <= PARTS; i++)
        if (graph_storage(j->graph, node->input[i]) != wide) return false;
    return true;
}

static void join_attention(struct joining *j, int attention)
{
    struct projection projection[PARTS];
    for (int i = 0; i < PARTS; i++)
        if (!find_projection(j, node_at(j, attention)->input[i], &projection[i])) return;
    if (!are_alike(j, projection) || !is_for_attention(j, projection, attention)) return;
    tensor_id weight = node_at(j, projection[0].base)->input[1];
    tensor_id wide = join_products(j, projection);
    if (wide == NO_TENSOR) return;
    for (int n = 0; n < j->graph->node_count; n++)
        if (is_derivative_of(j, node_at(j, n), wide)) join_gradients(j, n, graph_storage(j->graph, weight));
}

status graph_join_projections(struct graph *graph)
{
    if (graph->state.code != STATUS_OK) return graph->state;
    struct joining j = {.graph = graph};
    uses_find(graph, &j.uses);
    j.removed = memory_take((size_t)graph->node_count + 1, sizeof *j.removed);
    for (int n = 0; n < graph->node_count && graph->state.code == STATUS_OK; n++)
        if (node_at(&j, n)->kind == OPERATION_ATTENTION) join_attention(&j, n);
    graph_remove_nodes(graph, j.removed);
    uses_clear(&j.uses);
    free(j.removed);
    return graph->state;
}
