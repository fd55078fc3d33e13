/* Reads and notes plans in the state folder by preset, models and device. */
#include "engine/server/plan_cache.h"

#include "engine/base/files.h"
#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/base/paths.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_NOTES = 500, LARGEST_FILE = 1 << 20, KEY_BYTES_LONG = 64 };

static status cache_path(char path[PATH_SIZE])
{
    char folder[PATH_SIZE];
    TRY(paths_state(folder));
    TRY(directory_make(folder));
    return path_format(path, "%s/plans.json", folder);
}

/* FNV-1a of the preset's text, and the device. */
static bool make_key(const struct preset *preset, const char *device, char key[KEY_BYTES_LONG])
{
    char *text = json_print(preset->written, false);
    unsigned long long hash = 14695981039346656037u;
    for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    free(text);
    snprintf(key, KEY_BYTES_LONG, "%016llx %s", hash, device);
    return true;
}

static cJSON *read_notes(const char *path)
{
    cJSON *notes = NULL;
    if (json_read_file(path, LARGEST_FILE, &notes).code == STATUS_OK && cJSON_IsObject(notes)) return notes;
    cJSON_Delete(notes);
    return cJSON_CreateObject();
}

bool plan_cache_find(const struct preset *preset, const char *device, struct planned *planned)
{
    char path[PATH_SIZE], key[KEY_BYTES_LONG];
    if (cache_path(path).code != STATUS_OK || !make_key(preset, device, key)) return false;
    cJSON *notes = read_notes(path);
    const cJSON *note = cJSON_GetObjectItemCaseSensitive(notes, key);
    double bytes = json_get_number(note, "bytes", NAN), flops = json_get_number(note, "flops", NAN);
    bool found = !isnan(bytes) && !isnan(flops);
    if (found) *planned = (struct planned){.bytes = bytes, .flops_per_step = flops};
    cJSON_Delete(notes);
    return found;
}

void plan_cache_note(const struct preset *preset, const char *device, const struct memory_plan *plan)
{
    char path[PATH_SIZE], key[KEY_BYTES_LONG];
    if (cache_path(path).code != STATUS_OK || !make_key(preset, device, key)) return;
    cJSON *notes = read_notes(path);
    cJSON_DeleteItemFromObjectCaseSensitive(notes, key);
    while (cJSON_GetArraySize(notes) >= MOST_NOTES) cJSON_Delete(cJSON_DetachItemViaPointer(notes, notes->child));
    cJSON *note = cJSON_AddObjectToObject(notes, key);
    cJSON_AddNumberToObject(note, "bytes", (double)plan->total_bytes);
    cJSON_AddNumberToObject(note, "flops", plan->flops_per_step);
    status written = json_write_file(path, notes);
    (void)written;
    cJSON_Delete(notes);
}
