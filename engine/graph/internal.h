/* What the files of engine/graph share: the graph's own memory and the planner's result. */
#ifndef ALIGNPROP_GRAPH_INTERNAL_H
#define ALIGNPROP_GRAPH_INTERNAL_H

#include "engine/graph/graph.h"
#include "engine/graph/program.h"

struct graph {
    enum element_type compute, exact;
    struct tensor *tensors;
    int tensor_count, tensor_capacity;
    struct node *nodes;
    int node_count, node_capacity;
    int prologue_nodes; /* that come first and make the prologue */
    int forward_nodes;  /* the prologue's and the forward sweep's; -1 until differentiated */
    int epilogue_first; /* first node of the epilogue */
    int *block_ends;    /* nodes before the end of each block, ascending */
    int block_count, block_capacity;
    bool additions_folded; /* nodes have residuals, for which there are no rules of differentiation */
    status state;
};

/* Keeps the first failure. */
void graph_fail(struct graph *graph, status failure);
/* A new tensor that is its own storage; NO_TENSOR after a failure. `name` may be NULL. */
tensor_id graph_new_tensor(struct graph *graph, enum tensor_role role, const char *name, struct shape shape,
                           enum element_type type);
/* Appends a node whose operands are all set; returns its first output. */
tensor_id graph_append(struct graph *graph, const struct node *node);
/* A node with one computed output of that shape and type. */
tensor_id graph_emit(struct graph *graph, enum operation_kind kind, const struct operation_attributes *attributes,
                     const tensor_id *inputs, int input_count, struct shape shape, enum element_type type);
bool shape_equal(const struct shape *a, const struct shape *b);
/* "[2, 16, 16, 4]" into text. */
const char *shape_text(const struct shape *shape, char *text, size_t size);
/* A view of `storage` that sees of it what `like` sees of its own. */
tensor_id graph_view_like(struct graph *graph, tensor_id storage, tensor_id like);
/* The tensor that owns the memory. */
tensor_id graph_storage(const struct graph *graph, tensor_id id);
/* The node's operation as a backend is told. */
struct operation graph_operation(const struct graph *graph, const struct node *node);

/* Constants that graph_join_projections makes one of: queries, keys and values. */
enum { MAXIMUM_JOINED = 3 };

/* Who writes and reads the tensors of a graph, as it was when this was made. */
enum { NOWHERE = -1 };
struct uses {
    int tensors;   /* the arrays below hold so many */
    int *reads;    /* by storage: operands that it is */
    int *producer; /* by storage: the last node that writes it; NOWHERE: none */
};
/* To be cleared. */
void uses_find(const struct graph *graph, struct uses *uses);
void uses_clear(struct uses *uses);

/* The node's residual; NO_TENSOR where it has none. */
tensor_id node_residual(const struct node *node);
/* NO_TENSOR takes it away. */
void node_set_residual(struct node *node, tensor_id residual);
void node_set_input(struct node *node, int index, tensor_id id);
/* First node of the sweep that the node belongs to: what is computed in another one is computed at another time. */
int graph_sweep_first(const struct graph *graph, int index);
/* Removes the nodes that are marked; blocks and sweeps end where they did among the others. */
void graph_remove_nodes(struct graph *graph, const bool *removed);

/* The entry for a weight in a kernel's layout, found or added. */
int packing_plan_place(struct packing_plan *plan, const char *weight, const struct kernel_requirements *requirements);
size_t packing_plan_offset(const struct packing_plan *plan, int entry);
bool packing_plan_done(const struct packing_plan *plan, int entry);
void packing_plan_mark(struct packing_plan *plan, int entry);

enum placement_region { PLACED_NOWHERE, PLACED_PERSISTENT, PLACED_SAVED, PLACED_WORK };

struct placement {
    enum placement_region region;
    size_t offset, bytes;
};

struct region_sizes {
    size_t sums, persistent, saved, work; /* sums come first in the persistent region */
};

/* Gives every computed tensor its place. `placements` has one entry per tensor; views have their storage's. Sizes are
 * rounded up to ARENA_ALIGNMENT. */
void graph_plan(const struct graph *graph, struct placement *placements, struct region_sizes *sizes);

#endif
