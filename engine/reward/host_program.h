/* A graph that runs on its own: every input and output has device memory of its own and is written and read from the
 * host. For pieces that stand outside the tuner's arenas: a reward model's text encoder, scoring of pictures, tests. */
#ifndef ALIGNPROP_REWARD_HOST_PROGRAM_H
#define ALIGNPROP_REWARD_HOST_PROGRAM_H

#include "engine/graph/graph.h"
#include "engine/graph/program.h"

struct host_program;

/* Plans, loads the weights and allocates everything; STATUS_NO_MEMORY says what is needed and free before that. `graph`
 * and `backend` are borrowed and must outlive the program. `weights.read` may be NULL when the graph has no constants.
 */
status host_program_create(struct backend *backend, const struct graph *graph, struct weight_source weights,
                           struct host_program **program);
void host_program_destroy(struct host_program *program);

/* All elements of an input (cotangents too), converted to its element type: fp32, fp64 or int32 (rounded). */
status host_program_write(struct host_program *program, tensor_id input, const double *values);
/* The same of bytes, each divided by `whole`, a piece at a time: large pictures are there once. Not for int32. */
status host_program_write_bytes(struct host_program *program, tensor_id input, const unsigned char *values,
                                double whole);
/* All elements of an output (gradients too), which must be fp32 or fp64. */
status host_program_read(struct host_program *program, tensor_id output, double *values);

status host_program_forward(struct host_program *program);
/* After host_program_forward and with the cotangents written. */
status host_program_backward(struct host_program *program);

#endif
