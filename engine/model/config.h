/* A model's JSON config file, read strictly: every value is checked for type and range, and a message names file, key,
 * expected and found. */
#ifndef ALIGNPROP_MODEL_CONFIG_H
#define ALIGNPROP_MODEL_CONFIG_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "engine/base/files.h"
#include "engine/model/remarks.h"

struct config {
    char path[PATH_SIZE];
    cJSON *root;             /* an object; NULL when closed */
    struct remarks *remarks; /* where config_check_keys remarks on unknown keys; NULL: nowhere */
};

/* Reads the file: one JSON object as Python's json module writes them (json_parse_python), no duplicate keys, nothing
 * after it. Caller closes. */
status config_open(const char *path, struct config *config);
/* The same from text in memory. */
status config_parse(const char *text, size_t length, const char *label, struct config *config);
void config_close(struct config *config);

/* The value under `key`; NULL where the key is absent or its value is null. */
const cJSON *config_find(const struct config *config, const char *key);
status config_require(const struct config *config, const char *key);

/* Each leaves *value as it is (the default) where the key is absent or null. */
status config_integer(const struct config *config, const char *key, int64_t low, int64_t high, int64_t *value);
status config_number(const struct config *config, const char *key, double low, double high, double *value);
status config_boolean(const struct config *config, const char *key, bool *value);
/* A string that must be one of `count` choices; *value is its index. */
status config_choice(const struct config *config, const char *key, const char *const *choices, int count, int *value);
/* One integer repeated `count` times, or a list of exactly `count` of them. */
status config_integers(const struct config *config, const char *key, int64_t low, int64_t high, int count,
                       int64_t *values);
/* The same of booleans. */
status config_booleans(const struct config *config, const char *key, int count, bool *values);
/* Whether `value` is one of `only`: JSON texts with " or " between two; what follows " (" says why there is no other.
 */
bool config_is_one_of(const cJSON *value, const char *only);
/* `only` as a message tells it, with the reason. */
void config_tell_only(const char *only, char message[160]);
/* Fails unless the key is absent, null or equal to the only supported value, given as JSON ("false", "null",
 * "\"fixed\"").
 */
status config_only(const struct config *config, const char *key, const char *only);
/* A child object as a config of its own, for nested settings; it shares the parent's memory and is not closed. Keys in
 * messages carry no prefix, the path does. STATUS_BAD_INPUT where it is no object. */
status config_section(const struct config *config, const char *key, struct config *section);

/* A failure about `key`: "PATH: KEY is FOUND; expected EXPECTED". */
status config_wrong(const struct config *config, const char *key, const char *expected);

#endif
