/* An engine without a run, asked as a screen asks it. */
#include "engine/server/idle_engine.h"

#include "engine/base/files.h"
#include "engine/protocol/endpoint.h"
#include "engine/run/run_folder.h"
#include "engine/server/device_queue.h"
#include "engine/server/waiting_line.h"
#include "kernels/backend.h"
#include "tests/unit/server/raw_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char home[64];
static struct raw_client client;
static pthread_t thread;
static struct idle_engine_options options;
static char program[96];
static int asked;

static status open_backend(void *context, struct backend **backend)
{
    (void)context;
    return backend_cpu_create(1, backend);
}

static void *serve(void *argument)
{
    status *result = argument;
    *result = idle_engine_serve(&options);
    return result;
}

static status served;

/* A program in the place of this one: a shell script that does `words`. */
static void write_program(const char *text)
{
    FILE *file = fopen(program, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fclose(file);
    assert_int_equal(chmod(program, 0700), 0);
}

#define TINY_PRESET                                                                                                    \
    "{\"schema\":1,\"name\":\"tiny\",\"model\":\"" SOURCE_FOLDER                                                       \
    "/tests/golden/config/deep-sharded\",\"sampler\":{\"steps\":3,\"width\":32,\"height\":32},"                        \
    "\"rewards\":[{\"name\":\"brightness\"}],\"prompts\":{\"train\":[\"a cat\"]}}"
static const char tiny[] = "\"preset\":" TINY_PRESET;

static void write_preset(const char *folder, const char *name, const char *text)
{
    char path[PATH_SIZE];
    assert_int_equal(path_format(path, "%s/%s.json", folder, name).code, STATUS_OK);
    assert_int_equal(file_write_atomic(path, text, strlen(text)).code, STATUS_OK);
}

/* Presets that travel with the program. */
static void write_built_in(void)
{
    char data[PATH_SIZE], folder[PATH_SIZE];
    assert_int_equal(path_format(data, "%s/program-data", home).code, STATUS_OK);
    assert_int_equal(path_format(folder, "%s/presets", data).code, STATUS_OK);
    assert_int_equal(directory_make(folder).code, STATUS_OK);
    write_preset(folder, "built-in", "{\"schema\":1,\"name\":\"built-in\",\"prompts\":{\"train\":[\"a cat\"]}}");
    write_preset(folder, "tiny", TINY_PRESET);
    setenv("ALIGNPROP_DATA", data, 1);
}

static int set_up(void **state)
{
    (void)state;
    test_folder_make(home);
    write_built_in();
    snprintf(program, sizeof program, "%s/program", home);
    options = (struct idle_engine_options){.connection = raw_pair(&client),
                                           .version = "0.0.1",
                                           .program = program,
                                           .device = "cpu",
                                           .threads = 1,
                                           .open_backend = open_backend};
    asked = 0;
    if (pthread_create(&thread, NULL, serve, &served) != 0) return 1;
    cJSON *json = raw_greet(&client);
    bool idle = strcmp(text_of(json, "phase"), "idle") == 0;
    cJSON_Delete(json);
    return !idle;
}

static int tear_down(void **state)
{
    (void)state;
    raw_close(&client); /* the engine ends with its connection */
    pthread_join(thread, NULL);
    test_folder_remove(home);
    return served.code;
}

/* Sends {"type":TYPE,"id":N, MEMBERS} and returns its reply. */
static cJSON *ask(const char *type, const char *members)
{
    char message[4096];
    int id = ++asked;
    snprintf(message, sizeof message, "{\"type\":\"%s\",\"id\":%d%s%s}", type, id, members[0] ? "," : "", members);
    raw_send(&client, message);
    for (;;) {
        cJSON *json = raw_expect(&client, "reply");
        if (number_of(json, "re") == id) return json;
        cJSON_Delete(json);
    }
}

static bool is_ok(const cJSON *reply)
{
    return cJSON_IsTrue(cJSON_GetObjectItem(reply, "ok"));
}

static const cJSON *row_named(const cJSON *rows, const char *key, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        const cJSON *item = cJSON_GetObjectItem(row, key);
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0) return row;
    }
    fail_msg("there is no row with %s = %s", key, name);
    return NULL;
}

