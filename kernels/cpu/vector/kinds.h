/* The kinds of operations of this folder's files, for the table in kinds.c. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_KINDS_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_KINDS_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vector/vector.h"

extern const struct cpu_kind NAME(cpu_product), NAME(cpu_group_norm), NAME(cpu_group_norm_vjp), NAME(cpu_layer_norm),
    NAME(cpu_layer_norm_vjp), NAME(cpu_attention), NAME(cpu_attention_vjp), NAME(cpu_unary), NAME(cpu_unary_vjp),
    NAME(cpu_geglu), NAME(cpu_geglu_vjp), NAME(cpu_binary), NAME(cpu_reduce), NAME(cpu_broadcast),
    NAME(cpu_concatenate), NAME(cpu_slice), NAME(cpu_place), NAME(cpu_upsample), NAME(cpu_upsample_vjp),
    NAME(cpu_resize), NAME(cpu_resize_vjp), NAME(cpu_embedding), NAME(cpu_gather), NAME(cpu_gather_vjp),
    NAME(cpu_normalize), NAME(cpu_normalize_vjp), NAME(cpu_transpose), NAME(cpu_select_boxes);

/* Elements that are worth waking a thread for. */
enum { PARALLEL_GRAIN = 8192 };

static inline const struct shape *input_shape(const struct call *call, int index)
{
    return &call->kernel->operation.input[index].shape;
}

static inline const struct shape *output_shape(const struct call *call, int index)
{
    return &call->kernel->operation.output[index].shape;
}

static inline const struct operation_attributes *attributes_of(const struct call *call)
{
    return &call->kernel->operation.attributes;
}

static inline int64_t last_dimension(const struct shape *shape)
{
    return shape->dimension[shape->rank - 1];
}

static inline int64_t row_count(const struct shape *shape)
{
    return shape_elements(shape) / last_dimension(shape);
}

/* Rows of `width` elements that are worth waking a thread for. */
static inline int64_t row_grain(int64_t width)
{
    return PARALLEL_GRAIN / width + 1;
}

#endif
