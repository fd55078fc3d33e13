/* A model as a list of operations over tensors of fixed shape, built once.
 *
 * Builders below append one operation each and return the output tensor. The first failure (shapes that do not fit, out
 * of memory) is kept in the graph, and every later builder returns NO_TENSOR, so a model is written without a check
 * per line; `graph_state` tells at the end. Nodes stand in execution order.
 *
 * `graph_differentiate` appends the vector-Jacobian product: nodes [0, forward_nodes) are the forward sweep,
 * nodes [forward_nodes, node count) the backward sweep.
 *
 * `graph_separate_prologue` sets apart what need not be computed in every call: nodes [0, prologue_nodes) are then the
 * prologue, which runs once for many forward sweeps, and nodes [epilogue_first, node count) the epilogue,
 * which runs once for many backward sweeps. */
#ifndef ALIGNPROP_GRAPH_GRAPH_H
#define ALIGNPROP_GRAPH_GRAPH_H

#include "kernels/operations.h"
#include "kernels/status.h"

struct graph;
typedef int32_t tensor_id;
enum { NO_TENSOR = -1 };

enum tensor_role {
    TENSOR_INPUT,     /* bound by the caller to memory that holds its value before each run */
    TENSOR_CONSTANT,  /* a frozen weight, found by name in a weight set */
    TENSOR_PARAMETER, /* a trainable adapter factor (exact), found by name in a parameter set */
    TENSOR_STATE,     /* bound by the caller; read and added to: gradient accumulators (exact) */
    TENSOR_COMPUTED   /* result of a node; placed by the planner, or bound by the caller if marked as output */
};

struct tensor {
    enum tensor_role role;
    struct shape shape;
    enum element_type type;
    tensor_id storage; /* the tensor whose memory this one is a view of; itself if it is none */
    int64_t offset;    /* where a view begins in its storage, in elements */
    int64_t row_step;  /* as an operand's (operations.h): above 0 for columns of the storage */
    bool replaced;     /* a constant in whose place the caller binds weights of its own */
    bool output;       /* bound by the caller */
    bool sum;          /* of what the backward sweeps since the prologue contributed; read by the epilogue */
    char name[160];    /* weights: the file's tensor name; inputs and outputs: the builder's; else empty */
};

/* Whether it is a weight that is found by its name, be it part of a joined one. */
bool tensor_is_weight(const struct tensor *tensor);

struct node {
    enum operation_kind kind;
    struct operation_attributes attributes;
    int input_count, output_count;
    tensor_id input[MAXIMUM_INPUTS];   /* NO_TENSOR: absent */
    tensor_id output[MAXIMUM_OUTPUTS]; /* NO_TENSOR: nobody needs it */
};

/* `compute` is the type of ordinary tensors, `exact` of exact ones (operations.h); they may be the same. */
struct graph *graph_create(enum element_type compute, enum element_type exact);
void graph_destroy(struct graph *graph);
/* The first failure of any builder, or success. */
status graph_state(const struct graph *graph);
/* Keeps the first failure: for builders of larger parts, such as a model, that find a fault of their own. */
void graph_fail(struct graph *graph, status failure);

int graph_node_count(const struct graph *graph);
int graph_forward_nodes(const struct graph *graph);  /* all nodes while the graph is not differentiated */
int graph_prologue_nodes(const struct graph *graph); /* 0 where nothing is set apart */
int graph_epilogue_first(const struct graph *graph); /* all nodes where nothing is set apart */
const struct node *graph_node(const struct graph *graph, int index);
int graph_tensor_count(const struct graph *graph);
/* NULL for NO_TENSOR. What it points to moves when a tensor is added: whoever builds on copies what it needs first. */
const struct tensor *graph_tensor(const struct graph *graph, tensor_id id);
enum element_type graph_compute_type(const struct graph *graph);
enum element_type graph_accumulation_type(const struct graph *graph);
/* The tensor of that role and name; NO_TENSOR if there is none. */
tensor_id graph_find(const struct graph *graph, enum tensor_role role, const char *name);