static void the_catalogue_comes_from_the_engines_tables(void **state)
{
    (void)state;
    cJSON *reply = ask("catalogue", "");
    assert_true(is_ok(reply));
    const cJSON *catalogue = cJSON_GetObjectItem(reply, "catalogue");
    assert_string_equal(text_of(cJSON_GetObjectItem(catalogue, "device"), "name"), "cpu");
    assert_true(number_of(cJSON_GetObjectItem(catalogue, "device"), "memory_total") > 0);
    const cJSON *jpeg = row_named(cJSON_GetObjectItem(catalogue, "rewards"), "name", "jpeg");
    const cJSON *quality = row_named(cJSON_GetObjectItem(jpeg, "parameters"), "name", "quality");
    assert_true(number_of(quality, "low") == 1 && number_of(quality, "high") == 100);
    const cJSON *fields = cJSON_GetObjectItem(catalogue, "fields");
    const cJSON *rate = row_named(fields, "key", "optimizer.lr");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(rate, "live")) && cJSON_IsTrue(cJSON_GetObjectItem(rate, "log")));
    assert_string_equal(text_of(rate, "group"), "Optimizer");
    const cJSON *field;
    cJSON_ArrayForEach(field, fields)
    {
        assert_true(text_of(field, "label")[0] && text_of(field, "meaning")[0] && text_of(field, "kind")[0] &&
                    text_of(field, "group")[0]);
    }
    const cJSON *preset = row_named(cJSON_GetObjectItem(catalogue, "presets"), "name", "built-in");
    if (!cJSON_IsNull(cJSON_GetObjectItem(preset, "error"))) fail_msg("%s", text_of(preset, "error"));
    assert_string_equal(text_of(cJSON_GetObjectItem(preset, "preset"), "name"), "built-in");
    cJSON_Delete(reply);
}

static void a_wrong_preset_file_is_listed_with_its_error(void **state)
{
    (void)state;
    char folder[PATH_SIZE], path[PATH_SIZE];
    assert_int_equal(path_format(folder, "%s/alignprop/presets", getenv("XDG_CONFIG_HOME")).code, STATUS_OK);
    assert_int_equal(directory_make(folder).code, STATUS_OK);
    assert_int_equal(path_format(path, "%s/broken.json", folder).code, STATUS_OK);
    assert_int_equal(file_write_atomic(path, "{\"schema\":1,", 12).code, STATUS_OK);
    cJSON *reply = ask("catalogue", "");
    const cJSON *presets = cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "catalogue"), "presets");
    const cJSON *row = row_named(presets, "name", "broken");
    assert_non_null(strstr(text_of(row, "error"), "broken.json"));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(row, "own")));
    cJSON_Delete(reply);
}

static void check_names_what_is_wrong(void **state)
{
    (void)state;
    cJSON *reply =
        ask("check", "\"preset\":{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[\"a\"]},\"lora\":{\"rank\":0}}");
    assert_true(is_ok(reply) && cJSON_IsFalse(cJSON_GetObjectItem(reply, "valid")));
    const cJSON *problem = cJSON_GetArrayItem(cJSON_GetObjectItem(reply, "problems"), 0);
    assert_string_equal(text_of(problem, "key"), "lora.rank");
    assert_string_equal(text_of(problem, "severity"), "error");
    cJSON_Delete(reply);
    reply = ask("check", "\"preset\":{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[\"a\"]},\"lora\":{\"rnk\":8}}"
                         ",\"set\":{\"lora.rank\":8}");
    if (!cJSON_IsTrue(cJSON_GetObjectItem(reply, "valid"))) fail_msg("%s", "not valid");
    problem = cJSON_GetArrayItem(cJSON_GetObjectItem(reply, "problems"), 0);
    assert_string_equal(text_of(problem, "severity"), "warning");
    assert_true(number_of(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "preset"), "lora"), "rank") == 8);
    assert_string_equal(text_of(cJSON_GetObjectItem(reply, "sources"), "batch"), "default");
    cJSON_Delete(reply);
    reply = ask("check", "");
    assert_false(is_ok(reply));
    cJSON_Delete(reply);
}

