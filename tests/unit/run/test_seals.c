/* What a run goes on from is what it left: files that were changed, or say what cannot be, are named. */
#include "tests/unit/run/run_fixture.h"

#include "engine/base/json.h"
#include "engine/base/seal.h"
#include "engine/preset/settings.h"
#include "engine/run/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *in_run(const char *run, const char *name)
{
    static char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", fixture_path(run), name);
    return path;
}

/* A run that was interrupted at step 7. */
static void make_run(const char *name, struct preset *preset)
{
    fixture_preset(preset, NULL, 0);
    struct script script = {.interrupt_after_step = 7};
    assert_int_equal(fixture_run(name, preset, &script).code, STATUS_INTERRUPTED);
}

static const char state_of_7[] = "checkpoints/step-000007/state.json";

enum sealing { AS_IT_IS, WITHOUT, ANEW };

/* Puts a value into a JSON file; its seal stays, goes, or is made again. */
static void change(const char *path, const char *key, double value, enum sealing sealing)
{
    cJSON *tree;
    assert_string_equal(json_read_file(path, 1 << 20, &tree).message, "");
    assert_string_equal(preset_tree_put(tree, key, cJSON_CreateNumber(value)).message, "");
    if (sealing != AS_IT_IS) cJSON_DeleteItemFromObjectCaseSensitive(tree, "seal");
    if (sealing == ANEW) seal_add(tree);
    assert_string_equal(json_write_file(path, tree).message, "");
    cJSON_Delete(tree);
}

static void a_changed_state_is_refused(void **state)
{
    (void)state;
    struct preset preset;
    make_run("changed-state", &preset);
    change(in_run("changed-state", state_of_7), "skipped", 1, AS_IT_IS);
    status result = fixture_run("changed-state", &preset, NULL);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "step-000007/state.json: was changed"));
    preset_clear(&preset);
}

/* Of a program before there were seals, or sealed by one that knew no better. */
static void a_value_that_cannot_be_names_file_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        double value;
        const char *message;
    } cases[] = {
        {"step", 6, "step: expected 7, as its folder says, found 6"},
        {"skipped", -1, "skipped: expected a whole number from 0 to"},
        {"settings.weights.a", 1e6, "settings.weights.a: expected a number from -1000 to 1000, found 1000000"}};
    struct preset preset;
    make_run("impossible", &preset);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *whole;
        size_t length;
        const char *path = in_run("impossible", state_of_7);
        assert_string_equal(file_read(path, 1 << 20, &whole, &length).message, "");
        change(path, cases[i].key, cases[i].value, i % 2 ? WITHOUT : ANEW);
        status result = fixture_run("impossible", &preset, NULL);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
        if (!strstr(result.message, "step-000007/state.json: ") || !strstr(result.message, cases[i].message))
            fail_msg("expected \"%s\" in: %s", cases[i].message, result.message);
        assert_string_equal(file_write_atomic(in_run("impossible", state_of_7), whole, length).message, "");
        free(whole);
    }
    assert_string_equal(fixture_run("impossible", &preset, NULL).message, "");
    preset_clear(&preset);
}

static void a_state_without_a_seal_is_taken_as_it_is(void **state)
{
    (void)state;
    struct preset preset;
    make_run("unsealed", &preset);
    change(in_run("unsealed", state_of_7), "schema", 1, WITHOUT);
    assert_string_equal(fixture_run("unsealed", &preset, NULL).message, "");
    preset_clear(&preset);
}

/* Nothing whole to go on from is no reason to begin again. */
static void a_run_whose_checkpoints_are_all_damaged_is_not_begun_again(void **state)
{
    (void)state;
    struct preset preset;
    make_run("ruined", &preset);
    static const char *const checkpoints[] = {"checkpoints/step-000003/optimizer.safetensors",
                                              "checkpoints/step-000006/optimizer.safetensors",
                                              "checkpoints/step-000007/lora.safetensors"};
    for (int i = 0; i < 3; i++) assert_string_equal(directory_remove(in_run("ruined", checkpoints[i])).message, "");
    status result = fixture_run("ruined", &preset, NULL);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "no checkpoint is whole"));
    assert_non_null(strstr(result.message, "step-000007/lora.safetensors"));
    preset_clear(&preset);
}

