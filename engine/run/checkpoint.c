/* Saves a checkpoint aside and renames it; lists, reads, checks and removes checkpoints. */
#include "engine/run/checkpoint.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/seal.h"
#include "engine/base/sha256.h"
#include "engine/base/text.h"
#include "engine/model/safetensors.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_LIMIT = 64 << 20 };
static const char adapter_name[] = "lora.safetensors";
static const char optimizer_name[] = "optimizer.safetensors";
static const char state_name[] = "state.json";

static status folder_path(const struct run_folder *folder, char path[PATH_SIZE])
{
    return path_format(path, "%s/checkpoints", folder->path);
}

status checkpoint_path(const struct run_folder *folder, int step, char path[PATH_SIZE])
{
    return path_format(path, "%s/checkpoints/step-%06d", folder->path, step);
}

/* ---- saving ---- */

static status write_adapter(const char *aside, const struct tuner *tuner, const struct preset *preset,
                            const struct adapter_facts *facts)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/%s", aside, adapter_name));
    struct adapter_set set;
    TRY(adapter_set_of_tuner(tuner, preset->alpha, &set));
    status result = adapter_file_write(path, &set, ADAPTER_KOHYA, 1, preset, facts);
    adapter_set_release(&set);
    return result;
}

static void item_of(const struct tuner_tensor *tensor, struct safetensors_item *item)
{
    item->name = tensor->name;
    item->type = SAFETENSORS_F32;
    item->rank = tensor->shape.rank;
    for (int i = 0; i < item->rank; i++) item->dimension[i] = tensor->shape.dimension[i];
    item->bytes = tensor->values;
}

static status write_optimizer(const char *aside, const struct tuner *tuner)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/%s", aside, optimizer_name));
    int count = tuner_optimizer_tensors(tuner, NULL, 0);
    struct tuner_tensor *tensors = memory_take((size_t)count, sizeof *tensors);
    struct safetensors_item *items = memory_take((size_t)count, sizeof *items);
    tuner_optimizer_tensors(tuner, tensors, count);
    for (int i = 0; i < count; i++) item_of(&tensors[i], &items[i]);
    status result = safetensors_write(path, items, (size_t)count, NULL, 0);
    free(tensors);
    free(items);
    return result;
}

static status add_hash(cJSON *hashes, const char *aside, const char *name)
{
    char path[PATH_SIZE], digits[65];
    TRY(path_format(path, "%s/%s", aside, name));
    TRY(sha256_file(path, digits));
    cJSON_AddStringToObject(hashes, name, digits);
    return status_ok();
}

static status fill_state(cJSON *object, const char *aside, const struct tuner *tuner, const struct preset *preset,
                         const struct run_state *state)
{
    cJSON_AddNumberToObject(object, "schema", 1);
    cJSON_AddNumberToObject(object, "step", state->step);
    cJSON_AddNumberToObject(object, "skipped", state->skipped);
    cJSON_AddNumberToObject(object, "rollbacks", state->rollbacks);
    cJSON_AddStringToObject(object, "device", state->device);
    cJSON_AddNumberToObject(object, "threads", state->threads);
    cJSON_AddNumberToObject(object, "started", state->started);
    live_settings_write(preset, &state->settings, cJSON_AddObjectToObject(object, "settings"));
    cJSON *hashes = cJSON_AddObjectToObject(object, "sha256");
    TRY(add_hash(hashes, aside, adapter_name));
    TRY(add_hash(hashes, aside, optimizer_name));
    char *scalars = tuner_save_scalars(tuner);
    /* As a text, so that it comes back to the tuner byte for byte. */
    cJSON_AddStringToObject(object, "tuner", scalars);
    free(scalars);
    seal_add(object);
    return status_ok();
}

static status write_state(const char *aside, const struct tuner *tuner, const struct preset *preset,
                          const struct run_state *state)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/%s", aside, state_name));
    cJSON *object = cJSON_CreateObject();
    status result = fill_state(object, aside, tuner, preset, state);
    if (result.code == STATUS_OK) result = json_write_file(path, object);
    cJSON_Delete(object);
    return result;
}

static status write_aside(const char *aside, const struct tuner *tuner, const struct preset *preset,
                          const struct run_state *state, const struct adapter_facts *facts)
{
    TRY(directory_make(aside));
    TRY(write_adapter(aside, tuner, preset, facts));
    TRY(write_optimizer(aside, tuner));
    TRY(write_state(aside, tuner, preset, state));
    return directory_sync(aside);
}

