/* Recorded sweeps by what they were recorded with, so that a sweep is replayed instead of queued again. */
#include "engine/graph/recording.h"

#include <stddef.h>

static bool same_sweep(const struct sweep *a, const struct sweep *b)
{
    return a->first == b->first && a->past == b->past && a->saved == b->saved && a->work == b->work &&
           a->scratch == b->scratch;
}

static struct recording *find(struct recordings *recordings, const struct sweep *sweep)
{
    for (int i = 0; i < recordings->count; i++)
        if (same_sweep(&recordings->entries[i].sweep, sweep)) return &recordings->entries[i];
    return NULL;
}

/* What was begun is ended whatever happened between, so that the backend is usable again. */
static status record(struct backend *backend, struct recording *recording, queue_sweep *queue, void *context)
{
    void *sequence = NULL;
    TRY(backend->interface->capture_begin(backend));
    status queued = queue(context, &recording->sweep);
    status ended = backend->interface->capture_end(backend, &sequence);
    if (queued.code == STATUS_OK && ended.code == STATUS_OK) {
        recording->sequence = sequence;
        return status_ok();
    }
    if (sequence) backend->interface->sequence_discard(backend, sequence);
    return queued.code == STATUS_OK ? ended : queued;
}

status recordings_run(struct recordings *recordings, struct backend *backend, const struct sweep *sweep,
                      queue_sweep *queue, void *context)
{
    if (!backend->interface->capture_begin || recordings->refusal.code != STATUS_OK) return queue(context, sweep);
    struct recording *known = find(recordings, sweep);
    if (!known) {
        if (recordings->count < MOST_RECORDINGS)
            recordings->entries[recordings->count++] = (struct recording){*sweep, NULL};
        return queue(context, sweep);
    }
    if (!known->sequence) {
        recordings->refusal = record(backend, known, queue, context);
        /* A device that cannot record can still compute; one that is lost says so here. */
        if (recordings->refusal.code != STATUS_OK) return queue(context, sweep);
    }
    return backend->interface->replay(backend, known->sequence);
}

void recordings_forget(struct recordings *recordings, struct backend *backend)
{
    for (int i = 0; i < recordings->count; i++)
        if (recordings->entries[i].sequence)
            backend->interface->sequence_discard(backend, recordings->entries[i].sequence);
    recordings->count = 0;
}
