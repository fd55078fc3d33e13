#include "tui/client/item.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

cJSON *item_object(const char *text, size_t length)
{
    cJSON *object = cJSON_ParseWithLengthOpts(text, length + 1, NULL, 1);
    if (object != NULL && !cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

const cJSON *item_get(const cJSON *object, const char *key)
{
    const cJSON *item = object == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, key);
    return item == NULL || cJSON_IsNull(item) ? NULL : item;
}

const cJSON *item_find(const cJSON *object, const char *path)
{
    while (object != NULL) {
        const cJSON *whole = item_get(object, path);
        const char *dot = strchr(path, '.');
        if (whole != NULL || dot == NULL) return whole;
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        object = item_get(object, key);
        path = dot + 1;
    }
    return NULL;
}

const char *item_text(const cJSON *object, const char *key, const char *fallback)
{
    const cJSON *item = item_get(object, key);
    return cJSON_IsString(item) ? item->valuestring : fallback;
}

double item_number(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = item_get(object, key);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : fallback;
}

long long item_integer(const cJSON *object, const char *key, long long fallback)
{
    double value = item_number(object, key, NAN);
    if (isnan(value) || fabs(value) > 9e15) return fallback;
    return (long long)value;
}

bool item_true(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(item_get(object, key));
}

void item_put(cJSON *object, const char *path, cJSON *value)
{
    const char *dot = strchr(path, '.');
    if (dot == NULL) {
        if (cJSON_GetObjectItemCaseSensitive(object, path) != NULL)
            cJSON_ReplaceItemInObjectCaseSensitive(object, path, value);
        else
            cJSON_AddItemToObject(object, path, value);
        return;
    }
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
    cJSON *inner = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsObject(inner)) {
        cJSON *fresh = cJSON_CreateObject();
        if (inner != NULL)
            cJSON_ReplaceItemInObjectCaseSensitive(object, key, fresh);
        else
            cJSON_AddItemToObject(object, key, fresh);
        inner = fresh;
    }
    item_put(inner, dot + 1, value);
}
