/* What the tests of models share: running a graph once on a backend, and comparing with a golden file. */
#ifndef ALIGNPROP_TESTS_MODEL_RUNNER_H
#define ALIGNPROP_TESTS_MODEL_RUNNER_H

#include "engine/graph/graph.h"
#include "engine/graph/weights.h"
#include "engine/model/model.h"
#include "engine/model/safetensors.h"
#include "kernels/backend.h"

struct run_input {
    tensor_id tensor;
    const void *values; /* float, or int32_t for an input of that type */
};

/* Fails the running test with the message unless `result` is a success. */
void assert_success(status result);

/* Runs the graph once and returns its output's values; the caller frees them. The graph is destroyed. */
float *run_graph(struct backend *backend, struct graph *graph, struct weight_source weights,
                 const struct run_input *inputs, int input_count, tensor_id output);

/* The three networks of a model over values of that shape; the caller frees the results. */
float *run_text_encoder(struct backend *backend, struct model *model, int64_t batch, const int32_t *ids);
float *run_unet(struct backend *backend, struct model *model, const struct shape *latents_shape, const float *latents,
                double timestep, const float *context);
float *run_decoder(struct backend *backend, struct model *model, const struct shape *latents_shape,
                   const float *latents);

/* A tensor of a golden file as floats; the caller frees them. `shape` (may be NULL) gets its shape. */
float *golden_values(const struct safetensors *golden, const char *name, struct shape *shape);

/* |found - expected| / |expected| in the Euclidean norm. */
double relative_error(const float *found, const float *expected, int64_t count);

/* Prints the relative error of `found` against the golden tensor and fails above `tolerance`. Frees `found`. */
void assert_golden(const char *label, float *found, const struct safetensors *golden, const char *name,
                   double tolerance);

#endif
