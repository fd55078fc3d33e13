/* What watchers see of a run: the hooks of a session are called as a session calls them. */
#include "engine/base/clock.h"
#include "engine/server/run_service.h"

#include "engine/base/files.h"
#include "engine/base/json.h"
#include "engine/protocol/endpoint.h"
#include "engine/protocol/message.h"
#include "tests/unit/server/raw_client.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char home[64];
static struct preset preset;
static struct run_folder folder;
static struct run_service *service;
static struct session_hooks hooks;
static struct session_state now;
static struct memory_plan plan;
static volatile sig_atomic_t interrupts;
static int also_called;

static void count_call(void *context, const struct session_line *line)
{
    (void)context;
    (void)line;
    also_called++;
}

static int set_up(void **state)
{
    (void)state;
    test_folder_make(home);
    const char *text = "{\"schema\":1,\"name\":\"two\",\"prompts\":{\"train\":[\"a cat\"],\"eval\":[\"a dog\"]},"
                       "\"rewards\":[{\"name\":\"jpeg\",\"weight\":0.5}],\"sampler\":{\"width\":16,\"height\":16}}";
    cJSON *json = cJSON_Parse(text);
    status read = preset_from_json(json, "test", NULL, NULL, 0, &preset, NULL);
    cJSON_Delete(json);
    if (read.code != STATUS_OK) fail_msg("%s", read.message);
    read = run_folder_create(NULL, &preset, "cpu", 1, &folder);
    if (read.code != STATUS_OK) fail_msg("%s", read.message);
    interrupts = 0;
    also_called = 0;
    struct run_service_options options = {.folder = &folder,
                                          .preset = &preset,
                                          .steps = 100,
                                          .device = "cpu",
                                          .threads = 2,
                                          .version = "0.0.1",
                                          .program = "/bin/false",
                                          .also = {.event = count_call},
                                          .interrupts = &interrupts};
    read = run_service_create(&options, &service);
    if (read.code != STATUS_OK) fail_msg("%s", read.message);
    hooks = run_service_hooks(service);
    memset(&plan, 0, sizeof plan);
    plan.total_bytes = 1000;
    now = (struct session_state){.phase = SESSION_RUNNING,
                                 .steps = 100,
                                 .seconds_per_step = NAN,
                                 .seconds_left = NAN,
                                 .plan = &plan,
                                 .best_step = -1,
                                 .checkpoint_step = -1,
                                 .preset = &preset,
                                 .device = "cpu",
                                 .settings = live_settings_of(&preset),
                                 .run_folder = folder.path};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    run_service_end(service, status_ok(), 0.2);
    service = NULL;
    run_folder_unlock(&folder);
    preset_clear(&preset);
    test_folder_remove(home);
    return 0;
}

static void append_line(const char *line)
{
    char path[PATH_SIZE];
    assert_int_equal(path_format(path, "%s/metrics.jsonl", folder.path).code, STATUS_OK);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fprintf(file, "%s\n", line);
    fclose(file);
}

/* As a session does: to the hook for metrics of that step, or (step negative) to that for events. */
static void hand_line(const char *text, int step)
{
    cJSON *value = cJSON_Parse(text);
    const struct session_line line = {text, value};
    if (step >= 0)
        hooks.metrics(hooks.context, &line, step);
    else
        hooks.event(hooks.context, &line);
    cJSON_Delete(value);
}

/* A step as a session does it: its line is in the file when the hook is called. */
static void step(int number)
{
    char line[200];
    snprintf(line, sizeof line, "{\"step\":%d,\"reward\":{\"jpeg\":-%d,\"total\":-%g},\"k\":3}", number, number,
             0.5 * number);
    append_line(line);
    hand_line(line, number);
    now.step = number;
    hooks.state(hooks.context, &now);
}

static cJSON *greet(struct raw_client *client)
{
    raw_connect(client, run_service_socket(service));
    return raw_greet(client);
}

