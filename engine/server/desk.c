/* The thread that answers requests without a model, one after another. */
#include "engine/server/desk.h"

#include "engine/base/memory.h"
#include "engine/protocol/message.h"
#include "engine/server/desk_services.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { DESK_ROOM = 256 };

struct desk {
    struct desk_facts facts;
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct server_request waiting[DESK_ROOM]; /* a ring */
    int first, count;
    bool stopping;
};

static const struct desk_service services[] = {
    {"catalogue", answer_catalogue},
    {"runs", answer_runs},
    {"check", answer_check},
    {"start", answer_start},
    {"export", answer_export},
    {"presets-save", answer_presets_save},
    {"presets-delete", answer_presets_delete},
    {"presets-rename", answer_presets_rename},
};

const struct desk_service *desk_services(int *count)
{
    *count = (int)(sizeof services / sizeof services[0]);
    return services;
}

static const struct desk_service *find_service(const char *type)
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

static void answer(struct desk *desk, const struct server_request *request)
{
    const struct desk_service *service = find_service(request->type);
    cJSON *keys = cJSON_CreateObject();
    status result = service->answer(&desk->facts, request->message, keys);
    cJSON *reply = message_reply(request->id, result);
    move_keys(reply, keys);
    server_reply(desk->server, request->client, reply);
}

static bool next_request(struct desk *desk, struct server_request *request)
{
    pthread_mutex_lock(&desk->lock);
    while (desk->count == 0 && !desk->stopping) pthread_cond_wait(&desk->arrived, &desk->lock);
    bool found = !desk->stopping;
    if (found) {
        *request = desk->waiting[desk->first];
        desk->first = (desk->first + 1) % DESK_ROOM;
        desk->count--;
    }
    pthread_mutex_unlock(&desk->lock);
    return found;
}

static void *work(void *argument)
{
    struct desk *desk = argument;
    struct server_request request;
    while (next_request(desk, &request)) {
        answer(desk, &request);
        cJSON_Delete(request.message);
    }
    return NULL;
}

bool desk_post(struct desk *desk, struct server_request request)
{
    if (!find_service(request.type)) return false;
    pthread_mutex_lock(&desk->lock);
    bool room = desk->count < DESK_ROOM;
    if (room) desk->waiting[(desk->first + desk->count++) % DESK_ROOM] = request;
    pthread_cond_signal(&desk->arrived);
    pthread_mutex_unlock(&desk->lock);
    if (!room) {
        server_reply_status(desk->server, &request,
                            status_error(STATUS_FAILED, "%d requests wait already", (int)DESK_ROOM));
        cJSON_Delete(request.message);
    }
    return true;
}

status desk_start(const struct desk_facts *facts, struct server *server, struct desk **started)
{
    struct desk *desk = memory_take(1, sizeof *desk);
    desk->facts = *facts;
    desk->server = server;
    pthread_mutex_init(&desk->lock, NULL);
    pthread_cond_init(&desk->arrived, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&desk->thread, NULL, work, desk);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        free(desk);
        return status_errno(STATUS_FAILED, error, "cannot start the desk's thread");
    }
    *started = desk;
    return status_ok();
}

void desk_stop(struct desk *desk)
{
    if (!desk) return;
    pthread_mutex_lock(&desk->lock);
    desk->stopping = true;
    pthread_cond_signal(&desk->arrived);
    pthread_mutex_unlock(&desk->lock);
    pthread_join(desk->thread, NULL);
    for (; desk->count > 0; desk->count--, desk->first = (desk->first + 1) % DESK_ROOM)
        cJSON_Delete(desk->waiting[desk->first].message);
    pthread_cond_destroy(&desk->arrived);
    pthread_mutex_destroy(&desk->lock);
    free(desk);
}
