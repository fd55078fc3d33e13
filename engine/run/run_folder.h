/* The folder of one run, as the contract lays it out: who holds it, its metrics file, its checkpoints by step.
 *
 *   preset.json  weights.json  metrics.jsonl  samples/  checkpoints/  lora.safetensors
 *   engine.json  engine.lock  engine.log */
#ifndef ALIGNPROP_RUN_RUN_FOLDER_H
#define ALIGNPROP_RUN_RUN_FOLDER_H

#include "engine/base/files.h"
#include "engine/preset/preset.h"
#include "kernels/status.h"

enum { RUN_ID_SIZE = 80 };

struct run_folder {
    char path[PATH_SIZE]; /* absolute */
    char id[RUN_ID_SIZE]; /* names the run and its socket: letters, digits, '-', '_', '.' */
    int lock;             /* descriptor of engine.lock while this process is the run's engine, else -1 */
    int directory;        /* descriptor of the folder, open while `lock` is */
};

/* Where runs are kept: $XDG_DATA_HOME/alignprop/runs. */
status run_folder_home(char path[PATH_SIZE]);

/* Makes the folder of a new run: `path`, which must not exist or be empty, or (NULL) a new folder "NAME-DATE-TIME"
 * under run_folder_home. Writes engine.json with the device (NULL: not chosen) and the threads (0: likewise), so that a
 * run killed before its first step is resumed as it was begun, then preset.json, which makes it a run. The folder is
 * locked. */
status run_folder_create(const char *path, const struct preset *preset, const char *device, int threads,
                         struct run_folder *folder);

/* Finds the folder `name_or_path` means: a path, a name under run_folder_home, or the last part
 * of the path, or the id, of a run that run_register.h knows. STATUS_BAD_INPUT if there is no run,
 * naming the nearest. */
status run_folder_open(const char *name_or_path, struct run_folder *folder);

/* Notes where the run is, if it stands outside run_folder_home, for those who list runs. */
status run_folder_register(const struct run_folder *folder);

/* Becomes the run's engine. STATUS_FAILED when another process holds the lock (the message names its pid). */
status run_folder_lock(struct run_folder *folder);
void run_folder_unlock(struct run_folder *folder);
/* True while some process holds the lock. */
bool run_folder_is_alive(const struct run_folder *folder);

/* Where the folder of a run that this process is the engine of is now; `path` receives the new place of one that moved.
 */
enum run_folder_place { RUN_FOLDER_HERE, RUN_FOLDER_MOVED, RUN_FOLDER_REMOVED };
enum run_folder_place run_folder_place(const struct run_folder *folder, char path[PATH_SIZE]);

/* engine.json: pid, socket path (NULL: none yet), version, and what a resumed run takes up again. */
status run_folder_announce(const struct run_folder *folder, const char *socket_path, const char *device, int threads);

struct engine_facts {
    long pid;
    char socket_path[PATH_SIZE];
    char version[32], device[32];
    int threads; /* of the CPU engine; 0: unknown */
};
status run_folder_engine(const struct run_folder *folder, struct engine_facts *facts);

/* The preset as started, which is sealed (engine/base/seal.h). The caller clears it. STATUS_BAD_INPUT when it was
 * changed;
 * `*sealed` (may be NULL) is false for a run of a program before there were seals. */
status run_folder_preset(const struct run_folder *folder, struct preset *preset, bool *sealed);

#endif