/* Reads the first `bytes` of the metrics file and then the live lines into one text: what a screen goes by. */
static void read_history(const cJSON *state, char *text, size_t room)
{
    size_t bytes = (size_t)number_of(cJSON_GetObjectItem(state, "history"), "bytes"), length;
    char path[PATH_SIZE], *data;
    assert_int_equal(path_format(path, "%s/metrics.jsonl", folder.path).code, STATUS_OK);
    text[0] = '\0';
    if (bytes == 0) return;
    assert_int_equal(file_read(path, 1 << 20, &data, &length).code, STATUS_OK);
    assert_true(bytes <= length && bytes < room);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    free(data);
}

static void append_live(struct raw_client *client, int lines, char *text, size_t room)
{
    for (int i = 0; i < lines; i++) {
        cJSON *message = raw_expect(client, "metrics");
        char *line = json_print(cJSON_GetObjectItem(message, "line"), false);
        size_t used = strlen(text);
        snprintf(text + used, room - used, "%s\n", line);
        free(line);
        cJSON_Delete(message);
    }
}

static void attaching_at_step_30_shows_what_watching_from_0_shows(void **state)
{
    (void)state;
    static char watched[1 << 16], attached[1 << 16];
    struct raw_client first, late;
    cJSON *json = greet(&first);
    assert_string_equal(text_of(json, "phase"), "starting");
    read_history(json, watched, sizeof watched);
    cJSON_Delete(json);
    now.phase = SESSION_RUNNING;
    hooks.state(hooks.context, &now);
    for (int i = 1; i <= 30; i++) step(i);
    json = greet(&late);
    assert_true(number_of(json, "step") == 30);
    assert_string_equal(text_of(json, "phase"), "running");
    assert_true(number_of(cJSON_GetObjectItem(json, "last"), "step") == 30);
    read_history(json, attached, sizeof attached);
    cJSON_Delete(json);
    for (int i = 31; i <= 40; i++) step(i);
    append_live(&first, 40, watched, sizeof watched);
    append_live(&late, 10, attached, sizeof attached);
    assert_string_equal(watched, attached);
    raw_close(&first);
    raw_close(&late);
}

static void the_state_has_all_that_a_screen_needs(void **state)
{
    (void)state;
    now.seconds_per_step = 2;
    now.seconds_left = 140;
    now.best_step = 20;
    now.best_total = -3;
    step(30);
    struct raw_client client;
    cJSON *json = greet(&client);
    assert_string_equal(text_of(cJSON_GetObjectItem(json, "run"), "path"), folder.path);
    assert_string_equal(text_of(json, "device"), "cpu");
    assert_true(number_of(json, "threads") == 2 && number_of(json, "steps") == 100);
    assert_true(number_of(json, "seconds_left") == 140);
    assert_true(number_of(cJSON_GetObjectItem(json, "best"), "step") == 20);
    assert_true(number_of(cJSON_GetObjectItem(json, "weights"), "jpeg") == 0.5);
    assert_true(number_of(cJSON_GetObjectItem(json, "settings"), "rewards.jpeg.weight") == 0.5);
    assert_true(number_of(cJSON_GetObjectItem(json, "settings"), "optimizer.lr") == preset.learning_rate);
    const cJSON *range = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "ranges"), "rewards.jpeg.weight");
    assert_true(cJSON_GetArrayItem(range, 0)->valuedouble == -1000 &&
                cJSON_GetArrayItem(range, 1)->valuedouble == 1000);
    assert_true(number_of(cJSON_GetObjectItem(json, "memory"), "planned") == 1000);
    assert_string_equal(text_of(cJSON_GetObjectItem(json, "preset"), "name"), "two");
    cJSON_Delete(json);
    raw_close(&client);
}

/* Takes the one request that waits, as a session does. */
static struct session_request take(void)
{
    struct session_request request;
    for (int i = 0; i < 500; i++) {
        if (hooks.take_request(hooks.context, &request)) return request;
        hooks.wait_request(hooks.context, 0.01);
    }
    fail_msg("no request came");
    return (struct session_request){0};
}

