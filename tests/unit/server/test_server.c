/* The engine's server over its socket: hello, limits, queues, previews, clients that come, go and lie. */
#include "engine/base/clock.h"
#include "engine/server/server.h"

#include "engine/protocol/client.h"
#include "engine/protocol/endpoint.h"
#include "engine/protocol/message.h"
#include "engine/server/connection.h"
#include "engine/server/live_state.h"
#include "tests/unit/server/raw_client.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], socket_path[SOCKET_PATH_BYTES];
static struct server *server;
static int requests_seen;

/* Seconds after which what has to happen is taken for missing. */
enum { PATIENCE = 60 };

/* Answers "set" with step 42, fails everything else. */
static void answer(void *context, struct server *from, struct server_request request)
{
    (void)context;
    __atomic_add_fetch(&requests_seen, 1, __ATOMIC_SEQ_CST);
    if (strcmp(request.type, "set") == 0) {
        cJSON *reply = message_reply(request.id, status_ok());
        cJSON_AddNumberToObject(reply, "step", 42);
        cJSON_AddStringToObject(reply, "by", request.by);
        server_reply(from, request.client, reply);
    } else if (strcmp(request.type, "preview") == 0) {
        server_set_preview_rate(from, request.client, json_get_number(request.message, "value", 0));
        server_reply_status(from, &request, status_ok());
    } else {
        server_reply_status(from, &request, status_error(STATUS_USAGE, "unknown request '%s'", request.type));
    }
    cJSON_Delete(request.message);
}

static void start(int connection)
{
    struct server_options options = {.socket_path = socket_path,
                                     .connection = connection,
                                     .run_folder = "/runs/one",
                                     .version = "0.0.1",
                                     .request = answer};
    status started = server_create(&options, &server);
    if (started.code == STATUS_OK) started = server_start(server);
    if (started.code != STATUS_OK) fail_msg("%s", started.message);
}

