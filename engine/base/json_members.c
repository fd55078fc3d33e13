/* Reads and sets members of JSON objects without complaint: what is missing or of another kind gives a default. */
#include "engine/base/json_members.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_KEY_BYTES = 128 };

const cJSON *json_get(const cJSON *message, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, key);
    return cJSON_IsNull(item) ? NULL : item;
}

const cJSON *json_find(const cJSON *message, const char *path)
{
    while (message) {
        const cJSON *whole = json_get(message, path);
        const char *dot = strchr(path, '.');
        if (whole || !dot) return whole;
        char key[PATH_KEY_BYTES];
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        message = json_get(message, key);
        path = dot + 1;
    }
    return NULL;
}

const char *json_get_text(const cJSON *message, const char *key, const char *fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, key);
    return cJSON_IsString(item) && item->valuestring ? item->valuestring : fallback;
}

bool json_get_flag(const cJSON *message, const char *key, bool fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

double json_get_number(const cJSON *message, const char *key, double fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, key);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : fallback;
}

int64_t json_get_integer_in(const cJSON *message, const char *key, int64_t low, int64_t high, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, key);
    if (!cJSON_IsNumber(item)) return fallback;
    double value = item->valuedouble;
    if (!(value >= (double)low && value <= (double)high) || value != floor(value)) return fallback;
    return (int64_t)value;
}

long long json_get_integer(const cJSON *message, const char *key, int64_t fallback)
{
    static const int64_t limit = INT64_C(1) << 53;
    return json_get_integer_in(message, key, -limit, limit, fallback);
}

void json_put(cJSON *object, const char *key, cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key))
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
    else
        cJSON_AddItemToObject(object, key, value);
}

void json_put_at(cJSON *message, const char *path, cJSON *value)
{
    for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char key[PATH_KEY_BYTES];
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        cJSON *inner = cJSON_GetObjectItemCaseSensitive(message, key);
        if (!cJSON_IsObject(inner)) {
            inner = cJSON_CreateObject();
            json_put(message, key, inner);
        }
        message = inner;
    }
    json_put(message, path, value);
}

void json_add_number(cJSON *message, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(message, key, value);
    else
        cJSON_AddNullToObject(message, key);
}