status checkpoint_save(const struct run_folder *folder, const struct tuner *tuner, const struct preset *preset,
                       const struct run_state *state, const struct adapter_facts *facts)
{
    char parent[PATH_SIZE], aside[PATH_SIZE], path[PATH_SIZE];
    TRY(folder_path(folder, parent));
    TRY(directory_make(parent));
    TRY(path_format(aside, "%s/.step-%06d.tmp", parent, state->step));
    TRY(checkpoint_path(folder, state->step, path));
    TRY(directory_remove(aside));
    status result = write_aside(aside, tuner, preset, state, facts);
    if (result.code == STATUS_OK) result = directory_remove(path);
    if (result.code == STATUS_OK && rename(aside, path) != 0) {
        result = status_errno(STATUS_FAILED, errno, "cannot write %s", path);
    }
    if (result.code != STATUS_OK) {
        directory_remove(aside);
        return result;
    }
    TRY(directory_sync(parent));
    return checkpoint_publish(folder, state->step);
}

/* A second name for the same file, put in place by renaming: no copy, and retention does not touch it. */
status checkpoint_publish(const struct run_folder *folder, int step)
{
    char checkpoint[PATH_SIZE], from[PATH_SIZE], aside[PATH_SIZE], to[PATH_SIZE];
    TRY(checkpoint_path(folder, step, checkpoint));
    TRY(path_format(from, "%s/%s", checkpoint, adapter_name));
    TRY(path_format(aside, "%s/.lora.tmp", folder->path));
    TRY(path_format(to, "%s/%s", folder->path, adapter_name));
    unlink(aside);
    if (link(from, aside) == 0) {
        /* Renaming one name of a file onto another of the same file does nothing and leaves the first. */
        int renamed = rename(aside, to);
        int error_number = errno;
        unlink(aside);
        if (renamed != 0) return status_errno(STATUS_FAILED, error_number, "cannot write %s", to);
        return directory_sync(folder->path);
    }
    char *data;
    size_t length;
    TRY(file_read(from, (size_t)4 << 30, &data, &length));
    status result = file_write_atomic(to, data, length);
    free(data);
    return result;
}

/* ---- finding ---- */

/* The step of "step-000010"; -1 for other names. */
static int step_of(const char *name)
{
    int64_t step;
    if (strncmp(name, "step-", 5) != 0 || strlen(name) < 11 || !text_to_int64(name + 5, &step)) return -1;
    return step >= 0 && step <= INT_MAX ? (int)step : -1;
}

static int compare_steps(const void *left, const void *right)
{
    int a = *(const int *)left, b = *(const int *)right;
    return (a > b) - (a < b);
}

status checkpoint_list(const struct run_folder *folder, int **steps, int *count)
{
    *steps = NULL;
    *count = 0;
    char parent[PATH_SIZE];
    TRY(folder_path(folder, parent));
    if (!path_is_directory(parent)) return status_ok();
    struct name_list names;
    TRY(directory_list(parent, &names));
    *steps = memory_take((size_t)names.count, sizeof **steps);
    for (int i = 0; i < names.count; i++) {
        int step = step_of(names.names[i]);
        if (step >= 0) (*steps)[(*count)++] = step;
    }
    name_list_clear(&names);
    if (*count > 1) qsort(*steps, (size_t)*count, sizeof **steps, compare_steps);
    return status_ok();
}

static status no_checkpoint(const struct run_folder *folder, int step)
{
    int *steps, count;
    if (step < 0) return status_error(STATUS_BAD_INPUT, "%.250s has saved no adapter yet", folder->path);
    TRY(checkpoint_list(folder, &steps, &count));
    struct text all = {0};
    for (int i = 0; i < count; i++) text_append(&all, "%s%d", i ? ", " : "", steps[i]);
    free(steps);
    status result = count > 0 ? status_error(STATUS_BAD_INPUT, "%.250s has no checkpoint of step %d; it has: %.150s",
                                             folder->path, step, all.data ? all.data : "")
                              : status_error(STATUS_BAD_INPUT, "%.250s has no checkpoint yet", folder->path);
    text_clear(&all);
    return result;
}

