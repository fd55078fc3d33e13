/* Members of JSON objects that need not be there: each function has its fallback. What must be there, with a message
 * where it is wrong, is read by json.h. Keys are found in their exact case. */
#ifndef ALIGNPROP_BASE_JSON_MEMBERS_H
#define ALIGNPROP_BASE_JSON_MEMBERS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* The value under a key; NULL when it is absent or null, or `object` is NULL. */
const cJSON *json_get(const cJSON *object, const char *key);
/* The value under a dotted path such as "lora.rank". A name with dots inside is found when the rest of the path is a
 * key as a whole. */
const cJSON *json_find(const cJSON *object, const char *path);
/* Values by key; the fallback when the key is absent, null or of another type. Texts are owned by the object. */
const char *json_get_text(const cJSON *object, const char *key, const char *fallback);
bool json_get_flag(const cJSON *object, const char *key, bool fallback);
/* Only finite numbers count. */
double json_get_number(const cJSON *object, const char *key, double fallback);
/* Only whole numbers from `low` to `high` count; without a range those that a double holds exactly. */
int64_t json_get_integer_in(const cJSON *object, const char *key, int64_t low, int64_t high, int64_t fallback);
long long json_get_integer(const cJSON *object, const char *key, int64_t fallback);

/* Adds a member, or puts another in its place; `value` is taken over. */
void json_put(cJSON *object, const char *key, cJSON *value);
/* The same under a dotted path, making objects on the way. */
void json_put_at(cJSON *object, const char *path, cJSON *value);
/* Adds a number, or null when it is not finite. */
void json_add_number(cJSON *object, const char *key, double value);

#endif
