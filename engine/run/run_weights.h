/* Which weights a run computes with: RUN/weights.json holds the hash of the adapter that it began with, where it began
 * with one (origin.h; key "origin"), and the identity (engine/model/identity.h) of each of its models by the preset's
 * key, never by time or path, so that a copied model is the same. Sealed as engine/base/seal.h says.
 *
 *   {"schema": 1, "weights": {"model": "HASH", "rewards.clip.params.model": "HASH"}, "seal": "sha256:..."} */
#ifndef ALIGNPROP_RUN_RUN_WEIGHTS_H
#define ALIGNPROP_RUN_RUN_WEIGHTS_H

#include "engine/run/run_folder.h"
#include "engine/tuning/preset_models.h"

/* Notes the weights of these models as the run's. */
status run_weights_write(const struct run_folder *folder, const struct model_uses *models);

struct run_weights_report {
    bool known;                      /* false: nothing is noted, as in runs of programs before there were notes */
    int other;                       /* models whose weights are not those that are noted */
    char keys[300], path[PATH_SIZE]; /* their keys, with commas between; the first one's path */
};

/* Compares the models with the note. STATUS_BAD_INPUT for a note or a model that cannot be read, or a note that was
 * changed. */
status run_weights_compare(const struct run_folder *folder, const struct model_uses *models,
                           struct run_weights_report *report);

#endif
