/* Where an engine listens: socket paths, the folder they are in, and who may connect. */
#ifndef ALIGNPROP_PROTOCOL_ENDPOINT_H
#define ALIGNPROP_PROTOCOL_ENDPOINT_H

#include "kernels/status.h"

#include <stddef.h>
#include <sys/types.h>

enum { SOCKET_PATH_BYTES = 108 }; /* sizeof sun_path, the terminating NUL with it */

/* The folder of sockets: $XDG_RUNTIME_DIR/alignprop when that is an absolute path and short enough, else
 * /tmp/alignprop-UID. Created with mode 0700; STATUS_FAILED when it belongs to another user, is a link or is open to
 * others. */
status endpoint_folder(char folder[SOCKET_PATH_BYTES]);

/* FOLDER/ID.sock for a run's folder: the ID is 16 hexadecimal digits drawn from the folder's absolute path, so that one
 * run always has one socket. `name` NULL; or FOLDER/NAME.sock when `name` is given. */
status endpoint_path(const char *run_folder, const char *name, char path[SOCKET_PATH_BYTES]);

/* Listens at `path`, non-blocking and close-on-exec; what a dead engine left there is removed first, a live one's
 * socket is not (STATUS_FAILED). The socket's mode is 0600. */
status endpoint_listen(const char *path, int *descriptor);

/* Connects without waiting; the descriptor is non-blocking and close-on-exec. STATUS_FAILED when nobody listens, too
 * many wait there already, or the listener is another user's. */
status endpoint_connect(const char *path, int *descriptor);

/* STATUS_FAILED unless the process at the other end runs as this user. */
status endpoint_check_peer(int descriptor);
/* The process at the other end, as it was when the connection was made; 0 when that is unknown. */
pid_t endpoint_peer_process(int descriptor);

/* Sets non-blocking and close-on-exec. */
status endpoint_prepare(int descriptor);

#endif
