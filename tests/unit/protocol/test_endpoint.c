/* Sockets are private, short enough, one a run, and of this user alone. */
#include "engine/protocol/endpoint.h"

#include "tests/unit/server/raw_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    test_folder_make(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

static void sockets_are_in_the_runtime_folder_and_private(void **state)
{
    (void)state;
    char path[SOCKET_PATH_BYTES], expected[128];
    assert_int_equal(endpoint_path(NULL, "engine", path).code, STATUS_OK);
    snprintf(expected, sizeof expected, "%s/alignprop/engine.sock", folder);
    assert_string_equal(path, expected);
    int listener;
    assert_int_equal(endpoint_listen(path, &listener).code, STATUS_OK);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    snprintf(expected, sizeof expected, "%s/alignprop", folder);
    assert_int_equal(stat(expected, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0700);
    close(listener);
}

static void a_long_or_relative_runtime_folder_is_not_used(void **state)
{
    (void)state;
    char longer[256], path[SOCKET_PATH_BYTES];
    snprintf(longer, sizeof longer,
             "%s/a-folder-whose-name-is-so-long-that-no-socket-path-fits-behind-it-any-more-at-all", folder);
    assert_int_equal(mkdir(longer, 0700), 0);
    char expected[64];
    snprintf(expected, sizeof expected, "/tmp/alignprop-%u/", (unsigned)geteuid());
    const char *const unusable[] = {longer, "relative", "/nowhere/at/all"};
    for (int i = 0; i < 3; i++) {
        setenv("XDG_RUNTIME_DIR", unusable[i], 1);
        assert_int_equal(endpoint_path(NULL, "engine", path).code, STATUS_OK);
        assert_int_equal(strncmp(path, expected, strlen(expected)), 0);
    }
    setenv("XDG_RUNTIME_DIR", folder, 1);
}

static void one_run_has_one_socket(void **state)
{
    (void)state;
    char run[128], other[128], first[SOCKET_PATH_BYTES], again[SOCKET_PATH_BYTES], different[SOCKET_PATH_BYTES];
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(other, sizeof other, "%s/run-2", folder);
    assert_int_equal(mkdir(run, 0700), 0);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(endpoint_path(run, NULL, first).code, STATUS_OK);
    strcat(run, "/../run/.");
    assert_int_equal(endpoint_path(run, NULL, again).code, STATUS_OK);
    assert_int_equal(endpoint_path(other, NULL, different).code, STATUS_OK);
    assert_string_equal(first, again);
    assert_string_not_equal(first, different);
    assert_int_equal(endpoint_path("/nowhere/at/all", NULL, first).code, STATUS_FAILED);
}

static void a_folder_open_to_others_or_linked_is_refused(void **state)
{
    (void)state;
    char path[SOCKET_PATH_BYTES], target[128], inside[96];
    snprintf(inside, sizeof inside, "%s/alignprop", folder);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(chmod(inside, 0755), 0);
    status open_to_others = endpoint_path(NULL, "engine", path);
    assert_int_equal(open_to_others.code, STATUS_FAILED);
    assert_non_null(strstr(open_to_others.message, inside));
    assert_int_equal(rmdir(inside), 0);
    snprintf(target, sizeof target, "%s/elsewhere", folder);
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(symlink(target, inside), 0);
    assert_int_equal(endpoint_path(NULL, "engine", path).code, STATUS_FAILED);
}

static void a_foreign_folder_is_refused(void **state)
{
    (void)state;
    char path[SOCKET_PATH_BYTES], inside[96];
    snprintf(inside, sizeof inside, "%s/alignprop", folder);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(chown(inside, 65534, 65534), 0);
    status foreign = endpoint_path(NULL, "engine", path);
    assert_int_equal(foreign.code, STATUS_FAILED);
    assert_non_null(strstr(foreign.message, "65534"));
}

static void a_dead_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    (void)state;
    char path[SOCKET_PATH_BYTES];
    assert_int_equal(endpoint_path(NULL, "engine", path).code, STATUS_OK);
    int dead, alive, refused;
    assert_int_equal(endpoint_listen(path, &dead).code, STATUS_OK);
    close(dead); /* as kill -9 leaves it */
    assert_int_equal(endpoint_listen(path, &alive).code, STATUS_OK);
    assert_int_equal(endpoint_listen(path, &refused).code, STATUS_FAILED);
    close(alive);
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(endpoint_listen(path, &refused).code, STATUS_FAILED);
}

static void peers_of_another_user_are_refused(void **state)
{
    (void)state;
    char path[SOCKET_PATH_BYTES];
    assert_int_equal(endpoint_path(NULL, "engine", path).code, STATUS_OK);
    int listener;
    assert_int_equal(endpoint_listen(path, &listener).code, STATUS_OK);
    /* The folder keeps strangers out; behind an open one the check of the peer still does. */
    char inside[96];
    snprintf(inside, sizeof inside, "%s/alignprop", folder);
    assert_int_equal(chmod(inside, 0755) | chmod(path, 0666) | chmod(folder, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    struct raw_client stranger;
    raw_connect(&stranger, path);
    assert_int_equal(seteuid(0), 0);
    int accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    status checked = endpoint_check_peer(accepted);
    assert_int_equal(checked.code, STATUS_FAILED);
    assert_non_null(strstr(checked.message, "65534"));
    raw_close(&stranger);
    close(accepted);
    close(listener);
}

static void nobody_listening_is_an_error(void **state)
{
    (void)state;
    int descriptor;
    assert_int_equal(endpoint_connect("/nowhere/at/all.sock", &descriptor).code, STATUS_FAILED);
    char longer[300];
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[299] = '\0';
    assert_int_equal(endpoint_connect(longer, &descriptor).code, STATUS_FAILED);
}

#define ENDPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    /* The last two give files away, which only root may; a test that cmocka skips is a failure to meson. */
    enum { FOR_ROOT = 2 };
    const struct CMUnitTest tests[] = {
        ENDPOINT_TEST(sockets_are_in_the_runtime_folder_and_private),
        ENDPOINT_TEST(a_long_or_relative_runtime_folder_is_not_used),
        ENDPOINT_TEST(one_run_has_one_socket),
        ENDPOINT_TEST(a_folder_open_to_others_or_linked_is_refused),
        ENDPOINT_TEST(a_dead_socket_is_replaced_and_a_live_one_is_not),
        ENDPOINT_TEST(nobody_listening_is_an_error),
        ENDPOINT_TEST(a_foreign_folder_is_refused),
        ENDPOINT_TEST(peers_of_another_user_are_refused),
    };
    size_t count = sizeof tests / sizeof *tests - (geteuid() == 0 ? 0 : FOR_ROOT);
    return _cmocka_run_group_tests("endpoint", tests, count, NULL, NULL);
}
