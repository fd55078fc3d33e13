/* Numbered, locked files beside the sockets, one for each engine that waits for a device. */
#include "engine/server/waiting_line.h"

#include "engine/protocol/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* "FOLDER/line-DEVICE" is locked while somebody looks at the line or changes it; "FOLDER/line-DEVICE-NUMBER" is a turn.
 */
struct line {
    char folder[SOCKET_PATH_BYTES], prefix[48];
    int lock;
};

static status open_line(const char *device, struct line *line)
{
    TRY(endpoint_folder(line->folder));
    snprintf(line->prefix, sizeof line->prefix, "line-%s", device);
    for (char *c = line->prefix; *c; c++)
        if (*c == '/' || *c == ':') *c = '-';
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/%s", line->folder, line->prefix));
    line->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (line->lock < 0) return status_errno(STATUS_FAILED, errno, "%s", path);
    while (flock(line->lock, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        status result = status_errno(STATUS_FAILED, errno, "%s", path);
        close(line->lock);
        return result;
    }
    return status_ok();
}

static status turn_path(const struct line *line, unsigned long long number, char path[PATH_SIZE])
{
    return path_format(path, "%s/%s-%020llu", line->folder, line->prefix, number);
}

static bool number_of(const struct line *line, const char *name, unsigned long long *number)
{
    size_t length = strlen(line->prefix);
    if (strncmp(name, line->prefix, length) != 0 || name[length] != '-') return false;
    char *end;
    *number = strtoull(name + length + 1, &end, 10);
    return end != name + length + 1 && *end == '\0';
}

/* A turn whose lock is free is one of a process that has ended: it is taken out of the line. */
static bool still_waits(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) return false;
    bool waits = flock(descriptor, LOCK_SH | LOCK_NB) != 0;
    if (!waits) unlink(path);
    close(descriptor);
    return waits;
}

/* Those who wait with a number below `number`, and the highest number of all. */
static status look(const struct line *line, unsigned long long number, int *ahead, unsigned long long *highest)
{
    struct name_list names;
    TRY(directory_list(line->folder, &names));
    *ahead = 0;
    *highest = 0;
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        unsigned long long other;
        char path[PATH_SIZE];
        if (!number_of(line, names.names[i], &other)) continue;
        result = turn_path(line, other, path);
        /* One's own turn is locked by oneself and is not asked about. */
        if (result.code != STATUS_OK || (other != number && !still_waits(path))) continue;
        if (other < number) ++*ahead;
        if (other > *highest) *highest = other;
    }
    name_list_clear(&names);
    return result;
}

static status take_number(const struct line *line, struct waiting_turn *turn)
{
    int ahead;
    unsigned long long highest;
    char path[PATH_SIZE];
    TRY(look(line, 0, &ahead, &highest));
    turn->number = highest + 1;
    TRY(turn_path(line, turn->number, path));
    turn->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (turn->descriptor < 0) return status_errno(STATUS_FAILED, errno, "%s", path);
    if (flock(turn->descriptor, LOCK_EX | LOCK_NB) == 0) return status_ok();
    status result = status_errno(STATUS_FAILED, errno, "%s", path);
    close(turn->descriptor);
    turn->descriptor = -1;
    return result;
}

status waiting_line_join(const char *device, struct waiting_turn *turn)
{
    struct line line;
    *turn = (struct waiting_turn){.descriptor = -1};
    snprintf(turn->device, sizeof turn->device, "%s", device);
    TRY(open_line(device, &line));
    status result = take_number(&line, turn);
    close(line.lock);
    return result;
}

status waiting_line_ahead(const struct waiting_turn *turn, int *ahead)
{
    struct line line;
    unsigned long long highest;
    TRY(open_line(turn->device, &line));
    status result = look(&line, turn->number, ahead, &highest);
    close(line.lock);
    return result;
}

void waiting_line_leave(struct waiting_turn *turn)
{
    struct line line;
    char path[PATH_SIZE];
    if (turn->descriptor < 0) return;
    if (open_line(turn->device, &line).code == STATUS_OK) {
        if (turn_path(&line, turn->number, path).code == STATUS_OK) unlink(path);
        close(line.lock);
    }
    close(turn->descriptor);
    turn->descriptor = -1;
}
