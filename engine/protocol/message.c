/* Parses, reads and builds the JSON objects that go over the wire. */
#include "engine/protocol/message.h"

#include "engine/base/json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

status message_parse(const void *bytes, size_t count, cJSON **message)
{
    *message = NULL;
    cJSON *parsed;
    TRY(json_parse(bytes, count, "message", &parsed));
    if (!cJSON_IsObject(parsed)) {
        cJSON_Delete(parsed);
        return status_error(STATUS_BAD_INPUT, "a message is not a JSON object");
    }
    *message = parsed;
    return status_ok();
}

cJSON *message_object(const char *text, size_t length)
{
    cJSON *object;
    return message_parse(text, length, &object).code == STATUS_OK ? object : NULL;
}

size_t message_bytes(const cJSON *value)
{
    char *text = json_print(value, false);
    size_t bytes = strlen(text);
    free(text);
    return bytes;
}

cJSON *message_create(const char *type)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    return message;
}

cJSON *message_hello(void)
{
    cJSON *hello = message_create("hello");
    cJSON_AddStringToObject(hello, "name", "alignprop");
    cJSON_AddNumberToObject(hello, "min", PROTOCOL_MINIMUM);
    cJSON_AddNumberToObject(hello, "max", PROTOCOL_MAXIMUM);
    return hello;
}

cJSON *message_error(const char *text)
{
    cJSON *error = message_create("error");
    cJSON_AddStringToObject(error, "message", text);
    return error;
}

cJSON *message_reply(int64_t request, status result)
{
    cJSON *reply = message_create("reply");
    cJSON_AddNumberToObject(reply, "re", (double)request);
    cJSON_AddBoolToObject(reply, "ok", result.code == STATUS_OK);
    if (result.code != STATUS_OK) {
        cJSON_AddNumberToObject(reply, "code", result.code);
        cJSON_AddStringToObject(reply, "error", result.message);
    }
    return reply;
}

status message_check_hello(const cJSON *hello, const char *we, const char *they)
{
    const char *type = json_get_text(hello, "type", "");
    if (strcmp(type, "hello") != 0)
        return status_error(STATUS_BAD_INPUT, "%s opened with '%.40s' instead of 'hello'", they, type);
    if (strcmp(json_get_text(hello, "name", ""), "alignprop") != 0)
        return status_error(STATUS_BAD_INPUT, "%s does not speak the protocol 'alignprop'", they);
    /* Versions to come are of any size: they are compared as they stand. */
    double low = json_get_number(hello, "min", NAN), high = json_get_number(hello, "max", NAN);
    if (!(low >= 0 && high >= low))
        return status_error(STATUS_BAD_INPUT, "the hello of %s names no range of protocol versions", they);
    if (low > PROTOCOL_MAXIMUM || high < PROTOCOL_MINIMUM)
        return status_error(STATUS_BAD_INPUT, "%s speaks protocol %d to %d, %s %.17g to %.17g", we, PROTOCOL_MINIMUM,
                            PROTOCOL_MAXIMUM, they, low, high);
    return status_ok();
}