static int set_up(void **state)
{
    (void)state;
    test_folder_make(folder);
    if (endpoint_path(NULL, "test", socket_path).code != STATUS_OK) return 1;
    requests_seen = 0;
    start(-1);
    cJSON *changes = cJSON_CreateObject();
    cJSON_AddStringToObject(changes, "phase", "running");
    cJSON_AddNumberToObject(changes, "step", 3);
    server_set_state(server, changes, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_stop(server, 0.5);
    server_destroy(server);
    server = NULL;
    bool left = access(socket_path, F_OK) == 0;
    test_folder_remove(folder);
    return left; /* the socket goes with the engine */
}

static uint64_t publish_metrics(int step, int padding)
{
    cJSON *message = message_create("metrics");
    cJSON *line = cJSON_AddObjectToObject(message, "line");
    cJSON_AddNumberToObject(line, "step", step);
    if (padding > 0) {
        char *text = malloc((size_t)padding + 1);
        memset(text, 'x', (size_t)padding);
        text[padding] = '\0';
        cJSON_AddStringToObject(line, "padding", text);
        free(text);
    }
    cJSON_AddNumberToObject(message, "bytes", step * 100);
    return server_publish(server, message);
}

static void publish_picture(const char *kind, int index, int side)
{
    size_t bytes = (size_t)side * (size_t)side * 3;
    uint8_t *pixels = calloc(1, bytes);
    assert_non_null(pixels);
    cJSON *header = cJSON_CreateObject();
    cJSON_AddStringToObject(header, "kind", kind);
    cJSON_AddNumberToObject(header, "index", index);
    cJSON_AddNumberToObject(header, "width", side);
    cJSON_AddNumberToObject(header, "height", side);
    server_publish_picture(server, (struct server_picture){.header = header,
                                                           .pixels = pixels,
                                                           .width = side,
                                                           .height = side,
                                                           .denoising = strcmp(kind, "denoising") == 0});
    free(pixels);
}

static void opening_gives_hello_then_state(void **state)
{
    (void)state;
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON *json;
    assert_int_equal(raw_receive(&client, &json, NULL), 'J'); /* the engine does not wait for the client's hello */
    assert_string_equal(text_of(json, "type"), "hello");
    assert_string_equal(text_of(json, "name"), "alignprop");
    assert_string_equal(text_of(json, "run"), "/runs/one");
    assert_true(number_of(json, "min") == 1 && number_of(json, "max") == 1);
    cJSON_Delete(json);
    raw_send(&client, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":3}");
    json = raw_expect(&client, "state");
    assert_true(number_of(json, "step") == 3);
    assert_true(number_of(json, "clients") == 1);
    cJSON_Delete(json);
    raw_close(&client);
}

static void live_messages_follow_the_state_without_a_hole(void **state)
{
    (void)state;
    publish_metrics(4, 0);
    uint64_t last = publish_metrics(5, 0);
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON *json = raw_greet(&client);
    assert_true(number_of(json, "seq") == (double)last);
    assert_true(number_of(cJSON_GetObjectItem(json, "history"), "bytes") == 500);
    assert_true(number_of(cJSON_GetObjectItem(json, "last"), "step") == 5);
    cJSON_Delete(json);
    for (int step = 6; step < 20; step++) publish_metrics(step, 0);
    for (int step = 6; step < 20; step++) {
        json = raw_expect(&client, "metrics");
        assert_true(number_of(json, "seq") == (double)last + step - 5);
        assert_true(number_of(cJSON_GetObjectItem(json, "line"), "step") == step);
        cJSON_Delete(json);
    }
    raw_close(&client);
}

static void two_clients_see_the_same(void **state)
{
    (void)state;
    struct raw_client first, second;
    raw_connect(&first, socket_path);
    cJSON_Delete(raw_greet(&first));
    raw_connect(&second, socket_path);
    cJSON_Delete(raw_greet(&second));
    uint64_t sequence = publish_metrics(9, 0);
    publish_picture("sample", 0, 8);
    struct raw_client *const clients[] = {&first, &second};
    for (int i = 0; i < 2; i++) {
        cJSON *json = raw_expect(clients[i], "metrics");
        assert_true(number_of(json, "seq") == (double)sequence);
        cJSON_Delete(json);
        size_t pixel_bytes;
        assert_int_equal(raw_receive(clients[i], &json, &pixel_bytes), 'P');
        assert_string_equal(text_of(json, "kind"), "sample");
        assert_int_equal(pixel_bytes, 8 * 8 * 3);
        cJSON_Delete(json);
        raw_close(clients[i]);
    }
}

static void who_attaches_later_gets_the_newest_pictures(void **state)
{
    (void)state;
    publish_picture("eval", 0, 4);
    publish_picture("eval", 1, 4);
    publish_picture("eval", 0, 6);
    publish_picture("base", 0, 4);
    publish_picture("denoising", 0, 8);
    publish_picture("denoising", 0, 4);
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    const char *const kinds[] = {"eval", "eval", "base", "denoising"};
    const int indices[] = {1, 0, 0, 0}, sides[] = {4, 6, 4, 4};
    for (int i = 0; i < 4; i++) {
        cJSON *json;
        assert_int_equal(raw_receive(&client, &json, NULL), 'P');
        assert_string_equal(text_of(json, "kind"), kinds[i]);
        assert_true(number_of(json, "index") == indices[i] && number_of(json, "width") == sides[i]);
        cJSON_Delete(json);
    }
    publish_metrics(1, 0);
    cJSON *json;
    assert_int_equal(raw_receive(&client, &json, NULL), 'J'); /* nothing of the pictures before */
    cJSON_Delete(json);
    raw_close(&client);
}

static void requests_are_answered_by_number(void **state)
{
    (void)state;
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    raw_send(&client, "{\"type\":\"set\",\"id\":7,\"key\":\"optimizer.lr\",\"value\":1}");
    raw_send(&client, "{\"type\":\"dance\",\"id\":8}");
    raw_send(&client, "{\"type\":\"set\",\"key\":\"no id\"}");
    raw_send(&client, "{\"type\":\"set\",\"id\":9}");
    cJSON *json = raw_expect(&client, "reply");
    assert_true(number_of(json, "re") == 7 && number_of(json, "step") == 42);
    assert_string_equal(text_of(json, "by"), "test");
    cJSON_Delete(json);
    json = raw_expect(&client, "reply");
    assert_true(number_of(json, "re") == 8);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "ok")));
    assert_string_equal(text_of(json, "error"), "unknown request 'dance'");
    cJSON_Delete(json);
    json = raw_expect(&client, "reply");
    assert_true(number_of(json, "re") == 9);
    cJSON_Delete(json);
    raw_close(&client);
}

