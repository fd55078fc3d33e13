/* Opens an engine's server, request worker, model jobs and mailbox, and sorts requests to them. */
#include "engine/server/service.h"

#include "engine/preset/keys.h"
#include "engine/protocol/message.h"
#include "engine/server/client_paths.h"

#include <stdio.h>
#include <string.h>

/* The requests for a run's loop. */
static const struct loop_request {
    const char *type;
    enum session_request_kind kind;
} loop_requests[] = {
    {"pause", REQUEST_PAUSE},           {"continue", REQUEST_CONTINUE}, {"stop", REQUEST_STOP},
    {"sample-now", REQUEST_SAMPLE_NOW}, {"save-now", REQUEST_SAVE_NOW}, {"set", REQUEST_SET},
    {"rollback", REQUEST_ROLLBACK},
};

static const struct loop_request *find_loop_request(const char *type)
{
    for (size_t i = 0; i < sizeof loop_requests / sizeof loop_requests[0]; i++)
        if (strcmp(type, loop_requests[i].type) == 0) return &loop_requests[i];
    return NULL;
}

static status read_set(const cJSON *message, struct session_request *request)
{
    const char *key = json_get_text(message, "key", NULL);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(message, "value");
    if (!key || strlen(key) >= sizeof request->key)
        return status_error(STATUS_USAGE, "'set' needs a 'key', a text of at most %zu bytes", sizeof request->key - 1);
    if (!cJSON_IsNumber(value)) return status_error(STATUS_USAGE, "'set' of %s needs a 'value', a number", key);
    snprintf(request->key, sizeof request->key, "%s", key);
    request->value = value->valuedouble;
    return status_ok();
}

static status read_loop_request(const struct server_request *from, enum session_request_kind kind,
                                struct session_request *request)
{
    *request = (struct session_request){.kind = kind};
    /* Cut at a whole character. */
    size_t length = strlen(from->by);
    if (length >= sizeof request->by) length = sizeof request->by - 1;
    while (length > 0 && ((unsigned char)from->by[length] & 0xC0u) == 0x80u) length--;
    memcpy(request->by, from->by, length);
    if (kind == REQUEST_SET) return read_set(from->message, request);
    if (kind == REQUEST_ROLLBACK) {
        request->step = (int)json_get_integer_in(from->message, "step", 0, 1 << 30, -1);
        if (request->step < 0)
            return status_error(STATUS_USAGE, "'rollback' needs a 'step', the number of a checkpoint");
    }
    return status_ok();
}

static void set_preview_rate(struct service *service, const struct server_request *request)
{
    double rate = json_get_number(request->message, "value", -1);
    if (!(rate >= 0 && rate <= PREVIEW_RATE_LIMIT)) {
        server_reply_status(service->server, request,
                            status_error(STATUS_BAD_INPUT, "%s is %g; it must be from 0 to %d", PREVIEW_RATE_KEY, rate,
                                         PREVIEW_RATE_LIMIT));
        return;
    }
    server_set_preview_rate(service->server, request->client, rate);
    server_reply_status(service->server, request, status_ok());
}

static void post_to_loop(struct service *service, const struct server_request *from, enum session_request_kind kind)
{
    if (kind == REQUEST_SET && strcmp(json_get_text(from->message, "key", ""), PREVIEW_RATE_KEY) == 0) {
        set_preview_rate(service, from);
        return;
    }
    struct session_request request;
    status read = read_loop_request(from, kind, &request);
    if (read.code == STATUS_OK && !service->mailbox)
        read = status_error(STATUS_USAGE, "this engine has no run to %s", from->type);
    if (read.code == STATUS_OK && !mailbox_post(service->mailbox, request, from->client, from->id))
        read = status_error(STATUS_FAILED, "%d requests are already waiting for the run", (int)MAILBOX_ROOM);
    if (read.code != STATUS_OK) {
        server_reply_status(service->server, from, read);
        return;
    }
    bool at_once = kind == REQUEST_STOP && !json_get_flag(from->message, "save", true);
    if (at_once && service->interrupts) *service->interrupts = 2;
}

static void cancel(struct service *service, const struct server_request *request)
{
    int64_t id = json_get_integer_in(request->message, "re", 0, INT64_C(1) << 53, -1);
    bool found = id >= 0 && model_jobs_cancel(service->jobs, service->server, request->client, id);
    status result = found ? status_ok() : status_error(STATUS_FAILED, "there is no such request to cancel");
    server_reply_status(service->server, request, result);
}

static void sort_request(void *context, struct server *server, struct server_request request)
{
    struct service *service = context;
    const struct loop_request *loop = find_loop_request(request.type);
    status resolved = client_paths_resolve(request.message, request.type, request.process);
    if (resolved.code != STATUS_OK) {
        server_reply_status(server, &request, resolved);
        cJSON_Delete(request.message);
        return;
    }
    bool sample = strcmp(request.type, "sample") == 0;
    if (sample || strcmp(request.type, "plan") == 0) {
        if (sample) server_reply_status(server, &request, status_ok());
        model_jobs_post(service->jobs, server, request);
        if (service->mailbox) mailbox_nudge(service->mailbox);
        return;
    }
    if (request_worker_post(service->worker, request)) return;
    if (loop) {
        post_to_loop(service, &request, loop->kind);
    } else if (strcmp(request.type, "cancel") == 0) {
        cancel(service, &request);
    } else if (strcmp(request.type, "state") == 0) {
        server_send_state(server, request.client);
        server_reply_status(server, &request, status_ok());
    } else {
        server_reply_status(server, &request, status_error(STATUS_USAGE, "unknown request '%.60s'", request.type));
    }
    cJSON_Delete(request.message);
}

static void forget_client(void *context, uint64_t client)
{
    struct service *service = context;
    model_jobs_cancel(service->jobs, service->server, client, -1);
}

status service_open(struct service *service, const struct service_options *options)
{
    memset(service, 0, sizeof *service);
    service->interrupts = options->interrupts;
    service->jobs = model_jobs_create();
    if (options->with_mailbox) service->mailbox = mailbox_create();
    struct server_options server = {.socket_path = options->socket_path,
                                    .connection = options->connection,
                                    .run_folder = options->facts.run_folder,
                                    .version = options->facts.version,
                                    .context = service,
                                    .request = sort_request,
                                    .departed = forget_client};
    status opened = server_create(&server, &service->server);
    if (opened.code == STATUS_OK)
        server_set_state(service->server, options->state, false);
    else
        cJSON_Delete(options->state);
    if (opened.code == STATUS_OK) opened = request_worker_start(&options->facts, service->server, &service->worker);
    if (opened.code == STATUS_OK) opened = server_start(service->server);
    if (opened.code != STATUS_OK) service_close(service, 0);
    return opened;
}

void service_close(struct service *service, double linger)
{
    if (service->jobs) model_jobs_close(service->jobs);
    struct session_request request;
    uint64_t client;
    int64_t id;
    status ended = status_error(STATUS_FAILED, "the run has ended");
    while (service->server && service->mailbox && mailbox_take(service->mailbox, &request))
        if (mailbox_sender(service->mailbox, request.token, &client, &id))
            server_reply(service->server, client,
                         message_reply(id, request.kind == REQUEST_STOP ? status_ok() : ended));
    server_stop(service->server, linger);
    request_worker_stop(service->worker);
    server_destroy(service->server);
    model_jobs_destroy(service->jobs);
    mailbox_destroy(service->mailbox);
    memset(service, 0, sizeof *service);
}
