/* The server's thread: accepts clients, reads and writes without blocking, and publishes to all of them. */
#include "engine/server/server.h"

#include "engine/base/clock.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/picture_kind.h"
#include "engine/protocol/endpoint.h"
#include "engine/protocol/message.h"
#include "engine/server/connection.h"
#include "engine/server/live_state.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CLIENTS = 32, SEND_BYTES_A_TURN = 1 << 20 };
static const double hello_seconds = 5.0, farewell_seconds = 5.0, accept_pause_seconds = 0.2;

struct server {
    struct server_options options;
    char *socket_path, *run_folder, *version;
    int listener, wake;
    pthread_t thread;
    bool started;        /* the thread is there */
    double accept_again; /* no descriptors were left: accept from this time on */

    pthread_mutex_t lock; /* guards everything below */
    struct connection *connections;
    int connection_count; /* changed by the server's thread alone */
    uint64_t next_client, sequence;
    struct live_state live;
    bool stopping, finished;
    double stop_at; /* monotonic seconds */
};

static void wake(struct server *server)
{
    uint64_t one = 1;
    ssize_t written = write(server->wake, &one, sizeof one);
    (void)written; /* a full counter wakes as well */
}

/* ---- queueing, under the lock --------------------------------------------------------------------------------------
 */

static void push(struct connection *connection, struct frame_buffer *frame_buffer)
{
    if (!frame_buffer || !outbox_push(&connection->outbox, frame_buffer)) connection->broken = true;
}

static struct frame_buffer *pack(enum frame_buffer_kind kind, const cJSON *message, uint64_t sequence)
{
    char *text = json_print(message, false);
    struct frame_buffer *frame_buffer = frame_buffer_create(kind, FRAME_JSON, text, strlen(text), NULL, 0);
    free(text);
    if (frame_buffer && frame_buffer->bytes > FRAME_HEADER_BYTES + frame_limits_of_engine.json) {
        frame_buffer_release(frame_buffer);
        return NULL;
    }
    if (frame_buffer) frame_buffer->sequence = sequence;
    return frame_buffer;
}

static void push_message(struct connection *connection, enum frame_buffer_kind kind, cJSON *message)
{
    struct frame_buffer *frame_buffer = pack(kind, message, 0);
    push(connection, frame_buffer);
    frame_buffer_release(frame_buffer);
    cJSON_Delete(message);
}

static struct frame_buffer *pack_state(struct server *server)
{
    cJSON *state = server->live.state;
    cJSON_DeleteItemFromObjectCaseSensitive(state, "seq");
    cJSON_DeleteItemFromObjectCaseSensitive(state, "clients");
    cJSON_AddNumberToObject(state, "seq", (double)server->sequence);
    int clients = 0;
    for (struct connection *each = server->connections; each; each = each->next) clients += each->greeted;
    cJSON_AddNumberToObject(state, "clients", clients);
    return pack(FRAME_BUFFER_MESSAGE, state, server->sequence);
}

static void send_state(struct server *server, struct connection *connection)
{
    struct frame_buffer *frame_buffer = pack_state(server);
    push(connection, frame_buffer);
    frame_buffer_release(frame_buffer);
}

static void announce_state(struct server *server)
{
    server->sequence++;
    struct frame_buffer *frame_buffer = pack_state(server);
    for (struct connection *each = server->connections; frame_buffer && each; each = each->next)
        if (each->greeted && !each->closing) push(each, frame_buffer);
    frame_buffer_release(frame_buffer);
}

static struct connection *find(struct server *server, uint64_t client)
{
    for (struct connection *each = server->connections; each; each = each->next)
        if (each->id == client && !each->closing && !each->broken) return each;
    return NULL;
}

/* The error goes out, then the connection closes. */
static void dismiss(struct connection *connection, const char *why)
{
    push_message(connection, FRAME_BUFFER_CONTROL, message_error(why));
    connection->closing = true;
    connection->close_by = clock_steady() + farewell_seconds;
}

/* ---- publishing, from any thread -----------------------------------------------------------------------------------
 */

uint64_t server_publish(struct server *server, cJSON *message)
{
    if (!message) return 0;
    pthread_mutex_lock(&server->lock);
    uint64_t sequence = ++server->sequence;
    cJSON_AddNumberToObject(message, "seq", (double)sequence);
    live_state_follow(&server->live, message);
    struct frame_buffer *frame_buffer = pack(FRAME_BUFFER_MESSAGE, message, sequence);
    for (struct connection *each = server->connections; frame_buffer && each; each = each->next)
        if (each->greeted && !each->closing) push(each, frame_buffer);
    pthread_mutex_unlock(&server->lock);
    frame_buffer_release(frame_buffer);
    cJSON_Delete(message);
    wake(server);
    return sequence;
}