static void a_set_is_pending_until_it_is_applied_and_both_clients_see_it(void **state)
{
    (void)state;
    step(1);
    struct raw_client asker, other;
    cJSON_Delete(greet(&asker));
    cJSON_Delete(greet(&other));
    raw_send(&asker, "{\"type\":\"set\",\"id\":5,\"key\":\"rewards.jpeg.weight\",\"value\":0.75}");
    struct session_request request = take();
    assert_int_equal(request.kind, REQUEST_SET);
    assert_string_equal(request.key, "rewards.jpeg.weight");
    assert_string_equal(request.by, "test");
    assert_true(request.value == 0.75);
    append_line(
        "{\"event\":\"set\",\"step\":3,\"key\":\"rewards.jpeg.weight\",\"from\":0.5,\"to\":0.75,\"by\":\"test\"}");
    hand_line("{\"event\":\"set\",\"step\":3,\"key\":\"rewards.jpeg.weight\",\"from\":0.5,\"to\":0.75,\"by\":\"test\"}",
              -1);
    hooks.answer(hooks.context, &request, status_ok(), 3);
    assert_int_equal(also_called, 1);
    cJSON *json = raw_expect(&asker, "reply");
    assert_true(number_of(json, "re") == 5 && number_of(json, "step") == 3);
    cJSON_Delete(json);
    json = raw_expect(&other, "event");
    assert_true(number_of(cJSON_GetObjectItem(json, "line"), "to") == 0.75);
    cJSON_Delete(json);
    json = raw_expect(&other, "state");
    assert_true(number_of(cJSON_GetObjectItem(json, "pending"), "rewards.jpeg.weight") == 0.75);
    assert_true(number_of(json, "pending_step") == 3);
    assert_true(number_of(cJSON_GetObjectItem(json, "weights"), "jpeg") == 0.5);
    cJSON_Delete(json);
    now.settings.weights[0] = 0.75;
    hooks.state(hooks.context, &now);
    json = raw_expect(&other, "state");
    assert_null(cJSON_GetObjectItem(json, "pending")->child);
    assert_true(number_of(cJSON_GetObjectItem(json, "weights"), "jpeg") == 0.75);
    cJSON_Delete(json);
    raw_close(&asker);
    raw_close(&other);
}

static void a_refusal_reaches_the_one_who_asked(void **state)
{
    (void)state;
    struct raw_client client;
    cJSON_Delete(greet(&client));
    raw_send(&client, "{\"type\":\"set\",\"id\":1,\"key\":\"optimizer.lr\",\"value\":7}");
    struct session_request request = take();
    hooks.answer(hooks.context, &request, status_error(STATUS_BAD_INPUT, "too much"), 0);
    cJSON *json = raw_expect(&client, "reply");
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "ok")));
    assert_string_equal(text_of(json, "error"), "too much");
    assert_true(number_of(json, "code") == STATUS_BAD_INPUT);
    cJSON_Delete(json);
    const char *const wrong[] = {"{\"type\":\"set\",\"id\":2,\"value\":1}",
                                 "{\"type\":\"set\",\"id\":2,\"key\":\"optimizer.lr\",\"value\":\"1\"}",
                                 "{\"type\":\"rollback\",\"id\":2}",
                                 "{\"type\":\"rollback\",\"id\":2,\"step\":1.5}",
                                 "{\"type\":\"cancel\",\"id\":2,\"re\":99}",
                                 "{\"type\":\"set\",\"id\":2,\"key\":\"preview.rate\",\"value\":31}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        raw_send(&client, wrong[i]);
        json = raw_expect(&client, "reply");
        if (!cJSON_IsFalse(cJSON_GetObjectItem(json, "ok"))) fail_msg("accepted: %s", wrong[i]);
        cJSON_Delete(json);
    }
    assert_false(hooks.take_request(hooks.context, &request));
    raw_close(&client);
}

