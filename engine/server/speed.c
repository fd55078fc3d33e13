/* Notes a device's speed in the state folder and predicts a step's seconds from it. */
#include "engine/server/speed.h"

#include "engine/base/files.h"
#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/base/paths.h"

#include <math.h>

static status speed_path(char path[PATH_SIZE])
{
    char folder[PATH_SIZE];
    TRY(paths_state(folder));
    TRY(directory_make(folder));
    return path_format(path, "%s/speed.json", folder);
}

/* The object of notes: device to operations a second; empty when there is no readable file. */
static cJSON *read_notes(const char *path)
{
    cJSON *notes = NULL;
    if (json_read_file(path, 1 << 16, &notes).code == STATUS_OK && cJSON_IsObject(notes)) return notes;
    cJSON_Delete(notes);
    return cJSON_CreateObject();
}

void speed_note(const char *device, double flops, double seconds)
{
    char path[PATH_SIZE];
    if (!(flops > 0) || !(seconds > 0) || speed_path(path).code != STATUS_OK) return;
    cJSON *notes = read_notes(path);
    cJSON_DeleteItemFromObjectCaseSensitive(notes, device);
    cJSON_AddNumberToObject(notes, device, flops / seconds);
    status written = json_write_file(path, notes);
    (void)written;
    cJSON_Delete(notes);
}

double speed_predict(const char *device, double flops)
{
    char path[PATH_SIZE];
    if (speed_path(path).code != STATUS_OK) return NAN;
    cJSON *notes = read_notes(path);
    double speed = json_get_number(notes, device, NAN);
    cJSON_Delete(notes);
    return speed > 0 ? flops / speed : NAN;
}