/* Sends the bytes as the first thing and expects an error naming `words`, then the end. */
static void expect_refusal(const void *bytes, size_t count, const char *text)
{
    struct raw_client client;
    raw_connect(&client, socket_path);
    raw_send_bytes(&client, bytes, count);
    cJSON *json = raw_expect(&client, "error");
    if (!strstr(text_of(json, "message"), text)) fail_msg("'%s' lacks '%s'", text_of(json, "message"), text);
    cJSON_Delete(json);
    raw_expect_end(&client, PATIENCE);
    raw_close(&client);
}

static void expect_refusal_of_message(const char *json, const char *text)
{
    char bytes[512];
    frame_write_header((uint8_t *)bytes, FRAME_JSON, strlen(json));
    memcpy(bytes + FRAME_HEADER_BYTES, json, strlen(json));
    expect_refusal(bytes, FRAME_HEADER_BYTES + strlen(json), text);
}

static void what_breaks_the_rules_is_told_so_and_closed(void **state)
{
    (void)state;
    expect_refusal_of_message("{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":2,\"max\":3}",
                              "this engine speaks protocol 1 to 1, the client 2 to 3");
    expect_refusal_of_message("{\"type\":\"pause\",\"id\":1}", "hello");
    expect_refusal_of_message("[1,2]", "object");
    expect_refusal_of_message("{\"type\":\"hel", "message");
    expect_refusal("\x01\x00\x01\x00J", 5, "65537 bytes is over the limit of 65536");
    expect_refusal("\x01\x00\x00\x00P!", 6, "type 0x50");
    expect_refusal("GET / HTTP/1.1\r\n\r\n", 18, "type");
    struct raw_client client; /* the engine is none the worse */
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    raw_close(&client);
}

static void a_breach_after_hello_closes_too(void **state)
{
    (void)state;
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    raw_send_bytes(&client, "\xff\xff\xff\xffJ", 5);
    cJSON *json = raw_expect(&client, "error");
    assert_non_null(strstr(text_of(json, "message"), "4294967295"));
    cJSON_Delete(json);
    raw_expect_end(&client, PATIENCE);
    raw_close(&client);
}

/* The time for a farewell begins with the breach, not with the connection. */
static void a_breach_is_told_after_a_long_connection_too(void **state)
{
    (void)state;
    enum { LONGER_THAN_ANY_LIMIT = 11 }; /* hello and farewell may take 5 s each */
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    sleep(LONGER_THAN_ANY_LIMIT);
    raw_send_bytes(&client, "\xff\xff\xff\xffJ", 5);
    cJSON *json = raw_expect(&client, "error");
    assert_non_null(strstr(text_of(json, "message"), "4294967295"));
    cJSON_Delete(json);
    raw_close(&client);
}

static void a_request_without_a_type_is_told_so(void **state)
{
    (void)state;
    static const char *const requests[] = {"{\"type\":\"\",\"id\":1}", "{\"id\":1}", "{\"type\":7,\"id\":1}"};
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    for (int i = 0; i < 3; i++) {
        raw_send(&client, requests[i]);
        cJSON *json = raw_expect(&client, "reply");
        assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "ok")));
        assert_non_null(strstr(text_of(json, "error"), "'type'"));
        cJSON_Delete(json);
    }
    assert_int_equal(requests_seen, 0);
    raw_close(&client);
}

