/* One client of the engine: its socket, what it has sent so far and what waits to be sent to it.
 *
 * Used by the server's thread; `outbox` and the fields below it are shared with publishing threads under the server's
 * lock. */
#ifndef ALIGNPROP_SERVER_CONNECTION_H
#define ALIGNPROP_SERVER_CONNECTION_H

#include "engine/protocol/frame.h"
#include "engine/protocol/outbox.h"

#include <cjson/cJSON.h>
#include <sys/types.h>

enum { CLIENT_NAME_BYTES = 48, OUTBOX_BYTES = 4 << 20 };

struct connection {
    struct connection *next;
    int descriptor;
    uint64_t id;
    struct frame_stream reader;
    double opened; /* monotonic seconds */
    pid_t process; /* of the client; 0: unknown */
    bool only;     /* the engine ends with this connection */

    struct outbox outbox;
    char name[CLIENT_NAME_BYTES]; /* from its hello: printable UTF-8 */
    bool greeted;                 /* its hello has come; live messages are sent from then on */
    bool wants_pictures;
    double preview_interval; /* seconds between denoising pictures; infinite: none */
    double preview_due;      /* monotonic seconds from which the next may be sent */
    bool closing;            /* close once the outbox is empty, read nothing more */
    double close_by;         /* monotonic seconds: closing, it is given up then even when not all could be sent */
    bool broken;             /* close now */
};

/* Takes ownership of the descriptor. */
struct connection *connection_create(int descriptor, uint64_t id, double now);
void connection_destroy(struct connection *connection);

/* Takes name and wishes from the client's hello. */
void connection_greet(struct connection *connection, const cJSON *hello);

/* True when a denoising picture may be sent now. Under the lock. */
bool connection_preview_due(const struct connection *connection, double now);

/* Reads what has arrived, once, at most one buffer; sets *closed at the end of the stream or on an error. */
void connection_receive(struct connection *connection, bool *closed);

#endif
