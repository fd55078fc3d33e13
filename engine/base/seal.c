/* The hash of an object's members, added as its seal and checked when it is read again. */
#include "engine/base/seal.h"

#include "engine/base/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "sha256:"

enum { SEAL_SIZE = sizeof ALGORITHM + 64 };

static void compute(const cJSON *object, char seal[SEAL_SIZE])
{
    char *text = json_print(object, false), digits[65];
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, text, strlen(text));
    sha256_end(&hash, digits);
    free(text);
    snprintf(seal, SEAL_SIZE, ALGORITHM "%s", digits);
}

void seal_add(cJSON *object)
{
    char seal[SEAL_SIZE];
    compute(object, seal);
    cJSON_AddStringToObject(object, SEAL_MEMBER, seal);
}

status seal_take(cJSON *object, const char *origin, bool *sealed)
{
    cJSON *member = cJSON_DetachItemFromObjectCaseSensitive(object, SEAL_MEMBER);
    *sealed = member != NULL;
    if (!member) return status_ok();
    char seal[SEAL_SIZE];
    compute(object, seal);
    bool same = cJSON_IsString(member) && strcmp(member->valuestring, seal) == 0;
    cJSON_Delete(member);
    if (same) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: was changed after it was written: it does not fit its seal", origin);
}
