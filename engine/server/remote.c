#include "engine/server/remote.h"

#include "engine/base/json.h"
#include "engine/server/endpoint.h"
#include "engine/server/frame.h"
#include "engine/server/message.h"
#include "engine/server/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UNSENT_LIMIT = 4 << 20, ENGINE_DESCRIPTOR = 3, RECEIVE_BYTES_A_TURN = 4 << 20 };

struct remote {
    int descriptor;
    struct frame_stream reader;
    struct outbox outbox;
    int64_t last_request;
    bool greeted, ended;
    status failure; /* set once: the connection is of no more use */
    cJSON *current; /* the message handed out last */
};

cJSON *remote_message_create(const char *type)
{
    return message_create(type);
}

static bool queue(struct remote *client, cJSON *message)
{
    char *text = json_print(message, false);
    cJSON_Delete(message);
    if (!text) return false;
    size_t bytes = strlen(text);
    struct parcel *parcel = NULL;
    if (bytes <= frame_limits_of_client.json) parcel = parcel_create(PARCEL_CONTROL, FRAME_JSON, text, bytes, NULL, 0);
    free(text);
    bool queued = parcel && outbox_push(&client->outbox, parcel);
    parcel_release(parcel);
    return queued;
}

status remote_adopt(int descriptor, const struct remote_options *options, struct remote **adopted)
{
    status usable = endpoint_prepare(descriptor);
    struct remote *client = usable.code == STATUS_OK ? calloc(1, sizeof *client) : NULL;
    if (!client) {
        close(descriptor);
        return usable.code == STATUS_OK ? status_error(STATUS_NO_MEMORY, "no memory for a connection") : usable;
    }
    client->descriptor = descriptor;
    client->failure = status_ok();
    frame_stream_init(&client->reader, frame_limits_of_engine);
    outbox_init(&client->outbox, UNSENT_LIMIT);
    cJSON *hello = message_hello();
    cJSON_AddStringToObject(hello, "client", options->name);
    cJSON_AddBoolToObject(hello, "pictures", options->pictures);
    if (!queue(client, hello)) {
        remote_close(client);
        return status_error(STATUS_NO_MEMORY, "no memory for a connection");
    }
    *adopted = client;
    return status_ok();
}

status remote_connect(const char *socket_path, const struct remote_options *options, struct remote **client)
{
    int descriptor;
    TRY(endpoint_connect(socket_path, &descriptor));
    return remote_adopt(descriptor, options, client);
}

/* In the child: its end of the pair becomes descriptor 3, its words go where they are wanted. */
static void become_engine(const char *program, int descriptor, int words)
{
    char number[8];
    snprintf(number, sizeof number, "%d", (int)ENGINE_DESCRIPTOR);
    int nowhere = open("/dev/null", O_RDWR);
    int output = words >= 0 ? words : nowhere;
    int kept = fcntl(descriptor, F_DUPFD, 16), kept_output = fcntl(output, F_DUPFD, 16);
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

status remote_spawn_engine(const char *program, const struct remote_options *options, int words, struct remote **client,
                           pid_t *child)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return status_errno(STATUS_FAILED, errno, "cannot make a socket pair");
    pid_t process = fork();
    if (process == 0) become_engine(program, pair[1], words);
    int error = errno;
    close(pair[1]);
    if (process < 0) {
        close(pair[0]);
        return status_errno(STATUS_FAILED, error, "cannot start %s", program);
    }
    *child = process;
    return remote_adopt(pair[0], options, client);
}

void remote_close(struct remote *client)
{
    if (!client) return;
    close(client->descriptor);
    frame_stream_clear(&client->reader);
    outbox_clear(&client->outbox);
    cJSON_Delete(client->current);
    free(client);
}

int remote_descriptor(const struct remote *client)
{
    return client->descriptor;
}

short remote_events(const struct remote *client)
{
    return (short)(POLLIN | (outbox_empty(&client->outbox) ? 0 : POLLOUT));
}

bool remote_ended(const struct remote *client)
{
    return client->ended;
}

static void fail(struct remote *client, status why)
{
    if (client->failure.code == STATUS_OK) client->failure = why;
}

