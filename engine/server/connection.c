/* Receives a client's bytes, greets it and says when its next preview is due. */
#include "engine/server/connection.h"

#include "engine/base/memory.h"
#include "engine/preset/keys.h"
#include "engine/protocol/message.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection *connection_create(int descriptor, uint64_t id, double now)
{
    struct connection *connection = memory_take(1, sizeof *connection);
    connection->descriptor = descriptor;
    connection->id = id;
    connection->opened = now;
    connection->preview_interval = 1.0 / PREVIEW_RATE_DEFAULT;
    connection->wants_pictures = true;
    frame_stream_init(&connection->reader, frame_limits_of_client);
    outbox_init(&connection->outbox, OUTBOX_BYTES);
    return connection;
}

void connection_destroy(struct connection *connection)
{
    if (!connection) return;
    close(connection->descriptor);
    frame_stream_clear(&connection->reader);
    outbox_clear(&connection->outbox);
    free(connection);
}

/* Copies whole characters without control characters, as far as there is room. */
static void copy_name(char *name, size_t room, const char *text)
{
    size_t used = 0;
    for (size_t i = 0; text[i] != '\0';) {
        size_t length = 1;
        while (((unsigned char)text[i + length] & 0xC0u) == 0x80u) length++;
        unsigned char lead = (unsigned char)text[i];
        bool control = lead < 0x20 || lead == 0x7F || (lead == 0xC2 && (unsigned char)text[i + 1] < 0xA0);
        if (used + length >= room) break;
        if (!control) {
            memcpy(name + used, text + i, length);
            used += length;
        }
        i += length;
    }
    name[used] = '\0';
}

void connection_greet(struct connection *connection, const cJSON *hello)
{
    copy_name(connection->name, sizeof connection->name, json_get_text(hello, "client", "client"));
    connection->wants_pictures = json_get_flag(hello, "pictures", true);
    connection->greeted = true;
}

bool connection_preview_due(const struct connection *connection, double now)
{
    return connection->greeted && !connection->closing && connection->wants_pictures &&
           isfinite(connection->preview_interval) && now >= connection->preview_due;
}

void connection_receive(struct connection *connection, bool *closed)
{
    *closed = false;
    size_t room;
    uint8_t *target = frame_stream_room(&connection->reader, &room);
    if (!target) {
        *closed = true;
        return;
    }
    ssize_t count = recv(connection->descriptor, target, room, 0);
    if (count > 0)
        frame_stream_received(&connection->reader, (size_t)count);
    else if (count == 0 || (errno != EAGAIN && errno != EINTR))
        *closed = true;
}
