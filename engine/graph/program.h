/* A graph, planned and prepared on a backend: nothing is allocated while it runs.
 *
 * Memory is in five parts, all owned by the caller, so that several programs share one arena:
 *  saved    what the backward sweep reads of the forward sweep; one region for each kept call
 *  work     everything else that a sweep computes on the way; undefined between sweeps. While packing, the weight that
 *           is packed lies there
 *  persistent what the prologue leaves for the others, and the sums that they leave for the epilogue; bound
 *  scratch  for the kernels; undefined between operations
 *  packed   weights in the kernels' own layouts; filled by program_pack, kept
 * Inputs, outputs, parameters and states are bound to the caller's memory. */
#ifndef ALIGNPROP_GRAPH_PROGRAM_H
#define ALIGNPROP_GRAPH_PROGRAM_H

#include "engine/graph/graph.h"
#include "engine/graph/weights.h"

struct program;

/* Which weight lies where in which kernel layout. Programs that share a plan (and the region it describes) share the
 * packed copies of weights of one name. */
struct packing_plan;
struct packing_plan *packing_plan_create(void);
void packing_plan_destroy(struct packing_plan *plan);
/* Bytes of the region, for all programs created with the plan so far. */
size_t packing_plan_bytes(const struct packing_plan *plan);

struct program_sizes {
    size_t saved_bytes, work_bytes, scratch_bytes, packed_bytes, persistent_bytes;
    size_t weight_bytes; /* of the constants that it reads as they are, before sharing with other programs */
};

/* Every tensor and region begins at a multiple of this many bytes. */
enum { ARENA_ALIGNMENT = 256 };
size_t align_up(size_t bytes);

struct memory_region {
    void *base;
    size_t bytes;
};

/* Rewrites the graph for what the backend can: additions are folded, projections joined (graph.h). After
 * graph_differentiate and before graph_recompute_blocks. */
status program_rewrite(const struct backend *backend, struct graph *graph);
/* Plans and prepares. The program keeps `graph`, `packing` (both must outlive it) and `backend`. `packing` may be NULL:
 * the program then has a plan of its own. */
status program_create(struct backend *backend, const struct graph *graph, struct packing_plan *packing,
                      struct program **program);
void program_destroy(struct program *program);
struct program_sizes program_sizes(const struct program *program);
/* Of one forward or backward sweep, without what is set apart. */
double program_flops(const struct program *program, bool backward);

/* Whether the program reads this constant's own bytes when it runs. Those of the others are only packed: they never
 * have device memory of their own, unless the caller binds it. */
bool program_reads(const struct program *program, tensor_id constant);

/* Looks up every constant that is not bound yet in `weights`, which must live until the program is packed. */
status program_bind_weights(struct program *program, struct weight_set *weights);
/* Binds an input, output, parameter, state or (overriding the weight set) constant. `memory` must hold the tensor's
 * bytes for as long as the program runs with it. */
status program_bind(struct program *program, tensor_id tensor, void *memory);
/* Packs the weights that no program of the same packing plan has packed yet, or again one constant whose bytes changed
 * (by name). `packed` is the whole region of the packing plan; contents of `work` and `scratch` are lost. */
status program_pack(struct program *program, const char *name, struct memory_region packed, struct memory_region work,
                    struct memory_region scratch);

/* Where what stands between sweeps lies: persistent_bytes, which may be other programs' while this one is closed. */
void program_bind_persistent(struct program *program, void *persistent);
/* Runs the prologue and begins the sums anew. To be called before forward sweeps whenever something that the
 * prologue reads has changed, or its persistent region was used otherwise. */
status program_open(struct program *program, struct memory_region work, struct memory_region scratch);
/* Runs the epilogue over what the backward sweeps have summed since, and begins the sums anew. */
status program_close(struct program *program, struct memory_region work, struct memory_region scratch);
/* Begins the sums anew and drops what they hold. */
status program_clear_sums(struct program *program);

/* Runs the forward sweep. Everything must be bound. `saved` may be an empty region when the graph is not
 * differentiated. */
status program_forward(struct program *program, struct memory_region saved, struct memory_region work,
                       struct memory_region scratch);
/* Runs the backward sweep over what program_forward left in `saved`. */
status program_backward(struct program *program, struct memory_region saved, struct memory_region work,
                        struct memory_region scratch);

/* The largest end of anything touched in `work` since creation: equals program_sizes().work_bytes after packing and
 * both sweeps. */
size_t program_high_water(const struct program *program);

#endif
