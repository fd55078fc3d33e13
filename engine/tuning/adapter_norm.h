/* How large the change is that an adapter makes: the Frobenius norm of up * down over all modules together,
 * sqrt(sum of |up_m down_m|^2).
 *
 * The products themselves are never made: |up down|^2 is the sum over a, b of (up^T up)[a,b] * (down down^T)[a,b], of
 * two matrices of rank x rank. */
#ifndef ALIGNPROP_TUNING_ADAPTER_NORM_H
#define ALIGNPROP_TUNING_ADAPTER_NORM_H

#include <stdint.h>

#include "kernels/parallel.h"
#include "kernels/status.h"

struct adapter_norm;

/* Takes its memory here, measuring takes none. `threads` must outlive the result. Destroy also takes NULL. */
struct adapter_norm *adapter_norm_create(struct parallel *threads, int rank, int modules);
void adapter_norm_destroy(struct adapter_norm *norm);

/* One module's factors, in fp32: down [rank, inputs] and up [outputs, rank]. */
struct module_factors {
    const float *down, *up;
    int64_t inputs, outputs;
};
/* Of the modules given at creation; the same bits whatever the number of threads. Relative error about 1e-6. */
double adapter_norm_measure(struct adapter_norm *norm, const struct module_factors *factors);

#endif