static void own_presets_are_kept_renamed_and_deleted(void **state)
{
    (void)state;
    const char *preset =
        "\"name\":\"mine\",\"preset\":{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[\"a\"]},\"batch\":2}";
    cJSON *reply = ask("presets-save", preset);
    assert_true(is_ok(reply));
    assert_true(path_is_file(text_of(reply, "path")));
    cJSON_Delete(reply);
    char members[256];
    snprintf(members, sizeof members, "%s,\"overwrite\":false", preset);
    reply = ask("presets-save", members);
    assert_false(is_ok(reply));
    cJSON_Delete(reply);
    reply = ask("presets-rename", "\"name\":\"mine\",\"to\":\"ours\"");
    assert_true(is_ok(reply));
    cJSON_Delete(reply);
    reply = ask("check", "\"preset\":\"ours\"");
    assert_string_equal(text_of(cJSON_GetObjectItem(reply, "preset"), "name"), "ours");
    assert_true(number_of(cJSON_GetObjectItem(reply, "preset"), "batch") == 2);
    cJSON_Delete(reply);
    reply = ask("presets-delete", "\"name\":\"ours\"");
    assert_true(is_ok(reply));
    cJSON_Delete(reply);
    const char *const refused[][2] = {
        {"presets-delete", "\"name\":\"ours\""},
        {"presets-delete", "\"name\":\"built-in\""}, /* built in */
        {"presets-delete", "\"name\":\"../../x\""},
        {"presets-delete", ""},
        {"presets-save", "\"name\":\"a/b\",\"preset\":{\"schema\":1,\"name\":\"x\"}"},
        {"presets-save",
         "\"name\":\"bad\",\"preset\":{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[\"a\"]},\"batch\":0}"},
        {"presets-rename", "\"name\":\"nothing\",\"to\":\"x\""},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        reply = ask(refused[i][0], refused[i][1]);
        if (is_ok(reply)) fail_msg("accepted: %s %s", refused[i][0], refused[i][1]);
        cJSON_Delete(reply);
    }
}

/* `path` NULL: in the default place. */
static void make_run(const char *path, struct run_folder *folder)
{
    struct preset preset = {0};
    cJSON *json = cJSON_Parse("{\"schema\":1,\"name\":\"one\",\"steps\":4,\"prompts\":{\"train\":[\"a cat\"]}}");
    assert_int_equal(preset_from_json(json, "test", NULL, NULL, 0, &preset, NULL).code, STATUS_OK);
    cJSON_Delete(json);
    assert_int_equal(run_folder_create(path, &preset, "cpu", 1, folder).code, STATUS_OK);
    preset_clear(&preset);
}

static void append_metrics(const struct run_folder *folder, const char *lines)
{
    char path[PATH_SIZE];
    assert_int_equal(path_format(path, "%s/metrics.jsonl", folder->path).code, STATUS_OK);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
}

static void expect_run(const char *run_state, int steps_done, double best)
{
    cJSON *reply = ask("runs", "");
    const cJSON *rows = cJSON_GetObjectItem(reply, "runs");
    assert_int_equal(cJSON_GetArraySize(rows), 1);
    const cJSON *row = cJSON_GetArrayItem(rows, 0);
    assert_string_equal(text_of(row, "state"), run_state);
    assert_true(number_of(row, "step") == steps_done && number_of(row, "steps") == 4);
    if (best != 0) assert_true(number_of(row, "eval_best") == best);
    cJSON_Delete(reply);
}

