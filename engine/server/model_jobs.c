/* The queue of clients' plans and pictures: the newest of a client and kind takes the place of the one before. */
#include "engine/server/model_jobs.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/protocol/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WAITING_JOBS = 64 };

/* A job may finish although a newer one waits when it takes no longer than this: while a slider moves, pictures come
 * one after another instead of none at all. */
static const double grace_seconds = 1.0;

struct model_jobs {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct server_request waiting[MOST_WAITING_JOBS]; /* oldest first */
    int waiting_count;
    bool in_work, superseded, cancelled, closed;
    double work_begun;    /* monotonic seconds */
    uint64_t work_client; /* of the job in work */
    int64_t work_id;
    char work_type[32];
};

struct model_jobs *model_jobs_create(void)
{
    struct model_jobs *jobs = memory_take(1, sizeof *jobs);
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&jobs->arrived, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return jobs;
}

void model_jobs_destroy(struct model_jobs *jobs)
{
    if (!jobs) return;
    for (int i = 0; i < jobs->waiting_count; i++) cJSON_Delete(jobs->waiting[i].message);
    pthread_cond_destroy(&jobs->arrived);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

void model_jobs_answer(struct server *server, const struct server_request *request, status result, cJSON *answer)
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

void model_jobs_answer_superseded(struct server *server, const struct server_request *request)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "superseded", true);
    model_jobs_answer(server, request, status_error(STATUS_FAILED, "a newer request took its place"), answer);
}

/* Under the lock: takes waiting requests of the client that `matches` out, into `removed`. */
static int remove_waiting(struct model_jobs *jobs, uint64_t client, const char *type, int64_t id,
                          struct server_request *removed)
{
    int kept = 0, count = 0;
    for (int i = 0; i < jobs->waiting_count; i++) {
        const struct server_request *each = &jobs->waiting[i];
        bool match = each->client == client && (!type || strcmp(each->type, type) == 0) && (id < 0 || each->id == id);
        if (match)
            removed[count++] = *each;
        else
            jobs->waiting[kept++] = *each;
    }
    jobs->waiting_count = kept;
    return count;
}

/* Under the lock: whether the job in work is the client's, of that type (NULL: any) and number (negative: any). */
static bool in_work(const struct model_jobs *jobs, uint64_t client, const char *type, int64_t id)
{
    return jobs->in_work && jobs->work_client == client && (!type || strcmp(jobs->work_type, type) == 0) &&
           (id < 0 || jobs->work_id == id);
}

static void dismiss(struct server *server, struct server_request *requests, int count)
{
    for (int i = 0; i < count; i++) {
        model_jobs_answer_superseded(server, &requests[i]);
        cJSON_Delete(requests[i].message);
    }
}

void model_jobs_post(struct model_jobs *jobs, struct server *server, struct server_request request)
{
    struct server_request removed[MOST_WAITING_JOBS];
    request.by = ""; /* its name goes with the connection, which the job may outlive */
    pthread_mutex_lock(&jobs->lock);
    int count = remove_waiting(jobs, request.client, request.type, -1, removed);
    if (in_work(jobs, request.client, request.type, -1)) jobs->superseded = true;
    bool room = jobs->waiting_count < MOST_WAITING_JOBS && !jobs->closed;
    if (room) jobs->waiting[jobs->waiting_count++] = request;
    pthread_cond_signal(&jobs->arrived);
    pthread_mutex_unlock(&jobs->lock);
    dismiss(server, removed, count);
    if (room) return;
    model_jobs_answer(server, &request, status_error(STATUS_FAILED, "the engine already has as many jobs as it takes"),
                      NULL);
    cJSON_Delete(request.message);
}

bool model_jobs_cancel(struct model_jobs *jobs, struct server *server, uint64_t client, int64_t id)
{
    struct server_request removed[MOST_WAITING_JOBS];
    pthread_mutex_lock(&jobs->lock);
    int count = remove_waiting(jobs, client, NULL, id, removed);
    bool worked = in_work(jobs, client, NULL, id);
    if (worked) jobs->cancelled = true;
    pthread_mutex_unlock(&jobs->lock);
    dismiss(server, removed, count);
    return worked || count > 0;
}

static void wait_for_job(struct model_jobs *jobs, double seconds)
{
    struct timespec end = clock_deadline(seconds);
    int outcome = 0;
    while (jobs->waiting_count == 0 && !jobs->closed && outcome == 0)
        outcome = pthread_cond_timedwait(&jobs->arrived, &jobs->lock, &end);
}

bool model_jobs_take(struct model_jobs *jobs, double seconds, struct model_job *job)
{
    pthread_mutex_lock(&jobs->lock);
    if (seconds > 0) wait_for_job(jobs, seconds);
    bool found = jobs->waiting_count > 0 && !jobs->closed;
    if (found) {
        *job = (struct model_job){.request = jobs->waiting[0], .jobs = jobs};
        jobs->waiting_count--;
        memmove(jobs->waiting, jobs->waiting + 1, (size_t)jobs->waiting_count * sizeof jobs->waiting[0]);
        jobs->in_work = true;
        jobs->superseded = jobs->cancelled = false;
        jobs->work_begun = clock_steady();
        jobs->work_client = job->request.client;
        jobs->work_id = job->request.id;
        strncpy(jobs->work_type, job->request.type, sizeof jobs->work_type - 1);
    }
    pthread_mutex_unlock(&jobs->lock);
    return found;
}

bool model_jobs_unwanted(const struct model_job *job)
{
    struct model_jobs *jobs = job->jobs;
    pthread_mutex_lock(&jobs->lock);
    bool late = clock_steady() - jobs->work_begun > grace_seconds;
    bool unwanted = jobs->cancelled || jobs->closed || (jobs->superseded && late);
    pthread_mutex_unlock(&jobs->lock);
    return unwanted;
}

void model_jobs_finish(struct model_jobs *jobs, struct model_job *job)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->in_work = false;
    pthread_mutex_unlock(&jobs->lock);
    cJSON_Delete(job->request.message);
    job->request.message = NULL;
}

void model_jobs_close(struct model_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->closed = true;
    pthread_cond_broadcast(&jobs->arrived);
    pthread_mutex_unlock(&jobs->lock);
}
