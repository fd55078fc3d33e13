/* Writes the identities of a run's models, and compares them with those that are there now. */
#include "engine/run/run_weights.h"

#include "engine/base/json.h"
#include "engine/base/seal.h"
#include "engine/model/identity.h"
#include "engine/run/origin.h"

#include <stdio.h>
#include <string.h>

enum { NOTE_LIMIT = 1 << 20, SCHEMA = 1 };
static const char origin_key[] = "origin";

static status note_path(const struct run_folder *folder, char path[PATH_SIZE])
{
    return path_format(path, "%s/weights.json", folder->path);
}

static status add_identities(cJSON *weights, const struct model_uses *models)
{
    for (int i = 0; i < models->count; i++) {
        char digits[65];
        TRY(model_identity(models->uses[i].path, digits));
        cJSON_AddStringToObject(weights, models->uses[i].key, digits);
    }
    return status_ok();
}

static status add_origin(cJSON *weights, const struct run_folder *folder)
{
    char digits[65];
    TRY(origin_hash(folder, digits));
    if (digits[0]) cJSON_AddStringToObject(weights, origin_key, digits);
    return status_ok();
}

static status fill_note(cJSON *note, const struct run_folder *folder, const struct model_uses *models)
{
    cJSON_AddNumberToObject(note, "schema", SCHEMA);
    cJSON *weights = cJSON_AddObjectToObject(note, "weights");
    TRY(add_identities(weights, models));
    TRY(add_origin(weights, folder));
    seal_add(note);
    return status_ok();
}

status run_weights_write(const struct run_folder *folder, const struct model_uses *models)
{
    char path[PATH_SIZE];
    TRY(note_path(folder, path));
    cJSON *note = cJSON_CreateObject();
    status result = fill_note(note, folder, models);
    if (result.code == STATUS_OK) result = json_write_file(path, note);
    cJSON_Delete(note);
    return result;
}

static void note_other(struct run_weights_report *report, const char *key, const char *path)
{
    size_t length = strlen(report->keys);
    snprintf(report->keys + length, sizeof report->keys - length, "%s%s", length ? ", " : "", key);
    if (report->other++ == 0) snprintf(report->path, sizeof report->path, "%s", path);
}

/* A model that the note does not know is another than the run began with. */
static status compare_models(const struct json_object *weights, const struct model_uses *models,
                             struct run_weights_report *report)
{
    for (int i = 0; i < models->count; i++) {
        char digits[65];
        const char *noted;
        TRY(model_identity(models->uses[i].path, digits));
        TRY(json_text_or(weights, models->uses[i].key, "", &noted));
        if (strcmp(noted, digits) != 0) note_other(report, models->uses[i].key, models->uses[i].path);
    }
    return status_ok();
}

static status compare_origin(const struct json_object *weights, const struct run_folder *folder,
                             struct run_weights_report *report)
{
    char digits[65], path[PATH_SIZE];
    const char *noted;
    TRY(origin_hash(folder, digits));
    TRY(json_text_or(weights, origin_key, "", &noted));
    TRY(path_format(path, "%s/origin.safetensors", folder->path));
    if (strcmp(noted, digits) != 0) note_other(report, origin_key, path);
    return status_ok();
}

static status compare_note(const char *path, cJSON *note, const struct run_folder *folder,
                           const struct model_uses *models, struct run_weights_report *report)
{
    struct json_object root, weights;
    int schema;
    bool sealed;
    TRY(json_root(path, note, &root));
    TRY(seal_take(note, path, &sealed));
    TRY(json_int(&root, "schema", SCHEMA, SCHEMA, &schema));
    TRY(json_child(&root, "weights", &weights));
    TRY(compare_models(&weights, models, report));
    return compare_origin(&weights, folder, report);
}

status run_weights_compare(const struct run_folder *folder, const struct model_uses *models,
                           struct run_weights_report *report)
{
    *report = (struct run_weights_report){0};
    char path[PATH_SIZE];
    TRY(note_path(folder, path));
    report->known = path_is_file(path);
    if (!report->known) return status_ok();
    cJSON *note;
    TRY(json_read_file(path, NOTE_LIMIT, &note));
    status result = compare_note(path, note, folder, models, report);
    cJSON_Delete(note);
    return result;
}
