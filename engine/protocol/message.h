/* The JSON of the protocol's messages: strict reading, typed access, and the messages that need no run to be built. */
#ifndef ALIGNPROP_PROTOCOL_MESSAGE_H
#define ALIGNPROP_PROTOCOL_MESSAGE_H

#include "kernels/status.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum { PROTOCOL_MINIMUM = 1, PROTOCOL_MAXIMUM = 1 };

/* Parses a payload, one JSON object, as strictly as json_parse. STATUS_BAD_INPUT says what is wrong. The caller deletes
 * the object. */
status message_parse(const void *bytes, size_t count, cJSON **message);

/* The same; NULL when it is no object. */
cJSON *message_object(const char *text, size_t length);

/* The value under a key; NULL when it is absent or null, or `message` is NULL. */
const cJSON *message_get(const cJSON *message, const char *key);
/* The value under a dotted path such as "lora.rank". A name with dots inside is found when the rest of the path is a
 * key as a whole. */
const cJSON *message_find(const cJSON *message, const char *path);
/* Values by key; the fallback when the key is absent, null or of another type. Texts are owned by the message. */
const char *message_text(const cJSON *message, const char *key, const char *fallback);
bool message_flag(const cJSON *message, const char *key, bool fallback);
/* Only finite numbers count. */
double message_number(const cJSON *message, const char *key, double fallback);
/* Only whole numbers from `low` to `high` count; without a range those that a double holds exactly. */
int64_t message_integer_in(const cJSON *message, const char *key, int64_t low, int64_t high, int64_t fallback);
long long message_integer(const cJSON *message, const char *key, int64_t fallback);

/* Sets the value under a dotted path, making objects on the way; `value` is taken over. */
void message_put(cJSON *message, const char *path, cJSON *value);

/* Adds a number, or null when it is not finite. */
void message_add_number(cJSON *message, const char *key, double value);

/* How many bytes of text the value makes. */
size_t message_bytes(const cJSON *value);

/* {"type":TYPE}, as everything below. */
cJSON *message_create(const char *type);
cJSON *message_hello(void);
cJSON *message_error(const char *text);
/* {"type":"reply","re":ID,"ok":...} with the failure's text and code when `result` is one. */
cJSON *message_reply(int64_t request, status result);

/* Reads the other side's hello; STATUS_BAD_INPUT when it is none or the version ranges do not overlap (the text names
 * both). `we` and `they` name the two sides in that text, such as "this engine", "the client". */
status message_check_hello(const cJSON *hello, const char *we, const char *they);

#endif
