/* How much memory this process can still have, and aligned memory. */
#include "kernels/host_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ALIGNMENT = 256 };

/* Reads one unsigned number from a file that holds nothing else; false where it is missing or not a number ("max"). */
static bool read_number(const char *path, uint64_t *number)
{
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool found = fscanf(file, "%" SCNu64, number) == 1;
    fclose(file);
    return found;
}

enum { FILE_PATH_SIZE = 4608 };

/* What is left of the machine, lowered by every limit in turn. */
struct room {
    const char *root; /* the folder that the kernel's files are in */
    uint64_t available, total;
};

static status read_meminfo(struct room *room)
{
    char path[FILE_PATH_SIZE], line[256];
    snprintf(path, sizeof path, "%s/proc/meminfo", room->root);
    FILE *file = fopen(path, "r");
    if (!file) return status_errno(STATUS_FAILED, errno, "cannot read %s", path);
    uint64_t kib;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) room->available = kib * 1024;
        if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1) room->total = kib * 1024;
    }
    fclose(file);
    if (room->total == 0) return status_error(STATUS_FAILED, "%s: no line \"MemTotal\"", path);
    return status_ok();
}

static void apply_limit(struct room *room, uint64_t limit, uint64_t used)
{
    uint64_t left = limit > used ? limit - used : 0;
    if (left < room->available) room->available = left;
    if (limit < room->total) room->total = limit;
}

/* ---- control groups ---- */

/* The files of one version of control groups. */
struct group_files {
    const char *mount, *limit, *used;
    const char *reclaimable; /* line of memory.stat: cached files that were not used lately, which count as used */
};
static const struct group_files version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "};
static const struct group_files version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                             "total_inactive_file "};

static uint64_t read_reclaimable(const char *folder, const char *key)
{
    char path[FILE_PATH_SIZE], line[256];
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "%.4500s/memory.stat", folder);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%" SCNu64, &bytes) == 1) break;
    fclose(file);
    return bytes;
}

static void apply_group(struct room *room, const struct group_files *files, const char *group)
{
    char folder[FILE_PATH_SIZE - 64], path[FILE_PATH_SIZE];
    uint64_t limit, used;
    snprintf(folder, sizeof folder, "%.400s%s%.4000s", room->root, files->mount, group);
    snprintf(path, sizeof path, "%s/%s", folder, files->limit);
    bool limited = read_number(path, &limit);
    snprintf(path, sizeof path, "%s/%s", folder, files->used);
    if (!limited || !read_number(path, &used)) return;
    uint64_t reclaimable = read_reclaimable(folder, files->reclaimable);
    apply_limit(room, limit, used > reclaimable ? used - reclaimable : 0);
}

/* Control groups nest: the limit of every group from this process's own up to the root counts. */
static void apply_groups_up_to_root(struct room *room, const struct group_files *files, char *group)
{
    for (;;) {
        apply_group(room, files, group);
        char *parent_end = strrchr(group, '/');
        if (!parent_end) return;
        *parent_end = 0;
    }
}

/* True if a list of controllers such as "cpu,memory" names memory. */
static bool controls_memory(const char *controllers)
{
    static const char name[] = "memory";
    size_t length = sizeof name - 1;
    for (const char *at = strstr(controllers, name); at; at = strstr(at + 1, name)) {
        bool begins = at == controllers || at[-1] == ',', ends = at[length] == '\0' || at[length] == ',';
        if (begins && ends) return true;
    }
    return false;
}

/* A line is "ID:CONTROLLERS:/GROUP"; the one of version 2 has no controllers (man 7 cgroups). */
static void apply_control_groups(struct room *room)
{
    char path[FILE_PATH_SIZE], line[4096];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", room->root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        controllers++;
        if (controllers[0] == '\0')
            apply_groups_up_to_root(room, &version_2, group);
        else if (controls_memory(controllers))
            apply_groups_up_to_root(room, &version_1, group);
    }
    if (file) fclose(file);
    /* Inside a container the group's path is the host's, and its own files stand at the mount point. */
    apply_group(room, &version_1, "");
    apply_group(room, &version_2, "");
}

/* ---- limits of the process ---- */

/* One line of /proc/self/status, in bytes; 0 where the system does not say. */
static size_t read_own_status(const char *root, const char *format)
{
    char path[FILE_PATH_SIZE], line[256];
    snprintf(path, sizeof path, "%s/proc/self/status", root);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    uint64_t kib = 0;
    while (fgets(line, sizeof line, file) && sscanf(line, format, &kib) != 1) continue;
    fclose(file);
    return (size_t)kib * 1024;
}

static const struct {
    int resource;
    const char *used, *text;
} limits[] = {{RLIMIT_AS, "VmSize: %" SCNu64, "address space (ulimit -v)"},
              {RLIMIT_DATA, "VmData: %" SCNu64, "data (ulimit -d)"}};

status host_memory_check_room(void)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i].resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
        size_t used = read_own_status("", limits[i].used);
        if (used + HOST_MEMORY_UNPLANNED <= limit.rlim_cur) continue;
        return status_error(STATUS_NO_MEMORY,
                            "needs at least %.2f GB more, %.2f GB are free: the process is limited to %.2f GB of %s; a "
                            "higher limit or a smaller model would fit",
                            (double)HOST_MEMORY_UNPLANNED / 1e9,
                            limit.rlim_cur > used ? (double)(limit.rlim_cur - used) / 1e9 : 0.0,
                            (double)limit.rlim_cur / 1e9, limits[i].text);
    }
    return status_ok();
}

static void apply_process_limits(struct room *room)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i].resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
        apply_limit(room, limit.rlim_cur, read_own_status(room->root, limits[i].used) + HOST_MEMORY_UNPLANNED);
    }
}

status host_memory_free_below(const char *root, size_t *free_bytes, size_t *total_bytes)
{
    struct room room = {.root = root};
    TRY(read_meminfo(&room));
    apply_control_groups(&room);
    apply_process_limits(&room);
    *free_bytes = (size_t)room.available;
    if (total_bytes) *total_bytes = (size_t)room.total;
    return status_ok();
}

status host_memory_free(size_t *free_bytes, size_t *total_bytes)
{
    return host_memory_free_below("", free_bytes, total_bytes);
}

void host_memory_share_reserves(void)
{
    struct rlimit limit;
    /* The C library reserves 64 MiB of addresses for each thread that allocates. */
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) (void)mallopt(M_ARENA_MAX, 1);
}

status host_memory_allocate(size_t bytes, void **memory)
{
    size_t rounded = bytes > SIZE_MAX - ALIGNMENT ? 0 : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *memory = NULL;
    if (bytes == 0) rounded = ALIGNMENT;
    if (rounded) *memory = aligned_alloc(ALIGNMENT, rounded);
    if (*memory) return status_ok();
    size_t available = 0;
    TRY(host_memory_free(&available, NULL));
    return status_error(STATUS_NO_MEMORY, "needs %zu bytes of memory, %zu are free", bytes, available);
}

size_t host_memory_resident(void)
{
    return read_own_status("", "VmRSS: %" SCNu64);
}

size_t host_memory_peak(void)
{
    /* getrusage's may be this program's parent's. */
    return read_own_status("", "VmHWM: %" SCNu64);
}

/* proc(5): 5 sets VmHWM back to the present resident set. */
void host_memory_forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}
