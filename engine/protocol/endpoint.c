/* Makes, checks and connects to the sockets of engines in the user's runtime folder. */
#include "engine/protocol/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LONGEST_NAME = 32, BACKLOG = 16 };

static status check_folder(const char *folder)
{
    struct stat facts;
    if (lstat(folder, &facts) != 0) return status_errno(STATUS_FAILED, errno, "%s", folder);
    if (!S_ISDIR(facts.st_mode)) return status_error(STATUS_FAILED, "%s is not a folder", folder);
    if (facts.st_uid != geteuid())
        return status_error(STATUS_FAILED, "%s belongs to user %u, not to you (user %u)", folder,
                            (unsigned)facts.st_uid, (unsigned)geteuid());
    if ((facts.st_mode & 077) != 0)
        return status_error(STATUS_FAILED, "%s is open to other users (mode %03o); it must have mode 700", folder,
                            (unsigned)(facts.st_mode & 0777));
    return status_ok();
}

status endpoint_folder(char folder[SOCKET_PATH_BYTES])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t longest = SOCKET_PATH_BYTES - sizeof "/alignprop/.sock" - LONGEST_NAME;
    struct stat facts;
    bool usable = runtime && runtime[0] == '/' && strlen(runtime) <= longest && stat(runtime, &facts) == 0 &&
                  S_ISDIR(facts.st_mode) && facts.st_uid == geteuid();
    if (usable)
        snprintf(folder, SOCKET_PATH_BYTES, "%s/alignprop", runtime);
    else
        snprintf(folder, SOCKET_PATH_BYTES, "/tmp/alignprop-%u", (unsigned)geteuid());
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return status_errno(STATUS_FAILED, errno, "cannot create %s", folder);
    return check_folder(folder);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

status endpoint_path(const char *run_folder, const char *name, char path[SOCKET_PATH_BYTES])
{
    char folder[SOCKET_PATH_BYTES];
    TRY(endpoint_folder(folder));
    char id[LONGEST_NAME];
    if (name) {
        if (strlen(name) >= sizeof id || strchr(name, '/'))
            return status_error(STATUS_FAILED, "'%.60s' is not a valid name for a socket", name);
        snprintf(id, sizeof id, "%s", name);
    } else {
        char *absolute = realpath(run_folder, NULL);
        if (!absolute) return status_errno(STATUS_FAILED, errno, "%s", run_folder);
        snprintf(id, sizeof id, "%016llx", (unsigned long long)hash_of(absolute));
        free(absolute);
    }
    if (snprintf(path, SOCKET_PATH_BYTES, "%s/%s.sock", folder, id) >= SOCKET_PATH_BYTES)
        return status_error(STATUS_FAILED, "the socket path %s/%s.sock is too long", folder, id);
    return status_ok();
}

status endpoint_prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0)
        return status_errno(STATUS_FAILED, errno, "descriptor %d", descriptor);
    return status_ok();
}

static status address_of(const char *path, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path)
        return status_error(STATUS_FAILED, "the socket path %.200s is longer than %zu bytes", path,
                            sizeof address->sun_path - 1);
    memcpy(address->sun_path, path, strlen(path) + 1);
    return status_ok();
}

static status open_socket(int *descriptor)
{
    *descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*descriptor < 0) return status_errno(STATUS_FAILED, errno, "cannot make a socket");
    return status_ok();
}

/* Removes a socket nobody listens at; one with a listener stays and is an error. */
static status remove_stale(const char *path, const struct sockaddr_un *address)
{
    struct stat facts;
    if (lstat(path, &facts) != 0) return status_ok();
    if (!S_ISSOCK(facts.st_mode)) return status_error(STATUS_FAILED, "%s is in the way: it is not a socket", path);
    int probe;
    TRY(open_socket(&probe));
    bool alive = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN;
    close(probe);
    if (alive) return status_error(STATUS_FAILED, "another engine listens at %s", path);
    if (unlink(path) != 0 && errno != ENOENT) return status_errno(STATUS_FAILED, errno, "cannot remove %s", path);
    return status_ok();
}

status endpoint_listen(const char *path, int *descriptor)
{
    struct sockaddr_un address;
    TRY(address_of(path, &address));
    TRY(remove_stale(path, &address));
    int listener;
    TRY(open_socket(&listener));
    /* The folder is 0700, so nobody else can reach the socket between bind and chmod. */
    bool listening = bind(listener, (const struct sockaddr *)&address, sizeof address) == 0 && chmod(path, 0600) == 0 &&
                     listen(listener, BACKLOG) == 0;
    if (!listening) {
        status failed = status_errno(STATUS_FAILED, errno, "cannot listen at %s", path);
        close(listener);
        return failed;
    }
    *descriptor = listener;
    return status_ok();
}

status endpoint_check_peer(int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return status_errno(STATUS_FAILED, errno, "cannot tell who is at the other end");
    if (peer.uid != geteuid())
        return status_error(STATUS_FAILED, "the other end belongs to user %u, not to you (user %u)", (unsigned)peer.uid,
                            (unsigned)geteuid());
    return status_ok();
}

pid_t endpoint_peer_process(int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

status endpoint_connect(const char *path, int *descriptor)
{
    struct sockaddr_un address;
    TRY(address_of(path, &address));
    int connection;
    TRY(open_socket(&connection));
    int outcome;
    do outcome = connect(connection, (const struct sockaddr *)&address, sizeof address);
    while (outcome != 0 && errno == EINTR);
    status result = status_ok();
    if (outcome != 0) result = status_errno(STATUS_FAILED, errno, "no engine answers at %s", path);
    if (result.code == STATUS_OK) result = endpoint_check_peer(connection);
    if (result.code != STATUS_OK) {
        close(connection);
        return result;
    }
    *descriptor = connection;
    return status_ok();
}
