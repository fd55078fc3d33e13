/* Nothing lost: whatever becomes of the studio, its terminal, its engine or the disk at a random moment of a run, the
 * run ends with the adapter that an undisturbed run gives, at once or when it is resumed.
 *
 * test_real_engine PROGRAM [TRIES [MODEL]]: how often each disturbance is tried (2 in the suite, more in soaks; seeds
 * are fixed) and on which model (a tiny one with random weights, or a name that PROGRAM knows). */
#include "engine/base/files.h"
#include "engine/base/format.h"
#include "engine/base/json.h"
#include "engine/run/run_folder.h"
#include "pseudo_terminal.h"
#include "tests/e2e/run_files.h"
#include "tui/screen/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 10, LONGEST_RUN = 600000, DISK_BYTES = 48 << 20 };

static const char *program, *model = SOURCE_FOLDER "/tests/golden/config/deep-sharded";
static int tries = 2, side = 32;
static char home[64], preset_path[PATH_SIZE];
static char *expected; /* tensor bytes of the undisturbed run's adapter */
static size_t expected_bytes;
static int whole_milliseconds; /* that the undisturbed run took */

/* ---- runs ---- */

static pid_t spawn(const char *const *words)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    int nothing = open("/dev/null", O_RDWR);
    for (int descriptor = 0; descriptor < 3; descriptor++) dup2(nothing, descriptor);
    execv(program, (char *const *)words);
    _exit(127);
}

static int finish(pid_t child)
{
    int outcome = 0;
    while (waitpid(child, &outcome, 0) != child) assert_int_equal(errno, EINTR);
    return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : 128 + WTERMSIG(outcome);
}

static pid_t tune(const char *folder)
{
    const char *words[] = {program, "tune", preset_path, "--run", folder, "--threads", "1", "--quiet", NULL};
    return spawn(words);
}

static int resume(const char *folder)
{
    const char *words[] = {program, "resume", folder, "--quiet", NULL};
    return finish(spawn(words));
}

static void expect_adapter(const char *folder)
{
    adapter_must_equal(folder, expected, expected_bytes);
}

/* ---- a run with a studio on it ---- */

struct watched {
    struct session session;
    char path[PATH_SIZE];
    pid_t engine;
};

static void watch(struct watched *watched, const char *kind, int number)
{
    assert_int_equal(path_format(watched->path, "%s/runs/%s-%d", home, kind, number).code, STATUS_OK);
    watched->engine = tune(watched->path);
    int64_t limit = clock_milliseconds() + LONGEST_RUN;
    struct engine_facts facts;
    while (!engine_is_alive(watched->path, &facts)) {
        assert_true(clock_milliseconds() < limit);
        usleep(2000);
    }
    session_prepare(&watched->session);
    watched->session.sixel = true;
    const char *words[] = {program, "attach", watched->path, NULL};
    session_start_program(&watched->session, 40, 120, "xterm-256color", words);
}

/* Looks on until a moment of the run that depends on the seed alone. */
static void look_on(struct watched *watched, unsigned *seed)
{
    session_pump(&watched->session, (int)((unsigned)rand_r(seed) % (unsigned)whole_milliseconds));
}

static void end_studio(struct watched *watched)
{
    if (watched->session.studio > 0) {
        kill(watched->session.studio, SIGTERM);
        int result = session_end(&watched->session, 20000);
        assert_true(result != -1 && WIFEXITED(result) && WEXITSTATUS(result) == 0);
    }
    session_close(&watched->session);
}

static void expect_undisturbed_end(struct watched *watched)
{
    assert_int_equal(finish(watched->engine), 0);
    expect_adapter(watched->path);
}

/* ---- the disturbances ---- */

static void a_killed_studio(void **state)
{
    (void)state;
    unsigned seed = 11;
    for (int number = 0; number < tries; number++) {
        struct watched watched;
        watch(&watched, "studio", number);
        look_on(&watched, &seed);
        kill(watched.session.studio, SIGKILL);
        waitpid(watched.session.studio, NULL, 0);
        watched.session.studio = 0;
        expect_undisturbed_end(&watched);
        end_studio(&watched);
    }
}