static void runs_are_told_by_their_folders(void **state)
{
    (void)state;
    struct run_folder folder;
    make_run(NULL, &folder);
    append_metrics(&folder, "{\"event\":\"evaluation\",\"step\":0,\"eval_reward\":{\"jpeg\":-9,\"total\":-9}}\n"
                            "{\"step\":1,\"reward\":{\"total\":-8},\"eval_reward\":{\"total\":-7}}\n");
    expect_run("running", 1, -7); /* this process holds its lock */
    append_metrics(&folder, "{\"event\":\"pause\",\"step\":1,\"by\":\"studio\"}\n");
    expect_run("paused", 1, -7);
    append_metrics(&folder, "{\"event\":\"continue\",\"step\":1,\"by\":\"studio\"}\n");
    expect_run("running", 1, -7);
    run_folder_unlock(&folder);
    expect_run("interrupted", 1, -7);
    append_metrics(&folder, "{\"step\":2,\"reward\":{\"total\":-6},\"eval_reward\":{\"total\":-8}}\n"
                            "{\"event\":\"end\",\"step\":2,\"status\":\"stopped\"}\n");
    expect_run("stopped", 2, -7);
    append_metrics(&folder, "{\"step\":4,\"reward\":{\"total\":-6}}\n{\"torn");
    expect_run("finished", 4, -7);
}

static void a_run_in_another_folder_is_listed_too(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct run_folder folder, found;
    assert_int_equal(path_format(path, "%s/elsewhere", home).code, STATUS_OK);
    make_run(path, &folder);
    run_folder_unlock(&folder);
    for (int round = 0; round < 2; round++) { /* noted once, however often it is taken up */
        assert_string_equal(run_folder_register(&folder).message, "");
        cJSON *reply = ask("runs", "");
        const cJSON *rows = cJSON_GetObjectItem(reply, "runs");
        assert_int_equal(cJSON_GetArraySize(rows), 1);
        assert_string_equal(text_of(cJSON_GetArrayItem(rows, 0), "path"), path);
        cJSON_Delete(reply);
    }
    assert_string_equal(run_folder_open("elsewhere", &found).message, "");
    assert_string_equal(found.path, path);
    assert_string_equal(directory_remove(path).message, "");
    cJSON *reply = ask("runs", "");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "runs")), 0);
    cJSON_Delete(reply);
}

static void many_runs_come_in_pages(void **state)
{
    (void)state;
    enum { RUNS = 5, A_PAGE = 2 };
    for (int i = 0; i < RUNS; i++) {
        struct run_folder folder;
        make_run(NULL, &folder);
        run_folder_unlock(&folder);
    }
    char seen[RUNS][PATH_SIZE];
    int count = 0, from = 0, pages = 0;
    do {
        char members[80];
        snprintf(members, sizeof members, "\"from\":%d,\"count\":%d", from, (int)A_PAGE);
        cJSON *reply = ask("runs", members);
        const cJSON *row;
        assert_true(number_of(reply, "from") == from && number_of(reply, "total") == RUNS);
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(reply, "runs"))
        {
            for (int i = 0; i < count; i++) assert_string_not_equal(seen[i], text_of(row, "path"));
            assert_true(count < RUNS);
            snprintf(seen[count++], PATH_SIZE, "%s", text_of(row, "path"));
        }
        const cJSON *next = cJSON_GetObjectItem(reply, "next");
        from = cJSON_IsNumber(next) ? next->valueint : 0;
        cJSON_Delete(reply);
        pages++;
    } while (from > 0);
    assert_int_equal(count, RUNS);
    assert_int_equal(pages, 3);
}

