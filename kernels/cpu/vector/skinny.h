/* Products with a side of a few elements: what low-rank adapters are made of. They are bound by memory, and general
 * matrix products waste most of their vectors on them. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_SKINNY_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_SKINNY_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vector/vector.h"

/* The kind that does the operation (of the linear family), or NULL where a general product does better. */
const struct cpu_kind *NAME(skinny_kind)(const struct operation *operation);

#endif
