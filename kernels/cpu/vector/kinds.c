/* The table from operation to what computes it, for one instruction set. */
#include "kernels/cpu/vector/kinds.h"

#define CPU_KINDS NAME(cpu_kinds)

static const struct cpu_kind *const table[OPERATION_KIND_COUNT] = {
#define OPERATION(kind, name, minimum, maximum, outputs, in_place, residual, class, cpu)                               \
    [OPERATION_##kind] = &NAME(cpu_##cpu),
#include "kernels/operations.def"
#undef OPERATION
};

const struct cpu_kind *CPU_KINDS(enum operation_kind kind)
{
    return table[kind];
}
