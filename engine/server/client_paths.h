/* Paths in requests are the client's: relative ones begin at its folder, not at the engine's. */
#ifndef ALIGNPROP_SERVER_CLIENT_PATHS_H
#define ALIGNPROP_SERVER_CLIENT_PATHS_H

#include "kernels/status.h"

#include <cjson/cJSON.h>
#include <sys/types.h>

/* Makes every relative path in the request `message` absolute, from the present folder of `process` (0: unknown). Where
 * a name may stand instead of a path (a run's, a preset's), only a text with a '/' is a path. STATUS_BAD_INPUT when
 * there is a relative path and the client's folder cannot be told. */
status client_paths_resolve(cJSON *message, const char *type, pid_t process);

#endif
