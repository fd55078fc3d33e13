/* Typed access to a config's keys, with messages that name file, key, expected and found. */
#include "engine/model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"

enum { CONFIG_LIMIT = 64 << 20 };

/* A parsed value becomes a config if it is an object. */
static status adopt(cJSON *value, const char *label, struct config *config)
{
    status result = path_format(config->path, "%s", label);
    if (result.code == STATUS_OK && !cJSON_IsObject(value))
        result = status_error(STATUS_BAD_INPUT, "%s: expected a JSON object", label);
    if (result.code == STATUS_OK)
        config->root = value;
    else
        cJSON_Delete(value);
    return result;
}

status config_parse(const char *text, size_t length, const char *label, struct config *config)
{
    cJSON *value = NULL;
    memset(config, 0, sizeof *config);
    text = json_skip_mark(text, &length);
    TRY(json_parse_python(text, length, label, &value));
    return adopt(value, label, config);
}

status config_open(const char *path, struct config *config)
{
    cJSON *value = NULL;
    memset(config, 0, sizeof *config);
    TRY(json_read_python_file(path, CONFIG_LIMIT, &value));
    return adopt(value, path, config);
}

void config_close(struct config *config)
{
    cJSON_Delete(config->root);
    config->root = NULL;
}

const cJSON *config_find(const struct config *config, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(config->root, key);
    return value && !cJSON_IsNull(value) ? value : NULL;
}

status config_require(const struct config *config, const char *key)
{
    if (config_find(config, key)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: the key %s is missing", config->path, key);
}

status config_wrong(const struct config *config, const char *key, const char *expected)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(config->root, key);
    char *found = value ? cJSON_PrintUnformatted(value) : NULL;
    status result = status_error(STATUS_BAD_INPUT, "%s: %s is %.100s; expected %s", config->path, key,
                                 found ? found : "missing", expected);
    cJSON_free(found);
    return result;
}

static bool is_integer(const cJSON *value, int64_t low, int64_t high)
{
    return cJSON_IsNumber(value) && value->valuedouble == floor(value->valuedouble) &&
           value->valuedouble >= (double)low && value->valuedouble <= (double)high;
}

static status wrong_integer(const struct config *config, const char *key, const char *what, int64_t low, int64_t high)
{
    char expected[120];
    snprintf(expected, sizeof expected, "%s from %lld to %lld", what, (long long)low, (long long)high);
    return config_wrong(config, key, expected);
}

status config_integer(const struct config *config, const char *key, int64_t low, int64_t high, int64_t *value)
{
    const cJSON *item = config_find(config, key);
    if (!item) return status_ok();
    if (!is_integer(item, low, high)) return wrong_integer(config, key, "an integer", low, high);
    *value = (int64_t)item->valuedouble;
    return status_ok();
}

status config_number(const struct config *config, const char *key, double low, double high, double *value)
{
    const cJSON *item = config_find(config, key);
    if (!item) return status_ok();
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high)) {
        char expected[120];
        snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
        return config_wrong(config, key, expected);
    }
    *value = item->valuedouble;
    return status_ok();
}

status config_boolean(const struct config *config, const char *key, bool *value)
{
    const cJSON *item = config_find(config, key);
    if (!item) return status_ok();
    if (!cJSON_IsBool(item)) return config_wrong(config, key, "true or false");
    *value = cJSON_IsTrue(item);
    return status_ok();
}

status config_choice(const struct config *config, const char *key, const char *const *choices, int count, int *value)
{
    const cJSON *item = config_find(config, key);
    if (!item) return status_ok();
    for (int i = 0; i < count; i++)
        if (cJSON_IsString(item) && strcmp(item->valuestring, choices[i]) == 0) {
            *value = i;
            return status_ok();
        }
    char expected[300] = "";
    for (int i = 0; i < count; i++) {
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s\"%s\"", i ? " or " : "", choices[i]);
    }
    return config_wrong(config, key, expected);
}

status config_integers(const struct config *config, const char *key, int64_t low, int64_t high, int count,
                       int64_t *values)
{
    const cJSON *item = config_find(config, key);
    if (!item) return status_ok();
    char what[80];
    snprintf(what, sizeof what, "an integer or a list of %d integers", count);
    bool list = cJSON_IsArray(item);
    if (list && cJSON_GetArraySize(item) != count) return wrong_integer(config, key, what, low, high);
    const cJSON *element = list ? item->child : item;
    for (int i = 0; i < count; i++) {
        if (!is_integer(element, low, high)) return wrong_integer(config, key, what, low, high);
        values[i] = (int64_t)element->valuedouble;
        if (list) element = element->next;
    }
    return status_ok();
}

status config_booleans(const struct config *config, const char *key, int count, bool *values)
{
    const cJSON *item = config_find(config, key);
    if (!item) return status_ok();
    char expected[80];
    snprintf(expected, sizeof expected, "true, false or a list of %d of them", count);
    bool list = cJSON_IsArray(item);
    if (list && cJSON_GetArraySize(item) != count) return config_wrong(config, key, expected);
    const cJSON *element = list ? item->child : item;
    for (int i = 0; i < count; i++) {
        if (!cJSON_IsBool(element)) return config_wrong(config, key, expected);
        values[i] = cJSON_IsTrue(element);
        if (list) element = element->next;
    }
    return status_ok();
}

bool config_is_one_of(const cJSON *value, const char *only)
{
    static const char separator[] = " or ";
    char found[160]; /* what does not fit is none of them */
    if (!cJSON_PrintPreallocated((cJSON *)value, found, sizeof found, false)) return false;
    size_t length = strlen(found);
    for (;;) {
        const char *next = strstr(only, separator), *reason = strstr(only, " (");
        const char *end = next ? next : reason ? reason : only + strlen(only);
        if ((size_t)(end - only) == length && memcmp(only, found, length) == 0) return true;
        if (!next) return false;
        only = next + sizeof separator - 1;
    }
}

void config_tell_only(const char *only, char message[160])
{
    snprintf(message, 160, "%s%s", only, strstr(only, " (") ? "" : " (nothing else is supported)");
}

status config_only(const struct config *config, const char *key, const char *only)
{
    const cJSON *item = config_find(config, key);
    if (!item || config_is_one_of(item, only)) return status_ok();
    char expected[160];
    config_tell_only(only, expected);
    return config_wrong(config, key, expected);
}

status config_section(const struct config *config, const char *key, struct config *section)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(config->root, key);
    if (!cJSON_IsObject(item)) return config_wrong(config, key, "an object");
    TRY(path_format(section->path, "%s (%s)", config->path, key));
    section->root = item;
    section->remarks = config->remarks;
    return status_ok();
}