static void a_terminal_that_hangs_up(void **state)
{
    (void)state;
    unsigned seed = 12;
    for (int number = 0; number < tries; number++) {
        struct watched watched;
        watch(&watched, "hang-up", number);
        look_on(&watched, &seed);
        bool opened = watched.session.output.length > 0;
        close(watched.session.slave);
        close(watched.session.master);
        watched.session.master = watched.session.slave = 0;
        expect_undisturbed_end(&watched);
        int outcome = finish(watched.session.studio);
        assert_true(outcome == 0 || (!opened && outcome == 128 + SIGHUP)); /* before it has opened it just ends */
        watched.session.studio = 0;
        end_studio(&watched);
    }
}

static void a_terminal_that_stops_reading(void **state)
{
    (void)state;
    unsigned seed = 13;
    for (int number = 0; number < tries; number++) {
        struct watched watched;
        watch(&watched, "deaf", number);
        look_on(&watched, &seed);
        expect_undisturbed_end(&watched); /* nobody reads meanwhile */
        end_studio(&watched);
    }
}

static void a_killed_engine(void **state)
{
    (void)state;
    unsigned seed = 14;
    for (int number = 0; number < tries; number++) {
        struct watched watched;
        watch(&watched, "engine", number);
        bool attached = session_wait(&watched.session, 0, "\033P", 30000);
        look_on(&watched, &seed);
        struct engine_facts facts;
        bool killed = engine_is_alive(watched.path, &facts);
        size_t from = watched.session.output.length;
        kill(watched.engine, SIGKILL);
        killed = finish(watched.engine) == 128 + SIGKILL && killed;
        /* The studio says so, and stays. */
        if (attached && killed) assert_true(session_wait(&watched.session, from, "died at step", 20000));
        session_pump(&watched.session, 300);
        assert_int_equal(waitpid(watched.session.studio, NULL, WNOHANG), 0);
        end_studio(&watched);
        assert_int_equal(resume(watched.path), 0);
        expect_adapter(watched.path);
    }
}

/* Writes until there is no room left; the run's files share the disk with this one. */
static void fill_disk(const char *path)
{
    static char block[4096];
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    memset(block, 'x', sizeof block);
    while (write(file, block, sizeof block) > 0) continue;
    assert_int_equal(errno, ENOSPC);
    close(file);
}

/* A run that no checkpoint could belong to yet takes its folder away when it fails; nothing is lost, and nothing
 * resumes. */
static void await_begun(const char *folder)
{
    char checkpoints[PATH_SIZE];
    assert_int_equal(path_format(checkpoints, "%s/checkpoints", folder).code, STATUS_OK);
    int64_t limit = clock_milliseconds() + LONGEST_RUN;
    while (!path_is_directory(checkpoints)) {
        assert_true(clock_milliseconds() < limit);
        usleep(2000);
    }
}

static void a_full_disk(void **state)
{
    (void)state;
    char runs[PATH_SIZE], filler[PATH_SIZE], size[32];
    assert_int_equal(path_format(runs, "%s/runs", home).code, STATUS_OK);
    assert_int_equal(path_format(filler, "%s/runs/filler", home).code, STATUS_OK);
    snprintf(size, sizeof size, "size=%d", (int)DISK_BYTES);
    if (mount("tmpfs", runs, "tmpfs", 0, size) != 0) {
        print_message("no disk can be made here to be filled: %s\n", strerror(errno));
        skip();
    }
    unsigned seed = 15;
    for (int number = 0; number < tries; number++) {
        struct watched watched;
        watch(&watched, "disk", number);
        look_on(&watched, &seed);
        await_begun(watched.path);
        fill_disk(filler);
        int outcome = finish(watched.engine);
        assert_true(outcome == 0 || outcome == 1); /* it had ended before, or says that it failed */
        session_pump(&watched.session, 300);
        assert_int_equal(waitpid(watched.session.studio, NULL, WNOHANG), 0);
        end_studio(&watched);
        assert_int_equal(unlink(filler), 0);
        assert_int_equal(resume(watched.path), 0);
        expect_adapter(watched.path);
    }
    assert_int_equal(umount2(runs, MNT_DETACH), 0);
}

/* ---- what machines read ---- */