/* 200 presets of 4 KiB and more, which no message holds at once, and one of 9,000 prompts, which none holds alone. */
static void many_and_large_presets_come_in_pages(void **state)
{
    (void)state;
    enum { PRESETS = 200, NOTES = 4000, PROMPTS = 9000 };
    char folder[PATH_SIZE], name[40];
    assert_int_equal(path_format(folder, "%s/program-data/presets", home).code, STATUS_OK);
    static char text[2 << 20], notes[NOTES + 1];
    memset(notes, 'n', NOTES);
    for (int i = 0; i < PRESETS; i++) {
        snprintf(name, sizeof name, "many-%03d", i);
        snprintf(text, sizeof text, "{\"schema\":1,\"name\":\"%s\",\"notes\":\"%s\",\"prompts\":{\"train\":[\"a\"]}}",
                 name, notes);
        write_preset(folder, name, text);
    }
    size_t length =
        (size_t)snprintf(text, sizeof text, "{\"schema\":1,\"name\":\"large\",\"prompts\":{\"train\":[\"p\"");
    for (int i = 0; i < PROMPTS; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   ",\"prompt %d of a list that is longer than a message\"", i);
    snprintf(text + length, sizeof text - length, "],\"eval\":[\"e\"]}}");
    write_preset(folder, "large", text);

    int count = 0, from = 0, pages = 0, abridged = 0;
    do {
        char members[40];
        snprintf(members, sizeof members, "\"from\":%d", from);
        cJSON *reply = ask("catalogue", members);
        assert_true(is_ok(reply));
        const cJSON *catalogue = cJSON_GetObjectItem(reply, "catalogue"), *row;
        assert_true((pages == 0) == (cJSON_GetObjectItem(catalogue, "fields") != NULL));
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(catalogue, "presets"))
        {
            const cJSON *preset = cJSON_GetObjectItem(row, "preset");
            if (!cJSON_IsObject(preset)) fail_msg("%s: %s", text_of(row, "name"), text_of(row, "error"));
            count++;
            if (!cJSON_IsTrue(cJSON_GetObjectItem(row, "abridged"))) continue;
            abridged++;
            assert_string_equal(text_of(row, "name"), "large");
            assert_true(number_of(row, "prompts") == PROMPTS + 1);
            const cJSON *train = cJSON_GetObjectItem(cJSON_GetObjectItem(preset, "prompts"), "train");
            assert_int_equal(cJSON_GetArraySize(train), 8);
        }
        const cJSON *next = cJSON_GetObjectItem(reply, "next");
        from = cJSON_IsNumber(next) ? next->valueint : 0;
        cJSON_Delete(reply);
        pages++;
    } while (from > 0);
    assert_int_equal(count, PRESETS + 3); /* with the two that every test has */
    assert_int_equal(abridged, 1);
    assert_true(pages >= 3);
}

/* The engine of these tests works in the same folder as its client; the run's program is one that does nothing. */
static void a_relative_run_begins_at_the_clients_folder(void **state)
{
    (void)state;
    char before[PATH_SIZE], expected[PATH_SIZE];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(home), 0);
    char members[1024];
    write_program("ls -d \"$2\" >&2; exit 3");
    snprintf(members, sizeof members, "%s,\"run\":\"mine/first\",\"when\":\"now\"", tiny);
    cJSON *reply = ask("start", members);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(path_format(expected, "%s/mine/first", home).code, STATUS_OK);
    assert_false(is_ok(reply));
    assert_string_equal(text_of(reply, "error"), expected);
    cJSON_Delete(reply);
}

/* A name that leads to a device stays one, and gets nothing. */
static void presets_are_saved_onto_files_only(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct stat facts;
    assert_int_equal(path_format(path, "%s/alignprop/presets", getenv("XDG_CONFIG_HOME")).code, STATUS_OK);
    assert_int_equal(directory_make(path).code, STATUS_OK);
    assert_int_equal(path_format(path, "%s/alignprop/presets/device.json", getenv("XDG_CONFIG_HOME")).code, STATUS_OK);
    assert_int_equal(symlink("/dev/null", path), 0);
    cJSON *reply = ask("presets-save",
                       "\"name\":\"device\",\"preset\":{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[\"a\"]}}");
    assert_false(is_ok(reply));
    if (!strstr(text_of(reply, "error"), "device.json: is a device")) fail_msg("%s", text_of(reply, "error"));
    cJSON_Delete(reply);
    assert_int_equal(lstat(path, &facts), 0);
    assert_true(S_ISLNK(facts.st_mode));
    assert_int_equal(unlink(path), 0);
}

static void an_export_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } wrong[] = {{"", "'run' is needed"},
                 {"\"run\":\"nothing-like-it\"", "'path' is needed"},
                 {"\"run\":\"nothing-like-it\",\"path\":\"out.safetensors\"", "no such run"},
                 {"\"run\":\"/nowhere\",\"path\":\"/tmp/x\",\"format\":\"zip\"", "kohya or peft"},
                 {"\"run\":\"/nowhere\",\"path\":\"/tmp/x\",\"scale\":1e9", "from -100 to 100"},
                 {"\"run\":\"/nowhere\",\"path\":\"/tmp/x\"", "/nowhere"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cJSON *reply = ask("export", wrong[i].text);
        assert_false(is_ok(reply));
        if (!strstr(text_of(reply, "error"), wrong[i].error)) fail_msg("%s", text_of(reply, "error"));
        cJSON_Delete(reply);
    }
}

