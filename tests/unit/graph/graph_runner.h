/* Runs a graph on a backend with all inputs, constants, parameters and states in memory of its own. */
#ifndef ALIGNPROP_TESTS_GRAPH_RUNNER_H
#define ALIGNPROP_TESTS_GRAPH_RUNNER_H

#include "engine/graph/program.h"

struct graph_runner {
    struct backend *backend;
    struct graph *graph;
    struct program *program;
    void **memory; /* by tensor; NULL where the planner places it */
    struct memory_region saved, work, scratch, packed;
};

/* Fills every bound tensor with reproducible normals times 0.5 (states with zeros, outputs with NaN). */
void graph_runner_create(struct graph_runner *runner, struct backend *backend, struct graph *graph);
void graph_runner_destroy(struct graph_runner *runner);
void graph_runner_write(struct graph_runner *runner, tensor_id tensor, const double *values);
void graph_runner_read(struct graph_runner *runner, tensor_id tensor, double *values);
void graph_runner_write_index(struct graph_runner *runner, tensor_id tensor, const int32_t *values);
void graph_runner_forward(struct graph_runner *runner);
void graph_runner_backward(struct graph_runner *runner);
int64_t graph_runner_elements(const struct graph_runner *runner, tensor_id tensor);

/* Checks the vector-Jacobian products of every wanted input and every parameter of a differentiated graph with one
 * output against central differences of <cotangent, output> along random directions; fails the test beyond `tolerance`
 * (relative). The runner's backend must be the reference backend. */
void graph_runner_check_gradients(struct graph_runner *runner, tensor_id output, tensor_id cotangent,
                                  const tensor_id *wanted, const tensor_id *gradients, int wanted_count,
                                  double tolerance);

/* Fails the test where the largest of the `count` expected values is not over 1e-3, or one found differs from its by
 * more than 1e-13 of the largest: what one order of the same sums may do. */
void graph_runner_require_near(const double *found, const double *expected, int count);

#endif