#define SHAPE1(a) ((struct shape){1, {(a)}})
#define SHAPE2(a, b) ((struct shape){2, {(a), (b)}})
#define SHAPE3(a, b, c) ((struct shape){3, {(a), (b), (c)}})
#define SHAPE4(a, b, c, d) ((struct shape){4, {(a), (b), (c), (d)}})

tensor_id graph_input(struct graph *graph, const char *name, struct shape shape, enum element_type type);
/* One tensor per name: asking again for a name returns the same tensor (shapes must agree). */
tensor_id graph_constant(struct graph *graph, const char *name, struct shape shape);       /* compute type */
tensor_id graph_exact_constant(struct graph *graph, const char *name, struct shape shape); /* accumulation type */
tensor_id graph_parameter(struct graph *graph, const char *name, struct shape shape);      /* accumulation type */
/* Makes the tensor an output that the caller binds, under this name. A view, a tensor that is no node's result or one
 * that already is an output is copied first. Returns the tensor to use. */
tensor_id graph_output(struct graph *graph, tensor_id tensor, const char *name);

/* Gives a constant another name, under which it is looked up and packed; for weights that the caller replaces, side by
 * side in the order in which they were first asked for, each at a multiple of ARENA_ALIGNMENT. */
void graph_rename(struct graph *graph, tensor_id constant, const char *name);

/* Same elements, other shape: a view, no work. */
tensor_id graph_reshape(struct graph *graph, tensor_id x, struct shape shape);
/* To that element type; x itself where it already is. */
tensor_id graph_convert(struct graph *graph, tensor_id x, enum element_type type);

/* y[..., N] = x[..., K] W^T + b; bias may be NO_TENSOR. */
tensor_id graph_linear(struct graph *graph, tensor_id x, tensor_id weight, tensor_id bias);
/* Same padding on all sides. */
tensor_id graph_convolution(struct graph *graph, tensor_id x, tensor_id weight, tensor_id bias, int stride,
                            int padding);
tensor_id graph_matmul(struct graph *graph, tensor_id a, tensor_id b, bool transpose_a, bool transpose_b, double alpha);
tensor_id graph_group_norm(struct graph *graph, tensor_id x, tensor_id gamma, tensor_id beta, int groups,
                           double epsilon, bool fused_silu);
tensor_id graph_layer_norm(struct graph *graph, tensor_id x, tensor_id gamma, tensor_id beta, double epsilon);
/* scale is usually 1/sqrt(width of a head). */
tensor_id graph_attention(struct graph *graph, tensor_id q, tensor_id k, tensor_id v, int heads, double scale,
                          bool causal);
tensor_id graph_unary(struct graph *graph, enum unary_kind kind, tensor_id x);
tensor_id graph_affine(struct graph *graph, tensor_id x, double scale, double shift);
tensor_id graph_clamp(struct graph *graph, tensor_id x, double low, double high);
tensor_id graph_geglu(struct graph *graph, tensor_id x);
/* b broadcasts to a (dimensions equal or 1, same rank). */
tensor_id graph_add(struct graph *graph, tensor_id a, tensor_id b);
tensor_id graph_add_scaled(struct graph *graph, tensor_id a, double scale, tensor_id b); /* a + scale b */
tensor_id graph_subtract(struct graph *graph, tensor_id a, tensor_id b);
tensor_id graph_multiply(struct graph *graph, tensor_id a, tensor_id b);
tensor_id graph_divide(struct graph *graph, tensor_id a, tensor_id b);
/* scale * sum over the dimensions that `to` has as 1. */
tensor_id graph_reduce(struct graph *graph, tensor_id x, struct shape to, double scale);
tensor_id graph_mean(struct graph *graph, tensor_id x, struct shape to);
tensor_id graph_broadcast(struct graph *graph, tensor_id x, struct shape to);
tensor_id graph_concatenate(struct graph *graph, tensor_id a, tensor_id b, int axis);
tensor_id graph_slice(struct graph *graph, tensor_id x, int axis, int64_t start, int64_t length);
tensor_id graph_upsample(struct graph *graph, tensor_id x);
tensor_id graph_resize(struct graph *graph, tensor_id x, int64_t height, int64_t width, enum resize_filter filter,
                       bool antialias);
