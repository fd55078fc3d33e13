/* Files that are whole or absent, folders, and what output is not written onto. */
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

static mode_t mode_of(const char *path)
{
    struct stat facts;
    assert_int_equal(lstat(path, &facts), 0);
    return facts.st_mode;
}

static void output_goes_onto_nothing_but_files(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(inside("fifo"), 0600), 0);
    assert_int_equal(mkdir(inside("folder"), 0700), 0);
    assert_int_equal(symlink("/dev/null", inside("to-device")), 0);
    assert_int_equal(symlink("nowhere", inside("to-nothing")), 0);
    int before = entries();
    static const struct {
        const char *name, *message;
    } refused[] = {{"fifo", "a pipe"}, {"folder", "a folder"}, {"to-device", "a device"}, {"to-nothing", "a link"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        mode_t mode = mode_of(inside(refused[i].name));
        status result = file_write_atomic(inside(refused[i].name), "x", 1);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
        assert_non_null(strstr(result.message, refused[i].message));
        assert_int_equal(mode_of(inside(refused[i].name)), mode);
    }
    assert_int_equal(file_write_atomic("/dev/null", "x", 1).code, STATUS_BAD_INPUT);
    assert_int_equal(entries(), before);
}

static void a_link_stays_and_its_file_is_written(void **state)
{
    (void)state;
    char target[PATH_SIZE];
    snprintf(target, sizeof target, "%s/folder-of-target", folder);
    assert_int_equal(directory_make(target).code, STATUS_OK);
    assert_int_equal(file_write_atomic(inside("folder-of-target/t"), "old", 3).code, STATUS_OK);
    assert_int_equal(chmod(inside("folder-of-target/t"), 0640), 0);
    assert_int_equal(symlink("folder-of-target/t", inside("to-file")), 0);
    assert_int_equal(file_write_atomic(inside("to-file"), "newer", 5).code, STATUS_OK);
    assert_true(S_ISLNK(mode_of(inside("to-file"))));
    assert_int_equal(mode_of(inside("folder-of-target/t")) & 0777, 0640);
    char *data;
    size_t length;
    assert_int_equal(file_read(inside("folder-of-target/t"), 100, &data, &length).code, STATUS_OK);
    assert_string_equal(data, "newer");
    free(data);
}

static void temporary_names_are_not_guessed(void **state)
{
    (void)state;
    struct file_writer writers[2];
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    for (int i = 0; i < 2; i++) assert_int_equal(file_writer_open(&writers[i], inside(longest)).code, STATUS_OK);
    assert_string_not_equal(writers[0].temporary, writers[1].temporary);
    for (int i = 0; i < 2; i++) assert_int_equal(file_writer_commit(&writers[i]).code, STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_replaces_the_whole_file),    cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),    cmocka_unit_test(folders_are_made_and_removed),
        cmocka_unit_test(output_goes_onto_nothing_but_files), cmocka_unit_test(a_link_stays_and_its_file_is_written),
        cmocka_unit_test(temporary_names_are_not_guessed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