void server_set_state(struct server *server, cJSON *changes, bool announce)
{
    if (!changes) return;
    pthread_mutex_lock(&server->lock);
    live_state_merge(&server->live, changes);
    if (announce) announce_state(server);
    pthread_mutex_unlock(&server->lock);
    if (announce) wake(server);
}

void server_edit_state(struct server *server, void (*edit)(cJSON *state, void *context), void *context, bool announce)
{
    pthread_mutex_lock(&server->lock);
    edit(server->live.state, context);
    if (announce) announce_state(server);
    pthread_mutex_unlock(&server->lock);
    if (announce) wake(server);
}

static int64_t picture_key(const cJSON *header)
{
    enum picture_kind kind = picture_kind_find(json_get_text(header, "kind", ""));
    return ((int64_t)kind << 32) | json_get_integer_in(header, "index", 0, INT32_MAX, 0);
}

static struct frame_buffer *pack_picture(const struct server_picture *picture)
{
    char *text = json_print(picture->header, false);
    size_t pixel_bytes = (size_t)picture->width * (size_t)picture->height * 3;
    size_t header_bytes = strlen(text) + 1;
    struct frame_buffer *frame_buffer = NULL;
    if (picture->width > 0 && picture->height > 0 && header_bytes + pixel_bytes <= frame_limits_of_engine.picture)
        frame_buffer =
            frame_buffer_create(FRAME_BUFFER_PICTURE, FRAME_PICTURE, text, header_bytes, picture->pixels, pixel_bytes);
    free(text);
    if (frame_buffer && picture->denoising) frame_buffer->replaces = picture_key(picture->header);
    return frame_buffer;
}

void server_publish_picture(struct server *server, struct server_picture picture)
{
    struct frame_buffer *frame_buffer = pack_picture(&picture);
    double now = clock_steady();
    pthread_mutex_lock(&server->lock);
    if (frame_buffer) live_state_keep_picture(&server->live, picture_key(picture.header), frame_buffer);
    for (struct connection *each = server->connections; frame_buffer && each; each = each->next) {
        if (!each->greeted || each->closing || !each->wants_pictures) continue;
        if (picture.denoising && !connection_preview_due(each, now)) continue;
        if (picture.denoising) each->preview_due = now + each->preview_interval;
        push(each, frame_buffer);
    }
    pthread_mutex_unlock(&server->lock);
    frame_buffer_release(frame_buffer);
    cJSON_Delete(picture.header);
    wake(server);
}

void server_send_picture(struct server *server, uint64_t client, struct server_picture picture)
{
    struct frame_buffer *frame_buffer = pack_picture(&picture);
    pthread_mutex_lock(&server->lock);
    struct connection *connection = find(server, client);
    if (frame_buffer && connection) push(connection, frame_buffer);
    pthread_mutex_unlock(&server->lock);
    frame_buffer_release(frame_buffer);
    cJSON_Delete(picture.header);
    wake(server);
}

bool server_wants_preview(struct server *server)
{
    double now = clock_steady();
    bool wanted = false;
    pthread_mutex_lock(&server->lock);
    for (struct connection *each = server->connections; each && !wanted; each = each->next)
        wanted = connection_preview_due(each, now);
    pthread_mutex_unlock(&server->lock);
    return wanted;
}

void server_reply(struct server *server, uint64_t client, cJSON *reply)
{
    if (!reply) return;
    struct frame_buffer *frame_buffer = pack(FRAME_BUFFER_CONTROL, reply, 0);
    if (!frame_buffer) {
        cJSON *too_long = message_reply(json_get_integer_in(reply, "re", 0, INT64_C(1) << 53, 0),
                                        status_error(STATUS_FAILED, "the answer is longer than a message may be"));
        frame_buffer = pack(FRAME_BUFFER_CONTROL, too_long, 0);
        cJSON_Delete(too_long);
    }
    pthread_mutex_lock(&server->lock);
    struct connection *connection = find(server, client);
    if (connection) push(connection, frame_buffer);
    pthread_mutex_unlock(&server->lock);
    frame_buffer_release(frame_buffer);
    cJSON_Delete(reply);
    wake(server);
}

void server_reply_status(struct server *server, const struct server_request *request, status result)
{
    server_reply(server, request->client, message_reply(request->id, result));
}

