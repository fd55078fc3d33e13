/* What a file or folder is that is no whole model of a known kind: a part of one, an adapter, a file of another format.
 * Told by first bytes, tensor names and configs, for `models check` and for messages. */
#ifndef ALIGNPROP_MODEL_RECOGNISE_H
#define ALIGNPROP_MODEL_RECOGNISE_H

#include "kernels/status.h"

#include <stdbool.h>

struct recognised {
    char kind[60];         /* "adapter", "U-Net" */
    char description[200]; /* "a U-Net alone, in diffusers' layout" */
    char advice[240];      /* what to do */
    bool usable;           /* as what it is; else nothing here takes it */
};

/* False where nothing is known about it. */
bool model_recognise(const char *path, struct recognised *recognised);
/* STATUS_BAD_INPUT: "PATH: is WORDS; ADVICE". */
status recognised_refused(const char *path, const struct recognised *recognised);

#endif
