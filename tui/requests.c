/* The list of requests without an answer. */
#include "tui/requests.h"

#include <stdlib.h>

bool pending_requests_add(struct pending_requests *pending, const struct request *request)
{
    if (pending->count == pending->capacity) {
        int capacity = pending->capacity > 0 ? 2 * pending->capacity : 32;
        struct request *larger = realloc(pending->items, (size_t)capacity * sizeof *larger);
        if (!larger) return false;
        pending->items = larger;
        pending->capacity = capacity;
    }
    pending->items[pending->count++] = *request;
    return true;
}

struct request pending_requests_take(struct pending_requests *pending, const struct client *client, int id)
{
    for (int i = 0; i < pending->count; i++) {
        struct request found = pending->items[i];
        if (found.id != id || found.client != client) continue;
        pending->items[i] = pending->items[--pending->count];
        return found;
    }
    return (struct request){.purpose = REQUEST_NONE};
}

void pending_requests_forget(struct pending_requests *pending, const struct client *client)
{
    int kept = 0;
    for (int i = 0; i < pending->count; i++)
        if (pending->items[i].client != client) pending->items[kept++] = pending->items[i];
    pending->count = kept;
}

void pending_requests_free(struct pending_requests *pending)
{
    free(pending->items);
    *pending = (struct pending_requests){0};
}
