/* The adapter that a new run begins with in place of a fresh one: a checkpoint's of another run, kept in the new run's
 * folder as origin.safetensors, so that the run stays whole when the other is gone. */
#ifndef ALIGNPROP_RUN_ORIGIN_H
#define ALIGNPROP_RUN_ORIGIN_H

#include "engine/run/run_folder.h"
#include "engine/tuning/tuner.h"

/* Copies the adapter file of the other run's checkpoint into the new run's folder. */
status origin_keep(const char *adapter_path, const struct run_folder *folder);

/* The hash of the origin; "" where the folder has none. */
status origin_hash(const struct run_folder *folder, char digits[65]);

/* Puts the origin, where the folder has one, into a tuner that has made no step. STATUS_BAD_INPUT when its tensors are
 * not those of the run's preset: rank and targets must be the same. */
status origin_apply(const struct run_folder *folder, struct tuner *tuner);

#endif
