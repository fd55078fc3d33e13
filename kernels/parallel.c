/* Loops over a fixed team of threads. */
#include "kernels/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Threads wait for each other in two ways: for SPINS turns they look (the next loop mostly begins within a
 * microsecond), then they sleep, so that a thread whose core does other work is not kept from it by one that waits for
 * it. */
enum { SPINS = 2000 };

struct worker {
    struct parallel *parallel;
    pthread_t thread;
    int index;
};

/* One loop at a time: `generation` counts the loops, `running` the workers that still work on the last one. */
struct parallel {
    int threads;
    struct worker *workers; /* threads - 1 */
    int started;
    pthread_mutex_t mutex;
    pthread_cond_t begun, done;
    atomic_uint generation;
    atomic_int running;
    atomic_bool stop;
    int64_t items, parts;
    parallel_body body;
    void *context;
};

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_part(struct parallel *parallel, int64_t part)
{
    if (part < parallel->parts)
        parallel->body(parallel->context, parallel->items * part / parallel->parts,
                       parallel->items * (part + 1) / parallel->parts, (int)part);
}

static bool has_begun(struct parallel *parallel, unsigned seen)
{
    return atomic_load_explicit(&parallel->generation, memory_order_acquire) != seen;
}

static void wait_for_loop(struct parallel *parallel, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (has_begun(parallel, seen)) return;
        pause_briefly();
    }
    pthread_mutex_lock(&parallel->mutex);
    while (!has_begun(parallel, seen)) pthread_cond_wait(&parallel->begun, &parallel->mutex);
    pthread_mutex_unlock(&parallel->mutex);
}

static bool is_done(struct parallel *parallel)
{
    return atomic_load_explicit(&parallel->running, memory_order_acquire) == 0;
}

static void wait_for_workers(struct parallel *parallel)
{
    for (int i = 0; i < SPINS; i++) {
        if (is_done(parallel)) return;
        pause_briefly();
    }
    pthread_mutex_lock(&parallel->mutex);
    while (!is_done(parallel)) pthread_cond_wait(&parallel->done, &parallel->mutex);
    pthread_mutex_unlock(&parallel->mutex);
}

static void begin_loop(struct parallel *parallel)
{
    pthread_mutex_lock(&parallel->mutex);
    atomic_store_explicit(&parallel->running, parallel->started, memory_order_relaxed);
    atomic_fetch_add_explicit(&parallel->generation, 1, memory_order_release);
    pthread_cond_broadcast(&parallel->begun);
    pthread_mutex_unlock(&parallel->mutex);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct parallel *parallel = worker->parallel;
    for (unsigned seen = 0;; seen++) {
        wait_for_loop(parallel, seen);
        if (atomic_load(&parallel->stop)) return NULL;
        run_part(parallel, worker->index);
        if (atomic_fetch_sub_explicit(&parallel->running, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&parallel->mutex);
            pthread_cond_signal(&parallel->done);
            pthread_mutex_unlock(&parallel->mutex);
        }
    }
}

static status start_workers(struct parallel *parallel)
{
    for (int i = 0; i < parallel->threads - 1; i++) {
        struct worker *worker = &parallel->workers[i];
        *worker = (struct worker){.parallel = parallel, .index = i + 1};
        int error = pthread_create(&worker->thread, NULL, work, worker);
        if (error) return status_errno(STATUS_FAILED, error, "cannot start thread %d of %d", i + 2, parallel->threads);
        parallel->started++;
    }
    return status_ok();
}

status parallel_create(int threads, struct parallel **result)
{
    struct parallel *parallel = calloc(1, sizeof *parallel);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    *result = NULL;
    if (!parallel || !workers) {
        free(parallel);
        free(workers);
        return status_error(STATUS_NO_MEMORY, "no memory for the CPU backend's threads");
    }
    parallel->threads = threads;
    parallel->workers = workers;
    pthread_mutex_init(&parallel->mutex, NULL);
    pthread_cond_init(&parallel->begun, NULL);
    pthread_cond_init(&parallel->done, NULL);
    status started = start_workers(parallel);
    if (started.code == STATUS_OK)
        *result = parallel;
    else
        parallel_destroy(parallel);
    return started;
}

void parallel_destroy(struct parallel *parallel)
{
    if (!parallel) return;
    atomic_store(&parallel->stop, true);
    begin_loop(parallel);
    for (int i = 0; i < parallel->started; i++) pthread_join(parallel->workers[i].thread, NULL);
    pthread_cond_destroy(&parallel->begun);
    pthread_cond_destroy(&parallel->done);
    pthread_mutex_destroy(&parallel->mutex);
    free(parallel->workers);
    free(parallel);
}

int parallel_useful(int most)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors < most ? (int)processors : most;
}

int parallel_threads(const struct parallel *parallel)
{
    return parallel->threads;
}

void parallel_for(struct parallel *parallel, int64_t items, int64_t grain, parallel_body body, void *context)
{
    int64_t parts = grain > 1 ? (items + grain - 1) / grain : items;
    if (parts > parallel->threads) parts = parallel->threads;
    if (parts <= 1) {
        body(context, 0, items, 0);
        return;
    }
    parallel->items = items;
    parallel->parts = parts;
    parallel->body = body;
    parallel->context = context;
    begin_loop(parallel);
    run_part(parallel, 0);
    wait_for_workers(parallel);
}