static void transmit(struct remote *client)
{
    size_t sent;
    for (struct parcel *parcel; (parcel = outbox_take(&client->outbox, &sent)) != NULL;) {
        ssize_t count =
            send(client->descriptor, parcel->frame + sent, parcel->bytes - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        int error = errno;
        parcel_release(parcel);
        outbox_sent(&client->outbox, count > 0 ? (size_t)count : 0);
        if (count < 0 && error == EINTR) continue;
        /* An engine that has closed may still have said why: reading finds out. */
        if (count < 0 && error != EAGAIN) outbox_clear(&client->outbox);
        if (count < 0) return;
    }
}

static void receive(struct remote *client)
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

status remote_pump(struct remote *client)
{
    if (client->failure.code == STATUS_OK) transmit(client);
    if (client->failure.code == STATUS_OK) receive(client);
    return client->failure;
}

static bool open_picture(const struct frame *frame, cJSON **header, struct remote_picture *picture)
{
    const uint8_t *end = memchr(frame->payload, '\0', frame->bytes);
    if (!end || message_parse(frame->payload, (size_t)(end - frame->payload), header).code != STATUS_OK) return false;
    int64_t width = message_integer(*header, "width", 1, 1 << 14, 0);
    int64_t height = message_integer(*header, "height", 1, 1 << 14, 0);
    size_t pixel_bytes = frame->bytes - (size_t)(end + 1 - frame->payload);
    *picture =
        (struct remote_picture){.header = *header, .pixels = end + 1, .width = (int)width, .height = (int)height};
    if (width > 0 && height > 0 && pixel_bytes == (size_t)(width * height * 3)) return true;
    cJSON_Delete(*header);
    *header = NULL;
    return false;
}

/* Deals with hello and error; true when the message is for the program. */
static bool for_program(struct remote *client, const char *type, const cJSON *message)
{
    if (!client->greeted && strcmp(type, "hello") == 0) {
        status agreed = message_check_hello(message, "this program", "the engine");
        if (agreed.code != STATUS_OK) fail(client, agreed);
        client->greeted = true;
        return false;
    }
    if (strcmp(type, "error") == 0) {
        /* It explains the end of the stream that may have been seen already. */
        client->failure = status_error(STATUS_FAILED, "the engine closed the connection: %s",
                                       message_text(message, "message", "no reason given"));
        return false;
    }
    if (strcmp(type, "end") == 0) client->ended = true;
    return client->greeted;
}

bool remote_next(struct remote *client, struct remote_message *message)
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
            if (!open_picture(&frame, &client->current, &message->picture)) continue;
            message->type = "picture";
            message->json = client->current;
            return true;
        }
        if (message_parse(frame.payload, frame.bytes, &client->current).code != STATUS_OK) continue;
        message->json = client->current;
        message->type = message_text(client->current, "type", "");
        if (for_program(client, message->type, client->current)) return true;
    }
}

int64_t remote_request(struct remote *client, cJSON *request)
{
    if (!request) return -1;
    int64_t id = ++client->last_request;
    cJSON_DeleteItemFromObjectCaseSensitive(request, "id");
    if (!cJSON_AddNumberToObject(request, "id", (double)id)) {
        cJSON_Delete(request);
        return -1;
    }
    return queue(client, request) ? id : -1;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Waits for a message of that type (and number, unless negative) and gives a copy of it away. */
static status wait_for(struct remote *client, const char *type, int64_t number, double seconds, cJSON **found)
{
    double end = now_seconds() + seconds;
    for (;;) {
        status pumped = remote_pump(client);
        struct remote_message message;
        while (remote_next(client, &message)) {
            bool same = strcmp(message.type, type) == 0;
            if (!same || (number >= 0 && message_integer(message.json, "re", 0, INT64_C(1) << 53, -1) != number))
                continue;
            *found = client->current;
            client->current = NULL;
            return status_ok();
        }
        if (pumped.code != STATUS_OK) return client->failure;
        if (client->failure.code != STATUS_OK) return client->failure;
        double left = end - now_seconds();
        if (left <= 0) return status_error(STATUS_FAILED, "the engine did not answer within %g seconds", seconds);
        struct pollfd descriptor = {.fd = client->descriptor, .events = remote_events(client)};
        poll(&descriptor, 1, (int)(left * 1000) + 1);
    }
}

static status status_of_reply(const cJSON *reply)
{
    if (message_flag(reply, "ok", false)) return status_ok();
    enum status_code code = STATUS_FAILED;
    switch (message_integer(reply, "code", 0, 200, STATUS_FAILED)) {
    case STATUS_USAGE: code = STATUS_USAGE; break;
    case STATUS_BAD_INPUT: code = STATUS_BAD_INPUT; break;
    case STATUS_NO_MEMORY: code = STATUS_NO_MEMORY; break;
    default: break;
    }
    return status_error(code, "%s", message_text(reply, "error", "the engine refused without a reason"));
}

status remote_call(struct remote *client, cJSON *request, double seconds, cJSON **reply)
{
    if (reply) *reply = NULL;
    int64_t id = remote_request(client, request);
    if (id < 0) return status_error(STATUS_FAILED, "the request is too long for one message");
    cJSON *answer = NULL;
    TRY(wait_for(client, "reply", id, seconds, &answer));
    status result = status_of_reply(answer);
    if (reply && result.code == STATUS_OK)
        *reply = answer;
    else
        cJSON_Delete(answer);
    return result;
}

status remote_wait_state(struct remote *client, double seconds, cJSON **state)
{
    cJSON *found = NULL;
    TRY(wait_for(client, "state", -1, seconds, &found));
    if (state)
        *state = found;
    else
        cJSON_Delete(found);
    return status_ok();
}
