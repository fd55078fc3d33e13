#include "engine/base/files.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/alignprop-files-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return directory_remove(folder).code == STATUS_OK ? 0 : -1;
}

static const char *inside(const char *name)
{
    static char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int entries(void)
{
    struct name_list list;
    assert_int_equal(directory_list(folder, &list).code, STATUS_OK);
    int count = list.count;
    name_list_clear(&list);
    return count;
}

static void writing_replaces_the_whole_file(void **state)
{
    (void)state;
    char *data;
    size_t length;
    assert_int_equal(file_write_atomic(inside("a"), "one", 3).code, STATUS_OK);
    assert_int_equal(file_write_atomic(inside("a"), "second", 6).code, STATUS_OK);
    assert_int_equal(file_read(inside("a"), 100, &data, &length).code, STATUS_OK);
    assert_int_equal(length, 6);
    assert_string_equal(data, "second");
    free(data);
    assert_int_equal(entries(), 1);
}

static void a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    char *data;
    size_t length;
    assert_int_equal(file_write_atomic(inside("b"), "12345", 5).code, STATUS_OK);
    status result = file_read(inside("b"), 4, &data, &length);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "5 bytes"));
    assert_int_equal(file_read(folder, 100, &data, &length).code, STATUS_BAD_INPUT);
    assert_int_equal(mkfifo(inside("pipe"), 0600), 0);
    assert_int_equal(file_read(inside("pipe"), 100, &data, &length).code, STATUS_BAD_INPUT);
}

/* A size limit stands for a full disk: the write in the middle fails. */
static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    int before = entries();
    assert_int_equal(file_write_atomic(inside("c"), "old", 3).code, STATUS_OK);
    struct rlimit old_limit, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = old_limit;
    limit.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char block[5000] = {0};
    status result = file_write_atomic(inside("c"), block, sizeof block);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "/c: "));
    char *data;
    size_t length;
    assert_int_equal(file_read(inside("c"), 100, &data, &length).code, STATUS_OK);
    assert_string_equal(data, "old");
    free(data);
    assert_int_equal(entries(), before + 1);
}

static void folders_are_made_and_removed(void **state)
{
    (void)state;
    char deep[PATH_SIZE], outside[PATH_SIZE], link_path[PATH_SIZE];
    snprintf(deep, sizeof deep, "%s/x/y/z", folder);
    assert_int_equal(directory_make(deep).code, STATUS_OK);
    assert_int_equal(directory_make(deep).code, STATUS_OK);
    assert_true(path_is_directory(deep));
    snprintf(outside, sizeof outside, "%s/kept", folder);
    assert_int_equal(file_write_atomic(outside, "k", 1).code, STATUS_OK);
    snprintf(link_path, sizeof link_path, "%s/link", deep);
    assert_int_equal(symlink(folder, link_path), 0);
    assert_int_equal(directory_remove(inside("x")).code, STATUS_OK);
    assert_false(path_is_directory(inside("x")));
    assert_true(path_is_file(outside));
    assert_int_equal(directory_make(inside("kept/below")).code, STATUS_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_replaces_the_whole_file),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(folders_are_made_and_removed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
