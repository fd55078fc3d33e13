/* What a client may say: any bytes as a message, as a hello, as a request to check a preset. */
#include "engine/protocol/message.h"
#include "engine/server/connection.h"
#include "engine/server/request_services.h"
#include "tests/fuzz/target.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void greet(const cJSON *message)
{
    status agreed = message_check_hello(message, "this engine", "the client");
    if (agreed.code != STATUS_OK) return;
    int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct connection *connection = descriptor >= 0 ? connection_create(descriptor, 1, 0) : NULL;
    if (!connection) return;
    connection_greet(connection, message);
    /* A name goes into events and onto screens: no control character may be left. */
    for (const char *c = connection->name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) abort();
    connection_destroy(connection);
}

static void check(const cJSON *message)
{
    static const struct service_facts facts = {.version = "", .program = "", .device = "cpu"};
    cJSON *answer = cJSON_CreateObject();
    status result = answer_check(&facts, message, answer);
    bool valid = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "valid"));
    if (valid && result.code != STATUS_OK) abort();
    cJSON_Delete(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *message;
    if (message_parse(data, size, &message).code != STATUS_OK) return 0;
    (void)json_get_text(message, "type", "");
    (void)json_get_integer_in(message, "id", 0, INT64_C(1) << 53, -1);
    greet(message);
    check(message);
    cJSON_Delete(message);
    return 0;
}