status checkpoint_find_adapter(const struct run_folder *folder, int step, char path[PATH_SIZE])
{
    char parent[PATH_SIZE];
    TRY(path_format(parent, "%s", folder->path));
    if (step >= 0) TRY(checkpoint_path(folder, step, parent));
    TRY(path_format(path, "%s/%s", parent, adapter_name));
    return path_is_file(path) ? status_ok() : no_checkpoint(folder, step);
}

static status remove_leavings(const char *parent)
{
    struct name_list names;
    TRY(directory_list(parent, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        char path[PATH_SIZE];
        if (strncmp(names.names[i], ".step-", 6) != 0) continue;
        result = path_format(path, "%s/%s", parent, names.names[i]);
        if (result.code == STATUS_OK) result = directory_remove(path);
    }
    name_list_clear(&names);
    return result;
}

static status remove_step(const struct run_folder *folder, int step)
{
    char path[PATH_SIZE];
    TRY(checkpoint_path(folder, step, path));
    return directory_remove(path);
}

status checkpoint_prune(const struct run_folder *folder, int keep, int spared)
{
    char parent[PATH_SIZE];
    TRY(folder_path(folder, parent));
    if (!path_is_directory(parent)) return status_ok();
    TRY(remove_leavings(parent));
    int *steps, count;
    TRY(checkpoint_list(folder, &steps, &count));
    status result = status_ok();
    for (int i = 0; i + keep < count && result.code == STATUS_OK; i++) {
        if (steps[i] != spared) result = remove_step(folder, steps[i]);
    }
    free(steps);
    return result;
}

status checkpoint_remove_after(const struct run_folder *folder, int step)
{
    int *steps, count;
    TRY(checkpoint_list(folder, &steps, &count));
    status result = status_ok();
    for (int i = count - 1; i >= 0 && steps[i] > step && result.code == STATUS_OK; i--) {
        result = remove_step(folder, steps[i]);
    }
    free(steps);
    return result;
}

/* ---- loading ---- */

static status check_hash(const struct json_object *hashes, const char *checkpoint, const char *name)
{
    char path[PATH_SIZE], digits[65];
    const char *expected;
    TRY(json_text(hashes, name, &expected));
    TRY(path_format(path, "%s/%s", checkpoint, name));
    TRY(sha256_file(path, digits));
    if (strcmp(digits, expected) == 0) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: damaged: its SHA-256 is %.16s..., expected %.16s...", path, digits,
                        expected);
}

static status read_state(const struct json_object *root, const struct preset *preset, struct run_state *state,
                         const char **scalars)
{
    const char *device;
    struct json_object settings;
    TRY(json_int(root, "step", 0, INT_MAX, &state->step));
    TRY(json_int(root, "skipped", 0, INT_MAX, &state->skipped));
    TRY(json_int(root, "rollbacks", 0, INT_MAX, &state->rollbacks));
    TRY(json_int(root, "threads", 0, 100000, &state->threads));
    TRY(json_number(root, "started", 0, 1e18, &state->started));
    TRY(json_text(root, "device", &device));
    snprintf(state->device, sizeof state->device, "%s", device);
    TRY(json_child(root, "settings", &settings));
    TRY(live_settings_read(preset, &settings, &state->settings));
    return json_text(root, "tuner", scalars);
}

/* What tuner_restore asks for tensors. */
struct tensor_lookup {
    const struct adapter_set *adapter;
    const struct safetensors *optimizer;
    float **read; /* values read for it, freed afterwards */
    int read_count, read_capacity;
};

static const float *find_moment(struct tensor_lookup *lookup, const char *name, const struct shape *shape)
{
    const struct safetensors_entry *entry = safetensors_find(lookup->optimizer, name);
    if (!entry || lookup->read_count == lookup->read_capacity) return NULL;
    float *values = memory_take((size_t)entry->elements, sizeof *values);
    lookup->read[lookup->read_count++] = values;
    return safetensors_read(lookup->optimizer, name, shape, values).code == STATUS_OK ? values : NULL;
}

static const float *find_tensor(void *context, const char *name, const struct shape *shape)
{
    struct tensor_lookup *lookup = context;
    const float *values = adapter_set_find(lookup->adapter, name, shape);
    return values ? values : find_moment(lookup, name, shape);
}

