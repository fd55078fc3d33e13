/* Shared locks on a file of each device beside the sockets: who holds it, who is gone, and when it is free. */
#include "engine/server/device_queue.h"

#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/protocol/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { SHARING_ATTEMPTS = 50, LARGEST_NOTE = 8192 };

const char *device_holder_describe(const struct device_holder *holder, char description[HOLDER_DESCRIPTION_SIZE])
{
    snprintf(description, HOLDER_DESCRIPTION_SIZE, "another run");
    if (holder->pid > 0)
        snprintf(description, HOLDER_DESCRIPTION_SIZE, "%s (process %ld)",
                 holder->run_folder[0] ? holder->run_folder : "another run", holder->pid);
    return description;
}

static status open_lock(const char *device, int *descriptor)
{
    char folder[SOCKET_PATH_BYTES], path[SOCKET_PATH_BYTES + 64];
    TRY(endpoint_folder(folder));
    char name[32];
    snprintf(name, sizeof name, "%s", device);
    for (char *c = name; *c; c++)
        if (*c == '/' || *c == ':') *c = '-';
    snprintf(path, sizeof path, "%s/device-%s.lock", folder, name);
    *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *descriptor >= 0 ? status_ok() : status_errno(STATUS_FAILED, errno, "%s", path);
}

/* The notes of those who came, one object each; an empty list where there is nothing to read. */
static cJSON *read_notes(int descriptor)
{
    char text[LARGEST_NOTE];
    ssize_t length = pread(descriptor, text, sizeof text, 0);
    cJSON *notes = NULL;
    if (length > 0 && json_parse(text, (size_t)length, "device lock", &notes).code == STATUS_OK && cJSON_IsArray(notes))
        return notes;
    cJSON_Delete(notes);
    return cJSON_CreateArray();
}

static bool is_alive(const cJSON *note)
{
    int64_t pid = json_get_integer_in(note, "pid", 1, INT_MAX, 0);
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* The last to come of those who are still there. */
static void read_holder(int descriptor, struct device_holder *holder)
{
    memset(holder, 0, sizeof *holder);
    cJSON *notes = read_notes(descriptor);
    const cJSON *note;
    cJSON_ArrayForEach(note, notes)
    {
        if (!is_alive(note)) continue;
        holder->pid = (long)json_get_integer_in(note, "pid", 1, INT_MAX, 0);
        snprintf(holder->run_folder, sizeof holder->run_folder, "%s", json_get_text(note, "run", ""));
    }
    cJSON_Delete(notes);
}

static void drop_dead(cJSON *notes)
{
    for (int i = cJSON_GetArraySize(notes) - 1; i >= 0; i--)
        if (!is_alive(cJSON_GetArrayItem(notes, i))) cJSON_DeleteItemFromArray(notes, i);
}

/* Adds a note beside those of the others; where all together are too long, the oldest go. The notes are for people;
 * the lock is what counts. */
static void write_holder(int descriptor, const char *run_folder)
{
    cJSON *notes = read_notes(descriptor), *own = cJSON_CreateObject();
    drop_dead(notes);
    cJSON_AddNumberToObject(own, "pid", (double)getpid());
    cJSON_AddStringToObject(own, "run", run_folder ? run_folder : "");
    cJSON_AddItemToArray(notes, own);
    char *text = json_print(notes, false);
    while (strlen(text) >= LARGEST_NOTE && cJSON_GetArraySize(notes) > 1) {
        free(text);
        cJSON_DeleteItemFromArray(notes, 0);
        text = json_print(notes, false);
    }
    cJSON_Delete(notes);
    if (text && ftruncate(descriptor, 0) == 0) {
        ssize_t written = pwrite(descriptor, text, strlen(text), 0);
        (void)written;
    }
    free(text);
}

/* The lock is held alone for an instant only by those who look whether it is free, or who come. */
static bool lock_shared(int descriptor)
{
    for (int attempt = 0; attempt < SHARING_ATTEMPTS; attempt++) {
        if (flock(descriptor, LOCK_SH | LOCK_NB) == 0) return true;
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
    return false;
}

status device_enter(const char *device, const char *run_folder, bool share, int *place, struct device_holder *holder)
{
    *place = -1;
    int descriptor;
    TRY(open_lock(device, &descriptor));
    bool alone = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    if (!alone && !share) {
        if (holder) read_holder(descriptor, holder);
        close(descriptor);
        return status_ok();
    }
    write_holder(descriptor, run_folder);
    /* From alone to shared is not one step: who slips in between makes us wait again. */
    bool shared = lock_shared(descriptor);
    if (!shared && !share) {
        if (holder) read_holder(descriptor, holder);
        close(descriptor);
        return status_ok();
    }
    *place = descriptor;
    return status_ok();
}

bool device_is_busy(const char *device, struct device_holder *holder)
{
    int descriptor;
    if (open_lock(device, &descriptor).code != STATUS_OK) return false;
    bool busy = flock(descriptor, LOCK_EX | LOCK_NB) != 0;
    if (busy && holder) read_holder(descriptor, holder);
    close(descriptor);
    return busy;
}
