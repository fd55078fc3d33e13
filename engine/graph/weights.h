/* Named tensors in device memory: the frozen weights of a model, shared by every program that uses them.
 *
 * A weight source reads one tensor by name from wherever it is (a safetensors file, random numbers in a test). */
#ifndef ALIGNPROP_GRAPH_WEIGHTS_H
#define ALIGNPROP_GRAPH_WEIGHTS_H

#include "engine/graph/graph.h"
#include "kernels/backend.h"

/* The elements of one tensor, to be read piece by piece, as F32, F16 or BF16. `read` fills elements[count] from element
 * `first` on and may be called from several threads at once. */
struct weight_elements {
    enum element_type type;
    status (*read)(const void *context, int64_t first, int64_t count, void *elements);
    const void *context;
};

/* Where a source puts a tensor: its elements can be read during the call alone. Whoever wants another type converts on
 * the way, without a copy of the whole tensor in between. */
struct weight_sink {
    status (*take)(void *context, const struct weight_elements *elements);
    void *context;
};
/* For a source that has the tensor in memory: gives values of `type`, at any alignment. */
status weight_sink_give(struct weight_sink sink, enum element_type type, const void *values);

struct weight_source {
    /* Gives the shape_elements(shape) elements of tensor `name` to the sink and returns what that returned. A missing
     * tensor or another shape is STATUS_BAD_INPUT naming file, tensor, expected and found. */
    status (*read)(void *context, const char *name, const struct shape *shape, struct weight_sink sink);
    void *context;
};
/* Tensor `name` as fp32: values[shape_elements(shape)]. STATUS_BAD_INPUT naming tensor and element where one is an
 * infinity or not a number. */
status weight_source_read(struct weight_source source, const char *name, const struct shape *shape, float *values);

/* Whether the source has every constant of the graph in its shape; reads none of them. */
status weight_source_check(struct weight_source source, const struct graph *graph);

struct weight_set;
/* `backend` must outlive the set; so must what `source` refers to. */
struct weight_set *weight_set_create(struct backend *backend, struct weight_source source);
void weight_set_destroy(struct weight_set *set);
/* Device memory of weight `name` in element type `type`, read from the source when first asked for. Owned by the
 * set. STATUS_BAD_INPUT naming tensor and element where one is an infinity or not a number, or becomes one in that
 * type. */
status weight_set_get(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                      void **memory);
/* Device memory of `count` weights of one shape, one behind the other. STATUS_FAILED where one of them was asked for
 * alone before; afterwards each can be. */
status weight_set_get_joined(struct weight_set *set, const char *const *names, int count, const struct shape *shape,
                             enum element_type type, void **memory);
/* Reads weight `name` again from the source, whose values have changed, wherever the set holds it. */
status weight_set_renew(struct weight_set *set, const char *name);
/* Reads weight `name` to `memory` and does not keep it: from the set where it is held, else from the source. */
status weight_set_read(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                       void *memory);
/* Bytes of device memory held. */
size_t weight_set_bytes(const struct weight_set *set);

#endif
