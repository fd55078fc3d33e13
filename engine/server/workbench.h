/* Jobs for watchers that need the engine's models: plans and pictures. The newest of a client and kind wins: one that
 * waits is thrown away when the next arrives, one in work is told to give up. */
#ifndef ALIGNPROP_SERVER_WORKBENCH_H
#define ALIGNPROP_SERVER_WORKBENCH_H

#include "engine/server/server.h"

struct workbench;

struct workbench_job {
    struct server_request request; /* the taker deletes its message */
    struct workbench *bench;
};

struct workbench *workbench_create(void);
void workbench_destroy(struct workbench *bench);

/* Takes the request over. The superseded ones are answered on `server`. */
void workbench_post(struct workbench *bench, struct server *server, struct server_request request);
/* Gives up the client's request `id`, or all of them when it is negative. True when there was one. */
bool workbench_cancel(struct workbench *bench, struct server *server, uint64_t client, int64_t id);
/* The oldest job; false when there is none within `seconds` (0: at once) or the bench is closed. */
bool workbench_take(struct workbench *bench, double seconds, struct workbench_job *job);
/* True once a cancel or the end came, or a newer job of the same client and kind while this one has been in work for
 * over a second: what is made is not wanted any more. */
bool workbench_unwanted(const struct workbench_job *job);
/* The taken job is done or given up. */
void workbench_finish(struct workbench *bench, struct workbench_job *job);
/* No more jobs: what waits is dropped, what is in work is unwanted. */
void workbench_close(struct workbench *bench);

/* Answers a job: a `plan` by its reply, a `sample`, which was accepted when it came, by `sampled`. `answer` (may be
 * NULL) has further keys and is deleted. */
void workbench_answer(struct server *server, const struct server_request *request, status result, cJSON *answer);
/* Answers it as having given way to a newer one or to a cancel. */
void workbench_answer_superseded(struct server *server, const struct server_request *request);

#endif
