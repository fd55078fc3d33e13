/* A preset's text. Whatever is accepted must come back the same when its resolved form is read again. */
#include "engine/base/json.h"
#include "engine/preset/preset.h"
#include "tests/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

static void check_round_trip(const struct preset *preset)
{
    struct preset again;
    if (preset_from_json(preset->resolved, "again", NULL, NULL, 0, &again, NULL).code != STATUS_OK) abort();
    char *first = json_print(preset->resolved, true), *second = json_print(again.resolved, true);
    if (!first || !second || strcmp(first, second) != 0) abort();
    free(first);
    free(second);
    preset_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *tree;
    if (json_parse((const char *)data, size, "fuzz", &tree).code != STATUS_OK) return 0;
    struct preset preset;
    struct preset_warnings warnings = {0};
    if (preset_from_json(tree, "fuzz", "/nowhere", NULL, 0, &preset, &warnings).code == STATUS_OK) {
        check_round_trip(&preset);
        preset_clear(&preset);
    }
    preset_warnings_clear(&warnings);
    cJSON_Delete(tree);
    return 0;
}