static void no_hello_within_five_seconds_closes(void **state)
{
    (void)state;
    struct raw_client client;
    double begun = clock_steady();
    raw_connect(&client, socket_path);
    cJSON *json = raw_expect(&client, "hello");
    cJSON_Delete(json);
    json = raw_expect(&client, "error");
    assert_non_null(strstr(text_of(json, "message"), "hello"));
    cJSON_Delete(json);
    raw_expect_end(&client, PATIENCE);
    assert_true(clock_steady() - begun >= 5.0);
    raw_close(&client);
}

static void a_client_that_does_not_read_slows_nobody(void **state)
{
    (void)state;
    struct raw_client sleeper, reader;
    raw_connect(&sleeper, socket_path);
    cJSON_Delete(raw_greet(&sleeper));
    raw_connect(&reader, socket_path);
    cJSON_Delete(raw_greet(&reader));
    double slowest = 0, begun = clock_steady();
    const int count = 2000;
    for (int i = 0; i < count; i++) { /* 2000 times 12 KiB: six times the queue */
        double before = clock_steady();
        publish_picture("sample", i % 4, 64);
        publish_metrics(i, 0);
        slowest = fmax(slowest, clock_steady() - before);
        if (i % 50 == 49) {
            cJSON *json;
            do {
                json = raw_expect(&reader, "metrics");
                bool newest = number_of(cJSON_GetObjectItem(json, "line"), "step") == i;
                cJSON_Delete(json);
                if (newest) break;
            } while (true);
        }
    }
    double seconds = clock_steady() - begun;
    print_message("# publishing %d pictures and lines: %.1f us each, slowest %.2f ms\n", count, 1e6 * seconds / count,
                  1e3 * slowest);
    assert_true(seconds / count < 2e-3);
    raw_close(&sleeper);
    raw_close(&reader);
}

/* Reads metrics, which must come without a hole, until a gap is announced or `last` has come; the sequence number seen
 * last. *gap is the announcement (the caller's to delete), or NULL. */
static double read_until_gap(struct raw_client *client, double expected, double last, cJSON **gap)
{
    *gap = NULL;
    while (expected <= last) {
        cJSON *json;
        assert_int_equal(raw_receive(client, &json, NULL), 'J');
        if (strcmp(text_of(json, "type"), "metrics") != 0) {
            *gap = json;
            break;
        }
        assert_true(number_of(json, "seq") == expected++);
        cJSON_Delete(json);
    }
    return expected - 1;
}

/* The kernel's buffer may empty the queue while messages are still being published, so there can be more than one
 * gap; each is followed by a state that takes its place, and together they leave no hole. */
static void a_client_that_fell_behind_is_told_of_the_gap(void **state)
{
    (void)state;
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON *json = raw_greet(&client);
    double seen = number_of(json, "seq");
    cJSON_Delete(json);
    const int count = 200; /* of 60 KB each: three times the queue */
    uint64_t last = 0;
    for (int step = 1; step <= count; step++) last = publish_metrics(step, 60000);
    int gaps = 0;
    for (; seen < (double)last; gaps++) {
        cJSON *gap;
        seen = read_until_gap(&client, seen + 1, (double)last, &gap);
        if (!gap) break;
        assert_string_equal(text_of(gap, "type"), "gap");
        assert_true(number_of(gap, "from") == seen + 1);
        double to = number_of(gap, "to");
        cJSON_Delete(gap);
        assert_int_equal(raw_receive(&client, &json, NULL), 'J');
        while (strcmp(text_of(json, "type"), "gap") == 0) { /* the state was dropped in its turn */
            assert_in_range(number_of(json, "from"), seen + 1, to + 1);
            to = number_of(json, "to");
            cJSON_Delete(json);
            assert_int_equal(raw_receive(&client, &json, NULL), 'J');
        }
        assert_string_equal(text_of(json, "type"), "state");
        assert_true(to > seen && number_of(json, "seq") >= to);
        double missed = (double)last - number_of(json, "seq");
        assert_true(number_of(cJSON_GetObjectItem(json, "history"), "bytes") == (count - missed) * 100);
        seen = number_of(json, "seq");
        cJSON_Delete(json);
    }
    assert_true(gaps > 0);
    uint64_t sequence = publish_metrics(count + 1, 0);
    json = raw_expect(&client, "metrics");
    assert_true(number_of(json, "seq") == (double)sequence && (double)sequence == seen + 1);
    cJSON_Delete(json);
    raw_close(&client);
}

