/* The steps from an older schema to the next. */
#include "engine/preset/migrate.h"

#include <stdio.h>

/* Renames a member; a value already there under the new name wins. */
static void rename_key(cJSON *object, const char *from, const char *to)
{
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(object, from);
    if (cJSON_GetObjectItemCaseSensitive(object, to))
        cJSON_Delete(value);
    else if (value)
        cJSON_AddItemToObject(object, to, value);
}

/* Schema 0, the drafts before the first release: the seed was a number, the optimiser's section was "adamw". */
static void from_0_to_1(cJSON *preset)
{
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(preset, "seed");
    if (cJSON_IsNumber(seed)) {
        char digits[40];
        snprintf(digits, sizeof digits, "%.0f", seed->valuedouble);
        cJSON_ReplaceItemInObjectCaseSensitive(preset, "seed", cJSON_CreateString(digits));
    }
    rename_key(preset, "adamw", "optimizer");
}

static void (*const migrations[PRESET_SCHEMA])(cJSON *preset) = {from_0_to_1};

status preset_migrate(cJSON *preset, const char *origin)
{
    struct json_object root;
    TRY(json_root(origin, preset, &root));
    int schema;
    TRY(json_int(&root, "schema", 0, 1000000, &schema));
    if (schema > PRESET_SCHEMA) {
        return status_error(STATUS_BAD_INPUT, "%s: schema: %d is newer than this program, which reads up to %d", origin,
                            schema, PRESET_SCHEMA);
    }
    for (; schema < PRESET_SCHEMA; schema++) migrations[schema](preset);
    cJSON_ReplaceItemInObjectCaseSensitive(preset, "schema", cJSON_CreateNumber(PRESET_SCHEMA));
    return status_ok();
}
