/* Matrix products and convolutions (as products with gathered patches) by own loops. */
#ifndef ALIGNPROP_KERNELS_CPU_VECTOR_OWN_PRODUCT_H
#define ALIGNPROP_KERNELS_CPU_VECTOR_OWN_PRODUCT_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vector/vector.h"

status NAME(own_product_prepare)(struct kernel *kernel, struct kernel_requirements *requirements);
status NAME(own_product_run)(const struct call *call);

#endif
