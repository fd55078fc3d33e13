/* A client that can break the protocol's rules: it sends and receives frames by hand. */
#include "tests/unit/server/raw_client.h"

#include "engine/base/clock.h"
#include "engine/base/files.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

void test_folder_make(char path[64])
{
    strcpy(path, "/tmp/alignprop-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", path, 1), 0);
    static const char *const others[] = {"XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"};
    for (int i = 0; i < 3; i++) {
        char folder[96];
        snprintf(folder, sizeof folder, "%s/%s", path, others[i]);
        assert_int_equal(setenv(others[i], folder, 1), 0);
    }
}

void test_folder_remove(const char *path)
{
    assert_int_equal(directory_remove(path).code, STATUS_OK);
}

bool raw_try_connect(struct raw_client *client, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    client->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->descriptor >= 0);
    frame_stream_init(&client->reader, frame_limits_of_engine);
    if (connect(client->descriptor, (struct sockaddr *)&address, sizeof address) == 0) return true;
    close(client->descriptor);
    return false;
}

void raw_connect(struct raw_client *client, const char *path)
{
    if (!raw_try_connect(client, path)) fail_msg("nobody answers at %s", path);
}

int raw_pair(struct raw_client *client)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    client->descriptor = pair[0];
    frame_stream_init(&client->reader, frame_limits_of_engine);
    return pair[1];
}

void raw_close(struct raw_client *client)
{
    close(client->descriptor);
    frame_stream_clear(&client->reader);
}

void raw_send_bytes(struct raw_client *client, const void *bytes, size_t count)
{
    const char *next = bytes;
    while (count > 0) {
        ssize_t sent = send(client->descriptor, next, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return; /* the engine has closed: the test looks at what it said */
        next += sent;
        count -= (size_t)sent;
    }
}

void raw_send(struct raw_client *client, const char *json)
{
    uint8_t header[FRAME_HEADER_BYTES];
    frame_write_header(header, FRAME_JSON, strlen(json));
    raw_send_bytes(client, header, sizeof header);
    raw_send_bytes(client, json, strlen(json));
}

int raw_receive(struct raw_client *client, cJSON **json, size_t *pixel_bytes)
{
    double end = clock_steady() + 30;
    for (;;) {
        struct frame frame;
        bool found;
        assert_int_equal(frame_stream_next(&client->reader, &frame, &found).code, STATUS_OK);
        if (found) {
            size_t length = frame.type == FRAME_PICTURE ? strlen((const char *)frame.payload) : frame.bytes;
            *json = cJSON_ParseWithLength((const char *)frame.payload, length);
            assert_non_null(*json);
            if (pixel_bytes) *pixel_bytes = frame.type == FRAME_PICTURE ? frame.bytes - length - 1 : 0;
            return frame.type;
        }
        struct pollfd descriptor = {.fd = client->descriptor, .events = POLLIN};
        if (poll(&descriptor, 1, 100) == 0) {
            if (clock_steady() > end) fail_msg("nothing came within 30 seconds");
            continue;
        }
        size_t room;
        uint8_t *target = frame_stream_room(&client->reader, &room);
        assert_non_null(target);
        ssize_t count = recv(client->descriptor, target, room, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            *json = NULL;
            return 0;
        }
        frame_stream_received(&client->reader, (size_t)count);
    }
}

cJSON *raw_expect(struct raw_client *client, const char *type)
{
    for (;;) {
        cJSON *json;
        int kind = raw_receive(client, &json, NULL);
        if (kind == 0) fail_msg("the stream ended before a message of type %s", type);
        if (kind == FRAME_JSON && strcmp(text_of(json, "type"), type) == 0) return json;
        cJSON_Delete(json);
    }
}

void raw_expect_end(struct raw_client *client, double seconds)
{
    double end = clock_steady() + seconds;
    cJSON *json;
    while (raw_receive(client, &json, NULL) != 0) {
        cJSON_Delete(json);
        if (clock_steady() > end) fail_msg("the connection is still open after %g seconds", seconds);
    }
}

cJSON *raw_greet(struct raw_client *client)
{
    raw_send(client, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1,\"client\":\"test\"}");
    cJSON_Delete(raw_expect(client, "hello"));
    return raw_expect(client, "state");
}

double number_of(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsNumber(item)) fail_msg("no number '%s'", key);
    return item->valuedouble;
}

const char *text_of(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsString(item)) fail_msg("no text '%s'", key);
    return item->valuestring;
}