void server_set_preview_rate(struct server *server, uint64_t client, double rate)
{
    pthread_mutex_lock(&server->lock);
    struct connection *connection = find(server, client);
    if (connection) {
        connection->preview_interval = rate > 0 ? 1.0 / rate : INFINITY;
        connection->preview_due = 0;
    }
    pthread_mutex_unlock(&server->lock);
}

void server_send_state(struct server *server, uint64_t client)
{
    pthread_mutex_lock(&server->lock);
    struct connection *connection = find(server, client);
    if (connection) send_state(server, connection);
    pthread_mutex_unlock(&server->lock);
    wake(server);
}

bool server_finished(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    bool finished = server->finished;
    pthread_mutex_unlock(&server->lock);
    return finished;
}

/* ---- the server's thread -------------------------------------------------------------------------------------------
 */

static cJSON *own_hello(const struct server *server)
{
    cJSON *hello = message_hello();
    cJSON_AddStringToObject(hello, "version", server->version);
    cJSON_AddNumberToObject(hello, "pid", (double)getpid());
    if (server->run_folder)
        cJSON_AddStringToObject(hello, "run", server->run_folder);
    else
        cJSON_AddNullToObject(hello, "run");
    return hello;
}

/* Under the lock. */
static struct connection *add_connection(struct server *server, int descriptor)
{
    struct connection *connection = connection_create(descriptor, ++server->next_client, clock_steady());
    connection->process = endpoint_peer_process(descriptor);
    connection->next = server->connections;
    server->connections = connection;
    server->connection_count++;
    push_message(connection, FRAME_BUFFER_CONTROL, own_hello(server));
    if (server->connection_count > MOST_CLIENTS) dismiss(connection, "too many clients are connected to this engine");
    return connection;
}

/* One a turn, so that clients which have gone make room before newcomers are counted. */
static void accept_client(struct server *server)
{
    int descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        bool nothing_wrong = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
        if (!nothing_wrong) server->accept_again = clock_steady() + accept_pause_seconds;
        return;
    }
    if (endpoint_check_peer(descriptor).code != STATUS_OK) {
        close(descriptor);
        return;
    }
    pthread_mutex_lock(&server->lock);
    add_connection(server, descriptor);
    pthread_mutex_unlock(&server->lock);
}

/* Under the lock: from here on the client is live. */
static void attach(struct server *server, struct connection *connection, const cJSON *hello)
{
    status agreed = message_check_hello(hello, "this engine", "the client");
    if (agreed.code != STATUS_OK) {
        dismiss(connection, agreed.message);
        return;
    }
    connection_greet(connection, hello);
    send_state(server, connection);
    for (int i = 0; connection->wants_pictures && i < server->live.picture_count; i++)
        push(connection, server->live.pictures[i].frame_buffer);
}

static void hand_over(struct server *server, struct connection *connection, cJSON *message)
{
    struct server_request request = {
        .client = connection->id,
        .id = json_get_integer_in(message, "id", 0, INT64_C(1) << 53, -1),
        .by = connection->name,
        .process = connection->process,
        .type = json_get_text(message, "type", ""),
        .message = message,
    };
    bool answerable = request.id >= 0;
    if (answerable && request.type[0] == '\0') {
        server_reply_status(server, &request, status_error(STATUS_USAGE, "the request has no 'type', a text"));
        answerable = false;
    }
    if (answerable && server->options.request) {
        server->options.request(server->options.context, server, request);
        return;
    }
    if (answerable) server_reply_status(server, &request, status_error(STATUS_USAGE, "this engine takes no requests"));
    cJSON_Delete(message);
}

static void take_frame(struct server *server, struct connection *connection, const struct frame *frame)
{
    cJSON *message;
    status parsed = message_parse(frame->payload, frame->bytes, &message);
    if (parsed.code == STATUS_OK && connection->greeted) {
        hand_over(server, connection, message);
        return;
    }
    pthread_mutex_lock(&server->lock);
    if (parsed.code == STATUS_OK)
        attach(server, connection, message);
    else
        dismiss(connection, parsed.message);
    pthread_mutex_unlock(&server->lock);
    cJSON_Delete(message);
}

