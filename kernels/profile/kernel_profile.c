/* Calls, time and work summed by class of kernel. */
#include "kernels/profile/kernel_profile.h"

#include <math.h>

void kernel_profile_clear(struct kernel_profile *profile)
{
    *profile = (struct kernel_profile){.peaks = profile->peaks};
}

static enum kernel_class class_of(const struct timed_call *call)
{
    switch (call->work) {
    case TIMED_OPERATION: break;
    case TIMED_COPY: return KERNEL_COPY;
    case TIMED_TRANSFER: return KERNEL_TRANSFER;
    }
    return kernel_class_of(call->operation);
}

void kernel_profile_add(void *context, const struct timed_call *call)
{
    struct kernel_profile *profile = context;
    struct kernel_totals *totals = &profile->totals[class_of(call)];
    double flops = call->work == TIMED_OPERATION ? operation_flops(call->operation) : 0.0;
    totals->calls += 1.0;
    totals->seconds += call->seconds;
    totals->flops += flops;
    totals->bytes += call->bytes;
    if (call->work != TIMED_TRANSFER)
        totals->floor_seconds +=
            fmax(flops / profile->peaks.flops_per_second, call->bytes / profile->peaks.bytes_per_second);
}

void kernel_profile_average(struct kernel_profile *profile, int steps)
{
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
        struct kernel_totals *totals = &profile->totals[i];
        totals->calls /= steps;
        totals->seconds /= steps;
        totals->flops /= steps;
        totals->bytes /= steps;
        totals->floor_seconds /= steps;
    }
}

struct kernel_totals kernel_profile_sum(const struct kernel_profile *profile)
{
    struct kernel_totals sum = {0};
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
        sum.calls += profile->totals[i].calls;
        sum.seconds += profile->totals[i].seconds;
        sum.flops += profile->totals[i].flops;
        sum.bytes += profile->totals[i].bytes;
        sum.floor_seconds += profile->totals[i].floor_seconds;
    }
    return sum;
}

double kernel_profile_waits(const struct kernel_profile *profile, const struct kernel_totals *totals)
{
    return totals->calls * profile->peaks.call_seconds;
}

struct kernel_gain kernel_profile_next_gain(const struct kernel_profile *profile, double share)
{
    struct kernel_gain best = {KERNEL_OTHER, 0.0};
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
        const struct kernel_totals *totals = &profile->totals[i];
        double working = totals->seconds - kernel_profile_waits(profile, totals);
        double gain = working - totals->floor_seconds / share;
        if (i != KERNEL_TRANSFER && gain > best.seconds) best = (struct kernel_gain){(enum kernel_class)i, gain};
    }
    return best;
}
