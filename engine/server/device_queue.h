/* Who works on a device: engines take a place there, so that another can wait for it or say who is in the way.
 *
 * A place is a shared lock (flock) on a file beside the sockets; it ends with the process, however that ends. Waiting
 * for the device is trying for the lock alone, which succeeds once everybody has left. */
#ifndef ALIGNPROP_SERVER_DEVICE_QUEUE_H
#define ALIGNPROP_SERVER_DEVICE_QUEUE_H

#include "engine/base/files.h"

struct device_holder {
    long pid;
    char run_folder[PATH_SIZE]; /* "" when unknown */
};
enum { HOLDER_DESCRIPTION_SIZE = PATH_SIZE + 40 };

/* "/runs/first (process 17)", or "another run"; returns `words`. */
const char *device_holder_describe(const struct device_holder *holder, char description[HOLDER_DESCRIPTION_SIZE]);

/* Takes a place on the device ("cpu", "cuda:0") for a run. `share`: also beside others. *place is the descriptor that
 * holds it (close it to leave), or -1 when somebody is there and `share` is false: *holder (may be NULL) says who. */
status device_enter(const char *device, const char *run_folder, bool share, int *place, struct device_holder *holder);

/* True when an engine works on the device; *holder (may be NULL) says which, the last to come of several. */
bool device_is_busy(const char *device, struct device_holder *holder);

#endif
