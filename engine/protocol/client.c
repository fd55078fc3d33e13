/* A connection to an engine. */
#include "engine/protocol/client.h"

#include "engine/base/clock.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/process.h"
#include "engine/protocol/endpoint.h"
#include "engine/protocol/frame.h"
#include "engine/protocol/message.h"
#include "engine/protocol/outbox.h"
#include "engine/protocol/picture_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UNSENT_LIMIT = 4 << 20, ENGINE_DESCRIPTOR = 3, RECEIVE_BYTES_A_TURN = 1 << 20 };

struct client {
    int descriptor;
    pid_t engine; /* a child of this process; 0: none */
    struct frame_stream reader;
    struct outbox outbox;
    int64_t last_request;
    bool greeted, ended;
    status failure; /* set once: the connection is of no more use */
    cJSON *current; /* the message handed out last */
};

/* Deletes the message. */
static status queue(struct client *client, cJSON *message)
{
    char *text = json_print(message, false);
    char type[40];
    snprintf(type, sizeof type, "%s", json_get_text(message, "type", ""));
    cJSON_Delete(message);
    size_t bytes = strlen(text), limit = frame_limits_of_client.json;
    struct frame_buffer *frame_buffer =
        bytes <= limit ? frame_buffer_create(FRAME_BUFFER_CONTROL, FRAME_JSON, text, bytes, NULL, 0) : NULL;
    free(text);
    if (bytes > limit)
        return status_error(STATUS_FAILED, "the request %s is %zu bytes long; at most %zu can be sent", type, bytes,
                            limit);
    bool queued = frame_buffer && outbox_push(&client->outbox, frame_buffer);
    frame_buffer_release(frame_buffer);
    return queued ? status_ok() : status_error(STATUS_FAILED, "the engine takes no more requests");
}

status client_adopt(int descriptor, const struct client_options *options, struct client **adopted)
{
    status usable = endpoint_prepare(descriptor);
    if (usable.code != STATUS_OK) {
        close(descriptor);
        return usable;
    }
    struct client *client = memory_take(1, sizeof *client);
    client->descriptor = descriptor;
    client->failure = status_ok();
    frame_stream_init(&client->reader, frame_limits_of_engine);
    outbox_init(&client->outbox, UNSENT_LIMIT);
    cJSON *hello = message_hello();
    cJSON_AddStringToObject(hello, "client", options->name);
    cJSON_AddBoolToObject(hello, "pictures", options->pictures);
    status queued = queue(client, hello);
    if (queued.code != STATUS_OK) {
        client_close(client);
        return queued;
    }
    *adopted = client;
    return status_ok();
}

status client_connect(const char *socket_path, const struct client_options *options, struct client **client)
{
    int descriptor;
    TRY(endpoint_connect(socket_path, &descriptor));
    return client_adopt(descriptor, options, client);
}

/* In the child: its end of the pair becomes descriptor 3, its words go where they are wanted. */
static void become_engine(const char *program, int descriptor, int text)
{
    char number[8];
    snprintf(number, sizeof number, "%d", (int)ENGINE_DESCRIPTOR);
    int nowhere = open("/dev/null", O_RDWR);
    int output = text >= 0 ? text : nowhere;
    int kept = fcntl(descriptor, F_DUPFD, 16), kept_output = fcntl(output, F_DUPFD, 16);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* a hang-up of the terminal is the studio's to handle */
    bool ready = kept >= 0 && kept_output >= 0 && dup2(nowhere, STDIN_FILENO) >= 0 &&
                 dup2(kept_output, STDOUT_FILENO) >= 0 && dup2(kept_output, STDERR_FILENO) >= 0 &&
                 dup2(kept, ENGINE_DESCRIPTOR) >= 0;
    if (!ready) _exit(127);
    close(kept);
    close(kept_output);
    if (nowhere > ENGINE_DESCRIPTOR) close(nowhere);
    execl(program, program, "engine", "--fd", number, (char *)NULL);
    _exit(127);
}

