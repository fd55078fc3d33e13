/* Refuses an output path that lies in a run's folder. */
#include "engine/run/run_output.h"

#include "engine/base/files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool holds_a_run(const char *folder)
{
    char path[PATH_SIZE];
    return path_format(path, "%s/preset.json", folder).code == STATUS_OK && path_is_file(path);
}

/* `name` is the path within the run's folder. */
static bool is_of_a_run(const char *name)
{
    static const char *const files[] = {"preset.json",      "metrics.jsonl",    "votes.jsonl",
                                        "lora.safetensors", "best.safetensors", "origin.safetensors",
                                        "engine.json",      "engine.lock",      "engine.log"};
    static const char *const folders[] = {"checkpoints/", "samples/"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(name, files[i]) == 0) return true;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(name, folders[i], strlen(folders[i])) == 0) return true;
    return false;
}

/* The absolute path without links; false when its folder is not there. */
static bool resolve(const char *target, char path[PATH_SIZE])
{
    char copy[PATH_SIZE], folder[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", target);
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (slash) *slash = '\0';
    if (!realpath(slash ? (*copy ? copy : "/") : ".", folder)) return false;
    return path_format(path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name).code == STATUS_OK;
}

status run_output_check(const char *path)
{
    enum { DEEPEST = 3 }; /* checkpoints/step-000010/state.json */
    char target[PATH_SIZE], absolute[PATH_SIZE], folder[PATH_SIZE];
    mode_t mode;
    TRY(file_find_target(path, target, &mode));
    if (!resolve(target, absolute)) return status_ok();
    snprintf(folder, sizeof folder, "%s", absolute);
    for (int depth = 0; depth < DEEPEST; depth++) {
        char *slash = strrchr(folder, '/');
        if (!slash) break;
        *slash = '\0';
        const char *name = absolute + (slash - folder) + 1;
        if (is_of_a_run(name) && holds_a_run(folder)) {
            return status_error(STATUS_BAD_INPUT, "%s: belongs to the run in %s; expected another name", path, folder);
        }
    }
    return status_ok();
}
