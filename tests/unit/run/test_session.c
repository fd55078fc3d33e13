/* Sessions from start to end: resume, rollback, settings, pauses and stops. */
#include "tests/unit/run/run_fixture.h"

#include "engine/run/checkpoint.h"
#include "engine/run/metrics.h"
#include "engine/run/origin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void read_history(const char *run, struct metrics_history *history)
{
    char path[PATH_SIZE];
    int damaged;
    snprintf(path, sizeof path, "%s/metrics.jsonl", fixture_path(run));
    assert_string_equal(metrics_read(path, history, &damaged).message, "");
    assert_int_equal(damaged, 0);
}

static void assert_steps(const char *run, int steps)
{
    struct metrics_history history;
    read_history(run, &history);
    assert_int_equal(history.record_count, steps);
    for (int i = 0; i < steps; i++) {
        assert_int_equal(history.records[i].step, i + 1);
        bool sampled = (i + 1) % 4 == 0 || i + 1 == steps;
        assert_int_equal(cJSON_HasObjectItem(history.records[i].value, "eval_reward"), sampled);
        const cJSON *looks = cJSON_GetObjectItem(history.records[i].value, "eval_extra");
        assert_int_equal(looks != NULL, sampled);
        if (sampled) assert_true(cJSON_GetObjectItem(looks, "dark")->valuedouble == 0.125 * (i + 1));
    }
    metrics_history_clear(&history);
}

static void run_plain(const char *name, const struct preset *preset)
{
    assert_string_equal(fixture_run(name, preset, NULL).message, "");
}

static void a_run_leaves_what_the_contract_names(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct script script = {0};
    assert_string_equal(fixture_run("plain", &preset, &script).message, "");
    assert_int_equal(script.last_phase, SESSION_ENDED);
    assert_int_equal(script.metrics_lines, 12);
    assert_steps("plain", 12);
    static const char *const files[] = {"preset.json",
                                        "lora.safetensors",
                                        "engine.lock",
                                        "engine.log",
                                        "samples/step-000000/00-42.png",
                                        "samples/step-000012/01-43.png",
                                        "checkpoints/step-000012/lora.safetensors",
                                        "checkpoints/step-000012/optimizer.safetensors",
                                        "checkpoints/step-000003/state.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", fixture_path("plain"), files[i]);
        if (!path_is_file(path)) fail_msg("%s is missing", path);
    }
    preset_clear(&preset);
}

static void a_run_begins_with_the_adapter_of_a_checkpoint(void **state)
{
    (void)state;
    const char *const still[] = {"optimizer.lr=0"}; /* what it begins with is what it ends with */
    struct preset preset;
    struct run_folder first, second;
    char adapter[PATH_SIZE];
    fixture_preset(&preset, NULL, 0);
    run_plain("origin", &preset);
    preset_clear(&preset);
    assert_string_equal(run_folder_open(fixture_path("origin"), &first).message, "");
    assert_int_equal(checkpoint_find_adapter(&first, 7, adapter).code, STATUS_BAD_INPUT); /* no checkpoint there */
    assert_string_equal(checkpoint_find_adapter(&first, 12, adapter).message, "");
    fixture_preset(&preset, still, 1);
    assert_string_equal(run_folder_create(fixture_path("begun"), &preset, "cpu", 1, &second).message, "");
    assert_string_equal(origin_keep(adapter, &second).message, "");
    run_folder_unlock(&second);
    run_plain("begun", &preset);
    assert_same_adapter("origin", "begun");
    preset_clear(&preset);
}

static void old_checkpoints_go(void **state)
{
    (void)state;
    const char *const settings[] = {"checkpoint.keep=2"};
    struct preset preset;
    fixture_preset(&preset, settings, 1);
    run_plain("kept", &preset);
    struct run_folder folder;
    int *steps, count;
    assert_int_equal(run_folder_open(fixture_path("kept"), &folder).code, STATUS_OK);
    assert_int_equal(checkpoint_list(&folder, &steps, &count).code, STATUS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(steps[0], 9);
    assert_int_equal(steps[1], 12);
    free(steps);
    preset_clear(&preset);
}

/* A child is killed at the step; then the run is gone on with. */
static void kill_and_resume(const char *name, const struct preset *preset, struct script *script, int step)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        script->kill_after_step = step;
        fixture_run(name, preset, script);
        _exit(1);
    }
    int outcome;
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_true(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 137);
    assert_string_equal(fixture_run(name, preset, NULL).message, "");
}

