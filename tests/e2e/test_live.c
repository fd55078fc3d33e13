/* A real run and those who watch it: whoever comes, goes, sleeps, lies or dies, the run ends with the adapter that an
 * undisturbed run gives. Arguments: the program, and how often each disturbance is tried (2 in the suite, more in
 * soaks); seeds are fixed. */
#include "engine/base/clock.h"
#include "engine/base/files.h"
#include "engine/run/run_folder.h"
#include "engine/server/device_queue.h"
#include "tests/e2e/run_files.h"
#include "tests/unit/server/raw_client.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 12 };
static const double longest_run = 120;

static const char *program;
static int tries = 2;
static char home[64], preset_path[PATH_SIZE];
static char *expected; /* tensor bytes of the undisturbed run's adapter */
static size_t expected_bytes;

/* ---- processes -----------------------------------------------------------------------------------------------------
 */

static pid_t spawn(const char *const *text)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) return child;
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execv(program, (char *const *)text);
    _exit(127);
}

static int finish(pid_t child)
{
    int outcome;
    while (waitpid(child, &outcome, 0) != child) assert_int_equal(errno, EINTR);
    return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : 128 + WTERMSIG(outcome);
}

static pid_t tune(const char *folder, const char *more)
{
    const char *text[] = {program, "tune", preset_path, "--run", folder, "--threads", "1", more, NULL};
    return spawn(text);
}

static pid_t resume(const char *folder)
{
    const char *text[] = {program, "resume", folder, NULL};
    return spawn(text);
}

static void pause_seconds(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* ---- runs ----------------------------------------------------------------------------------------------------------
 */

static void run_path(const char *name, char path[PATH_SIZE])
{
    assert_int_equal(path_format(path, "%s/runs/%s", home, name).code, STATUS_OK);
}

static void expect_adapter(const char *folder)
{
    adapter_must_equal(folder, expected, expected_bytes);
}

/* Waits for the engine of a run to answer and connects to it; false when the run has ended before. */
static bool connect_to(const char *path, struct raw_client *client)
{
    double end = clock_steady() + longest_run;
    while (clock_steady() < end) {
        struct engine_facts facts;
        if (engine_is_alive(path, &facts) && raw_try_connect(client, facts.socket_path)) return true;
        char adapter[PATH_SIZE];
        assert_int_equal(path_format(adapter, "%s/checkpoints/step-%06d", path, (int)STEPS).code, STATUS_OK);
        if (path_is_directory(adapter)) return false;
        pause_seconds(0.01);
    }
    fail_msg("the engine of %s does not answer", path);
    return false;
}

/* A connection past hello and state; false when the engine was gone before. */
static bool watch(const char *path, struct raw_client *client, cJSON **state)
{
    *state = NULL;
    if (!connect_to(path, client)) return false;
    raw_send(client, "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1,\"client\":\"test\"}");
    for (;;) {
        cJSON *json;
        int kind = raw_receive(client, &json, NULL);
        if (kind == FRAME_JSON && strcmp(text_of(json, "type"), "state") == 0) {
            *state = json;
            return true;
        }
        cJSON_Delete(json);
        if (kind != 0) continue;
        raw_close(client);
        return false;
    }
}

/* ---- what a screen knows: the last line of every step --------------------------------------------------------------
 */

struct screen {
    double total[STEPS + 1], evaluation[STEPS + 1];
    bool has[STEPS + 1], has_evaluation[STEPS + 1];
};

static void take_line(struct screen *screen, const cJSON *line)
{
    const cJSON *step = cJSON_GetObjectItem(line, "step"), *reward = cJSON_GetObjectItem(line, "reward");
    const cJSON *evaluation = cJSON_GetObjectItem(line, "eval_reward");
    if (!step || step->valueint < 0 || step->valueint > STEPS) return;
    int at = step->valueint;
    if (reward) screen->total[at] = number_of(reward, "total");
    if (evaluation) screen->evaluation[at] = number_of(evaluation, "total");
    screen->has[at] = screen->has[at] || reward;
    screen->has_evaluation[at] = screen->has_evaluation[at] || evaluation;
}

static void take_history(struct screen *screen, const char *path, const cJSON *state)
{
    size_t bytes = (size_t)number_of(cJSON_GetObjectItem(state, "history"), "bytes"), length;
    char file[PATH_SIZE], *data;
    assert_int_equal(path_format(file, "%s/metrics.jsonl", path).code, STATUS_OK);
    if (bytes == 0 || file_read(file, 1 << 24, &data, &length).code != STATUS_OK) return;
    assert_true(bytes <= length);
    data[bytes] = '\0';
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *parsed = cJSON_Parse(line);
        take_line(screen, parsed);
        cJSON_Delete(parsed);
    }
    free(data);
}