status client_start_engine(const char *program, const struct client_options *options, int text, struct client **client)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return status_errno(STATUS_FAILED, errno, "cannot make a socket pair");
    pid_t process = fork();
    if (process == 0) become_engine(program, pair[1], text);
    int error = errno;
    close(pair[1]);
    if (process < 0) {
        close(pair[0]);
        return status_errno(STATUS_FAILED, error, "cannot start %s", program);
    }
    status adopted = client_adopt(pair[0], options, client);
    if (adopted.code == STATUS_OK)
        (*client)->engine = process;
    else
        process_collect(process); /* it ends with the socket */
    return adopted;
}

void client_close(struct client *client)
{
    if (!client) return;
    close(client->descriptor);
    if (client->engine > 0) process_collect(client->engine);
    frame_stream_clear(&client->reader);
    outbox_clear(&client->outbox);
    cJSON_Delete(client->current);
    free(client);
}

int client_descriptor(const struct client *client)
{
    return client->descriptor;
}

short client_events(const struct client *client)
{
    return (short)(POLLIN | (outbox_empty(&client->outbox) ? 0 : POLLOUT));
}

status client_failure(const struct client *client)
{
    return client->failure;
}

bool client_ended(const struct client *client)
{
    return client->ended;
}

static void fail(struct client *client, status why)
{
    if (client->failure.code == STATUS_OK) client->failure = why;
}