static void a_killed_run_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    run_plain("whole", &preset);
    for (int step = 1; step < 12; step++) {
        char name[32];
        struct script script = {0};
        snprintf(name, sizeof name, "killed-%d", step);
        kill_and_resume(name, &preset, &script, step);
        assert_same_adapter("whole", name);
        assert_steps(name, 12);
    }
    preset_clear(&preset);
}

static struct scripted_request set_request(int after, const char *key, double value)
{
    struct scripted_request scripted = {.after_step = after,
                                        .request = {.kind = REQUEST_SET, .value = value, .by = "test"}};
    snprintf(scripted.request.key, sizeof scripted.request.key, "%s", key);
    return scripted;
}

/* A change that was ordered after the checkpoint comes again at its own step. */
static void changes_are_made_again_at_their_step(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct scripted_request first[] = {set_request(4, "rewards.b.weight", 3), set_request(7, "optimizer.lr", 0.01)};
    struct scripted_request second[] = {set_request(4, "rewards.b.weight", 3), set_request(7, "optimizer.lr", 0.01)};
    struct script whole = {.requests = first, .count = 2}, killed = {.requests = second, .count = 2};
    assert_string_equal(fixture_run("changed", &preset, &whole).message, "");
    assert_int_equal(whole.answered_step, 8);
    kill_and_resume("changed-killed", &preset, &killed, 8);
    assert_same_adapter("changed", "changed-killed");
    run_plain("unchanged", &preset);
    struct metrics_history history;
    read_history("changed-killed", &history);
    assert_int_equal(history.change_count, 2);
    assert_int_equal(history.changes[0].step, 5);
    assert_int_equal(history.changes[1].step, 8);
    metrics_history_clear(&history);
    preset_clear(&preset);
}

static void wrong_changes_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *key;
        double value;
        const char *message;
    } cases[] = {{"rewards.c.weight", 1, "no such setting"},
                 {"lora.rank", 8, "fixed while a run goes on"},
                 {"optimizer.lr", 7, "from 0 to 1"},
                 {"rewards.a.weight", 1e9, "from -1000 to 1000"},
                 {"sample.every", 1.5, "whole number"}};
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        snprintf(name, sizeof name, "refused-%zu", i);
        struct scripted_request request = set_request(2, cases[i].key, cases[i].value);
        struct script script = {.requests = &request, .count = 1};
        assert_string_equal(fixture_run(name, &preset, &script).message, "");
        assert_int_equal(script.last_answer.code, STATUS_BAD_INPUT);
        assert_non_null(strstr(script.last_answer.message, cases[i].message));
    }
    preset_clear(&preset);
}

static void a_rollback_goes_back_and_stays_back(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    run_plain("straight", &preset);
    struct scripted_request requests[] = {set_request(4, "rewards.b.weight", 3),
                                          {.after_step = 7, .request = {.kind = REQUEST_ROLLBACK, .step = 3}}};
    struct script script = {.requests = requests, .count = 2};
    assert_string_equal(fixture_run("back", &preset, &script).message, "");
    assert_int_equal(script.last_answer.code, STATUS_OK);
    assert_int_equal(script.answered_step, 3);
    assert_same_adapter("straight", "back");
    assert_steps("back", 12);

    /* Killed right after going back, the run must not take up what it left. */
    struct scripted_request again[] = {set_request(4, "rewards.b.weight", 3),
                                       {.after_step = 7, .request = {.kind = REQUEST_ROLLBACK, .step = 3}},
                                       {.after_step = 8, .request = {.kind = REQUEST_STOP}}};
    struct script cut = {.requests = again, .count = 2};
    kill_and_resume("back-killed", &preset, &cut, 8);
    assert_same_adapter("straight", "back-killed");
    preset_clear(&preset);
}

