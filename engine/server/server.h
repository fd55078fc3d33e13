/* The engine's side of the protocol: listens, greets, keeps the present state, sends what is published to every client
 * and hands their requests over.
 *
 * A thread of its own does all input and output. Publishing puts a finished frame into each client's queue and returns:
 * no client, however slow, makes a publisher wait. */
#ifndef ALIGNPROP_SERVER_SERVER_H
#define ALIGNPROP_SERVER_SERVER_H

#include "kernels/status.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <sys/types.h>

struct server;

/* A client's request. */
struct server_request {
    uint64_t client; /* whose; for server_reply */
    int64_t id;      /* its number, for the reply's "re" */
    const char *by;  /* the client's name */
    pid_t process;   /* the client's; 0: unknown */
    const char *type;
    cJSON *message; /* the receiver deletes it; `type` is inside it */
};

struct server_options {
    const char *socket_path; /* listens there; NULL: nowhere */
    int connection;          /* a connected socket that is served from the start; the server is `finished` when it
                                closes; -1: none. Owned by the server from then on */
    const char *run_folder;  /* for the hello; NULL: an engine without a run */
    const char *version;
    void *context;
    /* On the server's thread, without its lock; must not block. NULL: every request is refused. */
    void (*request)(void *context, struct server *server, struct server_request request);
    /* A client is gone: what was being done for it alone may be given up. May be NULL. On the server's thread. */
    void (*departed)(void *context, uint64_t client);
};

/* Listens, but serves nobody before server_start. */
status server_create(const struct server_options *options, struct server **server);
status server_start(struct server *server);
/* Sends what still waits for at most `linger` seconds, then serves nobody any more; publishing is still allowed. NULL
 * is ignored. */
void server_stop(struct server *server, double linger);
/* Closes everything, removes the socket, frees. Stops first where that was not done. NULL is ignored. */
void server_destroy(struct server *server);
/* True once the connection given at the start has closed. */
bool server_finished(struct server *server);

/* Everything below may be called from any thread and never waits for a client. Objects are taken over, also on failure.
 */

/* Gives the message the next sequence number and sends it to every client that is attached. The state kept for those
 * who attach later follows it: `progress`, `metrics`, `event`, `log` and `end` each leave their mark. Returns the
 * number. */
uint64_t server_publish(struct server *server, cJSON *message);
/* Replaces keys of the kept state by those of `changes`. With `announce` every client gets the whole state. */
void server_set_state(struct server *server, cJSON *changes, bool announce);
/* Calls `edit` with the kept state under the server's lock: for changes inside an object. Must be brief. */
void server_edit_state(struct server *server, void (*edit)(cJSON *state, void *context), void *context, bool announce);

struct server_picture {
    cJSON *header;         /* kind, step, index, width, height, prompt...: README.md */
    const uint8_t *pixels; /* width * height * 3, copied */
    int width, height;
    bool denoising; /* a preview: rate-limited by client, replaced by a newer one */
};
void server_publish_picture(struct server *server, struct server_picture picture);
/* To one client, whatever its wishes for live pictures: the answer to its request. */
void server_send_picture(struct server *server, uint64_t client, struct server_picture picture);
/* True when some client would be sent a denoising picture now: what is not wanted need not be made. */
bool server_wants_preview(struct server *server);

/* Sends to one client; a client that is gone is ignored. */
void server_reply(struct server *server, uint64_t client, cJSON *reply);
/* The reply that says only how it went. */
void server_reply_status(struct server *server, const struct server_request *request, status result);
/* Denoising pictures a second for this client. */
void server_set_preview_rate(struct server *server, uint64_t client, double rate);
/* Sends this client the present state. */
void server_send_state(struct server *server, uint64_t client);

#endif
