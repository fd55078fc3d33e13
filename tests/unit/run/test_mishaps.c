/* What happens to a run from outside: requests that cannot be met, a folder that goes, steps that count nothing. */
#include "tests/unit/run/run_fixture.h"

#include "engine/run/checkpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *in_run(const char *run, const char *name)
{
    static char paths[2][PATH_SIZE];
    static int next;
    char *path = paths[next++ % 2];
    snprintf(path, PATH_SIZE, "%s/%s", fixture_path(run), name);
    return path;
}

static bool holds(const char *path, const char *message)
{
    char *text;
    size_t length;
    assert_string_equal(file_read(path, 1 << 20, &text, &length).message, "");
    bool found = strstr(text, message) != NULL;
    free(text);
    return found;
}

/* ---- rollbacks ---- */

static void remove_the_third(int step)
{
    if (step == 8) assert_string_equal(directory_remove(in_run("robbed", "checkpoints/step-000003")).message, "");
}

/* The roll-back is accepted while step 8 is made; its checkpoint is gone when the step ends. */
static void a_rollback_without_its_checkpoint_is_refused_and_the_run_goes_on(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    assert_string_equal(fixture_run("unrobbed", &preset, NULL).message, "");
    struct scripted_request request = {.after_step = 7, .request = {.kind = REQUEST_ROLLBACK, .step = 3}};
    struct script script = {.requests = &request, .count = 1, .within_steps = true, .mishap = remove_the_third};
    assert_string_equal(fixture_run("robbed", &preset, &script).message, "");
    assert_true(request.sent);
    assert_int_equal(script.last_answer.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(script.last_answer.message, "step-000003"));
    assert_int_equal(script.last_step, 12);
    assert_false(holds(in_run("robbed", "metrics.jsonl"), "rollback"));
    assert_same_adapter("unrobbed", "robbed");
    preset_clear(&preset);
}

/* Without the waiting roll-back, saving step 8 would have removed the checkpoint of step 7. */
static void retention_spares_the_checkpoint_that_is_gone_back_to(void **state)
{
    (void)state;
    const char *const settings[] = {"checkpoint.keep=1", "checkpoint.every=1"};
    struct preset preset;
    fixture_preset(&preset, settings, 2);
    struct scripted_request request = {.after_step = 7, .request = {.kind = REQUEST_ROLLBACK, .step = 7}};
    struct script script = {.requests = &request, .count = 1, .within_steps = true};
    assert_string_equal(fixture_run("spared", &preset, &script).message, "");
    assert_string_equal(script.last_answer.message, "");
    assert_int_equal(script.answered_step, 7);
    assert_true(holds(in_run("spared", "metrics.jsonl"), "\"event\":\"rollback\",\"step\":8,\"to\":7"));
    assert_false(path_is_directory(in_run("spared", "checkpoints/step-000007")));
    preset_clear(&preset);
}

/* ---- saving on request ---- */

static void block_the_checkpoint(int step)
{
    /* A file where the checkpoints' folder should be stands for a disk that takes no checkpoint. */
    if (step == 1) assert_string_equal(file_write_atomic(in_run("blocked", "checkpoints"), "", 0).message, "");
    if (step == 4) assert_string_equal(directory_remove(in_run("blocked", "checkpoints")).message, "");
}

static void a_save_that_fails_is_the_requests(void **state)
{
    (void)state;
    const char *const settings[] = {"checkpoint.every=6"};
    struct preset preset;
    fixture_preset(&preset, settings, 1);
    struct scripted_request request = {.after_step = 2, .request = {.kind = REQUEST_SAVE_NOW}};
    struct script script = {.requests = &request, .count = 1, .mishap = block_the_checkpoint};
    assert_string_equal(fixture_run("blocked", &preset, &script).message, "");
    assert_true(request.sent);
    assert_int_equal(script.last_step, 12);
    assert_true(holds(in_run("blocked", "engine.log"), "blocked/checkpoints"));
    assert_true(path_is_directory(in_run("blocked", "checkpoints/step-000012")));
    preset_clear(&preset);
}

/* ---- the folder ---- */

static void remove_the_folder(int step)
{
    if (step == 5) assert_string_equal(directory_remove(fixture_path("removed")).message, "");
}

static void a_removed_folder_is_not_made_anew(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    struct script script = {.mishap = remove_the_folder};
    status result = fixture_run("removed", &preset, &script);
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "was removed while the run went on"));
    assert_int_equal(script.last_step, 5);
    assert_int_not_equal(access(fixture_path("removed"), F_OK), 0);
    preset_clear(&preset);
}

/* Step 5 is due for nothing, step 6 for a checkpoint: both must notice. Another folder where the run's was is not the
 * run's. */
static int moved_after;

static void move_the_folder(int step)
{
    if (step != moved_after) return;
    assert_int_equal(rename(fixture_path("moved"), fixture_path("moved-away")), 0);
    assert_string_equal(directory_make(fixture_path("moved")).message, "");
}

static void a_moved_folder_is_saved_where_it_is(void **state)
{
    (void)state;
    struct preset preset;
    fixture_preset(&preset, NULL, 0);
    assert_string_equal(fixture_run("unmoved", &preset, NULL).message, "");
    for (moved_after = 5; moved_after <= 6; moved_after++) {
        struct script script = {.mishap = move_the_folder};
        status result = fixture_run("moved", &preset, &script);
        assert_int_equal(result.code, STATUS_FAILED);
        assert_non_null(strstr(result.message, "was moved to"));
        assert_non_null(strstr(result.message, fixture_path("moved-away")));
        char saved[64];
        snprintf(saved, sizeof saved, "checkpoints/step-%06d/state.json", moved_after);
        assert_true(path_is_file(in_run("moved-away", saved)));
        assert_int_equal(rmdir(fixture_path("moved")), 0); /* empty as it was made */
        assert_string_equal(fixture_run("moved-away", &preset, NULL).message, "");
        assert_same_adapter("unmoved", "moved-away");
        assert_string_equal(directory_remove(fixture_path("moved-away")).message, "");
    }
    preset_clear(&preset);
}

/* ---- steps that count nothing ---- */

static void a_run_of_skipped_steps_fails(void **state)
{
    (void)state;
    const char *const settings[] = {"steps=3"};
    struct preset preset;
    fixture_preset(&preset, settings, 1);
    int never = fake_tuner_orders.give_up_from;
    fake_tuner_orders.give_up_from = 1;
    status result = fixture_run("all-skipped", &preset, NULL);
    fake_tuner_orders.give_up_from = never;
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "each of the 3 steps was skipped, because loss was not a finite number"));
    assert_true(holds(in_run("all-skipped", "metrics.jsonl"), "\"status\":\"failed\",\"reason\":\"nothing was tuned"));
    /* One step that counts makes it a run like others. */
    fake_tuner_orders.skip_step = 2;
    assert_string_equal(fixture_run("one-skipped", &preset, NULL).message, "");
    fake_tuner_orders.skip_step = 0;
    preset_clear(&preset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollback_without_its_checkpoint_is_refused_and_the_run_goes_on),
        cmocka_unit_test(retention_spares_the_checkpoint_that_is_gone_back_to),
        cmocka_unit_test(a_save_that_fails_is_the_requests),
        cmocka_unit_test(a_removed_folder_is_not_made_anew),
        cmocka_unit_test(a_moved_folder_is_saved_where_it_is),
        cmocka_unit_test(a_run_of_skipped_steps_fails),
    };
    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
