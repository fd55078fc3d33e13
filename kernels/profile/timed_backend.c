/* A backend around another one that times every operation. */
#include "kernels/profile/timed_backend.h"

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

struct timed_backend {
    struct backend backend;
    struct backend_interface interface; /* the inner one's facts, the functions below */
    struct backend *inner;
    struct timed_hooks hooks;
};

/* This backend's kernel: the inner backend's, and what it is a kernel of. */
struct kernel {
    struct kernel *inner;
    struct operation operation;
    double bytes;
};

static struct timed_backend *timed(struct backend *backend)
{
    return (struct timed_backend *)backend;
}

static struct backend *inner(struct backend *backend)
{
    return timed(backend)->inner;
}

double timed_wall_clock(void *context)
{
    (void)context;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double now(struct backend *backend)
{
    return timed(backend)->hooks.now(timed(backend)->hooks.context);
}

/* Waits for what was queued since `begin`, with `queued` as its outcome, and reports it. */
static status finish(struct backend *backend, double begin, status queued, struct timed_call call)
{
    TRY(queued);
    TRY(inner(backend)->interface->synchronize(inner(backend)));
    call.seconds = now(backend) - begin;
    timed(backend)->hooks.report(timed(backend)->hooks.context, &call);
    return status_ok();
}

static status finish_copy(struct backend *backend, double begin, status queued, enum timed_work work, double bytes)
{
    return finish(backend, begin, queued, (struct timed_call){.work = work, .bytes = bytes});
}

static status allocate(struct backend *backend, size_t bytes, void **memory)
{
    return inner(backend)->interface->allocate(inner(backend), bytes, memory);
}

static void release(struct backend *backend, void *memory)
{
    inner(backend)->interface->release(inner(backend), memory);
}

static status memory_free(struct backend *backend, size_t *free_bytes, size_t *total_bytes)
{
    return inner(backend)->interface->memory_free(inner(backend), free_bytes, total_bytes);
}

static status upload(struct backend *backend, void *device, const void *host, size_t bytes)
{
    double begin = now(backend);
    status queued = inner(backend)->interface->upload(inner(backend), device, host, bytes);
    return finish_copy(backend, begin, queued, TIMED_TRANSFER, (double)bytes);
}

static status download(struct backend *backend, void *host, const void *device, size_t bytes)
{
    double begin = now(backend);
    status queued = inner(backend)->interface->download(inner(backend), host, device, bytes);
    return finish_copy(backend, begin, queued, TIMED_TRANSFER, (double)bytes);
}

static status copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    double begin = now(backend);
    status queued = inner(backend)->interface->copy(inner(backend), to, from, bytes);
    return finish_copy(backend, begin, queued, TIMED_COPY, 2.0 * (double)bytes);
}

static status clear(struct backend *backend, void *device, size_t bytes)
{
    double begin = now(backend);
    status queued = inner(backend)->interface->clear(inner(backend), device, bytes);
    return finish_copy(backend, begin, queued, TIMED_COPY, (double)bytes);
}

static status prepare(struct backend *backend, const struct operation *operation, struct kernel **kernel,
                      struct kernel_requirements *requirements)
{
    struct kernel *created = malloc(sizeof *created);
    if (!created) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    *created = (struct kernel){.operation = *operation, .bytes = operation_bytes(operation)};
    status prepared = inner(backend)->interface->prepare(inner(backend), operation, &created->inner, requirements);
    if (prepared.code != STATUS_OK) {
        free(created);
        return prepared;
    }
    *kernel = created;
    return status_ok();
}

static void discard(struct backend *backend, struct kernel *kernel)
{
    inner(backend)->interface->discard(inner(backend), kernel->inner);
    free(kernel);
}

static status pack(struct backend *backend, struct kernel *kernel, const void *weight, void *packed, void *scratch)
{
    return inner(backend)->interface->pack(inner(backend), kernel->inner, weight, packed, scratch);
}

static status run(struct backend *backend, struct kernel *kernel, const void *const *inputs, void *const *outputs,
                  const void *packed, void *scratch)
{
    double begin = now(backend);
    status queued = inner(backend)->interface->run(inner(backend), kernel->inner, inputs, outputs, packed, scratch);
    return finish(
        backend, begin, queued,
        (struct timed_call){.work = TIMED_OPERATION, .operation = &kernel->operation, .bytes = kernel->bytes});
}

static status synchronize(struct backend *backend)
{
    return inner(backend)->interface->synchronize(inner(backend));
}

static status fetch(struct backend *backend, const void *device, size_t bytes)
{
    return inner(backend)->interface->fetch(inner(backend), device, bytes);
}

static status fetched(struct backend *backend, const void **host)
{
    return inner(backend)->interface->fetched(inner(backend), host);
}

static void destroy(struct backend *backend)
{
    free(timed(backend));
}

/* Facts come first in the interface and pass through as they are; every function has to be named here. */
enum { FUNCTIONS = 19 };
_Static_assert(sizeof(struct backend_interface) ==
                   offsetof(struct backend_interface, allocate) + FUNCTIONS * sizeof(void (*)(void)),
               "timed_interface names every function of a backend");

static struct backend_interface timed_interface(const struct backend_interface *original)
{
    struct backend_interface interface = *original;
    interface.allocate = allocate;
    interface.release = release;
    interface.memory_free = memory_free;
    interface.upload = upload;
    interface.download = download;
    interface.copy = copy;
    interface.clear = clear;
    interface.prepare = prepare;
    interface.discard = discard;
    interface.pack = pack;
    interface.run = run;
    interface.synchronize = synchronize;
    interface.fetch = original->fetch ? fetch : NULL;
    interface.fetched = original->fetched ? fetched : NULL;
    interface.capture_begin = NULL;
    interface.capture_end = NULL;
    interface.replay = NULL;
    interface.sequence_discard = NULL;
    interface.destroy = destroy;
    return interface;
}

status timed_backend_create(struct backend *inner_backend, struct timed_hooks hooks, struct backend **backend)
{
    struct timed_backend *created = malloc(sizeof *created);
    if (!created) return status_error(STATUS_NO_MEMORY, "no memory for a backend");
    created->interface = timed_interface(inner_backend->interface);
    created->backend.interface = &created->interface;
    created->inner = inner_backend;
    created->hooks = hooks;
    *backend = &created->backend;
    return status_ok();
}
