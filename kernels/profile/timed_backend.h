/* A backend that times another one: every operation and every copy is done by the other backend, waited for, and
 * reported with its seconds.
 *
 * A backend around a backend, and no hook in graph or program, because everything that computes goes through the
 * interface of kernels/backend.h anyway: tuner, rewards and decoder are timed as they are, on any device, nothing is
 * global, and who does not measure pays nothing.
 *
 * Waiting after every call takes away what a device gains by doing one thing while the next is queued, so the seconds
 * add up to more than the work takes otherwise. Recorded sequences are not offered: within one, no call has a time of
 * its own. */
#ifndef ALIGNPROP_KERNELS_PROFILE_TIMED_BACKEND_H
#define ALIGNPROP_KERNELS_PROFILE_TIMED_BACKEND_H

#include "kernels/backend.h"

enum timed_work { TIMED_OPERATION, TIMED_COPY, TIMED_TRANSFER };

struct timed_call {
    enum timed_work work;              /* COPY: copy and clear; TRANSFER: upload and download */
    const struct operation *operation; /* valid during the report only; NULL where it is a copy */
    double bytes;   /* of a copy, read and written, on the device; of an operation: operation_bytes */
    double seconds; /* from before it was queued until it was done */
};

struct timed_hooks {
    void *context;
    double (*now)(void *context); /* seconds since any moment */
    void (*report)(void *context, const struct timed_call *call);
};

/* Seconds of the monotonic clock, for `now`; the context is not used. */
double timed_wall_clock(void *context);

/* Borrows `inner`, which must outlive it; its `destroy` leaves the inner backend as it is. Weights are packed and
 * pictures fetched (interface: pack, fetch) without being timed. A call that fails is not reported. */
status timed_backend_create(struct backend *inner, struct timed_hooks hooks, struct backend **backend);

#endif
