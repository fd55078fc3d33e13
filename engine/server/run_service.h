/* A run's engine as its watchers see it: turns what a session does into messages, and requests into what a session
 * takes. */
#ifndef ALIGNPROP_SERVER_RUN_SERVICE_H
#define ALIGNPROP_SERVER_RUN_SERVICE_H

#include "engine/run/session.h"

#include <signal.h>

struct run_service;

struct run_service_options {
    const struct run_folder *folder; /* borrowed */
    const struct preset *preset;     /* borrowed */
    int steps;                       /* the run's total */
    int step;                        /* done already as it begins: 0, or the checkpoint's */
    struct backend *backend;         /* borrowed; for watchers' plans and pictures, on the session's thread */
    const char *device;
    int threads;
    const char *version;
    const char *program;               /* the path of this program, to start further runs with */
    struct session_hooks also;         /* called before the service's own; requests are never fetched from it */
    volatile sig_atomic_t *interrupts; /* a request to stop at once sets it to 2; may be NULL */
};

/* Listens at the run's socket, phase `starting`. To be done before a long start, so that who attaches sees it. */
status run_service_create(const struct run_service_options *options, struct run_service **service);
/* For engine.json. */
const char *run_service_socket(const struct run_service *service);
/* For the session. */
struct session_hooks run_service_hooks(struct run_service *service);

/* Phase `waiting`, for whom (NULL: nobody any more, phase `starting`), and how many stand before this run in the line.
 */
void run_service_waiting(struct run_service *service, const char *run_folder, long pid, int ahead);
/* True when a client has asked for the end (while no session runs yet). */
bool run_service_stop_asked(struct run_service *service);
/* Waits up to `seconds`, less when the end is asked for (while no session runs yet). Every request that comes meanwhile
 * is answered at once; settings, a pause and evaluations are kept for the session. */
void run_service_wait(struct run_service *service, double seconds);

/* Publishes the end with the session's outcome, sends what still waits for up to `linger` seconds, frees. `step` is the
 * last finished one. NULL is ignored. */
void run_service_end(struct run_service *service, status result, double linger);

#endif
