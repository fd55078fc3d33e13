/* The layers that models are made of, each with its weights found by the module's name.
 *
 * A module named M has the tensors "M.weight" and, where it has one, "M.bias". Widths of inputs are read off the tensor
 * x; a failure is kept in the graph (graph.h). Names are printf-style. */
#ifndef ALIGNPROP_MODEL_LAYERS_H
#define ALIGNPROP_MODEL_LAYERS_H

#include "engine/graph/graph.h"

enum { MODULE_NAME_SIZE = 140 };

/* x[..., K] -> [..., outputs]; weight [outputs, K], bias [outputs] when has_bias. */
tensor_id layer_linear(struct graph *graph, tensor_id x, int64_t outputs, bool has_bias, const char *name, ...)
    __attribute__((format(printf, 5, 6)));
/* x[B, H, W, I] -> [B, H', W', outputs]; weight [outputs, I, window, window], padding on all sides. */
tensor_id layer_convolution(struct graph *graph, tensor_id x, int64_t outputs, int window, int stride, int padding,
                            bool has_bias, const char *name, ...) __attribute__((format(printf, 8, 9)));
tensor_id layer_layer_norm(struct graph *graph, tensor_id x, double epsilon, const char *name, ...)
    __attribute__((format(printf, 4, 5)));
/* SiLU on the result when `silu`. */
tensor_id layer_group_norm(struct graph *graph, tensor_id x, int groups, double epsilon, bool silu, const char *name,
                           ...) __attribute__((format(printf, 6, 7)));

/* Size of dimension `index` of x, from the end when negative (-1: the last); 0 for NO_TENSOR. */
int64_t tensor_dimension(const struct graph *graph, tensor_id x, int index);

#endif
