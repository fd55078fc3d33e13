/* peft's LoraConfig as text and as file: the strength of a module's update, by its keys (config_keys.c). */
#include "engine/model/adapter_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/adapter_pattern.h"
#include "engine/model/config_keys.h"

enum { RANK_LIMIT = 1 << 20, PATTERN_COUNT_LIMIT = 20000, EXPRESSION_LIMIT = 100 };

/* peft's LoraConfig: what it is without the key. */
static const double default_alpha = 8;

static bool is_empty(const cJSON *value)
{
    if (cJSON_IsString(value)) return value->valuestring[0] == '\0';
    if (cJSON_IsArray(value) || cJSON_IsObject(value)) return value->child == NULL;
    return cJSON_IsNull(value) || cJSON_IsFalse(value);
}

/* ---- reading ---- */

/* A pattern for each module may be told; most are paths, and compared quickly. */
static status read_patterns(const struct adapter_config *config, const cJSON *value, const char *key, bool ranks,
                            const cJSON **patterns)
{
    *patterns = NULL;
    if (is_empty(value)) return status_ok();
    if (!cJSON_IsObject(value)) return json_wrong_value(config->origin, key, "an object of numbers", value);
    int count = 0, expressions = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        char place[JSON_PATH_SIZE];
        bool wrong = !cJSON_IsNumber(item) || !isfinite(item->valuedouble);
        if (!wrong && ranks)
            wrong = item->valuedouble < 1 || item->valuedouble > RANK_LIMIT ||
                    item->valuedouble != floor(item->valuedouble);
        snprintf(place, sizeof place, "%s.%s", key, item->string);
        if (wrong) return json_wrong_value(config->origin, place, ranks ? "a rank" : "a number", item);
        if (!adapter_pattern_is_path(item->string)) expressions++;
        count++;
    }
    if (count > PATTERN_COUNT_LIMIT || expressions > EXPRESSION_LIMIT)
        return status_error(STATUS_BAD_INPUT,
                            "%s: %s: has %d patterns, %d of them expressions; at most %d and %d are read",
                            config->origin, key, count, expressions, (int)PATTERN_COUNT_LIMIT, (int)EXPRESSION_LIMIT);
    *patterns = value;
    return status_ok();
}

static status read_rank(struct adapter_config *config, const cJSON *value, const char *key)
{
    if (!cJSON_IsNumber(value) || value->valuedouble < 1 || value->valuedouble > RANK_LIMIT ||
        value->valuedouble != floor(value->valuedouble))
        return json_wrong_value(config->origin, key, "a rank", value);
    config->rank = (int64_t)value->valuedouble;
    return status_ok();
}

static status read_alpha(struct adapter_config *config, const cJSON *value, const char *key)
{
    if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
        return json_wrong_value(config->origin, key, "a number", value);
    config->alpha = value->valuedouble;
    return status_ok();
}

static status read_stabilized(struct adapter_config *config, const cJSON *value, const char *key)
{
    if (!cJSON_IsBool(value) && !cJSON_IsNull(value))
        return json_wrong_value(config->origin, key, "true or false", value);
    config->rank_stabilized = cJSON_IsTrue(value);
    return status_ok();
}

static status read_strength(struct adapter_config *config, const char *name, const cJSON *value, const char *key)
{
    if (strcmp(name, "r") == 0) return read_rank(config, value, key);
    if (strcmp(name, "lora_alpha") == 0) return read_alpha(config, value, key);
    if (strcmp(name, "use_rslora") == 0) return read_stabilized(config, value, key);
    bool ranks = strcmp(name, "rank_pattern") == 0;
    return read_patterns(config, value, key, ranks, ranks ? &config->rank_pattern : &config->alpha_pattern);
}

/* `key` is the whole key, `name` the same without the network's prefix. */
static status read_member(struct adapter_config *config, const char *name, const cJSON *value, const char *key,
                          struct adapter_warnings *warnings)
{
    const struct config_key *row = config_key_find(&lora_keys, name);
    if (!row) {
        adapter_warn(warnings, "%.250s: %.100s: unknown key", config->origin, key);
        return status_ok();
    }
    if (row->use == KEY_READ) return read_strength(config, name, value, key);
    if (row->use == KEY_WITHOUT_EFFECT || cJSON_IsNull(value) || config_is_one_of(value, row->only)) return status_ok();
    char expected[160];
    config_tell_only(row->only, expected);
    return json_wrong_value(config->origin, key, expected, value);
}

status adapter_config_read(const struct json_object *object, const char *prefix, struct adapter_config *config,
                           struct adapter_warnings *warnings)
{
    *config = (struct adapter_config){.alpha = default_alpha};
    snprintf(config->origin, sizeof config->origin, "%s", object->origin);
    size_t length = strlen(prefix);
    const cJSON *member;
    cJSON_ArrayForEach(member, object->value)
    {
        const char *key = member->string;
        bool mine = length ? strncmp(key, prefix, length) == 0 : strchr(key, '.') == NULL;
        if (!mine) continue;
        config->given = true;
        TRY(read_member(config, key + length, member, key, warnings));
    }
    return status_ok();
}

/* ---- modules ---- */

/* The number of the first pattern that fits; `*value` stays where none does. */
static status look_up(const struct adapter_config *config, const cJSON *patterns, const char *path, const char *whole,
                      double *value)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, patterns)
    {
        bool fits;
        TRY(status_context(adapter_pattern_fits(item->string, path, &fits), "%s", config->origin));
        if (!fits) TRY(status_context(adapter_pattern_fits(item->string, whole, &fits), "%s", config->origin));
        if (!fits) continue;
        *value = item->valuedouble;
        return status_ok();
    }
    return status_ok();
}

bool adapter_config_has_patterns(const struct adapter_config *config)
{
    return config->rank_pattern || config->alpha_pattern;
}

status adapter_config_alpha(const struct adapter_config *config, const char *path, const char *whole, int64_t rank,
                            double *alpha)
{
    double told = config->rank ? (double)config->rank : (double)rank;
    *alpha = config->alpha;
    TRY(look_up(config, config->rank_pattern, path, whole, &told));
    TRY(look_up(config, config->alpha_pattern, path, whole, alpha));
    if (told != (double)rank)
        return status_error(STATUS_BAD_INPUT, "%s: %s: expected factors of rank %.0f, as the config says, found %lld",
                            config->origin, whole, told, (long long)rank);
    if (config->rank_stabilized) *alpha *= sqrt((double)rank);
    if (isfinite(*alpha)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: %s: alpha times the root of the rank is beyond all numbers",
                        config->origin, whole);
}
