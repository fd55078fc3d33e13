/* What is free: the machine's, less what control groups and the process's own limits leave. The kernel's files are
 * made. */
#include "kernels/host_memory.h"

#include "engine/base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static char root[64];

static void write_file(const char *name, const char *text)
{
    char path[PATH_SIZE], folder[PATH_SIZE];
    assert_int_equal(path_format(path, "%s/%s", root, name).code, STATUS_OK);
    assert_int_equal(path_format(folder, "%s", path).code, STATUS_OK);
    *strrchr(folder, '/') = '\0';
    assert_string_equal(directory_make(folder).message, "");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A machine of 8000 KiB with 6000 KiB free. */
static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/alignprop-memory-XXXXXX");
    if (!mkdtemp(root)) return -1;
    write_file("proc/meminfo", "MemTotal:        8000 kB\nMemFree: 1 kB\nMemAvailable:    6000 kB\n");
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    return directory_remove(root).code == STATUS_OK ? 0 : -1;
}

static void assert_memory(size_t free_kib, size_t total_kib)
{
    size_t free_bytes, total_bytes;
    assert_string_equal(host_memory_free_below(root, &free_bytes, &total_bytes).message, "");
    assert_int_equal(free_bytes, free_kib * 1024);
    assert_int_equal(total_bytes, total_kib * 1024);
}

static void a_machine_without_limits(void **state)
{
    (void)state;
    assert_memory(6000, 8000);
    write_file("proc/self/cgroup", "0::/user.slice\n");
    write_file("sys/fs/cgroup/user.slice/memory.max", "max\n");
    write_file("sys/fs/cgroup/user.slice/memory.current", "999999999\n");
    assert_memory(6000, 8000);
}

static void every_group_of_version_2_counts(void **state)
{
    (void)state;
    write_file("proc/self/cgroup", "0::/pod/box\n");
    write_file("sys/fs/cgroup/pod/box/memory.max", "5120000\n");     /* 5000 KiB */
    write_file("sys/fs/cgroup/pod/box/memory.current", "1024000\n"); /* 1000 KiB */
    assert_memory(4000, 5000);
    write_file("sys/fs/cgroup/pod/memory.max", "3072000\n"); /* 3000 KiB */
    write_file("sys/fs/cgroup/pod/memory.current", "2048000\n");
    assert_memory(1000, 3000);
    /* Cached files make room when it is asked for. */
    write_file("sys/fs/cgroup/pod/memory.stat", "anon 1\ninactive_file 512000\nactive_file 7\n");
    assert_memory(1500, 3000);
}

static void a_container_sees_its_own_files_at_the_mount_point(void **state)
{
    (void)state;
    write_file("proc/self/cgroup", "0::/docker/0123456789\n");
    write_file("sys/fs/cgroup/memory.max", "2048000\n");
    write_file("sys/fs/cgroup/memory.current", "0\n");
    assert_memory(2000, 2000);
}

static void version_1_counts_by_its_controller(void **state)
{
    (void)state;
    write_file("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/b/c\n0::/\n");
    write_file("sys/fs/cgroup/memory/b/c/memory.limit_in_bytes", "4096000\n"); /* 4000 KiB */
    write_file("sys/fs/cgroup/memory/b/c/memory.usage_in_bytes", "1024000\n");
    assert_memory(3000, 4000);
    write_file("sys/fs/cgroup/memory/b/c/memory.stat", "cache 3\ntotal_inactive_file 1024000\n");
    assert_memory(4000, 4000);
    write_file("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "1024000\n"); /* the group above */
    write_file("sys/fs/cgroup/memory/b/memory.usage_in_bytes", "512000\n");
    assert_memory(500, 1000);
}

/* The real limit is raised again at once: the test allocates nothing meanwhile. */
static void limits_of_the_process_count(void **state)
{
    (void)state;
    static const int resources[] = {RLIMIT_AS, RLIMIT_DATA};
    write_file("proc/self/status", "VmSize:\t    3000 kB\nVmData:\t    1000 kB\n");
    const size_t used_kib[] = {3000 + HOST_MEMORY_UNPLANNED / 1024, 1000 + HOST_MEMORY_UNPLANNED / 1024};
    for (int i = 0; i < 2; i++) {
        struct rlimit old, limit;
        size_t free_bytes = 0, total_bytes = 0;
        write_file("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 7900000 kB\n");
        assert_int_equal(getrlimit(resources[i], &old), 0);
        limit = old;
        limit.rlim_cur = (rlim_t)7000 * 1024 * 1024;
        assert_int_equal(setrlimit(resources[i], &limit), 0);
        status result = host_memory_free_below(root, &free_bytes, &total_bytes);
        assert_int_equal(setrlimit(resources[i], &old), 0);
        assert_string_equal(result.message, "");
        assert_int_equal(total_bytes, (size_t)7000 * 1024 * 1024);
        assert_int_equal(free_bytes, (size_t)7000 * 1024 * 1024 - used_kib[i] * 1024);
    }
}

int main(void)
{
#define ON_A_MACHINE(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        ON_A_MACHINE(a_machine_without_limits),
        ON_A_MACHINE(every_group_of_version_2_counts),
        ON_A_MACHINE(a_container_sees_its_own_files_at_the_mount_point),
        ON_A_MACHINE(version_1_counts_by_its_controller),
        ON_A_MACHINE(limits_of_the_process_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
