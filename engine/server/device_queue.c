#include "engine/server/device_queue.h"

#include "engine/base/json.h"
#include "engine/server/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { SHARING_ATTEMPTS = 50, LARGEST_NOTE = 8192 };

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

static void read_holder(int descriptor, struct device_holder *holder)
{
    memset(holder, 0, sizeof *holder);
    char note[LARGEST_NOTE];
    ssize_t length = pread(descriptor, note, sizeof note, 0);
    cJSON *parsed = NULL;
    if (length <= 0 || json_parse(note, (size_t)length, "device lock", &parsed).code != STATUS_OK) return;
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(parsed, "pid");
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(parsed, "run");
    if (cJSON_IsNumber(pid)) holder->pid = (long)pid->valuedouble;
    if (cJSON_IsString(run)) snprintf(holder->run_folder, sizeof holder->run_folder, "%s", run->valuestring);
    cJSON_Delete(parsed);
}

/* The note is for people; the lock is what counts. */
static void write_holder(int descriptor, const char *run_folder)
{
    cJSON *note = cJSON_CreateObject();
    cJSON_AddNumberToObject(note, "pid", (double)getpid());
    cJSON_AddStringToObject(note, "run", run_folder ? run_folder : "");
    char *text = json_print(note, false);
    cJSON_Delete(note);
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
