/* What a machine can do at most, measured on the backend that is to be judged by it: no figure of any device is written
 * down anywhere. */
#ifndef ALIGNPROP_KERNELS_PROFILE_PEAKS_H
#define ALIGNPROP_KERNELS_PROFILE_PEAKS_H

#include "kernels/backend.h"
#include "kernels/profile/timed_backend.h"

struct machine_peaks {
    double flops_per_second; /* of one large matrix product (LINEAR) in the compute type, by a frozen weight */
    double bytes_per_second; /* read and written by one large copy within the device's memory */
    double call_seconds;     /* a call and the wait for it where there is next to nothing to do */
    int64_t product_side;    /* the product was [side, side] by [side, side] */
    size_t copy_bytes;       /* the copy's, once */
    enum element_type compute_type;
};

/* Medians of several calls, each timed and waited for by a timed backend whose seconds come from `now`. Sizes grow
 * until one call takes a twentieth of a second, memory would be more than half full, or 8192 numbers a side and 1 GiB
 * are reached. Bandwidth is the better one of the backend's own copy and its element-wise copy kernel: on a CPU the
 * first has one thread and the second all. Takes up to a few seconds; gives back all memory. */
status machine_peaks_measure(struct backend *backend, double (*now)(void *context), void *context,
                             struct machine_peaks *peaks);

#endif