static void a_run_that_cannot_start_says_why_and_leaves_nothing(void **state)
{
    (void)state;
    write_program("echo 'alignprop: needs 9 GB, 1 GB is free' >&2; exit 4");
    cJSON *reply = ask("start", "\"preset\":\"built-in\"");
    assert_false(is_ok(reply));
    assert_true(number_of(reply, "code") == STATUS_NO_MEMORY);
    assert_non_null(strstr(text_of(reply, "error"), "needs 9 GB, 1 GB is free"));
    cJSON_Delete(reply);
    reply = ask("runs", "");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "runs")), 0);
    cJSON_Delete(reply);
    write_program("kill -9 $$");
    reply = ask("start", "\"preset\":\"built-in\"");
    assert_non_null(strstr(text_of(reply, "error"), "signal 9"));
    cJSON_Delete(reply);
    const char *const wrong[] = {"", "\"preset\":\"nothing-like-it\"", "\"resume\":\"nothing-like-it\"",
                                 "\"preset\":\"built-in\",\"when\":\"tomorrow\""};
    for (int i = 0; i < 4; i++) {
        reply = ask("start", wrong[i]);
        if (is_ok(reply)) fail_msg("accepted: start %s", wrong[i]);
        cJSON_Delete(reply);
    }
}

/* Comes to work beside others, and leaves with its process. */
static void visit_device(const char *run_folder)
{
    pid_t visitor = fork();
    if (visitor == 0) {
        int place;
        status entered = device_enter("cpu", run_folder, true, &place, NULL);
        _exit(entered.code == STATUS_OK && place >= 0 ? 0 : 1);
    }
    int result;
    assert_true(visitor > 0);
    assert_int_equal(waitpid(visitor, &result, 0), visitor);
    assert_int_equal(result, 0);
}

static void a_busy_device_is_told(void **state)
{
    (void)state;
    int place, other;
    struct device_holder holder;
    assert_int_equal(device_enter("cpu", "/runs/first", false, &place, NULL).code, STATUS_OK);
    assert_true(place >= 0);
    cJSON *reply = ask("start", "\"preset\":\"built-in\",\"when\":\"ask\"");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(reply, "busy")));
    assert_non_null(strstr(text_of(reply, "error"), "/runs/first"));
    cJSON_Delete(reply);
    assert_int_equal(device_enter("cpu", "/runs/second", false, &other, &holder).code, STATUS_OK);
    assert_int_equal(other, -1); /* it waits */
    assert_string_equal(holder.run_folder, "/runs/first");
    assert_int_equal(holder.pid, getpid());
    visit_device("/runs/visitor");
    assert_true(device_is_busy("cpu", &holder));
    assert_string_equal(holder.run_folder, "/runs/first"); /* not who came later and has left */
    assert_int_equal(device_enter("cpu", "/runs/second", true, &other, NULL).code, STATUS_OK);
    assert_true(other >= 0); /* it works beside */
    close(place);
    assert_true(device_is_busy("cpu", NULL));
    close(other);
    assert_false(device_is_busy("cpu", NULL));
    assert_int_equal(device_enter("cpu", "/runs/third", false, &place, NULL).code, STATUS_OK);
    assert_true(place >= 0);
    close(place);
}

