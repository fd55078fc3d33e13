/* A client for the tests that speaks the protocol byte by byte, with a server to speak to. */
#ifndef ALIGNPROP_TESTS_RAW_CLIENT_H
#define ALIGNPROP_TESTS_RAW_CLIENT_H

#include "engine/protocol/frame.h"
#include "engine/server/server.h"

#include <cjson/cJSON.h>

/* A new folder under /tmp, made XDG_RUNTIME_DIR, with the other XDG folders in it; removed by test_folder_remove. */
void test_folder_make(char path[64]);
void test_folder_remove(const char *path);

struct raw_client {
    int descriptor;
    struct frame_stream reader;
};

/* Connects to a socket path; the test fails when it cannot. Sends nothing. */
void raw_connect(struct raw_client *client, const char *path);
/* The same; false when nobody answers there. */
bool raw_try_connect(struct raw_client *client, const char *path);
/* Over one end of a new socket pair; the other end is returned. */
int raw_pair(struct raw_client *client);
void raw_close(struct raw_client *client);
void raw_send(struct raw_client *client, const char *json);
void raw_send_bytes(struct raw_client *client, const void *bytes, size_t count);
/* The next frame within 30 seconds: type 'J' or 'P' with *json the object or header, or 0 when the stream ended. The
 * caller deletes *json. */
int raw_receive(struct raw_client *client, cJSON **json, size_t *pixel_bytes);
/* Receives until a JSON message of this type comes; the test fails when the stream ends before. */
cJSON *raw_expect(struct raw_client *client, const char *type);
/* Receives until the stream ends; the test fails when that takes over `seconds`. */
void raw_expect_end(struct raw_client *client, double seconds);
/* hello, then hello and state from the engine; returns the state. */
cJSON *raw_greet(struct raw_client *client);

double number_of(const cJSON *json, const char *key);
const char *text_of(const cJSON *json, const char *key);

#endif