static void pause_continue_and_stop_change_the_phase(void **state)
{
    (void)state;
    step(1);
    struct raw_client client;
    cJSON_Delete(greet(&client));
    const struct {
        const char *type;
        enum session_request_kind kind;
        const char *asked, *reached;
        enum session_phase phase;
    } cases[] = {{"pause", REQUEST_PAUSE, "pausing", "paused", SESSION_PAUSED},
                 {"continue", REQUEST_CONTINUE, "paused", "running", SESSION_RUNNING},
                 {"stop", REQUEST_STOP, "stopping", "stopping", SESSION_STOPPING}};
    for (int i = 0; i < 3; i++) {
        char message[64];
        snprintf(message, sizeof message, "{\"type\":\"%s\",\"id\":%d}", cases[i].type, i);
        raw_send(&client, message);
        struct session_request request = take();
        assert_int_equal(request.kind, cases[i].kind);
        hooks.answer(hooks.context, &request, status_ok(), 1);
        cJSON *json = raw_expect(&client, "state");
        assert_string_equal(text_of(json, "phase"), cases[i].asked);
        cJSON_Delete(json);
        cJSON_Delete(raw_expect(&client, "reply"));
        now.phase = cases[i].phase;
        hooks.state(hooks.context, &now);
        if (strcmp(cases[i].asked, cases[i].reached) == 0) continue;
        json = raw_expect(&client, "state");
        assert_string_equal(text_of(json, "phase"), cases[i].reached);
        cJSON_Delete(json);
    }
    assert_int_equal(interrupts, 0);
    raw_send(&client, "{\"type\":\"stop\",\"id\":9,\"save\":false}");
    take();
    for (int i = 0; i < 6000 && interrupts == 0; i++) usleep(10000); /* set just after the request is posted */
    assert_int_equal(interrupts, 2);
    raw_close(&client);
}

static void pictures_have_their_recipe(void **state)
{
    (void)state;
    struct raw_client client;
    cJSON_Delete(greet(&client));
    unsigned char pixels[16 * 16 * 3] = {7};
    double rewards[1] = {-4.5};
    struct tuner_picture picture = {.kind = PICTURE_EVALUATION,
                                    .step = 10,
                                    .index = 2,
                                    .width = 16,
                                    .height = 16,
                                    .pixels = pixels,
                                    .prompt = "a dog",
                                    .total = -2.25,
                                    .rewards = rewards,
                                    .seed = 18446744073709551615ull};
    hooks.picture(hooks.context, &picture);
    cJSON *json;
    size_t pixel_bytes;
    assert_int_equal(raw_receive(&client, &json, &pixel_bytes), 'P');
    assert_int_equal(pixel_bytes, sizeof pixels);
    assert_string_equal(text_of(json, "kind"), "eval");
    assert_string_equal(text_of(json, "prompt"), "a dog");
    assert_string_equal(text_of(json, "seed"), "18446744073709551615");
    assert_true(number_of(json, "reward") == -2.25 && number_of(json, "step") == 10 && number_of(json, "index") == 2);
    assert_true(number_of(cJSON_GetObjectItem(json, "rewards"), "jpeg") == -4.5);
    cJSON_Delete(json);
    picture.kind = PICTURE_DENOISING;
    picture.width = picture.height = 2;
    picture.denoising_step = 7;
    picture.denoising_steps = 20;
    picture.total = NAN;
    picture.rewards = NULL;
    hooks.picture(hooks.context, &picture);
    assert_int_equal(raw_receive(&client, &json, &pixel_bytes), 'P');
    assert_int_equal(pixel_bytes, 12);
    assert_true(number_of(json, "full_width") == 16);
    assert_true(number_of(cJSON_GetObjectItem(json, "denoising"), "done") == 7);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "reward")));
    cJSON_Delete(json);
    raw_close(&client);
}