/* Watches to the end; true when the engine said goodbye. */
static bool watch_to_end(struct raw_client *client, struct screen *screen, int *frames)
{
    for (;;) {
        cJSON *json;
        int kind = raw_receive(client, &json, NULL);
        if (kind == 0) return false;
        if (kind == FRAME_PICTURE && frames) (*frames)++;
        bool end = kind == FRAME_JSON && strcmp(text_of(json, "type"), "end") == 0;
        bool line = kind == FRAME_JSON && cJSON_GetObjectItem(json, "line");
        if (line) take_line(screen, cJSON_GetObjectItem(json, "line"));
        cJSON_Delete(json);
        if (end) return true;
    }
}

static void wait_for_step(struct raw_client *client, struct screen *screen, int step)
{
    for (bool there = false; !there;) {
        cJSON *json;
        int kind = raw_receive(client, &json, NULL);
        if (kind == 0) fail_msg("the engine left before step %d", step);
        const cJSON *line = kind == FRAME_JSON ? cJSON_GetObjectItem(json, "line") : NULL;
        if (line) take_line(screen, line);
        there = line && cJSON_GetObjectItem(line, "reward") && number_of(line, "step") >= step;
        cJSON_Delete(json);
    }
}

static void same_screens(const struct screen *a, const struct screen *b)
{
    for (int i = 0; i <= STEPS; i++) {
        if (a->has[i] != b->has[i] || a->has_evaluation[i] != b->has_evaluation[i]) fail_msg("step %d differs", i);
        assert_true(!a->has[i] || a->total[i] == b->total[i]);
        assert_true(!a->has_evaluation[i] || a->evaluation[i] == b->evaluation[i]);
    }
}

/* ---- tests ---------------------------------------------------------------------------------------------------------
 */

