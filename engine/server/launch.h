/* Starting a run as a process of its own: without a terminal, in its own session, deaf to hang-ups, its words in
 * engine.log. It outlives whoever started it. */
#ifndef ALIGNPROP_SERVER_LAUNCH_H
#define ALIGNPROP_SERVER_LAUNCH_H

#include "engine/preset/preset.h"
#include "engine/protocol/endpoint.h"
#include "engine/run/run_folder.h"

#include <sys/types.h>

struct launch_options {
    const char *program; /* of this binary */
    const char *device;  /* NULL: as the run had it, or by itself */
    int threads;         /* 0: likewise */
    int steps;           /* the new total; 0: as it stands in the run */
    bool other_weights;  /* go on though the weights are not those the run began with */
    bool share;          /* work beside others on a busy device instead of waiting for it */
    const char *origin;  /* adapter file that a new run begins with; NULL: a fresh adapter */
};

struct launched {
    pid_t pid;
    char socket[SOCKET_PATH_BYTES];
};

/* Starts `PROGRAM resume FOLDER` detached (a run without a checkpoint begins at step 0) and waits, 20 seconds at most,
 * until its socket answers. A process that ends before is a failure with its last words and its exit status. The folder
 * must not be locked by the caller. */
status launch_run(const struct run_folder *folder, const struct launch_options *options, struct launched *launched);

/* Makes a new run folder for the preset (`path` as in run_folder_create) and launches it; a run that could not start
 * leaves no folder. */
status launch_new_run(const char *path, const struct preset *preset, const struct launch_options *options,
                      struct run_folder *folder, struct launched *launched);

#endif