static void progress_is_rationed(void **state)
{
    (void)state;
    struct raw_client client;
    cJSON_Delete(greet(&client));
    for (int i = 1; i <= 1000; i++) hooks.progress(hooks.context, "sampling", 1, i, 1000);
    hooks.progress(hooks.context, "backward", 1, 1, 5);
    int count = 0;
    for (;;) {
        cJSON *json = raw_expect(&client, "progress");
        bool last = strcmp(text_of(json, "phase"), "backward") == 0;
        cJSON_Delete(json);
        if (last) break;
        count++;
    }
    assert_in_range(count, 2, 10); /* the first, the last, few between */
    raw_close(&client);
}

static void a_rollback_drops_what_waited_and_shows_the_state_anew(void **state)
{
    (void)state;
    step(7);
    struct raw_client client;
    cJSON_Delete(greet(&client));
    raw_send(&client, "{\"type\":\"set\",\"id\":1,\"key\":\"optimizer.lr\",\"value\":0.5}");
    struct session_request request = take();
    hooks.answer(hooks.context, &request, status_ok(), 9);
    cJSON_Delete(raw_expect(&client, "state"));
    raw_send(&client, "{\"type\":\"rollback\",\"id\":2,\"step\":5}");
    request = take();
    assert_int_equal(request.kind, REQUEST_ROLLBACK);
    assert_int_equal(request.step, 5);
    append_line("{\"event\":\"rollback\",\"step\":7,\"to\":5}");
    hand_line("{\"event\":\"rollback\",\"step\":7,\"to\":5}", -1);
    now.step = 5;
    hooks.state(hooks.context, &now);
    cJSON *json = raw_expect(&client, "state");
    assert_true(number_of(json, "step") == 5);
    assert_null(cJSON_GetObjectItem(json, "pending")->child);
    cJSON_Delete(json);
    raw_close(&client);
}

static void the_end_says_how_it_went(void **state)
{
    (void)state;
    const struct {
        status result;
        int step;
        const char *phase;
        const char *text;
    } cases[] = {{status_ok(), 100, "finished", "all 100 steps are done"},
                 {status_ok(), 40, "stopped", "stopped and saved at step 40"},
                 {status_error(STATUS_INTERRUPTED, "interrupted; saved at step 40"), 40, "stopped",
                  "interrupted; saved at step 40"},
                 {status_error(STATUS_NO_MEMORY, "needs 9 GB"), 0, "failed", "needs 9 GB"}};
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            struct run_service_options options = {.folder = &folder,
                                                  .preset = &preset,
                                                  .steps = 100,
                                                  .device = "cpu",
                                                  .version = "0.0.1",
                                                  .program = "/bin/false"};
            assert_int_equal(run_service_create(&options, &service).code, STATUS_OK);
            hooks = run_service_hooks(service);
        }
        struct raw_client client;
        cJSON_Delete(greet(&client));
        now.step = cases[i].step;
        hooks.state(hooks.context, &now);
        run_service_end(service, cases[i].result, 2);
        service = NULL;
        cJSON *json = raw_expect(&client, "end");
        assert_string_equal(text_of(json, "phase"), cases[i].phase);
        assert_true(number_of(json, "status") == cases[i].result.code);
        assert_true(number_of(json, "step") == cases[i].step);
        assert_string_equal(text_of(json, "text"), cases[i].text);
        cJSON_Delete(json);
        raw_expect_end(&client, 2);
        raw_close(&client);
    }
}

static void begin_waiting(struct raw_client *client)
{
    cJSON_Delete(greet(client));
    run_service_waiting(service, "/runs/other", 4711, 2);
    cJSON *json = raw_expect(client, "state");
    assert_string_equal(text_of(json, "phase"), "waiting");
    assert_true(number_of(cJSON_GetObjectItem(json, "waiting_for"), "pid") == 4711);
    assert_true(number_of(cJSON_GetObjectItem(json, "waiting_for"), "ahead") == 2);
    cJSON_Delete(json);
}

