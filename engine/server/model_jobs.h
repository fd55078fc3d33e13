/* Jobs for watchers that need the engine's models: plans and pictures. The newest of a client and kind wins: one that
 * waits is thrown away when the next arrives, one in work is told to give up. */
#ifndef ALIGNPROP_SERVER_MODEL_JOBS_H
#define ALIGNPROP_SERVER_MODEL_JOBS_H

#include "engine/server/server.h"

struct model_jobs;

struct model_job {
    struct server_request request; /* the taker deletes its message */
    struct model_jobs *jobs;
};

struct model_jobs *model_jobs_create(void);
void model_jobs_destroy(struct model_jobs *jobs);

/* Takes the request over. The superseded ones are answered on `server`. */
void model_jobs_post(struct model_jobs *jobs, struct server *server, struct server_request request);
/* Gives up the client's request `id`, or all of them when it is negative. True when there was one. */
bool model_jobs_cancel(struct model_jobs *jobs, struct server *server, uint64_t client, int64_t id);
/* The oldest job; false when there is none within `seconds` (0: at once) or there will be no more. */
bool model_jobs_take(struct model_jobs *jobs, double seconds, struct model_job *job);
/* True once a cancel or the end came, or a newer job of the same client and kind while this one has been in work for
 * over a second: what is made is not wanted any more. */
bool model_jobs_unwanted(const struct model_job *job);
/* The taken job is done or given up. */
void model_jobs_finish(struct model_jobs *jobs, struct model_job *job);
/* No more jobs: what waits is dropped, what is in work is unwanted. */
void model_jobs_close(struct model_jobs *jobs);

/* Answers a job: a `plan` by its reply, a `sample`, which was accepted when it came, by `sampled`. `answer` (may be
 * NULL) has further keys and is deleted. */
void model_jobs_answer(struct server *server, const struct server_request *request, status result, cJSON *answer);
/* Answers it as having given way to a newer one or to a cancel. */
void model_jobs_answer_superseded(struct server *server, const struct server_request *request);

#endif