static void previews_are_rationed_by_client(void **state)
{
    (void)state;
    assert_false(server_wants_preview(server)); /* nobody watches */
    struct raw_client watcher, blind;
    raw_connect(&watcher, socket_path);
    cJSON_Delete(raw_greet(&watcher));
    raw_connect(&blind, socket_path);
    raw_send(&blind, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1,\"pictures\":false}");
    cJSON_Delete(raw_expect(&blind, "state"));
    raw_send(&watcher, "{\"type\":\"preview\",\"id\":1,\"value\":20}");
    cJSON_Delete(raw_expect(&watcher, "reply"));
    enum { PREVIEWS = 8 };
    double begun = clock_steady();
    for (int wanted = 0; wanted < PREVIEWS;) {
        assert_true(clock_steady() - begun < PATIENCE);
        if (server_wants_preview(server)) {
            wanted++;
            publish_picture("denoising", 0, 4);
        }
        usleep(1000);
    }
    assert_true(clock_steady() - begun >= (PREVIEWS - 1) / 20.0); /* at 20 a second, the first at once */
    raw_send(&watcher, "{\"type\":\"preview\",\"id\":2,\"value\":0}");
    cJSON_Delete(raw_expect(&watcher, "reply"));
    assert_false(server_wants_preview(server));
    publish_metrics(1, 0);
    cJSON *json;
    assert_int_equal(raw_receive(&blind, &json, NULL), 'J');
    cJSON_Delete(json);
    raw_close(&watcher);
    raw_close(&blind);
}

/* Begins to read after a while; gives back whether the end came. */
static void *read_late(void *argument)
{
    struct client *client = argument;
    struct client_message message;
    usleep(100000); /* most often the server waits by then; the result is the same if it does not */
    double end = clock_steady() + PATIENCE;
    while (!client_ended(client) && clock_steady() < end && client_pump(client).code == STATUS_OK)
        while (client_next(client, &message)) continue;
    while (client_next(client, &message)) continue;
    return client_ended(client) ? client : NULL;
}

static void the_end_is_flushed_before_the_socket_closes(void **state)
{
    (void)state;
    struct client_options options = {.name = "late"};
    struct client *client;
    assert_int_equal(client_connect(socket_path, &options, &client).code, STATUS_OK);
    assert_int_equal(client_wait_state(client, 5, NULL).code, STATUS_OK);
    for (int i = 0; i < 20; i++) publish_metrics(i, 50000);
    cJSON *end = message_create("end");
    cJSON_AddStringToObject(end, "phase", "finished");
    server_publish(server, end);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_late, client), 0);
    server_stop(server, PATIENCE);
    server_destroy(server);
    void *ended;
    assert_int_equal(pthread_join(reader, &ended), 0);
    assert_non_null(ended);
    client_close(client);
    start(-1);
}

/* Whether a further client hears that there are too many. */
static bool is_turned_away(void)
{
    struct raw_client client;
    cJSON *json;
    raw_connect(&client, socket_path);
    raw_send(&client, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1}");
    bool refused = false, welcome = false;
    while (!refused && !welcome) {
        assert_int_equal(raw_receive(&client, &json, NULL), 'J');
        refused = strcmp(text_of(json, "type"), "error") == 0;
        welcome = strcmp(text_of(json, "type"), "state") == 0;
        cJSON_Delete(json);
    }
    raw_close(&client);
    return refused;
}