static void who_waits_for_a_device_gets_it_in_order(void **state)
{
    (void)state;
    struct waiting_turn first, second, third, other;
    int ahead;
    assert_int_equal(waiting_line_join("cpu", &first).code, STATUS_OK);
    assert_int_equal(waiting_line_join("cpu", &second).code, STATUS_OK);
    assert_int_equal(waiting_line_join("cpu", &third).code, STATUS_OK);
    assert_int_equal(waiting_line_join("cuda:0", &other).code, STATUS_OK); /* a line of its own */
    assert_int_equal(waiting_line_ahead(&first, &ahead).code, STATUS_OK);
    assert_int_equal(ahead, 0);
    assert_int_equal(waiting_line_ahead(&third, &ahead).code, STATUS_OK);
    assert_int_equal(ahead, 2);
    assert_int_equal(waiting_line_ahead(&other, &ahead).code, STATUS_OK);
    assert_int_equal(ahead, 0);
    waiting_line_leave(&first);
    close(second.descriptor); /* as when its process is killed */
    assert_int_equal(waiting_line_ahead(&third, &ahead).code, STATUS_OK);
    assert_int_equal(ahead, 0);
    assert_int_equal(waiting_line_join("cpu", &first).code, STATUS_OK); /* comes back: behind */
    assert_int_equal(waiting_line_ahead(&third, &ahead).code, STATUS_OK);
    assert_int_equal(ahead, 0);
    assert_int_equal(waiting_line_ahead(&first, &ahead).code, STATUS_OK);
    assert_int_equal(ahead, 1);
    waiting_line_leave(&first);
    waiting_line_leave(&third);
    waiting_line_leave(&other);
}

/* "sampled" for that request. */
static cJSON *sampled(int id)
{
    for (;;) {
        cJSON *json = raw_expect(&client, "sampled");
        if (number_of(json, "re") == id) return json;
        cJSON_Delete(json);
    }
}

static void a_plan_adds_up(void **state)
{
    (void)state;
    cJSON *reply = ask("plan", tiny);
    if (!is_ok(reply)) fail_msg("%s", text_of(reply, "error"));
    const cJSON *plan = cJSON_GetObjectItem(reply, "plan");
    double sum = 0;
    const cJSON *line;
    cJSON_ArrayForEach(line, cJSON_GetObjectItem(plan, "lines")) sum += number_of(line, "bytes");
    assert_true(sum == number_of(plan, "total_bytes") && sum > 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(plan, "fits")));
    cJSON_Delete(reply);
    char members[1024];
    snprintf(members, sizeof members, "%s,\"set\":{\"batch\":8,\"memory.limit\":2000000}", tiny);
    reply = ask("plan", members);
    if (is_ok(reply)) assert_true(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "plan"), "fits")));
    cJSON_Delete(reply);
    reply =
        ask("plan",
            "\"preset\":{\"schema\":1,\"name\":\"t\",\"model\":\"nothing-like-it\",\"prompts\":{\"train\":[\"a\"]}}");
    assert_false(is_ok(reply));
    if (!strstr(text_of(reply, "error"), "nothing-like-it")) fail_msg("%s", text_of(reply, "error"));
    cJSON_Delete(reply);
}

static void presets_are_planned_ahead_for_the_lists(void **state)
{
    (void)state;
    cJSON_Delete(raw_expect(&client, "catalogue-changed"));
    cJSON *reply = ask("plan", "\"preset\":\"tiny\"");
    double bytes = number_of(cJSON_GetObjectItem(reply, "plan"), "total_bytes");
    cJSON_Delete(reply);
    reply = ask("catalogue", "");
    const cJSON *presets = cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "catalogue"), "presets");
    assert_true(number_of(row_named(presets, "name", "tiny"), "memory_bytes") == bytes);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(row_named(presets, "name", "built-in"), "memory_bytes")));
    cJSON_Delete(reply);
}

/* The pixels of the one picture that answers the request. */
static void sample_pixels(const char *more, uint8_t pixels[32 * 32 * 3])
{
    char members[2048];
    snprintf(members, sizeof members, "%s,\"prompts\":[\"a cat\"],\"seeds\":[\"7\"]%s", tiny, more);
    cJSON *reply = ask("sample", members);
    assert_true(is_ok(reply));
    cJSON_Delete(reply);
    cJSON *header;
    size_t pixel_bytes;
    int kind;
    while ((kind = raw_receive(&client, &header, &pixel_bytes)) == FRAME_JSON) {
        if (strcmp(text_of(header, "type"), "sampled") == 0) fail_msg("%s", text_of(header, "error"));
        cJSON_Delete(header);
    }
    assert_int_equal(kind, FRAME_PICTURE);
    assert_int_equal(pixel_bytes, 32 * 32 * 3);
    assert_true(number_of(header, "re") == asked);
    cJSON_Delete(header);
    memcpy(pixels, client.reader.bytes + client.reader.start - pixel_bytes, pixel_bytes);
    cJSON *done = sampled(asked);
    assert_true(is_ok(done));
    cJSON_Delete(done);
}

