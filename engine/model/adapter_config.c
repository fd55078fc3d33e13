/* peft's LoraConfig read by a table of its keys: those that are used, those that must be neutral, those without
 * effect. */
#include "engine/model/adapter_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/adapter_pattern.h"

enum { RANK_LIMIT = 1 << 20, PATTERN_COUNT_LIMIT = 20000, EXPRESSION_LIMIT = 100 };

/* peft's LoraConfig: what it is without the key. */
static const double default_alpha = 8;

/* ---- keys ---- */

/* The values of a refused key that leave an adapter what its factors say. */
enum neutral {
    NEUTRAL_EMPTY, /* null, false, an empty text, list or object */
    NEUTRAL_LORA,  /* "LORA" */
    NEUTRAL_NONE,  /* "none" */
    NEUTRAL_START  /* a start of training that leaves the base weights as they were */
};

/* The keys of peft's PeftConfigMixin, PeftConfig and LoraConfig. */
static const struct {
    const char *name;
    enum adapter_key_use use;
    enum neutral neutral; /* of refused keys */
} keys[] = {
    {"r", ADAPTER_KEY_READ, NEUTRAL_EMPTY},
    {"lora_alpha", ADAPTER_KEY_READ, NEUTRAL_EMPTY},
    {"rank_pattern", ADAPTER_KEY_READ, NEUTRAL_EMPTY},
    {"alpha_pattern", ADAPTER_KEY_READ, NEUTRAL_EMPTY},
    {"use_rslora", ADAPTER_KEY_READ, NEUTRAL_EMPTY},

    {"peft_type", ADAPTER_KEY_REFUSED, NEUTRAL_LORA},
    {"bias", ADAPTER_KEY_REFUSED, NEUTRAL_NONE},
    {"init_lora_weights", ADAPTER_KEY_REFUSED, NEUTRAL_START},
    {"alora_invocation_tokens", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"arrow_config", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"fan_in_fan_out", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"kasa_config", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"layer_replication", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"lora_bias", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"megatron_config", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"modules_to_save", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"monteclora_config", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"target_parameters", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"trainable_token_indices", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"use_bdlora", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"use_dora", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},
    {"use_qalora", ADAPTER_KEY_REFUSED, NEUTRAL_EMPTY},

    {"auto_mapping", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"base_model_name_or_path", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"corda_config", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY}, /* init_lora_weights tells whether it was used */
    {"ensure_weight_tying", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"eva_config", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"exclude_modules", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"inference_mode", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"layers_pattern", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"layers_to_transform", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"loftq_config", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"lora_dropout", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"lora_ga_config", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"megatron_core", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"peft_version", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"qalora_group_size", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"revision", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"runtime_config", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"target_modules", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"task_type", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY},
    {"velora_config", ADAPTER_KEY_WITHOUT_EFFECT, NEUTRAL_EMPTY}, /* of the way back through training alone */
};

static int find_key(const char *name)
{
    for (int i = 0; i < (int)(sizeof keys / sizeof *keys); i++)
        if (strcmp(keys[i].name, name) == 0) return i;
    return -1;
}

enum adapter_key_use adapter_config_key_use(const char *key)
{
    int index = find_key(key);
    return index < 0 ? ADAPTER_KEY_UNKNOWN : keys[index].use;
}

static bool is_one_of(const cJSON *value, const char *const *names, size_t count)
{
    for (size_t i = 0; cJSON_IsString(value) && i < count; i++)
        if (strcmp(value->valuestring, names[i]) == 0) return true;
    return false;
}

static bool is_empty(const cJSON *value)
{
    if (cJSON_IsString(value)) return value->valuestring[0] == '\0';
    if (cJSON_IsArray(value) || cJSON_IsObject(value)) return value->child == NULL;
    return cJSON_IsNull(value) || cJSON_IsFalse(value);
}

static bool is_neutral(enum neutral neutral, const cJSON *value)
{
    static const char *const lora[] = {"LORA"}, *const none[] = {"none"};
    /* The others (PiSSA, OLoRA, CorDA, LoftQ...) take the start out of the base weights when they are attached. */
    static const char *const starts[] = {"gaussian", "orthogonal", "eva"};
    switch (neutral) {
    case NEUTRAL_LORA: return cJSON_IsNull(value) || is_one_of(value, lora, 1);
    case NEUTRAL_NONE: return cJSON_IsNull(value) || is_one_of(value, none, 1);
    case NEUTRAL_START: return cJSON_IsTrue(value) || is_empty(value) || is_one_of(value, starts, 3);
    case NEUTRAL_EMPTY: break;
    }
    return is_empty(value);
}

static const char *neutral_words(enum neutral neutral)
{
    switch (neutral) {
    case NEUTRAL_LORA: return "\"LORA\" (no other kind of adapter is supported)";
    case NEUTRAL_NONE: return "\"none\" (trained biases are not supported)";
    case NEUTRAL_START: return "true, false, \"gaussian\", \"orthogonal\" or \"eva\" (others change the base weights)";
    case NEUTRAL_EMPTY: break;
    }
    return "null, false or nothing in it (it is not supported)";
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
    int index = find_key(name);
    if (index < 0) {
        adapter_warn(warnings, "%.250s: %.100s: unknown key", config->origin, key);
        return status_ok();
    }
    if (keys[index].use == ADAPTER_KEY_READ) return read_strength(config, name, value, key);
    if (keys[index].use == ADAPTER_KEY_WITHOUT_EFFECT || is_neutral(keys[index].neutral, value)) return status_ok();
    return json_wrong_value(config->origin, key, neutral_words(keys[index].neutral), value);
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