static int set_up(void **state)
{
    (void)state;
    test_folder_make(home);
    char runs[PATH_SIZE];
    run_path("", runs);
    if (directory_make(runs).code != STATUS_OK) return 1;
    static const char preset[] =
        "{\"schema\":1,\"name\":\"live\",\"model\":\"" SOURCE_FOLDER "/tests/golden/config/deep-sharded\","
        "\"prompts\":{\"train\":[\"a cat\",\"two dogs\",\"a red house\"],\"eval\":[\"a bird\",\"a tree\"]},"
        "\"rewards\":[{\"name\":\"brightness\"},{\"name\":\"jpeg\",\"weight\":0.1}],"
        "\"sampler\":{\"steps\":4,\"width\":32,\"height\":32,\"eta\":0.5},\"batch\":2,\"steps\":12,"
        "\"checkpoint\":{\"every\":2,\"keep\":3},\"sample\":{\"every\":3,\"count\":2}}";
    assert_int_equal(path_format(preset_path, "%s/live.json", home).code, STATUS_OK);
    assert_int_equal(file_write_atomic(preset_path, preset, sizeof preset - 1).code, STATUS_OK);
    char whole[PATH_SIZE];
    run_path("whole", whole);
    assert_int_equal(finish(tune(whole, "--quiet")), 0);
    expected = adapter_tensors(whole, &expected_bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(expected);
    test_folder_remove(home);
    return 0;
}

static void who_attaches_late_sees_what_who_watched_from_the_start_sees(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    run_path("watched", path);
    pid_t engine = tune(path, "--quiet");
    struct raw_client first, late;
    cJSON *json;
    static struct screen watched, attached;
    assert_true(watch(path, &first, &json));
    take_history(&watched, path, json);
    cJSON_Delete(json);
    wait_for_step(&first, &watched, 5);
    assert_true(watch(path, &late, &json));
    assert_true(number_of(json, "step") >= 5);
    take_history(&attached, path, json);
    cJSON_Delete(json);
    int pictures = 0;
    assert_true(watch_to_end(&late, &attached, &pictures));
    assert_true(watch_to_end(&first, &watched, NULL));
    assert_true(pictures > 0);
    assert_int_equal(finish(engine), 0);
    same_screens(&watched, &attached);
    assert_true(watched.has[STEPS] && watched.has_evaluation[0] && watched.has_evaluation[STEPS]);
    expect_adapter(path);
    raw_close(&first);
    raw_close(&late);
}

/* Clients of every bad kind, at random moments. */
static void disturb(const char *path, unsigned *seed)
{
    struct raw_client client;
    cJSON *json;
    int kind = (int)(rand_r(seed) % 5);
    bool there = kind == 0 ? connect_to(path, &client) : watch(path, &client, &json);
    if (!there) return;
    if (kind != 0) cJSON_Delete(json);
    switch (kind) {
    case 0: raw_send_bytes(&client, "GET / HTTP/1.1\r\n\r\n", 18); break;
    case 1: raw_send_bytes(&client, "\xff\xff\xff\xffJ", 5); break;
    case 2: raw_send(&client, "{\"type\":\"set\",\"id\":1,\"key\":\"optimizer.lr\",\"value\":\"much\"}"); break;
    case 3: raw_send_bytes(&client, "\x40\x00\x00\x00J{\"type\":", 13); break;
    default: break; /* as a killed studio leaves it */
    }
    raw_close(&client);
}

static void clients_that_die_sleep_or_lie_cost_the_run_nothing(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int i = 0; i < tries; i++) {
        char name[32], path[PATH_SIZE];
        snprintf(name, sizeof name, "disturbed-%d", i);
        run_path(name, path);
        pid_t engine = tune(path, "--quiet");
        struct raw_client sleeper;
        cJSON *json;
        bool asleep = watch(path, &sleeper, &json); /* never reads again */
        cJSON_Delete(json);
        for (int d = 0; d < 12; d++) {
            disturb(path, &seed);
            pause_seconds(0.001 * (rand_r(&seed) % 60));
        }
        assert_int_equal(finish(engine), 0);
        if (asleep) raw_close(&sleeper);
        expect_adapter(path);
    }
}

static void a_killed_engine_is_noticed_and_its_run_resumed_exactly(void **state)
{
    (void)state;
    unsigned seed = 2;
    for (int i = 0; i < tries; i++) {
        char name[32], path[PATH_SIZE];
        snprintf(name, sizeof name, "killed-%d", i);
        run_path(name, path);
        pid_t engine = tune(path, "--quiet");
        struct raw_client client;
        static struct screen screen;
        cJSON *json;
        if (watch(path, &client, &json)) {
            cJSON_Delete(json);
            int until = (int)(rand_r(&seed) % (STEPS - 1));
            if (until > 0) wait_for_step(&client, &screen, until);
            pause_seconds(0.001 * (rand_r(&seed) % 40));
            kill(engine, SIGKILL);
            bool goodbye = watch_to_end(&client, &screen, NULL);
            int outcome = finish(engine);
            assert_true(goodbye ? outcome == 0 || outcome == 128 + SIGKILL : outcome == 128 + SIGKILL);
            raw_close(&client);
        } else {
            finish(engine);
        }
        assert_int_equal(finish(resume(path)), 0);
        expect_adapter(path);
    }
}