static void receive(struct server *server, struct connection *connection)
{
    bool closed;
    connection_receive(connection, &closed);
    if (closed) {
        pthread_mutex_lock(&server->lock);
        connection->broken = true;
        pthread_mutex_unlock(&server->lock);
        return;
    }
    for (;;) {
        struct frame frame;
        bool found;
        status next = frame_stream_next(&connection->reader, &frame, &found);
        if (next.code != STATUS_OK) {
            pthread_mutex_lock(&server->lock);
            dismiss(connection, next.message);
            pthread_mutex_unlock(&server->lock);
        }
        if (!found || connection->closing) return;
        take_frame(server, connection, &frame);
        if (connection->closing) return;
    }
}

/* Under the lock: when all is sent and messages were dropped, says so and starts the client afresh. */
static void close_gap(struct server *server, struct connection *connection)
{
    uint64_t from, to;
    if (!outbox_take_gap(&connection->outbox, &from, &to)) return;
    cJSON *gap = message_create("gap");
    cJSON_AddNumberToObject(gap, "from", (double)from);
    cJSON_AddNumberToObject(gap, "to", (double)to);
    push_message(connection, FRAME_BUFFER_CONTROL, gap);
    send_state(server, connection);
}

static void transmit(struct server *server, struct connection *connection)
{
    size_t budget = SEND_BYTES_A_TURN;
    while (budget > 0) {
        size_t sent = 0;
        pthread_mutex_lock(&server->lock);
        close_gap(server, connection);
        struct frame_buffer *frame_buffer = outbox_take(&connection->outbox, &sent);
        pthread_mutex_unlock(&server->lock);
        if (!frame_buffer) return;
        ssize_t count = send(connection->descriptor, frame_buffer->frame + sent, frame_buffer->bytes - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        int error = errno;
        pthread_mutex_lock(&server->lock);
        outbox_sent(&connection->outbox, count > 0 ? (size_t)count : 0);
        if (count < 0 && error != EAGAIN && error != EINTR) connection->broken = true;
        pthread_mutex_unlock(&server->lock);
        frame_buffer_release(frame_buffer);
        if (count <= 0) return;
        budget = (size_t)count < budget ? budget - (size_t)count : 0;
    }
}

/* Under the lock: connections that are done leave the list and come back as a list of their own. */
static struct connection *detach_finished(struct server *server)
{
    struct connection *done = NULL;
    double now = clock_steady();
    for (struct connection **link = &server->connections; *link;) {
        struct connection *each = *link;
        if (!each->greeted && !each->closing && now - each->opened > hello_seconds)
            dismiss(each, "no hello came within 5 seconds");
        bool flushed = each->closing && outbox_empty(&each->outbox);
        bool stuck = each->closing && now > each->close_by;
        if (!each->broken && !flushed && !stuck) {
            link = &each->next;
            continue;
        }
        *link = each->next;
        server->connection_count--;
        if (each->only) server->finished = true;
        each->next = done;
        done = each;
    }
    return done;
}

static void destroy_connection(struct server *server, struct connection *done)
{
    while (done) {
        struct connection *next = done->next;
        if (server->options.departed) server->options.departed(server->options.context, done->id);
        connection_destroy(done);
        done = next;
    }
}

/* Under the lock: true when the thread may end. */
static bool all_said(const struct server *server)
{
    if (!server->stopping) return false;
    if (clock_steady() >= server->stop_at) return true;
    for (const struct connection *each = server->connections; each; each = each->next)
        if (!outbox_empty(&each->outbox) && !each->broken) return false;
    return true;
}

/* Under the lock. Seconds until something is due without input; negative: nothing is. */
static double seconds_until_due(const struct server *server)
{
    double now = clock_steady(), due = INFINITY;
    for (const struct connection *each = server->connections; each; each = each->next) {
        if (each->closing)
            due = fmin(due, each->close_by);
        else if (!each->greeted)
            due = fmin(due, each->opened + hello_seconds);
    }
    if (server->stopping) due = fmin(due, server->stop_at);
    if (server->accept_again > now) due = fmin(due, server->accept_again);
    if (isinf(due)) return -1;
    return due > now ? due - now : 0;
}

struct watch {
    struct pollfd descriptors[MOST_CLIENTS + 3];
    struct connection *connections[MOST_CLIENTS + 3];
    int count;
    int timeout; /* milliseconds */
};

static void watch_descriptor(struct watch *watch, int descriptor, short events, struct connection *connection)
{
    watch->descriptors[watch->count] = (struct pollfd){.fd = descriptor, .events = events};
    watch->connections[watch->count++] = connection;
}

/* Under the lock. */
static void prepare_watch(struct server *server, struct watch *watch)
{
    watch->count = 0;
    watch_descriptor(watch, server->wake, POLLIN, NULL);
    bool accepting = server->listener >= 0 && !server->stopping && server->connection_count <= MOST_CLIENTS &&
                     clock_steady() >= server->accept_again;
    watch_descriptor(watch, accepting ? server->listener : -1, POLLIN, NULL);
    for (struct connection *each = server->connections; each; each = each->next) {
        bool to_send = !outbox_empty(&each->outbox) || each->outbox.gap;
        short events = (short)((each->closing ? 0 : POLLIN) | (to_send ? POLLOUT : 0));
        watch_descriptor(watch, each->descriptor, events, each);
    }
    double seconds = seconds_until_due(server);
    watch->timeout = seconds < 0 ? -1 : (int)(seconds * 1000) + 1;
}

static void serve_connection(struct server *server, struct connection *connection, short events)
{
    if (events & POLLOUT) transmit(server, connection);
    if ((events & POLLIN) && !connection->closing) {
        receive(server, connection);
        return;
    }
    if (events & (POLLERR | POLLHUP | POLLNVAL)) {
        pthread_mutex_lock(&server->lock);
        connection->broken = true;
        pthread_mutex_unlock(&server->lock);
    }
}

static void *serve(void *argument)
{
    struct server *server = argument;
    for (;;) {
        struct watch watch;
        pthread_mutex_lock(&server->lock);
        struct connection *done = detach_finished(server);
        bool over = all_said(server);
        prepare_watch(server, &watch);
        pthread_mutex_unlock(&server->lock);
        destroy_connection(server, done);
        if (over) return NULL;
        if (poll(watch.descriptors, (nfds_t)watch.count, watch.timeout) < 0) continue;
        uint64_t woken;
        if (watch.descriptors[0].revents && read(server->wake, &woken, sizeof woken) < 0 && errno == EBADF) return NULL;
        if (watch.descriptors[1].revents) accept_client(server);
        for (int i = 2; i < watch.count; i++)
            if (watch.descriptors[i].revents)
                serve_connection(server, watch.connections[i], watch.descriptors[i].revents);
    }
}

/* ---- start and stop ------------------------------------------------------------------------------------------------
 */

static status open_ends(struct server *server)
{
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake < 0) return status_errno(STATUS_FAILED, errno, "cannot make an event descriptor");
    if (server->options.connection >= 0) {
        status usable = endpoint_prepare(server->options.connection);
        if (usable.code == STATUS_OK) usable = endpoint_check_peer(server->options.connection);
        if (usable.code != STATUS_OK) {
            close(server->options.connection);
            return usable;
        }
        struct connection *only = add_connection(server, server->options.connection);
        only->only = true;
    }
    return server->socket_path ? endpoint_listen(server->socket_path, &server->listener) : status_ok();
}

