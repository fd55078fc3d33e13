/* Checkpoints: everything a run needs to go on bit for bit, in a folder that is there whole or not at all.
 *
 *   checkpoints/step-000010/  lora.safetensors optimizer.safetensors state.json */
#ifndef ALIGNPROP_RUN_CHECKPOINT_H
#define ALIGNPROP_RUN_CHECKPOINT_H

#include "engine/run/adapter_file.h"
#include "engine/run/run_folder.h"
#include "engine/tuning/tuner.h"

/* Settings that may change while a run goes on. */
struct live_settings {
    double weights[MAXIMUM_REWARDS];
    double learning_rate, clip;
    int sample_every;
    double preview_rate; /* denoising pictures a second to show */
};

/* What state.json holds beside the tuner's own scalars. */
struct run_state {
    int step;
    struct live_settings settings;
    int skipped;
    int rollbacks; /* how often the run had gone back when this was saved */
    int threads;
    char device[32];
    double started; /* seconds since 1970 */
};

/* Where step's checkpoint is. */
status checkpoint_path(const struct run_folder *folder, int step, char path[PATH_SIZE]);

/* The adapter of the step's checkpoint; step -1: of the newest, which stands in the run's folder. STATUS_BAD_INPUT when
 * there is none: says which steps there are. */
status checkpoint_find_adapter(const struct run_folder *folder, int step, char path[PATH_SIZE]);

/* Writes the tuner's state aside, syncs it, renames it into place, and makes RUN/lora.safetensors the same adapter.
 * STATUS_FAILED names the file; nothing half-written is left. */
status checkpoint_save(const struct run_folder *folder, const struct tuner *tuner, const struct preset *preset,
                       const struct run_state *state, const struct adapter_facts *facts);

/* Steps that have a checkpoint, ascending. `*steps` is freed by the caller. */
status checkpoint_list(const struct run_folder *folder, int **steps, int *count);

/* Reads and checks a checkpoint: hashes, tensors, state. With `tuner` not NULL, puts it into the tuner. */
status checkpoint_load(const struct run_folder *folder, int step, const struct preset *preset, struct tuner *tuner,
                       struct run_state *state);

/* Removes the oldest until `keep` are left; removes leavings of interrupted writes. */
status checkpoint_prune(const struct run_folder *folder, int keep);
/* Removes the checkpoints after `step`. */
status checkpoint_remove_after(const struct run_folder *folder, int step);
/* Makes RUN/lora.safetensors the adapter of `step`'s checkpoint. */
status checkpoint_publish(const struct run_folder *folder, int step);

#endif
