/* The kinds of operations of this folder's files, for the table in kinds.c. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_KINDS_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_KINDS_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vector/vector.h"

#define OPERATION(kind, name, minimum, maximum, outputs, in_place, residual, class, cpu)                               \
    extern const struct cpu_kind NAME(cpu_##cpu);
#include "kernels/operations.def"
#undef OPERATION

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