status server_create(const struct server_options *options, struct server **created)
{
    struct server *server = memory_take(1, sizeof *server);
    server->options = *options;
    server->listener = server->wake = -1;
    pthread_mutex_init(&server->lock, NULL);
    server->socket_path = options->socket_path ? memory_copy_text(options->socket_path) : NULL;
    server->run_folder = options->run_folder ? memory_copy_text(options->run_folder) : NULL;
    server->version = memory_copy_text(options->version ? options->version : "");
    live_state_init(&server->live);
    status result = open_ends(server);
    if (result.code != STATUS_OK) {
        server_destroy(server);
        return result;
    }
    *created = server;
    return status_ok();
}

/* The thread takes no signals: they belong to the main thread. */
status server_start(struct server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&server->thread, NULL, serve, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) return status_errno(STATUS_FAILED, error, "cannot start the server's thread");
    server->started = true;
    return status_ok();
}

void server_stop(struct server *server, double linger)
{
    if (!server || !server->started) return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    server->stop_at = clock_steady() + linger;
    pthread_mutex_unlock(&server->lock);
    wake(server);
    pthread_join(server->thread, NULL);
    server->started = false;
}

void server_destroy(struct server *server)
{
    if (!server) return;
    server_stop(server, 0);
    while (server->connections) {
        struct connection *next = server->connections->next;
        connection_destroy(server->connections);
        server->connections = next;
    }
    if (server->listener >= 0) close(server->listener);
    if (server->listener >= 0 && server->socket_path) unlink(server->socket_path);
    if (server->wake >= 0) close(server->wake);
    live_state_clear(&server->live);
    pthread_mutex_destroy(&server->lock);
    free(server->socket_path);
    free(server->run_folder);
    free(server->version);
    free(server);
}
