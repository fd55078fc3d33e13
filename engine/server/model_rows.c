/* Models and their presence as JSON rows of the catalogue. */
#include "engine/server/model_rows.h"

#include "engine/model/library.h"

static void describe_model(cJSON *models, const struct model_entry *entry)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", entry->name);
    cJSON_AddStringToObject(row, "title", entry->name);
    cJSON_AddStringToObject(row, "path", entry->path);
    cJSON_AddStringToObject(row, "source", model_place_name(entry->place));
    cJSON_AddBoolToObject(row, "present", true);
    cJSON_AddNullToObject(row, "hint");
    cJSON_AddBoolToObject(row, "diffusion", entry->kind == MODEL_KIND_DIFFUSION);
    cJSON_AddItemToArray(models, row);
}

void add_models(cJSON *catalogue, const struct model_library *library)
{
    cJSON *models = cJSON_AddArrayToObject(catalogue, "models");
    for (int i = 0; i < library->count; i++) describe_model(models, &library->entries[i]);
}

void add_model_presence(cJSON *row, const char *model, const struct model_library *library)
{
    char path[PATH_SIZE];
    status found = model_library_find(library, model, MODEL_KIND_DIFFUSION, path);
    cJSON_AddBoolToObject(row, "model_present", found.code == STATUS_OK);
    if (found.code == STATUS_OK)
        cJSON_AddNullToObject(row, "model_hint");
    else
        cJSON_AddStringToObject(row, "model_hint", found.message);
}