/* Killed between noting that it goes back and removing what it leaves, a run must not take up the newer checkpoints. */
static void a_rollback_counts_from_its_line_on(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct scripted_request request = set_request(4, "rewards.b.weight", 3);
    struct script script = {.requests = &request, .count = 1, .interrupt_after_step = 7};
    assert_int_equal(fixture_run("line", &preset, &script).code, STATUS_INTERRUPTED);
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/metrics.jsonl", fixture_path("line"));
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs("{\"event\":\"rollback\",\"step\":7,\"to\":3}\n", file);
    fclose(file);
    run_plain("line", &preset);
    run_plain("never-back", &preset);
    assert_same_adapter("never-back", "line");
    assert_steps("line", 12);
    preset_clear(&preset);
}

static void ctrl_c_saves_and_resume_goes_on(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    run_plain("calm", &preset);
    struct script script = {.interrupt_after_step = 5};
    status result = fixture_run("interrupted", &preset, &script);
    assert_int_equal(result.code, STATUS_INTERRUPTED);
    assert_non_null(strstr(result.message, "saved at step 5"));
    run_plain("interrupted", &preset);
    assert_same_adapter("calm", "interrupted");
    assert_steps("interrupted", 12);
    preset_clear(&preset);
}

static void giving_up_at_once_keeps_the_last_checkpoint(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct script script = {.interrupt_after_step = 5};
    struct scripted_request pause = {.after_step = 5, .request = {.kind = REQUEST_PAUSE}};
    script.requests = &pause;
    script.count = 1;
    script.interrupts = 2;
    status result = fixture_run("given-up", &preset, &script);
    assert_int_equal(result.code, STATUS_INTERRUPTED);
    script.interrupts = 0;
    run_plain("given-up", &preset);
    run_plain("never", &preset);
    assert_same_adapter("never", "given-up");
    preset_clear(&preset);
}

static void stop_and_pause_are_obeyed(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct scripted_request requests[] = {{.after_step = 2, .request = {.kind = REQUEST_PAUSE}},
                                          {.after_step = 2, .request = {.kind = REQUEST_SAVE_NOW}},
                                          {.after_step = 2, .request = {.kind = REQUEST_SAMPLE_NOW}},
                                          {.after_step = 2, .request = {.kind = REQUEST_CONTINUE}},
                                          {.after_step = 5, .request = {.kind = REQUEST_STOP}}};
    struct script script = {.requests = requests, .count = 5};
    assert_string_equal(fixture_run("stopped", &preset, &script).message, "");
    assert_int_equal(script.last_step, 5);
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/checkpoints/step-000002", fixture_path("stopped"));
    assert_true(path_is_directory(path));
    snprintf(path, sizeof path, "%s/samples/step-000002/00-42.png", fixture_path("stopped"));
    assert_true(path_is_file(path));
    run_plain("stopped", &preset);
    run_plain("unstopped", &preset);
    assert_same_adapter("unstopped", "stopped");
    preset_clear(&preset);
}

static void skipped_steps_are_counted_and_five_end_the_run(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    fake_tuner_orders.skip_step = 2;
    run_plain("skipped", &preset);
    struct metrics_history history;
    read_history("skipped", &history);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(history.records[1].value, "skipped")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(history.records[1].value, "loss")));
    metrics_history_clear(&history);
    fake_tuner_orders.skip_step = 0;
    int never = fake_tuner_orders.give_up_from;
    fake_tuner_orders.give_up_from = 5;
    status result = fixture_run("hopeless", &preset, NULL);
    fake_tuner_orders.give_up_from = never;
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "five steps"));
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/checkpoints/step-000009", fixture_path("hopeless"));
    assert_true(path_is_directory(path));
    preset_clear(&preset);
}

/* What the host has of the last whole step is saved, though no checkpoint was due; the run goes on from there. */
static void a_lost_device_saves_the_step_before(void **state)
{
    (void)state;
    struct preset preset;
    char path[PATH_SIZE];
    fixture_preset(&preset, NULL, 0);
    run_plain("never-lost", &preset);
    fake_tuner_orders.lose_device = 6;
    status result = fixture_run("lost", &preset, NULL);
    fake_tuner_orders.lose_device = 0;
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "the GPU failed"));
    snprintf(path, sizeof path, "%s/checkpoints/step-000005", fixture_path("lost"));
    assert_true(path_is_directory(path));
    struct metrics_history history;
    read_history("lost", &history);
    assert_int_equal(history.record_count, 5);
    metrics_history_clear(&history);
    run_plain("lost", &preset);
    assert_same_adapter("lost", "never-lost");
    preset_clear(&preset);
}

