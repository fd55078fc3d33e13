/* The other end of the protocol: what the studio, the commands and other programs connect with.
 *
 * Nothing here blocks but remote_call and remote_spawn_engine, which say so. A program with a loop of its own polls
 * remote_descriptor for remote_events, calls remote_pump, then takes messages with remote_next until there is none. */
#ifndef ALIGNPROP_SERVER_REMOTE_H
#define ALIGNPROP_SERVER_REMOTE_H

#include "engine/base/status.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <sys/types.h>

struct remote;

struct remote_options {
    const char *name; /* for events: "studio", "command" */
    bool pictures;    /* live pictures are wanted */
};

/* Connects to an engine's socket and queues the hello. STATUS_FAILED when nobody answers there. */
status remote_connect(const char *socket_path, const struct remote_options *options, struct remote **client);
/* The same over a connected socket, which the client owns from then on. */
status remote_adopt(int descriptor, const struct remote_options *options, struct remote **client);
/* Starts `PROGRAM engine --fd N` as a child and connects to it over a socket pair. The child ends when the client
 * closes; the caller may wait for *child. Its words go to the descriptor `words` (-1: nowhere). Blocks for the start
 * only. */
status remote_spawn_engine(const char *program, const struct remote_options *options, int words, struct remote **client,
                           pid_t *child);
void remote_close(struct remote *client); /* NULL is ignored */

int remote_descriptor(const struct remote *client);
/* POLLIN, with POLLOUT while something waits to be sent. */
short remote_events(const struct remote *client);
/* Sends and receives what can be without waiting. A failure says why the connection is of no more use: the engine
 * closed it (remote_ended tells whether it said goodbye first), broke a limit, or speaks another version (the message
 * names both ranges). What has arrived before may still be taken with remote_next. */
status remote_pump(struct remote *client);
/* True once the engine's `end` was taken. */
bool remote_ended(const struct remote *client);

struct remote_picture {
    const cJSON *header; /* README.md, "Pictures" */
    const uint8_t *pixels;
    int width, height;
};
struct remote_message {
    const char *type;              /* "state", "progress", "reply"...; "picture" for a picture */
    const cJSON *json;             /* the message; of a picture its header */
    struct remote_picture picture; /* pixels NULL unless it is one */
};
/* The next message, valid until the next call on this client; false when there is none. hello and error are dealt with
 * inside. Malformed messages are skipped. */
bool remote_next(struct remote *client, struct remote_message *message);

/* Queues a request, giving it its `id`, which is returned; -1 when it is over the limit of 64 KiB or memory is short.
 * `request` is deleted. */
int64_t remote_request(struct remote *client, cJSON *request);
/* {"type":TYPE}, to be filled in. */
cJSON *remote_message_create(const char *type);

/* Sends a request and waits up to `seconds` for its reply, passing over everything else. The status is the reply's own:
 * its error and code when ok is false. The caller deletes *reply, which is NULL on failure (may be NULL: not wanted).
 */
status remote_call(struct remote *client, cJSON *request, double seconds, cJSON **reply);

/* Waits up to `seconds` for the engine's hello and first state; the caller deletes *state (may be NULL: not wanted). */
status remote_wait_state(struct remote *client, double seconds, cJSON **state);

#endif
