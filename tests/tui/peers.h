/* Who is connected to an engine that a test plays. */
#ifndef ALIGNPROP_TESTS_TUI_PEERS_H
#define ALIGNPROP_TESTS_TUI_PEERS_H

#include "tests/tui/frames.h"

enum { MOST_PEERS = 8 };

struct peer {
    int descriptor; /* -1: nobody */
    struct frame_stream reader;
    struct bytes out; /* what is to be sent; `sent` bytes of it are gone already */
    size_t sent;
};

struct peers {
    int listener;
    struct peer peer[MOST_PEERS];
};

struct peer_hooks {
    void *context;
    void (*came)(void *context, struct peer *peer);
    void (*said)(void *context, struct peer *peer, const struct frame *frame);
};

/* Listens at `path` in the place of what was there. From now on the process ends when its parent does. False when it
 * cannot listen; errno says why. */
bool peers_open(struct peers *peers, const char *path);

/* Waits so many milliseconds at most (-1: for ever) until something happens, then lets in who has come, sends what is
 * waiting and hands on what was said. Whoever has gone is dropped. */
void peers_serve(struct peers *peers, int milliseconds, const struct peer_hooks *hooks);

/* Sends as much of what is waiting as can go without waiting. */
void peer_flush(struct peer *peer);
void peer_drop(struct peer *peer);

#endif
