/* What every engine has: a server, a request worker for what needs no model, model jobs for what does, and, with a run,
 * a mailbox for its loop. Requests are sorted to them here. */
#ifndef ALIGNPROP_SERVER_SERVICE_H
#define ALIGNPROP_SERVER_SERVICE_H

#include "engine/server/mailbox.h"
#include "engine/server/model_jobs.h"
#include "engine/server/request_worker.h"

struct service {
    struct server *server;
    struct request_worker *worker;
    struct model_jobs *jobs;
    struct mailbox *mailbox;           /* NULL: an engine without a run */
    volatile sig_atomic_t *interrupts; /* what "stop at once" sets to 2; may be NULL */
};

struct service_options {
    const char *socket_path; /* as in server_options */
    int connection;
    struct service_facts facts; /* texts borrowed for the service's life */
    cJSON *state;               /* the first, before anybody is served; taken over, also on failure */
    bool with_mailbox;
    volatile sig_atomic_t *interrupts;
};

/* `service` must not move while it is open. */
status service_open(struct service *service, const struct service_options *options);
/* Refuses what is still asked, sends what still waits for up to `linger` seconds, closes everything. */
void service_close(struct service *service, double linger);

#endif
