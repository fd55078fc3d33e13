/* The clients of a played engine: accepts them, greets them and hands their requests over. */
#include "tests/tui/peers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PART = 64 << 10 };

bool peers_open(struct peers *peers, const char *path)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    *peers = (struct peers){.listener = -1};
    for (int i = 0; i < MOST_PEERS; i++) peers->peer[i].descriptor = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    peers->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return peers->listener >= 0 && bind(peers->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(peers->listener, 4) == 0;
}

void peer_flush(struct peer *peer)
{
    while (peer->sent < peer->out.length) {
        ssize_t done = send(peer->descriptor, peer->out.data + peer->sent, peer->out.length - peer->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done <= 0) return;
        peer->sent += (size_t)done;
    }
    bytes_clear(&peer->out);
    peer->sent = 0;
}

void peer_drop(struct peer *peer)
{
    close(peer->descriptor);
    frame_stream_clear(&peer->reader);
    bytes_free(&peer->out);
    *peer = (struct peer){.descriptor = -1};
}

static void welcome(struct peers *peers, const struct peer_hooks *hooks)
{
    int descriptor = accept4(peers->listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 0; i < MOST_PEERS && descriptor >= 0; i++) {
        struct peer *peer = &peers->peer[i];
        if (peer->descriptor >= 0) continue;
        peer->descriptor = descriptor;
        frame_stream_init(&peer->reader, frame_limits_of_client);
        hooks->came(hooks->context, peer);
        return;
    }
    if (descriptor >= 0) close(descriptor);
}

static void listen_to(struct peer *peer, const struct peer_hooks *hooks)
{
    char data[PART];
    ssize_t got = recv(peer->descriptor, data, sizeof data, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    struct frame frame;
    if (got > 0) frame_stream_add(&peer->reader, data, (size_t)got);
    while (got > 0 && frame_next(&peer->reader, &frame)) hooks->said(hooks->context, peer, &frame);
    if (got <= 0) peer_drop(peer);
}

void peers_serve(struct peers *peers, int milliseconds, const struct peer_hooks *hooks)
{
    struct pollfd polls[MOST_PEERS + 1] = {{.fd = peers->listener, .events = POLLIN}};
    for (int i = 0; i < MOST_PEERS; i++) {
        const struct peer *peer = &peers->peer[i];
        short out = peer->out.length > peer->sent ? POLLOUT : 0;
        polls[i + 1] = (struct pollfd){.fd = peer->descriptor, .events = (short)(POLLIN | out)};
    }
    if (poll(polls, MOST_PEERS + 1, milliseconds) <= 0) return;
    if (polls[0].revents) welcome(peers, hooks);
    for (int i = 0; i < MOST_PEERS; i++) {
        struct peer *peer = &peers->peer[i];
        if (polls[i + 1].revents & POLLOUT) peer_flush(peer);
        if (polls[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) listen_to(peer, hooks);
    }
}
