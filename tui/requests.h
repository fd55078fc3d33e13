/* What the studio has asked engines and not yet been answered. */
#ifndef ALIGNPROP_TUI_REQUESTS_H
#define ALIGNPROP_TUI_REQUESTS_H

#include "engine/protocol/client.h"

/* What a pending request is for. */
enum request_purpose {
    REQUEST_NONE,
    REQUEST_CATALOGUE,
    REQUEST_RUNS,
    REQUEST_START,
    REQUEST_PLAN,
    REQUEST_CHECK,
    REQUEST_STEER,
    REQUEST_SAVE_PRESET,
    REQUEST_CHANGE_PRESETS,
    REQUEST_SAMPLE,
    REQUEST_EXPORT
};

struct request {
    int id;
    const struct client *client;
    enum request_purpose purpose;
    char action[120]; /* for messages: "pause", "weight of jpeg" */
};

/* Any number of them: an engine at work on a large model may answer after minutes. All zero: none. */
struct pending_requests {
    struct request *items; /* owned */
    int count, capacity;
};

/* False without memory: the answer will be taken for one to nothing. */
bool pending_requests_add(struct pending_requests *pending, const struct request *request);
/* Takes the request out; its purpose is REQUEST_NONE when there is none of this client and number. */
struct request pending_requests_take(struct pending_requests *pending, const struct client *client, int id);
/* Nothing will be answered by this client any more. */
void pending_requests_forget(struct pending_requests *pending, const struct client *client);
void pending_requests_free(struct pending_requests *pending);

#endif