static status restore_with(struct tuner *tuner, const char *scalars, struct tensor_lookup *lookup)
{
    /* Twice the tensors of the file: a tuner may ask again. */
    lookup->read_capacity = 2 * (int)safetensors_count(lookup->optimizer) + 1;
    lookup->read = memory_take((size_t)lookup->read_capacity, sizeof *lookup->read);
    status result = tuner_restore(tuner, scalars, find_tensor, lookup);
    for (int i = 0; i < lookup->read_count; i++) free(lookup->read[i]);
    free(lookup->read);
    return result;
}

/* ---- checking and opening ---- */

static status check_state(const struct json_object *root, const struct preset *preset, int step,
                          struct run_state *state, const char **scalars)
{
    TRY(read_state(root, preset, state, scalars));
    if (state->step == step) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: step: expected %d, as its folder says, found %d", root->origin, step,
                        state->step);
}

static status check_tensors(const struct json_object *root, const char *checkpoint)
{
    struct json_object hashes;
    TRY(json_child(root, "sha256", &hashes));
    TRY(check_hash(&hashes, checkpoint, adapter_name));
    return check_hash(&hashes, checkpoint, optimizer_name);
}

/* `*tree` is the caller's to delete, `*scalars` lies in it. */
static status load(const char *checkpoint, int step, const struct preset *preset, cJSON **tree, struct run_state *state,
                   const char **scalars, bool *whole)
{
    char path[PATH_SIZE];
    struct json_object root;
    bool sealed;
    *state = (struct run_state){0};
    *whole = false;
    TRY(path_format(path, "%s/%s", checkpoint, state_name));
    TRY(json_read_file(path, STATE_LIMIT, tree));
    *whole = true;
    TRY(json_root(path, *tree, &root));
    TRY(seal_take(*tree, path, &sealed));
    TRY(check_state(&root, preset, step, state, scalars));
    *whole = false;
    return check_tensors(&root, checkpoint);
}

status checkpoint_check(const struct run_folder *folder, int step, const struct preset *preset, struct run_state *state,
                        bool *whole)
{
    char checkpoint[PATH_SIZE];
    const char *scalars;
    cJSON *tree = NULL;
    bool ignored;
    TRY(checkpoint_path(folder, step, checkpoint));
    status result = load(checkpoint, step, preset, &tree, state, &scalars, whole ? whole : &ignored);
    cJSON_Delete(tree);
    return result;
}

struct checkpoint {
    char path[PATH_SIZE];
    char *scalars;
    struct adapter_set adapter;
    struct safetensors *optimizer;
};

static status open_tensors(struct checkpoint *checkpoint)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/%s", checkpoint->path, adapter_name));
    TRY(adapter_file_read(path, &checkpoint->adapter));
    TRY(path_format(path, "%s/%s", checkpoint->path, optimizer_name));
    return safetensors_open(path, &checkpoint->optimizer);
}

static status open_checkpoint(struct checkpoint *checkpoint, int step, const struct preset *preset,
                              struct run_state *state)
{
    const char *scalars;
    cJSON *tree = NULL;
    bool whole;
    status result = load(checkpoint->path, step, preset, &tree, state, &scalars, &whole);
    if (result.code == STATUS_OK) checkpoint->scalars = memory_copy_text(scalars);
    cJSON_Delete(tree);
    return result.code == STATUS_OK ? open_tensors(checkpoint) : result;
}

status checkpoint_open(const struct run_folder *folder, int step, const struct preset *preset,
                       struct checkpoint **checkpoint, struct run_state *state)
{
    *checkpoint = NULL;
    struct checkpoint *opened = memory_take(1, sizeof *opened);
    status result = checkpoint_path(folder, step, opened->path);
    if (result.code == STATUS_OK) result = open_checkpoint(opened, step, preset, state);
    if (result.code != STATUS_OK) {
        checkpoint_close(opened);
        return result;
    }
    *checkpoint = opened;
    return status_ok();
}

status checkpoint_restore(const struct checkpoint *checkpoint, struct tuner *tuner)
{
    struct tensor_lookup lookup = {.adapter = &checkpoint->adapter, .optimizer = checkpoint->optimizer};
    return status_context(restore_with(tuner, checkpoint->scalars, &lookup), "%s", checkpoint->path);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    if (!checkpoint) return;
    adapter_set_clear(&checkpoint->adapter);
    if (checkpoint->optimizer) safetensors_close(checkpoint->optimizer);
    free(checkpoint->scalars);
    free(checkpoint);
}
