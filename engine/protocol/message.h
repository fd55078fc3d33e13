/* The JSON of the protocol's messages: strict reading, and the messages that need no run to be built. Their members are
 * read by json_members.h. */
#ifndef ALIGNPROP_PROTOCOL_MESSAGE_H
#define ALIGNPROP_PROTOCOL_MESSAGE_H

#include "engine/base/json_members.h"
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
