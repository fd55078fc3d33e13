/* Where time goes by class of kernel, and how near each class is to what the machine can do: a roofline.
 *
 * The floor of a call is the larger of operations / peak rate and bytes / bandwidth, whichever it cannot be faster than
 * (Williams, Waterman, Patterson: Roofline, 2009). Of attention only the matrix products count as operations, so its
 * exponentials, which bound narrow heads, are on top of the floor. What stays in a cache between calls does not go
 * through memory, so a class of small tensors can be above 100 %. */
#ifndef ALIGNPROP_KERNELS_PROFILE_KERNEL_PROFILE_H
#define ALIGNPROP_KERNELS_PROFILE_KERNEL_PROFILE_H

#include "kernels/profile/kernel_class.h"
#include "kernels/profile/peaks.h"
#include "kernels/profile/timed_backend.h"

struct kernel_totals {
    double calls, seconds, flops, bytes;
    double floor_seconds; /* summed over calls; 0 of transfers, whose way to the device is not measured */
};

struct kernel_profile {
    struct machine_peaks peaks;
    struct kernel_totals totals[KERNEL_CLASS_COUNT];
};

/* Begins anew, keeping the peaks. */
void kernel_profile_clear(struct kernel_profile *profile);

/* For timed_hooks.report: `profile` is a struct kernel_profile whose peaks are known. */
void kernel_profile_add(void *profile, const struct timed_call *call);

/* Divides everything by the number of steps that were added. */
void kernel_profile_average(struct kernel_profile *profile, int steps);

/* All classes together. */
struct kernel_totals kernel_profile_sum(const struct kernel_profile *profile);

/* Seconds that calls of nothing would have taken as often: what waiting after every call costs, at least. */
double kernel_profile_waits(const struct kernel_profile *profile, const struct kernel_totals *totals);

struct kernel_gain {
    enum kernel_class kernel_class;
    double seconds; /* 0: no class is further from its floor */
};

/* The class that would save most if its floor were `share` (0 to 1) of its time, waits left out of the time; never
 * transfers. */
struct kernel_gain kernel_profile_next_gain(const struct kernel_profile *profile, double share);

#endif
