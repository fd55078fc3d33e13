/* The thread that answers requests without a model, one after another. */
#include "engine/server/request_worker.h"

#include "engine/base/memory.h"
#include "engine/protocol/message.h"
#include "engine/server/request_services.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_LIMIT = 256 };

struct request_worker {
    struct service_facts facts;
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct server_request waiting[REQUEST_LIMIT]; /* a ring */
    int first, count;
    bool stopping;
};

static const struct request_service services[] = {
    {"catalogue", answer_catalogue},
    {"runs", answer_runs},
    {"check", answer_check},
    {"start", answer_start},
    {"export", answer_export},
    {"presets-save", answer_presets_save},
    {"presets-delete", answer_presets_delete},
    {"presets-rename", answer_presets_rename},
};

const struct request_service *request_services(int *count)
{
    *count = (int)(sizeof services / sizeof services[0]);
    return services;
}

static const struct request_service *find_service(const char *type)
{
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (strcmp(type, services[i].type) == 0) return &services[i];
    return NULL;
}

static void move_keys(cJSON *to, cJSON *from)
{
    while (from && from->child) {
        cJSON *item = cJSON_DetachItemViaPointer(from, from->child);
        cJSON_AddItemToObject(to, item->string, item);
    }
    cJSON_Delete(from);
}

static void answer(struct request_worker *worker, const struct server_request *request)
{
    const struct request_service *service = find_service(request->type);
    cJSON *keys = cJSON_CreateObject();
    status result = service->answer(&worker->facts, request->message, keys);
    cJSON *reply = message_reply(request->id, result);
    move_keys(reply, keys);
    server_reply(worker->server, request->client, reply);
}

static bool next_request(struct request_worker *worker, struct server_request *request)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->count == 0 && !worker->stopping) pthread_cond_wait(&worker->arrived, &worker->lock);
    bool found = !worker->stopping;
    if (found) {
        *request = worker->waiting[worker->first];
        worker->first = (worker->first + 1) % REQUEST_LIMIT;
        worker->count--;
    }
    pthread_mutex_unlock(&worker->lock);
    return found;
}

static void *work(void *argument)
{
    struct request_worker *worker = argument;
    struct server_request request;
    while (next_request(worker, &request)) {
        answer(worker, &request);
        cJSON_Delete(request.message);
    }
    return NULL;
}

bool request_worker_post(struct request_worker *worker, struct server_request request)
{
    if (!find_service(request.type)) return false;
    pthread_mutex_lock(&worker->lock);
    bool room = worker->count < REQUEST_LIMIT;
    if (room) worker->waiting[(worker->first + worker->count++) % REQUEST_LIMIT] = request;
    pthread_cond_signal(&worker->arrived);
    pthread_mutex_unlock(&worker->lock);
    if (!room) {
        server_reply_status(worker->server, &request,
                            status_error(STATUS_FAILED, "%d requests are already waiting", (int)REQUEST_LIMIT));
        cJSON_Delete(request.message);
    }
    return true;
}

status request_worker_start(const struct service_facts *facts, struct server *server, struct request_worker **started)
{
    struct request_worker *worker = memory_take(1, sizeof *worker);
    worker->facts = *facts;
    worker->server = server;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->arrived, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        free(worker);
        return status_errno(STATUS_FAILED, error, "cannot start the request worker's thread");
    }
    *started = worker;
    return status_ok();
}

void request_worker_stop(struct request_worker *worker)
{
    if (!worker) return;
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->arrived);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    for (; worker->count > 0; worker->count--, worker->first = (worker->first + 1) % REQUEST_LIMIT)
        cJSON_Delete(worker->waiting[worker->first].message);
    pthread_cond_destroy(&worker->arrived);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}
