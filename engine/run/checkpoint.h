/* Checkpoints: everything a run needs to go on bit for bit, in a folder that is there whole or not at all.
 *
 *   checkpoints/step-000010/  lora.safetensors optimizer.safetensors state.json
 *
 * state.json holds the hashes of the two others and is sealed itself (engine/base/seal.h); those of programs before
 * there were seals have none and are taken as they are. */
#ifndef ALIGNPROP_RUN_CHECKPOINT_H
#define ALIGNPROP_RUN_CHECKPOINT_H

#include "engine/run/adapter_file.h"
#include "engine/run/run_folder.h"
#include "engine/tuning/tuner.h"

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

/* Reads and checks a checkpoint's state, and that its tensors are those that were saved. STATUS_BAD_INPUT names the
 * file, and the key where a value is wrong; `*whole` (may be NULL) is then true for a state that is whole and says
 * something else than was saved or can be, false for files that are missing or damaged. */
status checkpoint_check(const struct run_folder *folder, int step, const struct preset *preset, struct run_state *state,
                        bool *whole);

/* A checkpoint that was checked and is held open: nobody can take it away. */
struct checkpoint;
status checkpoint_open(const struct run_folder *folder, int step, const struct preset *preset,
                       struct checkpoint **checkpoint, struct run_state *state);
status checkpoint_restore(const struct checkpoint *checkpoint, struct tuner *tuner);
void checkpoint_close(struct checkpoint *checkpoint); /* NULL: does nothing */

/* Removes the oldest until `keep` are left, but not `spared` (-1: none); removes leavings of interrupted writes. */
status checkpoint_prune(const struct run_folder *folder, int keep, int spared);
/* Removes the checkpoints after `step`. */
status checkpoint_remove_after(const struct run_folder *folder, int step);
/* Makes RUN/lora.safetensors the adapter of `step`'s checkpoint. */
status checkpoint_publish(const struct run_folder *folder, int step);

#endif
