/* `alignprop engine`: an engine without a run, for a screen that has started nothing yet. */
#ifndef ALIGNPROP_SERVER_IDLE_ENGINE_H
#define ALIGNPROP_SERVER_IDLE_ENGINE_H

#include "kernels/status.h"

#include <signal.h>

struct backend;

struct idle_engine_options {
    int connection; /* a connected socket: the engine ends with it; -1: listens at engine.sock until interrupted */
    const char *version;
    const char *program; /* the path of this program, to start runs with */
    const char *device;  /* "cpu", "cuda:0" */
    int threads;         /* 0: all cores */
    void *context;
    /* Makes the backend when a plan or a picture first needs one; the engine destroys it. */
    status (*open_backend)(void *context, struct backend **backend);
    const volatile sig_atomic_t *interrupts; /* ends the engine when not 0; may be NULL */
};

status idle_engine_serve(const struct idle_engine_options *options);

#endif