/* A limit on the size of files stands for a full disk. */
static void a_full_disk_ends_the_run_with_the_last_checkpoint(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct rlimit old_limit, limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    struct script script = {.interrupt_after_step = 7};
    assert_int_equal(fixture_run("full", &preset, &script).code, STATUS_INTERRUPTED);
    limit = old_limit;
    limit.rlim_cur = 1500;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    status result = fixture_run("full", &preset, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "File too large"));
    run_plain("full", &preset);
    run_plain("roomy", &preset);
    assert_same_adapter("roomy", "full");
    assert_steps("full", 12);
    preset_clear(&preset);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct script script = {.interrupt_after_step = 7};
    assert_int_equal(fixture_run("damaged", &preset, &script).code, STATUS_INTERRUPTED);
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/checkpoints/step-000007/optimizer.safetensors", fixture_path("damaged"));
    assert_int_equal(truncate(path, 100), 0);
    run_plain("damaged", &preset);
    run_plain("sound", &preset);
    assert_same_adapter("sound", "damaged");
    preset_clear(&preset);
}

static void the_best_step_follows_the_weights(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct scripted_request request = {.after_step = 4, .request = {.kind = REQUEST_SAMPLE_NOW}};
    struct script script = {.requests = &request, .count = 1};
    int before = fake_tuner_orders.evaluations;
    assert_string_equal(fixture_run("best", &preset, &script).message, "");
    /* Steps 0, 4, 8, 12, and the one asked for. */
    assert_int_equal(fake_tuner_orders.evaluations - before, 5);
    preset_clear(&preset);
}

static void two_engines_never_share_a_run(void **state)
{
    (void)state;
    struct preset preset;
    struct run_folder first, second;
    fixture_preset(&preset, NULL, 0);
    assert_string_equal(run_folder_create(fixture_path("held"), &preset, "cpu", 3, &first).message, "");
    struct engine_facts facts;
    assert_int_equal(run_folder_engine(&first, &facts).code, STATUS_OK);
    assert_true(facts.threads == 3 && facts.socket_path[0] == '\0'); /* known before the run is announced */
    assert_string_equal(run_folder_announce(&first, "/run/x.sock", "cpu", 3).message, "");
    assert_int_equal(run_folder_open(fixture_path("held"), &second).code, STATUS_OK);
    assert_true(run_folder_is_alive(&second));
    status result = run_folder_lock(&second);
    assert_int_equal(result.code, STATUS_FAILED);
    char message[40];
    snprintf(message, sizeof message, "process %ld", (long)getpid());
    assert_non_null(strstr(result.message, message));
    assert_int_equal(run_folder_engine(&second, &facts).code, STATUS_OK);
    assert_string_equal(facts.socket_path, "/run/x.sock");
    assert_int_equal(facts.threads, 3);
    run_folder_unlock(&first);
    assert_false(run_folder_is_alive(&second));
    assert_int_equal(run_folder_create(fixture_path("held"), &preset, "cpu", 3, &first).code, STATUS_BAD_INPUT);
    preset_clear(&preset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_what_the_contract_names),
        cmocka_unit_test(a_run_begins_with_the_adapter_of_a_checkpoint),
        cmocka_unit_test(old_checkpoints_go),
        cmocka_unit_test(a_killed_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(changes_are_made_again_at_their_step),
        cmocka_unit_test(wrong_changes_are_refused),
        cmocka_unit_test(a_rollback_goes_back_and_stays_back),
        cmocka_unit_test(a_rollback_counts_from_its_line_on),
        cmocka_unit_test(ctrl_c_saves_and_resume_goes_on),
        cmocka_unit_test(giving_up_at_once_keeps_the_last_checkpoint),
        cmocka_unit_test(stop_and_pause_are_obeyed),
        cmocka_unit_test(skipped_steps_are_counted_and_five_end_the_run),
        cmocka_unit_test(a_lost_device_saves_the_step_before),
        cmocka_unit_test(a_full_disk_ends_the_run_with_the_last_checkpoint),
        cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(the_best_step_follows_the_weights),
        cmocka_unit_test(two_engines_never_share_a_run),
    };
    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