static void a_paused_run_goes_on_after_its_watcher_died(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    run_path("paused", path);
    pid_t engine = tune(path, "--quiet");
    struct raw_client client;
    cJSON *json;
    assert_true(watch(path, &client, &json));
    cJSON_Delete(json);
    raw_send(&client, "{\"type\":\"pause\",\"id\":1}");
    cJSON_Delete(raw_expect(&client, "reply"));
    raw_close(&client);
    assert_true(watch(path, &client, &json));
    while (strcmp(text_of(json, "phase"), "paused") != 0) {
        cJSON_Delete(json);
        json = raw_expect(&client, "state");
    }
    cJSON_Delete(json);
    raw_send(&client,
             "{\"type\":\"sample\",\"id\":2,\"prompts\":[\"a bird\"],\"adapters\":[{\"current\":true,\"scale\":0.5}]}");
    json = raw_expect(&client, "sampled");
    if (!cJSON_IsTrue(cJSON_GetObjectItem(json, "ok"))) fail_msg("%s", text_of(json, "error"));
    cJSON_Delete(json);
    raw_send(&client, "{\"type\":\"continue\",\"id\":3}");
    static struct screen screen;
    assert_true(watch_to_end(&client, &screen, NULL));
    raw_close(&client);
    assert_int_equal(finish(engine), 0);
    expect_adapter(path); /* watchers' pictures leave no trace in it */
}

static void a_queued_run_waits_and_then_runs(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    run_path("queued", path);
    int place;
    assert_int_equal(device_enter("cpu", "/runs/other", true, &place, NULL).code, STATUS_OK);
    const char *text[] = {program, "tune",     preset_path, "--run",   path,      "--threads",
                          "1",     "--device", "cpu",       "--queue", "--quiet", NULL};
    pid_t engine = spawn(text);
    struct raw_client client;
    cJSON *json;
    assert_true(watch(path, &client, &json));
    while (strcmp(text_of(json, "phase"), "waiting") != 0) {
        cJSON_Delete(json);
        json = raw_expect(&client, "state");
    }
    assert_string_equal(text_of(cJSON_GetObjectItem(json, "waiting_for"), "run"), "/runs/other");
    assert_true(number_of(json, "step") == 0);
    cJSON_Delete(json);
    close(place);
    static struct screen screen;
    assert_true(watch_to_end(&client, &screen, NULL));
    raw_close(&client);
    assert_int_equal(finish(engine), 0);
    expect_adapter(path);
}

static void a_run_started_by_a_screen_outlives_it(void **state)
{
    (void)state;
    struct raw_client screen;
    int other = raw_pair(&screen);
    char number[16];
    snprintf(number, sizeof number, "%d", other);
    fcntl(other, F_SETFD, 0);
    const char *text[] = {program, "engine", "--fd", number, "--device", "cpu", NULL};
    pid_t idle = spawn(text);
    close(other);
    cJSON_Delete(raw_greet(&screen));
    char message[2 * PATH_SIZE], path[PATH_SIZE];
    run_path("started", path);
    snprintf(message, sizeof message,
             "{\"type\":\"start\",\"id\":1,\"preset\":\"%s\",\"run\":\"%s\",\"threads\":1,\"device\":\"cpu\",\"when\":"
             "\"now\"}",
             preset_path, path);
    raw_send(&screen, message);
    cJSON *json = raw_expect(&screen, "reply");
    if (!cJSON_IsTrue(cJSON_GetObjectItem(json, "ok"))) fail_msg("%s", text_of(json, "error"));
    pid_t engine = (pid_t)number_of(json, "pid");
    struct raw_client client;
    raw_connect(&client, text_of(json, "socket"));
    cJSON_Delete(json);
    kill(idle, SIGKILL); /* the screen's engine dies with its screen */
    finish(idle);
    raw_close(&screen);
    kill(engine, SIGHUP); /* as does the terminal */
    cJSON_Delete(raw_greet(&client));
    static struct screen seen;
    assert_true(watch_to_end(&client, &seen, NULL));
    raw_expect_end(&client, 5);
    raw_close(&client);
    expect_adapter(path);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) return 2;
    program = arguments[1];
    if (argument_count > 2) tries = atoi(arguments[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_attaches_late_sees_what_who_watched_from_the_start_sees),
        cmocka_unit_test(clients_that_die_sleep_or_lie_cost_the_run_nothing),
        cmocka_unit_test(a_killed_engine_is_noticed_and_its_run_resumed_exactly),
        cmocka_unit_test(a_paused_run_goes_on_after_its_watcher_died),
        cmocka_unit_test(a_queued_run_waits_and_then_runs),
        cmocka_unit_test(a_run_started_by_a_screen_outlives_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
