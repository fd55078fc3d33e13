/* The queue of clients' plans and pictures: the newest of a client and kind takes the place of the one before. */
#include "engine/server/workbench.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/protocol/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WORKBENCH_ROOM = 64 };

/* A job may finish although a newer one waits when it takes no longer than this: while a slider moves, pictures come
 * one after another instead of none at all. */
static const double grace_seconds = 1.0;

struct workbench {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct server_request waiting[WORKBENCH_ROOM]; /* oldest first */
    int waiting_count;
    bool in_work, superseded, cancelled, closed;
    double work_begun;    /* monotonic seconds */
    uint64_t work_client; /* of the job in work */
    int64_t work_id;
    char work_type[32];
};

struct workbench *workbench_create(void)
{
    struct workbench *bench = memory_take(1, sizeof *bench);
    pthread_mutex_init(&bench->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&bench->arrived, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return bench;
}

void workbench_destroy(struct workbench *bench)
{
    if (!bench) return;
    for (int i = 0; i < bench->waiting_count; i++) cJSON_Delete(bench->waiting[i].message);
    pthread_cond_destroy(&bench->arrived);
    pthread_mutex_destroy(&bench->lock);
    free(bench);
}

void workbench_answer(struct server *server, const struct server_request *request, status result, cJSON *answer)
{
    cJSON *reply = message_reply(request->id, result);
    if (strcmp(request->type, "sample") == 0)
        cJSON_ReplaceItemInObjectCaseSensitive(reply, "type", cJSON_CreateString("sampled"));
    while (answer && answer->child) {
        cJSON *item = cJSON_DetachItemViaPointer(answer, answer->child);
        cJSON_AddItemToObject(reply, item->string, item);
    }
    cJSON_Delete(answer);
    server_reply(server, request->client, reply);
}

void workbench_answer_superseded(struct server *server, const struct server_request *request)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "superseded", true);
    workbench_answer(server, request, status_error(STATUS_FAILED, "a newer request took its place"), answer);
}

/* Under the lock: takes waiting requests of the client that `matches` out, into `removed`. */
static int remove_waiting(struct workbench *bench, uint64_t client, const char *type, int64_t id,
                          struct server_request *removed)
{
    int kept = 0, count = 0;
    for (int i = 0; i < bench->waiting_count; i++) {
        const struct server_request *each = &bench->waiting[i];
        bool match = each->client == client && (!type || strcmp(each->type, type) == 0) && (id < 0 || each->id == id);
        if (match)
            removed[count++] = *each;
        else
            bench->waiting[kept++] = *each;
    }
    bench->waiting_count = kept;
    return count;
}

/* Under the lock: whether the job in work is the client's, of that type (NULL: any) and number (negative: any). */
static bool in_work(const struct workbench *bench, uint64_t client, const char *type, int64_t id)
{
    return bench->in_work && bench->work_client == client && (!type || strcmp(bench->work_type, type) == 0) &&
           (id < 0 || bench->work_id == id);
}

static void dismiss(struct server *server, struct server_request *requests, int count)
{
    for (int i = 0; i < count; i++) {
        workbench_answer_superseded(server, &requests[i]);
        cJSON_Delete(requests[i].message);
    }
}

void workbench_post(struct workbench *bench, struct server *server, struct server_request request)
{
    struct server_request removed[WORKBENCH_ROOM];
    request.by = ""; /* its name goes with the connection, which the job may outlive */
    pthread_mutex_lock(&bench->lock);
    int count = remove_waiting(bench, request.client, request.type, -1, removed);
    if (in_work(bench, request.client, request.type, -1)) bench->superseded = true;
    bool room = bench->waiting_count < WORKBENCH_ROOM && !bench->closed;
    if (room) bench->waiting[bench->waiting_count++] = request;
    pthread_cond_signal(&bench->arrived);
    pthread_mutex_unlock(&bench->lock);
    dismiss(server, removed, count);
    if (room) return;
    workbench_answer(server, &request, status_error(STATUS_FAILED, "the engine has too much to do already"), NULL);
    cJSON_Delete(request.message);
}

bool workbench_cancel(struct workbench *bench, struct server *server, uint64_t client, int64_t id)
{
    struct server_request removed[WORKBENCH_ROOM];
    pthread_mutex_lock(&bench->lock);
    int count = remove_waiting(bench, client, NULL, id, removed);
    bool worked = in_work(bench, client, NULL, id);
    if (worked) bench->cancelled = true;
    pthread_mutex_unlock(&bench->lock);
    dismiss(server, removed, count);
    return worked || count > 0;
}

static void wait_for_job(struct workbench *bench, double seconds)
{
    struct timespec end = clock_deadline(seconds);
    int outcome = 0;
    while (bench->waiting_count == 0 && !bench->closed && outcome == 0)
        outcome = pthread_cond_timedwait(&bench->arrived, &bench->lock, &end);
}

bool workbench_take(struct workbench *bench, double seconds, struct workbench_job *job)
{
    pthread_mutex_lock(&bench->lock);
    if (seconds > 0) wait_for_job(bench, seconds);
    bool found = bench->waiting_count > 0 && !bench->closed;
    if (found) {
        *job = (struct workbench_job){.request = bench->waiting[0], .bench = bench};
        bench->waiting_count--;
        memmove(bench->waiting, bench->waiting + 1, (size_t)bench->waiting_count * sizeof bench->waiting[0]);
        bench->in_work = true;
        bench->superseded = bench->cancelled = false;
        bench->work_begun = clock_steady();
        bench->work_client = job->request.client;
        bench->work_id = job->request.id;
        strncpy(bench->work_type, job->request.type, sizeof bench->work_type - 1);
    }
    pthread_mutex_unlock(&bench->lock);
    return found;
}

bool workbench_unwanted(const struct workbench_job *job)
{
    struct workbench *bench = job->bench;
    pthread_mutex_lock(&bench->lock);
    bool late = clock_steady() - bench->work_begun > grace_seconds;
    bool unwanted = bench->cancelled || bench->closed || (bench->superseded && late);
    pthread_mutex_unlock(&bench->lock);
    return unwanted;
}

void workbench_finish(struct workbench *bench, struct workbench_job *job)
{
    pthread_mutex_lock(&bench->lock);
    bench->in_work = false;
    pthread_mutex_unlock(&bench->lock);
    cJSON_Delete(job->request.message);
    job->request.message = NULL;
}

void workbench_close(struct workbench *bench)
{
    pthread_mutex_lock(&bench->lock);
    bench->closed = true;
    pthread_cond_broadcast(&bench->arrived);
    pthread_mutex_unlock(&bench->lock);
}