static void the_same_sample_gives_the_same_picture(void **state)
{
    (void)state;
    uint8_t first[32 * 32 * 3], again[32 * 32 * 3], other[32 * 32 * 3];
    sample_pixels("", first);
    sample_pixels(",\"set\":{\"sampler.guidance\":1}", other);
    sample_pixels("", again);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void a_wrong_sample_says_what_is_wrong(void **state)
{
    (void)state;
    const char *const wrong[] = {",\"prompts\":[]",
                                 ",\"prompts\":[\"a\"],\"seeds\":[42]",
                                 ",\"prompts\":[\"a\"],\"adapters\":[{\"path\":\"/nowhere.safetensors\"}]",
                                 ",\"prompts\":[\"a\"],\"adapters\":[{\"current\":true}]",
                                 ",\"prompts\":[\"a\"],\"adapters\":[{}]",
                                 ",\"prompts\":[7]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char members[2048];
        snprintf(members, sizeof members, "%s%s", tiny, wrong[i]);
        cJSON_Delete(ask("sample", members));
        cJSON *done = sampled(asked);
        if (is_ok(done)) fail_msg("accepted: %s", wrong[i]);
        assert_true(text_of(done, "error")[0] != '\0');
        cJSON_Delete(done);
    }
}

static void of_many_samples_the_last_is_always_made(void **state)
{
    (void)state;
    int last = 0, made = 0, superseded = 0;
    for (int i = 0; i < 20; i++) {
        char message[2048];
        last = ++asked;
        snprintf(message, sizeof message, "{\"type\":\"sample\",\"id\":%d,%s,\"prompts\":[\"a cat\"]}", last, tiny);
        raw_send(&client, message);
    }
    while (made + superseded < 20) {
        cJSON *json = raw_expect(&client, "sampled");
        bool ok = is_ok(json);
        if (number_of(json, "re") == last) assert_true(ok);
        if (!ok) assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "superseded")));
        made += ok;
        superseded += !ok;
        cJSON_Delete(json);
    }
    assert_true(superseded > 0);
}

static void requests_for_a_run_are_refused(void **state)
{
    (void)state;
    const char *const types[] = {"pause", "stop", "save-now", "dance"};
    for (int i = 0; i < 4; i++) {
        cJSON *reply = ask(types[i], "");
        assert_false(is_ok(reply));
        cJSON_Delete(reply);
    }
    cJSON *reply = ask("state", "");
    assert_true(is_ok(reply));
    cJSON_Delete(reply);
}

#define SERVICE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVICE_TEST(the_catalogue_comes_from_the_engines_tables),
        SERVICE_TEST(a_wrong_preset_file_is_listed_with_its_error),
        SERVICE_TEST(check_names_what_is_wrong),
        SERVICE_TEST(own_presets_are_kept_renamed_and_deleted),
        SERVICE_TEST(runs_are_told_by_their_folders),
        SERVICE_TEST(many_runs_come_in_pages),
        SERVICE_TEST(many_and_large_presets_come_in_pages),
        SERVICE_TEST(a_relative_run_begins_at_the_clients_folder),
        SERVICE_TEST(presets_are_saved_onto_files_only),
        SERVICE_TEST(an_export_that_cannot_be_is_refused),
        SERVICE_TEST(a_run_that_cannot_start_says_why_and_leaves_nothing),
        SERVICE_TEST(a_run_in_another_folder_is_listed_too),
        SERVICE_TEST(a_busy_device_is_told),
        SERVICE_TEST(who_waits_for_a_device_gets_it_in_order),
        SERVICE_TEST(a_plan_adds_up),
        SERVICE_TEST(presets_are_planned_ahead_for_the_lists),
        SERVICE_TEST(the_same_sample_gives_the_same_picture),
        SERVICE_TEST(a_wrong_sample_says_what_is_wrong),
        SERVICE_TEST(of_many_samples_the_last_is_always_made),
        SERVICE_TEST(requests_for_a_run_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
