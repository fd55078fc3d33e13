/* Requests that need no model: what there is (catalogue, runs), checking and keeping presets, starting a run. Answered
 * one after another on a thread of their own, so that neither the server nor the run waits for a disk or for a new
 * process. */
#ifndef ALIGNPROP_SERVER_REQUEST_WORKER_H
#define ALIGNPROP_SERVER_REQUEST_WORKER_H

#include "engine/server/server.h"

struct request_worker;

/* What answers are made of; texts are borrowed for the worker's life. */
struct service_facts {
    const char *version;
    const char *program; /* to start runs with */
    const char *device;  /* "cpu", "cuda:0" */
    int threads;
    const char *run_folder; /* of this engine's own run; NULL: none */
};

/* Fills `answer` with what the reply has beyond "ok". A failure becomes the reply's error; what was filled in stays. */
struct request_service {
    const char *type; /* of the request */
    status (*answer)(const struct service_facts *facts, const cJSON *request, cJSON *answer);
};
const struct request_service *request_services(int *count);

status request_worker_start(const struct service_facts *facts, struct server *server, struct request_worker **worker);
void request_worker_stop(struct request_worker *worker); /* NULL is ignored */

/* True when the worker has such a service; it takes the request over then. */
bool request_worker_post(struct request_worker *worker, struct server_request request);

#endif