static void transmit(struct client *client)
{
    size_t sent;
    for (struct frame_buffer *frame_buffer; (frame_buffer = outbox_take(&client->outbox, &sent)) != NULL;) {
        ssize_t count = send(client->descriptor, frame_buffer->frame + sent, frame_buffer->bytes - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        int error = errno;
        frame_buffer_release(frame_buffer);
        outbox_sent(&client->outbox, count > 0 ? (size_t)count : 0);
        if (count < 0 && error == EINTR) continue;
        /* An engine that has closed may still have said why: reading finds out. */
        if (count < 0 && error != EAGAIN) outbox_clear(&client->outbox);
        if (count < 0) return;
    }
}

static void receive(struct client *client)
{
    size_t received = 0;
    while (received < RECEIVE_BYTES_A_TURN && client->failure.code == STATUS_OK) {
        size_t room;
        uint8_t *target = frame_stream_room(&client->reader, &room);
        if (!target) {
            fail(client, status_error(STATUS_NO_MEMORY, "no memory for the engine's messages"));
            return;
        }
        ssize_t count = recv(client->descriptor, target, room, MSG_DONTWAIT);
        if (count > 0) {
            frame_stream_received(&client->reader, (size_t)count);
            received += (size_t)count;
        } else if (count == 0) {
            fail(client, status_error(STATUS_FAILED, "the engine closed the connection"));
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            fail(client, status_errno(STATUS_FAILED, errno, "the connection to the engine broke"));
        }
    }
}

status client_pump(struct client *client)
{
    if (client->failure.code == STATUS_OK) transmit(client);
    if (client->failure.code == STATUS_OK) receive(client);
    return client->failure;
}

/* False when it is malformed; the header is `current` otherwise. */
static bool open_picture(struct client *client, const struct frame *frame, struct client_message *message)
{
    struct picture_frame picture;
    if (!picture_frame_split(frame, &picture)) return false;
    client->current = message_object(picture.header, strlen(picture.header));
    if (!picture_frame_size(&picture, client->current, &message->width, &message->height)) return false;
    message->type = "picture";
    message->json = client->current;
    message->pixels = picture.pixels;
    return true;
}

/* Deals with hello and error; true when the message is for the program. */
static bool for_program(struct client *client, const char *type, const cJSON *message)
{
    if (!client->greeted && strcmp(type, "hello") == 0) {
        status agreed = message_check_hello(message, "this program", "the engine");
        if (agreed.code != STATUS_OK) fail(client, agreed);
        client->greeted = agreed.code == STATUS_OK;
        return client->greeted;
    }
    if (strcmp(type, "error") == 0) {
        /* It explains the end of the stream that may have been seen already. */
        client->failure = status_error(STATUS_FAILED, "the engine closed the connection: %s",
                                       json_get_text(message, "message", "no reason given"));
        return false;
    }
    if (strcmp(type, "end") == 0) client->ended = true;
    return client->greeted;
}

bool client_next(struct client *client, struct client_message *message)
{
    for (;;) {
        cJSON_Delete(client->current);
        client->current = NULL;
        struct frame frame;
        bool found;
        status next = frame_stream_next(&client->reader, &frame, &found);
        if (next.code != STATUS_OK) fail(client, next);
        if (!found) return false;
        memset(message, 0, sizeof *message);
        if (frame.type == FRAME_PICTURE) {
            if (open_picture(client, &frame, message)) return true;
            continue;
        }
        client->current = message_object(frame.payload, frame.bytes);
        if (!client->current) continue;
        message->json = client->current;
        message->type = json_get_text(client->current, "type", "");
        if (for_program(client, message->type, client->current)) return true;
    }
}

status client_request(struct client *client, const char *type, cJSON *body, int64_t *id)
{
    cJSON *request = body ? body : cJSON_CreateObject();
    int64_t number = ++client->last_request;
    cJSON_DeleteItemFromObjectCaseSensitive(request, "type");
    cJSON_DeleteItemFromObjectCaseSensitive(request, "id");
    cJSON_AddStringToObject(request, "type", type);
    cJSON_AddNumberToObject(request, "id", (double)number);
    TRY(queue(client, request));
    if (id) *id = number;
    transmit(client);
    return status_ok();
}

/* Waits for a message of that type (and number, unless negative) and gives a copy of it away. */
static status wait_for(struct client *client, const char *type, int64_t number, double seconds, cJSON **found)
{
    double end = clock_steady() + seconds;
    for (;;) {
        status pumped = client_pump(client);
        struct client_message message;
        while (client_next(client, &message)) {
            bool same = strcmp(message.type, type) == 0;
            if (!same || (number >= 0 && json_get_integer_in(message.json, "re", 0, INT64_C(1) << 53, -1) != number))
                continue;
            *found = client->current;
            client->current = NULL;
            return status_ok();
        }
        if (pumped.code != STATUS_OK) return client->failure;
        if (client->failure.code != STATUS_OK) return client->failure;
        double left = end - clock_steady();
        if (left <= 0) return status_error(STATUS_FAILED, "the engine did not answer within %g seconds", seconds);
        struct pollfd descriptor = {.fd = client->descriptor, .events = client_events(client)};
        poll(&descriptor, 1, (int)(left * 1000) + 1);
    }
}

static status status_of_reply(const cJSON *reply)
{
    if (json_get_flag(reply, "ok", false)) return status_ok();
    enum status_code code = STATUS_FAILED;
    switch (json_get_integer_in(reply, "code", 0, 200, STATUS_FAILED)) {
    case STATUS_USAGE: code = STATUS_USAGE; break;
    case STATUS_BAD_INPUT: code = STATUS_BAD_INPUT; break;
    case STATUS_NO_MEMORY: code = STATUS_NO_MEMORY; break;
    default: break;
    }
    return status_error(code, "%s", json_get_text(reply, "error", "the engine refused without a reason"));
}

status client_call(struct client *client, const char *type, cJSON *body, double seconds, cJSON **reply)
{
    if (reply) *reply = NULL;
    int64_t id;
    TRY(client_request(client, type, body, &id));
    cJSON *answer = NULL;
    TRY(wait_for(client, "reply", id, seconds, &answer));
    status result = status_of_reply(answer);
    if (reply && result.code == STATUS_OK)
        *reply = answer;
    else
        cJSON_Delete(answer);
    return result;
}

status client_wait_state(struct client *client, double seconds, cJSON **state)
{
    cJSON *found = NULL;
    TRY(wait_for(client, "state", -1, seconds, &found));
    if (state)
        *state = found;
    else
        cJSON_Delete(found);
    return status_ok();
}
