/* One matrix product, by cuBLASLt where it can and is installed, else by own kernels. */
#ifndef ALIGNPROP_KERNELS_CUDA_MULTIPLY_H
#define ALIGNPROP_KERNELS_CUDA_MULTIPLY_H

#include "kernels/cuda/internal.h"

struct multiplication {
    struct product product;                             /* types, layouts, sizes; data pointers are given at each run */
    void *description, *layout_a, *layout_b, *layout_c; /* cuBLASLt's; description NULL: own kernels */
    struct lt_heuristic choice;
};

/* Chooses the way and says what scratch it needs. `product` has everything but data pointers; bias.data and
 * residual.data non-NULL say that there will be one. */
status multiplication_prepare(struct cuda_backend *backend, const struct product *product,
                              struct multiplication *multiplication, size_t *scratch_bytes);
void multiplication_discard(struct cuda_backend *backend, struct multiplication *multiplication);

/* Adds the operation's residual and its factor to what `product` says, where it has one. */
void set_residual(const struct operation *operation, struct product *product);

struct factors {
    const void *a, *b, *bias, *residual; /* residual may be c */
    void *c;
};
/* The residual's data in one call; NULL where there is none. */
const void *residual_of(const struct kernel *kernel, const struct call *call);
status multiplication_run(struct cuda_backend *backend, const struct multiplication *multiplication,
                          struct factors factors, void *scratch);

#endif