static void waiting_for_the_device_is_shown_and_can_be_stopped(void **state)
{
    (void)state;
    struct raw_client client;
    begin_waiting(&client);
    assert_false(run_service_stop_asked(service));
    raw_send(&client, "{\"type\":\"stop\",\"id\":1}");
    double begun = clock_steady();
    run_service_wait(service, 60);
    assert_true(clock_steady() - begun < 55);
    assert_true(run_service_stop_asked(service));
    run_service_end(service, status_ok(), 1);
    service = NULL;
    cJSON *json = raw_expect(&client, "reply");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "ok")));
    cJSON_Delete(json);
    json = raw_expect(&client, "end");
    assert_string_equal(text_of(json, "phase"), "stopped");
    assert_string_equal(text_of(json, "text"), "stopped before it began, at step 0");
    cJSON_Delete(json);
    raw_close(&client);
}

static void a_waiting_run_answers_every_request_and_keeps_what_it_can_do_later(void **state)
{
    (void)state;
    static const struct {
        const char *request, *refusal; /* NULL: accepted */
    } asked[] = {
        {"{\"type\":\"pause\",\"id\":1}", NULL},
        {"{\"type\":\"continue\",\"id\":2}", NULL},
        {"{\"type\":\"set\",\"id\":3,\"key\":\"rewards.jpeg.weight\",\"value\":0.25}", NULL},
        {"{\"type\":\"set\",\"id\":4,\"key\":\"rewards.jpeg.weight\",\"value\":0.75}", NULL},
        {"{\"type\":\"set\",\"id\":5,\"key\":\"optimizer.lr\",\"value\":7}", "optimizer.lr"},
        {"{\"type\":\"set\",\"id\":6,\"key\":\"lora.rank\",\"value\":7}", "fixed while a run goes on"},
        {"{\"type\":\"sample-now\",\"id\":7}", NULL},
        {"{\"type\":\"save-now\",\"id\":8}", "nothing new to save"},
        {"{\"type\":\"rollback\",\"id\":9,\"step\":0}", "has not begun"},
        {"{\"type\":\"pause\",\"id\":10}", NULL},
    };
    enum { COUNT = sizeof asked / sizeof asked[0] };
    struct raw_client client;
    begin_waiting(&client);
    for (int i = 0; i < COUNT; i++) {
        raw_send(&client, asked[i].request);
        run_service_wait(service, 0.2);
        cJSON *json = raw_expect(&client, "reply");
        assert_true(number_of(json, "re") == i + 1);
        if (asked[i].refusal && !strstr(text_of(json, "error"), asked[i].refusal))
            fail_msg("%s", text_of(json, "error"));
        if (!asked[i].refusal && !cJSON_IsTrue(cJSON_GetObjectItem(json, "ok"))) fail_msg("%s", text_of(json, "error"));
        cJSON_Delete(json);
    }
    static const enum session_request_kind kept[] = {REQUEST_SET, REQUEST_SAMPLE_NOW, REQUEST_PAUSE};
    struct session_request request;
    for (int i = 0; i < 3; i++) {
        assert_true(hooks.take_request(hooks.context, &request));
        assert_int_equal(request.kind, kept[i]);
        assert_true(request.kind != REQUEST_SET || request.value == 0.75); /* the later one counts */
    }
    assert_false(hooks.take_request(hooks.context, &request));
    raw_close(&client);
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TEST(attaching_at_step_30_shows_what_watching_from_0_shows),
        RUN_TEST(the_state_has_all_that_a_screen_needs),
        RUN_TEST(a_set_is_pending_until_it_is_applied_and_both_clients_see_it),
        RUN_TEST(a_refusal_reaches_the_one_who_asked),
        RUN_TEST(pause_continue_and_stop_change_the_phase),
        RUN_TEST(pictures_have_their_recipe),
        RUN_TEST(progress_is_rationed),
        RUN_TEST(a_rollback_drops_what_waited_and_shows_the_state_anew),
        RUN_TEST(the_end_says_how_it_went),
        RUN_TEST(waiting_for_the_device_is_shown_and_can_be_stopped),
        RUN_TEST(a_waiting_run_answers_every_request_and_keeps_what_it_can_do_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
