/* The other end of the protocol: what the studio, the commands and other programs connect with.
 *
 * Nothing here blocks but client_call and client_wait_state, which say so. A program with a loop of its own polls
 * client_descriptor for client_events, calls client_pump, then takes messages with client_next until there is none. */
#ifndef ALIGNPROP_PROTOCOL_CLIENT_H
#define ALIGNPROP_PROTOCOL_CLIENT_H

#include "kernels/status.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct client;

struct client_options {
    const char *name; /* for events: "studio", "command" */
    bool pictures;    /* live pictures are wanted */
};

/* Connects to an engine's socket and queues the hello. STATUS_FAILED when nobody answers there. */
status client_connect(const char *socket_path, const struct client_options *options, struct client **client);
/* The same over a connected socket, which the client owns from then on. */
status client_adopt(int descriptor, const struct client_options *options, struct client **client);
/* Starts `PROGRAM engine --fd N` as a child, in a session of its own, and connects to it over a socket pair. The child
 * ends when the client closes and is collected then. Its words go to the descriptor `words` (-1: nowhere). */
status client_start_engine(const char *program, const struct client_options *options, int message,
                           struct client **client);
void client_close(struct client *client); /* NULL is ignored */

int client_descriptor(const struct client *client);
/* POLLIN, with POLLOUT while something waits to be sent. */
short client_events(const struct client *client);
/* Sends and receives what can be without waiting. A failure says why the connection is of no more use: the engine
 * closed it (client_ended tells whether it said goodbye first), broke a limit, or speaks another version (the message
 * names both ranges). What has arrived before may still be taken with client_next. */
status client_pump(struct client *client);
/* The failure that client_pump or client_next met; STATUS_OK while the connection is of use. */
status client_failure(const struct client *client);
/* True once the engine's `end` was taken. */
bool client_ended(const struct client *client);

struct client_message {
    const char *type;      /* "hello", "state", "progress", "reply"...; "picture" for a picture */
    const cJSON *json;     /* the message; of a picture its header */
    const uint8_t *pixels; /* of a picture: width * height * 3, rows from the top; NULL: it is none */
    int width, height;
};
/* The next message, valid until the next call on this client; false when there is none. The engine's hello is handed
 * out once it is accepted; an error is dealt with inside. Malformed messages are skipped. */
bool client_next(struct client *client, struct client_message *message);

/* Queues a request of this type and sends what can be sent at once. `body` (NULL: no further keys) is deleted; `id`
 * (may be NULL) is what the answer will have as `re`. STATUS_FAILED when it is over the limit of 64 KiB. */
status client_request(struct client *client, const char *type, cJSON *body, int64_t *id);

/* Sends a request and waits up to `seconds` for its reply, passing over everything else. The status is the reply's own:
 * its error and code when ok is false. The caller deletes *reply, which is NULL on failure (may be NULL: not wanted).
 */
status client_call(struct client *client, const char *type, cJSON *body, double seconds, cJSON **reply);

/* Waits up to `seconds` for the engine's hello and first state; the caller deletes *state (may be NULL: not wanted). */
status client_wait_state(struct client *client, double seconds, cJSON **state);

#endif
