/* Where the commands meet the front end; without it (built with -Dstudio=disabled) they say so. */
#ifndef ALIGNPROP_CLI_STUDIO_HOOK_H
#define ALIGNPROP_CLI_STUDIO_HOOK_H

#include "kernels/status.h"

#include <stdbool.h>

/* Prints pictures inline; format and width as `show` has them (NULL and 0: by itself). */
status studio_hook_show(const char *format, int width, int count, const char *const *paths);

/* Opens the studio, on a run where `run` is not NULL. `pictures`: a format as `show` has them, or NULL. */
status studio_hook_open(const char *program, const char *run, const char *pictures, bool mouse);

bool studio_hook_is_built(void);

#endif