tensor_id graph_embedding(struct graph *graph, tensor_id ids, tensor_id table);
tensor_id graph_gather(struct graph *graph, tensor_id x, tensor_id ids);
tensor_id graph_normalize(struct graph *graph, tensor_id x, double epsilon);
tensor_id graph_transpose(struct graph *graph, tensor_id x);
tensor_id graph_select_boxes(struct graph *graph, tensor_id logits, tensor_id boxes, int64_t count, double overlap);

/* Has convolutions read the smaller map where nearest-neighbour upsampling is all that comes before them (attribute
 * `doubled`), for backends that can (backend.h: folds_upsampling). Before the two functions below. */
status graph_fold_upsampling(struct graph *graph);

/* Sets apart, as the prologue, every node that depends on nothing but these inputs, constants and parameters. Once
 * the graph is differentiated, gradients that flow into the prologue's results are summed over the backward sweeps, in
 * the accumulation type, and the epilogue takes the sums on to the parameters. Before graph_differentiate, once. */
status graph_separate_prologue(struct graph *graph, const tensor_id *inputs, int count);

/* Appends the vector-Jacobian product of the whole graph.
 *
 * `outputs[i]` is a tensor of the forward sweep and `cotangents[i]` (filled in) a new input of its shape, named
 * "cotangent/NAME" after the output's name. For every `wanted[i]` (inputs of floating type), `gradients[i]` (filled in)
 * is a new output "gradient/NAME". Every parameter gets a state "gradient/NAME" of its shape (exact), to which its
 * gradient is added; nothing else is differentiated. `stop[i]` are tensors through which no gradient passes.
 * A wanted input that the outputs do not depend on, or only through the prologue, is an error naming it. Call once. */
struct differentiation {
    int output_count;
    const tensor_id *outputs;
    tensor_id *cotangents;
    int wanted_count;
    const tensor_id *wanted;
    tensor_id *gradients;
    int stop_count;
    const tensor_id *stop;
};
status graph_differentiate(struct graph *graph, const struct differentiation *request);
/* The same for one output by one wanted input. */
status graph_differentiate_one(struct graph *graph, tensor_id output, tensor_id wanted, tensor_id *cotangent,
                               tensor_id *gradient);

/* Has operations that take a residual (operations.h) add it themselves where an addition is all that reads their result
 * and the other operand, of the same shape and type, is there before, for backends that can (backend.h: adds_residual).
 * A row that is added to all rows of a product becomes its bias.
 * A sum of several is then made by them alone, in another order than before. After the functions above, for which there
 * are no residuals, and before graph_recompute_blocks, whose copies then have the same bits. */
status graph_fold_additions(struct graph *graph);

/* Has one product make the queries, keys and values of self-attention side by side, and one take their gradients on to
 * what they were made from, for backends that can (backend.h: takes_columns): the three weights become one, of which
 * each is a part. After graph_fold_additions, without which products with adapters stay as they are, and before
 * graph_recompute_blocks. */
status graph_join_projections(struct graph *graph);

/* Says that a block of the model ends here: what was built since the last block's end can be computed again as a whole.
 * Good ends are where little is passed on. What follows the last one is never computed again. */
void graph_end_block(struct graph *graph);
/* Changes the backward sweep so that it computes the inside of every block again instead of reading what the forward
 * sweep saved: less memory for one more forward sweep, and the same bits. After graph_differentiate, once. */
status graph_recompute_blocks(struct graph *graph);

#endif