static void too_many_clients_are_turned_away(void **state)
{
    (void)state;
    struct raw_client clients[33];
    for (int i = 0; i < 33; i++) raw_connect(&clients[i], socket_path);
    cJSON *json = raw_expect(&clients[32], "error");
    assert_non_null(strstr(text_of(json, "message"), "too many"));
    cJSON_Delete(json);
    for (int i = 0; i < 33; i++) raw_close(&clients[i]);
    /* The server notices each departure in its own time. */
    double begun = clock_steady();
    while (is_turned_away()) assert_true(clock_steady() - begun < PATIENCE);
}

static void clients_may_vanish_at_any_time(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 200; round++) {
        struct raw_client client;
        raw_connect(&client, socket_path);
        if (rand() % 2) raw_send(&client, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1}");
        if (rand() % 2) raw_send(&client, "{\"type\":\"set\",\"id\":1}");
        if (rand() % 2) raw_send_bytes(&client, "\x10\x00\x00\x00J{\"ty", 9);
        publish_metrics(round, 1000);
        raw_close(&client);
    }
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    raw_close(&client);
}

static void garbage_never_hurts(void **state)
{
    (void)state;
    srand(2);
    for (int round = 0; round < 300; round++) {
        struct raw_client client;
        raw_connect(&client, socket_path);
        if (rand() % 2) raw_send(&client, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1}");
        uint8_t bytes[200];
        size_t count = 1 + (size_t)rand() % sizeof bytes;
        for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(rand() >> 7);
        if (rand() % 2) frame_write_header(bytes, FRAME_JSON, (size_t)rand() % 200);
        raw_send_bytes(&client, bytes, count);
        raw_close(&client);
    }
    struct raw_client client;
    raw_connect(&client, socket_path);
    cJSON_Delete(raw_greet(&client));
    raw_close(&client);
}

static void the_server_ends_with_its_only_connection(void **state)
{
    (void)state;
    server_stop(server, 0);
    server_destroy(server);
    struct raw_client client;
    start(raw_pair(&client));
    cJSON_Delete(raw_greet(&client));
    assert_false(server_finished(server));
    raw_close(&client);
    for (int i = 0; i < 100 * PATIENCE && !server_finished(server); i++) usleep(10000);
    assert_true(server_finished(server));
}

static void the_client_library_meets_the_server(void **state)
{
    (void)state;
    struct client_options options = {.name = "command", .pictures = true};
    struct client *client;
    assert_int_equal(client_connect(socket_path, &options, &client).code, STATUS_OK);
    cJSON *json;
    assert_int_equal(client_wait_state(client, 5, &json).code, STATUS_OK);
    assert_string_equal(text_of(json, "phase"), "running");
    cJSON_Delete(json);
    publish_picture("eval", 2, 16);
    assert_int_equal(client_call(client, "set", NULL, 5, &json).code, STATUS_OK);
    assert_string_equal(text_of(json, "by"), "command");
    cJSON_Delete(json);
    status refused = client_call(client, "dance", NULL, 5, NULL);
    assert_int_equal(refused.code, STATUS_USAGE);
    assert_string_equal(refused.message, "unknown request 'dance'");

    publish_picture("eval", 3, 16);
    struct client_message message;
    double end = clock_steady() + 5;
    bool found = false;
    while (!found && clock_steady() < end) {
        struct pollfd descriptor = {.fd = client_descriptor(client), .events = client_events(client)};
        poll(&descriptor, 1, 100);
        assert_int_equal(client_pump(client).code, STATUS_OK);
        while (!found && client_next(client, &message)) found = strcmp(message.type, "picture") == 0;
    }
    if (!found) fail_msg("no picture within five seconds");
    assert_int_equal(message.width, 16);
    assert_int_equal(message.height, 16);
    assert_int_equal(message.pixels[16 * 16 * 3 - 1], 0);
    assert_true(number_of(message.json, "index") == 3);

    char *long_text = malloc(70000);
    assert_non_null(long_text);
    memset(long_text, 'x', 69999);
    long_text[69999] = '\0';
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "key", long_text);
    free(long_text);
    status too_long = client_request(client, "set", body, NULL);
    assert_int_equal(too_long.code, STATUS_FAILED);
    assert_non_null(strstr(too_long.message, "at most 65536 can be sent"));

    server_stop(server, 1);
    server_destroy(server);
    status over = status_ok();
    while (over.code == STATUS_OK && clock_steady() < end + 5) over = client_pump(client);
    assert_int_equal(over.code, STATUS_FAILED);
    assert_string_equal(over.message, "the engine closed the connection");
    assert_false(client_ended(client));
    client_close(client);
    start(-1);
}

