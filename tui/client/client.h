/* A connection to an engine: non-blocking, framed, with numbered requests. */
#ifndef ALIGNPROP_TUI_CLIENT_CLIENT_H
#define ALIGNPROP_TUI_CLIENT_CLIENT_H

#include "engine/base/status.h"
#include "tui/client/frames.h"
#include "tui/client/item.h"

#include <sys/types.h>

struct client;

struct client_handler {
    void *context;
    /* A JSON message. `message` is valid during the call. */
    void (*message)(void *context, struct client *client, const char *type, const cJSON *message);
    /* A picture; `header` and `pixels` (width * height * 3, checked) are valid during the call. */
    void (*picture)(void *context, struct client *client, const cJSON *header, int width, int height,
                    const unsigned char *pixels);
};

/* Connects to a Unix socket. STATUS_FAILED names it. */
status client_connect(const char *path, struct client_handler handler, struct client **client);
/* Starts `program engine --fd N` and speaks to it; it leaves when the client is closed. */
status client_start_engine(const char *program, struct client_handler handler, struct client **client);
void client_close(struct client *client);

int client_descriptor(const struct client *client);
bool client_wants_write(const struct client *client);
/* Reads and dispatches what has come. False: the connection is over (client_error says why). */
bool client_read(struct client *client);
bool client_write(struct client *client);
const char *client_error(const struct client *client);

/* Sends a request of `type`; `body` (object or NULL) is consumed and gets type and id. Returns the id, 0 on failure
 * (too large: then client_error tells). */
int client_request(struct client *client, const char *type, cJSON *body);
/* True when the engine's hello has come. */
bool client_ready(const struct client *client);

#endif
