/* Sweeps of a program that the backend has recorded and replays as a whole, which costs the host one call instead of
 * one an operation. */
#ifndef ALIGNPROP_GRAPH_RECORDING_H
#define ALIGNPROP_GRAPH_RECORDING_H

#include "kernels/backend.h"

#include <stdbool.h>

/* A range of operations and the memory it works in; everything else that it reads or writes is bound and stays where
 * it is, or recordings_forget is called. */
struct sweep {
    int first, past;
    void *saved, *work, *scratch;
};

/* More than a program has sweeps over different memory, but for long chains that keep every step's activations: those
 * beyond run one operation after the other. */
enum { MOST_RECORDINGS = 32 };

struct recording {
    struct sweep sweep;
    void *sequence; /* the backend's; NULL: the sweep ran once, and is recorded when it comes again */
};

struct recordings {
    struct recording entries[MOST_RECORDINGS];
    int count;
    status refusal; /* of the backend to record, from when on nothing is */
};

typedef status queue_sweep(void *context, const struct sweep *sweep);

/* Has `queue` queue the sweep's operations the first time (which loads their code), records that the second time, and
 * from then on replays. Backends that cannot record, and sweeps beyond MOST_RECORDINGS, are queued each time. */
status recordings_run(struct recordings *recordings, struct backend *backend, const struct sweep *sweep,
                      queue_sweep *queue, void *context);
/* To be called when anything moved that a sweep reads or writes, and at the end. */
void recordings_forget(struct recordings *recordings, struct backend *backend);

#endif