static void the_client_library_names_both_version_ranges(void **state)
{
    (void)state;
    struct raw_client engine; /* plays an engine of the future */
    struct client *client;
    struct client_options options = {.name = "command"};
    assert_int_equal(client_adopt(raw_pair(&engine), &options, &client).code, STATUS_OK);
    raw_send(&engine, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":5,\"max\":6}");
    status failed = client_wait_state(client, 5, NULL);
    assert_int_equal(failed.code, STATUS_BAD_INPUT);
    assert_string_equal(failed.message, "this program speaks protocol 1 to 1, the engine 5 to 6");
    client_close(client);
    raw_close(&engine);
}

static void the_client_library_survives_a_lying_engine(void **state)
{
    (void)state;
    const char *const lies[] = {
        "\x05\x00\x00\x00P{}\0ab",                             /* a picture without a size */
        "\x1d\x00\x00\x00P{\"width\":9,\"height\":9}\0abcdef", /* too few pixels */
        "\x03\x00\x00\x00P{}}",                                /* no NUL */
        "\x02\x00\x00\x00J[]",
        "\x04\x00\x00\x00J\xff\xff\xff\xff",
    };
    const size_t lengths[] = {10, 34, 8, 7, 9};
    struct raw_client engine;
    struct client *client;
    struct client_options options = {.name = "command"};
    assert_int_equal(client_adopt(raw_pair(&engine), &options, &client).code, STATUS_OK);
    raw_send(&engine, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1}");
    for (int i = 0; i < 5; i++) raw_send_bytes(&engine, lies[i], lengths[i]);
    raw_send(&engine, "{\"type\":\"log\",\"text\":\"hello\"}");
    struct client_message message = {0};
    assert_int_equal(client_pump(client).code, STATUS_OK);
    assert_true(client_next(client, &message));
    assert_string_equal(message.type, "hello");
    assert_true(client_next(client, &message));
    assert_string_equal(message.type, "log");
    assert_false(client_next(client, &message));
    raw_send_bytes(&engine, "\xff\xff\xff\x7fP", 5);
    client_pump(client);
    assert_false(client_next(client, &message));
    assert_int_equal(client_pump(client).code, STATUS_BAD_INPUT);
    client_close(client);
    raw_close(&engine);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(opening_gives_hello_then_state),
        SERVER_TEST(live_messages_follow_the_state_without_a_hole),
        SERVER_TEST(two_clients_see_the_same),
        SERVER_TEST(who_attaches_later_gets_the_newest_pictures),
        SERVER_TEST(requests_are_answered_by_number),
        SERVER_TEST(what_breaks_the_rules_is_told_so_and_closed),
        SERVER_TEST(a_breach_after_hello_closes_too),
        SERVER_TEST(a_breach_is_told_after_a_long_connection_too),
        SERVER_TEST(a_request_without_a_type_is_told_so),
        SERVER_TEST(no_hello_within_five_seconds_closes),
        SERVER_TEST(a_client_that_does_not_read_slows_nobody),
        SERVER_TEST(a_client_that_fell_behind_is_told_of_the_gap),
        SERVER_TEST(previews_are_rationed_by_client),
        SERVER_TEST(the_end_is_flushed_before_the_socket_closes),
        SERVER_TEST(too_many_clients_are_turned_away),
        SERVER_TEST(clients_may_vanish_at_any_time),
        SERVER_TEST(garbage_never_hurts),
        SERVER_TEST(the_server_ends_with_its_only_connection),
        SERVER_TEST(the_client_library_meets_the_server),
        SERVER_TEST(the_client_library_names_both_version_ranges),
        SERVER_TEST(the_client_library_survives_a_lying_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
