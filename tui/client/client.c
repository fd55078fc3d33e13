#include "tui/client/client.h"

#include "engine/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PROTOCOL_VERSION = 1, READ_SIZE = 64 << 10, READS_A_CALL = 16 };

struct client {
    int descriptor;
    pid_t engine; /* started by us; 0: not */
    struct client_handler handler;
    struct frame_reader reader;
    struct bytes out;
    size_t out_start;
    int next_id;
    bool ready;
    char error[400];
};

static struct client *make(int descriptor, struct client_handler handler)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) return NULL;
    client->descriptor = descriptor;
    client->handler = handler;
    client->next_id = 1;
    static const char hello[] = "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1,\"client\":\"studio\","
                                "\"pictures\":true}";
    frame_write(&client->out, 'J', hello, sizeof hello - 1);
    return client;
}

status client_connect(const char *path, struct client_handler handler, struct client **result)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return status_error(STATUS_FAILED, "the socket's path is longer than %zu bytes: %s",
                            sizeof address.sun_path - 1, path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return status_errno(STATUS_FAILED, errno, "could not make a socket");
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        int reason = errno;
        close(descriptor);
        return status_errno(STATUS_FAILED, reason, "no engine answers at %s", path);
    }
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    *result = make(descriptor, handler);
    if (*result == NULL) close(descriptor);
    return *result != NULL ? status_ok() : status_error(STATUS_NO_MEMORY, "out of memory");
}

static void become_engine(const char *program, int descriptor)
{
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int nothing = open("/dev/null", O_RDWR);
    if (nothing >= 0) {
        dup2(nothing, STDIN_FILENO);
        dup2(nothing, STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
    }
    char number[16];
    snprintf(number, sizeof number, "%d", descriptor);
    fcntl(descriptor, F_SETFD, 0);
    execlp(program, program, "engine", "--fd", number, (char *)NULL);
    _exit(127);
}

status client_start_engine(const char *program, struct client_handler handler, struct client **result)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return status_errno(STATUS_FAILED, errno, "could not make a socket pair for the engine");
    pid_t child = fork();
    if (child < 0) {
        int reason = errno;
        close(pair[0]);
        close(pair[1]);
        return status_errno(STATUS_FAILED, reason, "could not start the engine");
    }
    if (child == 0) become_engine(program, pair[1]);
    close(pair[1]);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    *result = make(pair[0], handler);
    if (*result == NULL) {
        close(pair[0]);
        return status_error(STATUS_NO_MEMORY, "out of memory");
    }
    (*result)->engine = child;
    return status_ok();
}

void client_close(struct client *client)
{
    if (client == NULL) return;
    close(client->descriptor);
    /* The engine leaves by itself when the connection ends. */
    if (client->engine > 0) process_collect(client->engine);
    frame_reader_free(&client->reader);
    bytes_free(&client->out);
    free(client);
}

int client_descriptor(const struct client *client)
{
    return client->descriptor;
}

bool client_wants_write(const struct client *client)
{
    return client->out.length > client->out_start;
}

const char *client_error(const struct client *client)
{
    return client->error;
}

bool client_ready(const struct client *client)
{
    return client->ready;
}

bool client_write(struct client *client)
{
    while (client_wants_write(client)) {
        ssize_t sent = send(client->descriptor, client->out.data + client->out_start,
                            client->out.length - client->out_start, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
        if (sent < 0) {
            snprintf(client->error, sizeof client->error, "the engine's connection broke: %s", strerror(errno));
            return false;
        }
        client->out_start += (size_t)sent;
    }
    bytes_clear(&client->out);
    client->out_start = 0;
    return true;
}

static void take_hello(struct client *client, const cJSON *message)
{
    int low = (int)item_integer(message, "min", 0), high = (int)item_integer(message, "max", 0);
    if (low > PROTOCOL_VERSION || high < PROTOCOL_VERSION)
        snprintf(client->error, sizeof client->error, "this studio speaks protocol %d, the engine %d to %d",
                 PROTOCOL_VERSION, low, high);
    else
        client->ready = true;
}

static bool take_json(struct client *client, const struct frame *frame)
{
    cJSON *message = item_object(frame->payload, frame->length);
    if (message == NULL) {
        snprintf(client->error, sizeof client->error, "the engine sent bytes that are no JSON object");
        return false;
    }
    const char *type = item_text(message, "type", "");
    if (strcmp(type, "hello") == 0) take_hello(client, message);
    if (strcmp(type, "error") == 0)
        snprintf(client->error, sizeof client->error, "%s",
                 item_text(message, "message", "the engine refused the connection"));
    if (client->handler.message != NULL) client->handler.message(client->handler.context, client, type, message);
    cJSON_Delete(message);
    return true;
}

static void take_picture(struct client *client, const struct frame *frame)
{
    struct picture_frame picture;
    if (!picture_frame_split(frame, &picture)) return;
    cJSON *header = item_object(picture.header, strlen(picture.header));
    int width = 0, height = 0;
    if (picture_frame_size(&picture, header, &width, &height) && client->handler.picture != NULL)
        client->handler.picture(client->handler.context, client, header, width, height, picture.pixels);
    cJSON_Delete(header);
}

static bool dispatch(struct client *client)
{
    struct frame frame;
    for (;;) {
        enum frame_result result = frame_reader_next(&client->reader, &frame);
        if (result == FRAME_NONE) return true;
        if (result == FRAME_BROKEN) {
            snprintf(client->error, sizeof client->error, "the engine sent a frame that is not of this protocol");
            return false;
        }
        if (frame.type == 'P')
            take_picture(client, &frame);
        else if (!take_json(client, &frame))
            return false;
    }
}

bool client_read(struct client *client)
{
    static const char closed[] = "the engine closed the connection";
    char data[READ_SIZE];
    for (int round = 0; round < READS_A_CALL; round++) {
        ssize_t got = recv(client->descriptor, data, sizeof data, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
        if (got <= 0) {
            if (client->error[0] == 0) snprintf(client->error, sizeof client->error, "%s", closed);
            return false;
        }
        frame_reader_add(&client->reader, data, (size_t)got);
        if (!dispatch(client)) return false;
    }
    return true;
}

int client_request(struct client *client, const char *type, cJSON *body)
{
    if (body == NULL) body = cJSON_CreateObject();
    int id = client->next_id++;
    cJSON_AddStringToObject(body, "type", type);
    cJSON_AddNumberToObject(body, "id", id);
    char *text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    if (text == NULL) return 0;
    size_t length = strlen(text);
    if (length > LARGEST_REQUEST_FRAME) {
        snprintf(client->error, sizeof client->error, "the request %s is %zu bytes long; at most %d can be sent", type,
                 length, LARGEST_REQUEST_FRAME);
        cJSON_free(text);
        return 0;
    }
    frame_write(&client->out, 'J', text, length);
    cJSON_free(text);
    client_write(client);
    return id;
}
