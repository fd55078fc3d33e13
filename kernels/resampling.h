/* The weights of RESIZE, one dimension at a time.
 *
 * Output position i of `outputs` is the weighted sum of `taps` input positions. Positions outside the input are moved
 * to its edge, or, when antialiased, left out and the rest normalised: what torch's interpolate (corners not aligned)
 * and PIL do. */
#ifndef ALIGNPROP_KERNELS_RESAMPLING_H
#define ALIGNPROP_KERNELS_RESAMPLING_H

#include "kernels/operations.h"
#include "kernels/status.h"

struct resampling {
    int64_t inputs, outputs;
    int taps;        /* input positions per output; unused ones have weight 0 */
    int32_t *source; /* [outputs, taps], each in 0..inputs-1 */
    double *weight;  /* [outputs, taps]; each row sums to 1 */
};

/* Computes the weights from `inputs` to `outputs` positions (both at least 1). Owned by the caller. */
status resampling_create(int64_t inputs, int64_t outputs, enum resize_filter filter, bool antialias,
                         struct resampling *resampling);
void resampling_destroy(struct resampling *resampling);

/* The same weights turned around: for each input position the outputs that read it. The transposed struct has
 * `inputs` and `outputs` exchanged; its rows do not sum to 1. */
status resampling_transpose(const struct resampling *forward, struct resampling *transposed);

#endif