static void a_changed_preset_is_refused(void **state)
{
    (void)state;
    struct preset preset, read;
    struct run_folder folder;
    bool sealed;
    make_run("preset", &preset);
    preset_clear(&preset);
    assert_string_equal(run_folder_open(fixture_path("preset"), &folder).message, "");
    assert_string_equal(run_folder_preset(&folder, &read, &sealed).message, "");
    assert_true(sealed);
    preset_clear(&read);
    change(in_run("preset", "preset.json"), "optimizer.lr", 0.002, AS_IT_IS);
    status result = run_folder_preset(&folder, &read, &sealed);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "preset/preset.json: was changed"));
    change(in_run("preset", "preset.json"), "optimizer.lr", 0.002, WITHOUT);
    assert_string_equal(run_folder_preset(&folder, &read, &sealed).message, "");
    assert_false(sealed);
    preset_clear(&read);
}

/* 35 MB of prompts: what a preset and its files may hold, a run can be opened with again. */
static void a_run_with_long_lists_of_prompts_opens_again(void **state)
{
    (void)state;
    enum { COUNT = 80000 };
    struct text tree = {0};
    struct preset preset, read;
    struct run_folder folder;
    cJSON *value;
    text_append(&tree, "{\"schema\":1,\"name\":\"long\",\"prompts\":{");
    for (int list = 0; list < 2; list++) {
        text_append(&tree, list ? "],\"eval\":[" : "\"train\":[");
        for (int i = 0; i < COUNT; i++) text_append(&tree, "%s\"prompt %d %0200d\"", i ? "," : "", i, list);
    }
    text_append(&tree, "]}}");
    assert_string_equal(json_parse(tree.data, tree.length, "long", &value).message, "");
    text_clear(&tree);
    assert_string_equal(preset_from_json(value, "long", NULL, NULL, 0, &preset, NULL).message, "");
    cJSON_Delete(value);
    assert_string_equal(run_folder_create(fixture_path("long"), &preset, "cpu", 1, &folder).message, "");
    run_folder_unlock(&folder);
    preset_clear(&preset);
    assert_string_equal(run_folder_preset(&folder, &read, NULL).message, "");
    assert_int_equal(read.train.count, COUNT);
    assert_int_equal(read.evaluation.count, COUNT);
    preset_clear(&read);
}

static void append_line(const char *path, const char *line)
{
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(line, file);
    fclose(file);
}

/* Each is told in the log, and the run goes on as if it were not there. */
static void changes_that_cannot_be_made_are_told(void **state)
{
    (void)state;
    struct preset preset;
    make_run("set", &preset);
    append_line(in_run("set", "metrics.jsonl"),
                "{\"event\":\"set\",\"step\":8,\"key\":\"optimizer.speed\",\"from\":1,\"to\":2}\n"
                "{\"event\":\"set\",\"step\":2,\"key\":\"rewards.c.weight\",\"from\":1,\"to\":2}\n"
                "{\"event\":\"set\",\"step\":9,\"key\":\"optimizer.clip\",\"from\":1,\"to\":1e12}\n"
                "{\"event\":\"set\",\"step\":9,\"key\":\"optimizer.clip\",\"from\":1,\"to\":\"x\"}\n");
    assert_string_equal(fixture_run("set", &preset, NULL).message, "");
    char *log;
    size_t length;
    assert_string_equal(file_read(in_run("set", "engine.log"), 1 << 20, &log, &length).message, "");
    static const char *const message[] = {"step 8 is left out: optimizer.speed: no such setting",
                                          "step 2 is left out: rewards.c.weight: no such setting",
                                          "step 9 is left out: optimizer.clip: expected a number from 1e-09 to 1e+09",
                                          "changes of settings without a step, a key or a number"};
    for (size_t i = 0; i < sizeof message / sizeof *message; i++)
        if (!strstr(log, message[i])) fail_msg("expected \"%s\" in: %s", message[i], log);
    free(log);
    assert_string_equal(fixture_run("set-never", &preset, NULL).message, "");
    assert_same_adapter("set-never", "set");
    preset_clear(&preset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_state_is_refused),
        cmocka_unit_test(a_value_that_cannot_be_names_file_and_key),
        cmocka_unit_test(a_state_without_a_seal_is_taken_as_it_is),
        cmocka_unit_test(a_run_whose_checkpoints_are_all_damaged_is_not_begun_again),
        cmocka_unit_test(a_changed_preset_is_refused),
        cmocka_unit_test(a_run_with_long_lists_of_prompts_opens_again),
        cmocka_unit_test(changes_that_cannot_be_made_are_told),
    };
    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
