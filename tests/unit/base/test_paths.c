/* The folders that XDG variables, the Hugging Face cache and the program's place lead to. */
#include "engine/base/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void relative_values_are_ignored(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    setenv("HOME", "/home/somebody", 1);
    setenv("XDG_CONFIG_HOME", "relative", 1);
    assert_int_equal(paths_config(path).code, STATUS_OK);
    assert_string_equal(path, "/home/somebody/.config/alignprop");
    setenv("XDG_CONFIG_HOME", "/elsewhere", 1);
    assert_int_equal(paths_config(path).code, STATUS_OK);
    assert_string_equal(path, "/elsewhere/alignprop");
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(paths_data(path).code, STATUS_OK);
    assert_string_equal(path, "/home/somebody/.local/share/alignprop");
    unsetenv("XDG_STATE_HOME");
    assert_int_equal(paths_state(path).code, STATUS_OK);
    assert_string_equal(path, "/home/somebody/.local/state/alignprop");
}

static void hub_cache_follows_its_variables(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/home/somebody", 1);
    assert_int_equal(paths_hub_cache(path).code, STATUS_OK);
    assert_string_equal(path, "/home/somebody/.cache/huggingface/hub");
    setenv("HF_HOME", "/hf", 1);
    assert_int_equal(paths_hub_cache(path).code, STATUS_OK);
    assert_string_equal(path, "/hf/hub");
    setenv("HF_HUB_CACHE", "/cache", 1);
    assert_int_equal(paths_hub_cache(path).code, STATUS_OK);
    assert_string_equal(path, "/cache");
}

static void a_runtime_folder_open_to_others_is_refused(void **state)
{
    (void)state;
    char base[] = "/tmp/alignprop-paths-XXXXXX", path[PATH_SIZE];
    assert_non_null(mkdtemp(base));
    setenv("XDG_RUNTIME_DIR", base, 1);
    assert_int_equal(paths_runtime(path).code, STATUS_OK);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0700);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(paths_runtime(path).code, STATUS_FAILED);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(paths_runtime(path).code, STATUS_FAILED);
    assert_int_equal(directory_remove(base).code, STATUS_OK);
}

static void program_data_is_found_above_the_build_folder(void **state)
{
    (void)state;
    char path[PATH_SIZE], file[PATH_SIZE + 40];
    unsetenv("ALIGNPROP_DATA");
    assert_int_equal(paths_program_data(path).code, STATUS_OK);
    snprintf(file, sizeof file, "%s/meson_options.txt", path);
    assert_true(path_is_file(file));
    setenv("ALIGNPROP_DATA", "/given", 1);
    assert_int_equal(paths_program_data(path).code, STATUS_OK);
    assert_string_equal(path, "/given");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative_values_are_ignored),
        cmocka_unit_test(hub_cache_follows_its_variables),
        cmocka_unit_test(a_runtime_folder_open_to_others_is_refused),
        cmocka_unit_test(program_data_is_found_above_the_build_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
