/* What a command is told to write never goes onto what a run consists of. */
#ifndef ALIGNPROP_RUN_RUN_OUTPUT_H
#define ALIGNPROP_RUN_RUN_OUTPUT_H

#include "kernels/status.h"

/* STATUS_BAD_INPUT when writing to `path`, links followed, would replace a file of a run (whichever run it is: its
 * preset, metrics, adapters, lock, log, checkpoints or samples), or something that is no regular file. */
status run_output_check(const char *path);

#endif
