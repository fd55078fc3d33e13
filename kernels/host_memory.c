#include "kernels/host_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static status read_meminfo(uint64_t *available, uint64_t *total)
{
    const char *path = "/proc/meminfo";
    FILE *file = fopen(path, "r");
    if (!file) return status_errno(STATUS_FAILED, errno, "cannot read %s", path);
    char line[256];
    uint64_t kib;
    *available = *total = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) *available = kib * 1024;
        if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1) *total = kib * 1024;
    }
    fclose(file);
    if (*total == 0) return status_error(STATUS_FAILED, "%s: no line \"MemTotal\"", path);
    return status_ok();
}

/* Lowers free and total to what a limit and a use of the same control group leave. */
static void apply_limit(uint64_t limit, uint64_t used, uint64_t *available, uint64_t *total)
{
    uint64_t left = limit > used ? limit - used : 0;
    if (left < *available) *available = left;
    if (limit < *total) *total = limit;
}

/* Control groups nest; the limit of every group from this process's own up to the root counts (version 2). */
static void apply_control_groups(uint64_t *available, uint64_t *total)
{
    char line[4096], path[4352];
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::/", 4) != 0) continue;
        char *group = line + 3;
        for (;;) {
            uint64_t limit, used;
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
            bool limited = read_number(path, &limit);
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", group);
            if (limited && read_number(path, &used)) apply_limit(limit, used, available, total);
            char *parent_end = strrchr(group, '/');
            if (!parent_end) break;
            *parent_end = 0;
        }
    }
    fclose(file);
}

status host_memory_free(size_t *free_bytes, size_t *total_bytes)
{
    uint64_t available = 0, total = 0, limit, used;
    TRY(read_meminfo(&available, &total));
    apply_control_groups(&available, &total);
    if (read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", &limit) && /* version 1 */
        read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", &used))
        apply_limit(limit, used, &available, &total);
    *free_bytes = (size_t)available;
    if (total_bytes) *total_bytes = (size_t)total;
    return status_ok();
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

/* One line of /proc/self/status. The peak there is this program's own; getrusage's may be its parent's. */
static size_t read_own_status(const char *format)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    char line[256];
    uint64_t kib = 0;
    while (fgets(line, sizeof line, file) && sscanf(line, format, &kib) != 1) continue;
    fclose(file);
    return (size_t)kib * 1024;
}

size_t host_memory_resident(void)
{
    return read_own_status("VmRSS: %" SCNu64);
}

size_t host_memory_peak(void)
{
    return read_own_status("VmHWM: %" SCNu64);
}

/* proc(5): 5 sets VmHWM back to the present resident set. */
void host_memory_forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}
