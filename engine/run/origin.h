/* The adapter that a new run begins with in place of a fresh one: a checkpoint's of another run, kept in the new run's
 * folder as origin.safetensors, so that the run stays whole when the other is gone.
 *
 * The new run may have another rank, alpha or more targets: factors are brought to its own so that the update stays
 * what it was. Its up factors take the quotient of the strengths alpha / rank; where it has a higher rank, the rows
 * that are added begin as a fresh adapter's, which change nothing. */
#ifndef ALIGNPROP_RUN_ORIGIN_H
#define ALIGNPROP_RUN_ORIGIN_H

#include "engine/run/run_folder.h"
#include "engine/tuning/tuner.h"

/* Copies the adapter file of the other run's checkpoint into the new run's folder. */
status origin_keep(const char *adapter_path, const struct run_folder *folder);

/* The hash of the origin; "" where the folder has none. */
status origin_hash(const struct run_folder *folder, char digits[65]);

/* Puts the origin, where the folder has one, into a tuner of `preset` that has made no step. STATUS_BAD_INPUT where a
 * part of its update would be lost: a higher rank than the preset's, a module that it does not tune, a text encoder. */
status origin_apply(const struct run_folder *folder, const struct preset *preset, struct tuner *tuner);

#endif