/* Standard output of a command that must end well. */
static char *output_of(const char *const *words)
{
    char path[PATH_SIZE], *text;
    size_t length;
    assert_int_equal(path_format(path, "%s/output", home).code, STATUS_OK);
    pid_t child = fork();
    if (child == 0) {
        int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), nothing = open("/dev/null", O_RDWR);
        dup2(nothing, STDIN_FILENO);
        dup2(file, STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
        execv(program, (char *const *)words);
        _exit(127);
    }
    assert_int_equal(finish(child), 0);
    assert_int_equal(file_read(path, (size_t)1 << 24, &text, &length).code, STATUS_OK);
    return text;
}

static cJSON *parsed(const char *text)
{
    cJSON *json;
    status result = json_parse(text, strlen(text), "the output", &json);
    if (result.code != STATUS_OK) fail_msg("%s: %s", result.message, text);
    return json;
}

/* No figure is missing, and none is what JSON has no words for. The drift is measured with the held-out pictures: null
 * until then. */
static void expect_whole(const cJSON *json)
{
    bool not_yet = json->string && strcmp(json->string, "drift") == 0;
    assert_true(!cJSON_IsNull(json) || not_yet);
    if (cJSON_IsNumber(json)) assert_true(isfinite(json->valuedouble));
    for (const cJSON *member = json->child; member; member = member->next) expect_whole(member);
}

/* E on the list of runs: the file has the tensors that the command's has. */
static void export_in_studio(struct session *session, const char *run)
{
    char folder[PATH_SIZE], target[PATH_SIZE], other[PATH_SIZE], command_target[PATH_SIZE];
    size_t bytes, exported_bytes;
    assert_int_equal(path_format(other, "%s/by-command", home).code, STATUS_OK);
    assert_int_equal(path_format(command_target, "%s/by-command/lora.safetensors", home).code, STATUS_OK);
    assert_int_equal(directory_make(other).code, STATUS_OK);
    const char *words[] = {program, "export", run, "-o", command_target, NULL};
    free(output_of(words));
    assert_int_equal(path_format(folder, "%s/exported", home).code, STATUS_OK);
    assert_int_equal(path_format(target, "%s/exported/lora.safetensors", home).code, STATUS_OK);
    assert_int_equal(directory_make(folder).code, STATUS_OK);
    session_type(session, "E");
    session_pump(session, 300);
    session_type(session, "\025");
    session_type(session, target);
    session_pump(session, 300);
    session_type(session, "\r");
    for (int look = 0; look < 200 && !path_is_file(target); look++) session_pump(session, 100);
    char *ours = adapter_tensors(other, &bytes), *exported = adapter_tensors(folder, &exported_bytes);
    assert_int_equal(bytes, exported_bytes);
    assert_memory_equal(ours, exported, bytes);
    free(ours);
    free(exported);
}

static void complaint_16_machines_read_what_the_screen_shows(void **state)
{
    (void)state;
    char path[PATH_SIZE], metrics[PATH_SIZE], *history;
    size_t length;
    assert_int_equal(path_format(path, "%s/alignprop/runs/machine", getenv("XDG_DATA_HOME")).code, STATUS_OK);
    assert_int_equal(path_format(metrics, "%s/metrics.jsonl", path).code, STATUS_OK);
    const char *words[] = {program, "tune", preset_path, "--run", path, "--threads", "1", "--quiet", "--json", NULL};
    char *lines = output_of(words), *rest = lines;
    assert_int_equal(file_read(metrics, (size_t)1 << 24, &history, &length).code, STATUS_OK);
    int steps = 0;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (line[0] == '\0') continue;
        cJSON *json = parsed(line);
        expect_whole(json);
        if (cJSON_GetObjectItem(json, "reward")) steps++;
        assert_non_null(strstr(history, line)); /* word for word what the run's folder keeps */
        cJSON_Delete(json);
    }
    assert_int_equal(steps, STEPS);
    free(history);
    free(lines);

    const char *list[] = {program, "runs", "--json", NULL};
    char *text = output_of(list);
    cJSON *runs = parsed(text), *run = cJSON_GetArrayItem(runs, 0); /* the newest; those of the tests before follow */
    assert_string_equal(cJSON_GetObjectItem(run, "path")->valuestring, path);
    char best[24], far[24];
    format_number(best, sizeof best, cJSON_GetObjectItem(run, "eval_best")->valuedouble);
    snprintf(far, sizeof far, "%d/%d", cJSON_GetObjectItem(run, "step")->valueint, STEPS);
    assert_string_equal(cJSON_GetObjectItem(run, "state")->valuestring, "finished");
    cJSON_Delete(runs);
    free(text);

    struct session session;
    session_prepare(&session);
    const char *studio[] = {program, NULL};
    session_start_program(&session, 40, 120, "xterm-256color", studio);
    assert_true(session_wait(&session, 0, "Start from a preset", 10000));
    bool found = false;
    for (int look = 0; look < 40 && !found; look++) {
        size_t from = session.output.length;
        session_type(&session, "9\f");
        found = session_wait(&session, from, best, 500) && session_wait(&session, from, far, 0);
    }
    assert_true(found);
    export_in_studio(&session, path);
    kill(session.studio, SIGTERM);
    assert_int_equal(session_end(&session, 20000), 0);
    session_close(&session);
}

