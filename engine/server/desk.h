/* Requests that need no model: what there is (catalogue, runs), checking and keeping presets, starting a run. Answered
 * one after another on a thread of their own, so that neither the server nor the run waits for a disk or for a new
 * process. */
#ifndef ALIGNPROP_SERVER_DESK_H
#define ALIGNPROP_SERVER_DESK_H

#include "engine/server/server.h"

struct desk;

/* What answers are made of; texts are borrowed for the desk's life. */
struct desk_facts {
    const char *version;
    const char *program; /* to start runs with */
    const char *device;  /* "cpu", "cuda:0" */
    int threads;
    const char *run_folder; /* of this engine's own run; NULL: none */
};

/* Fills `answer` with what the reply has beyond "ok". A failure becomes the reply's error; what was filled in stays. */
struct desk_service {
    const char *type; /* of the request */
    status (*answer)(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
};
const struct desk_service *desk_services(int *count);

status desk_start(const struct desk_facts *facts, struct server *server, struct desk **desk);
void desk_stop(struct desk *desk); /* NULL is ignored */

/* True when the desk has such a service; it takes the request over then. */
bool desk_post(struct desk *desk, struct server_request request);

#endif