/* ---- ---- */

/* A mount namespace of our own, so that a disk can be made and filled; where that is not allowed its test is skipped.
 */
static void enter_namespace(void)
{
    char map[64];
    unsigned user = (unsigned)getuid(), group = (unsigned)getgid();
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return;
        int denial = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
        if (denial >= 0 && write(denial, "deny", 4) != 4) perror("setgroups");
        if (denial >= 0) close(denial);
        static const char *const files[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
        for (int i = 0; i < 2; i++) {
            unsigned number = i == 0 ? user : group;
            int length = snprintf(map, sizeof map, "%u %u 1", number, number);
            int file = open(files[i], O_WRONLY | O_CLOEXEC);
            if (file < 0 || write(file, map, (size_t)length) != length) perror(files[i]);
            if (file >= 0) close(file);
        }
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) perror("making the mounts private");
}

static void set_folders(void)
{
    strcpy(home, "/tmp/studio-survival-XXXXXX");
    assert_non_null(mkdtemp(home));
    static const char *const names[] = {"XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"};
    for (int i = 0; i < 4; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "%s/%s", home, names[i]);
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(setenv(names[i], folder, 1), 0);
    }
}

static int set_up(void **state)
{
    (void)state;
    set_folders();
    char runs[PATH_SIZE], whole[PATH_SIZE], preset[2048];
    assert_int_equal(path_format(runs, "%s/runs", home).code, STATUS_OK);
    assert_int_equal(directory_make(runs).code, STATUS_OK);
    snprintf(
        preset, sizeof preset,
        "{\"schema\":1,\"name\":\"survival\",\"model\":\"%s\",\"prompts\":{\"train\":[\"a cat\",\"two dogs\"],"
        "\"eval\":[\"a bird\",\"a tree\"]},\"rewards\":[{\"name\":\"brightness\"},{\"name\":\"jpeg\",\"weight\":0.1}],"
        "\"sampler\":{\"steps\":4,\"width\":%d,\"height\":%d,\"eta\":0.5},\"batch\":1,\"steps\":%d,"
        "\"checkpoint\":{\"every\":2,\"keep\":3},\"sample\":{\"every\":3,\"count\":2}}",
        model, side, side, (int)STEPS);
    assert_int_equal(path_format(preset_path, "%s/survival.json", home).code, STATUS_OK);
    assert_int_equal(file_write_atomic(preset_path, preset, strlen(preset)).code, STATUS_OK);
    assert_int_equal(path_format(whole, "%s/runs/whole", home).code, STATUS_OK);
    int64_t start = clock_milliseconds();
    assert_int_equal(finish(tune(whole)), 0);
    whole_milliseconds = (int)(clock_milliseconds() - start);
    expected = adapter_tensors(whole, &expected_bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(expected);
    return directory_remove(home).code == STATUS_OK ? 0 : -1;
}

int main(int count, char **words)
{
    if (count < 2) return 2;
    program = words[1];
    if (count > 2) tries = atoi(words[2]);
    if (count > 4) cmocka_set_test_filter(words[4]);
    if (count > 3) model = words[3], side = 128;
    enter_namespace();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_studio),
        cmocka_unit_test(a_terminal_that_hangs_up),
        cmocka_unit_test(a_terminal_that_stops_reading),
        cmocka_unit_test(a_killed_engine),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(complaint_16_machines_read_what_the_screen_shows),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
