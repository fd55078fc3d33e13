/* A run in a folder of its own with a tuner that computes nothing, and what its hooks saw. */
#include "tests/unit/run/run_fixture.h"

#include "engine/base/json.h"
#include "engine/run/adapter_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

int make_fixture(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/alignprop-run-XXXXXX");
    fake_tuner_orders = (struct fake_tuner_orders){.give_up_from = INT_MAX - 10};
    return mkdtemp(folder) ? 0 : -1;
}

int remove_fixture(void **state)
{
    (void)state;
    return directory_remove(folder).code == STATUS_OK ? 0 : -1;
}

const char *fixture_path(const char *name)
{
    static char paths[4][PATH_SIZE];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

void fixture_preset(struct preset *preset, const char *const *settings, int count)
{
    static const char text[] =
        "{\"schema\":1,\"name\":\"fixture\",\"model\":\"none\",\"prompts\":{\"train\":[\"x\"],\"eval\":[\"y\"]},"
        "\"rewards\":[{\"name\":\"a\"},{\"name\":\"b\",\"weight\":0.5}],\"lora\":{\"rank\":2},\"steps\":12,"
        "\"checkpoint\":{\"every\":3,\"keep\":100},\"sample\":{\"every\":4,\"count\":2}}";
    cJSON *tree;
    assert_int_equal(json_parse(text, strlen(text), "fixture", &tree).code, STATUS_OK);
    assert_string_equal(preset_from_json(tree, "fixture", NULL, settings, count, preset, NULL).message, "");
    cJSON_Delete(tree);
}

static void on_state(void *context, const struct session_state *state)
{
    struct script *script = context;
    script->last_step = state->step;
    script->last_phase = state->phase;
    if (script->kill_after_step > 0 && state->step >= script->kill_after_step) _exit(137);
    if (script->interrupt_after_step > 0 && state->step >= script->interrupt_after_step && script->interrupts == 0) {
        script->interrupts = 1;
    }
}

static void on_metrics(void *context, const struct session_line *line, int step)
{
    assert_true(cJSON_IsObject(line->value) && line->text[0] == '{');
    struct script *script = context;
    script->metrics_lines++;
    script->in_step = false;
    if (script->mishap) script->mishap(step);
}

static void on_progress(void *context, const char *phase, int step, int done, int total)
{
    (void)phase;
    (void)step;
    (void)done;
    (void)total;
    ((struct script *)context)->in_step = true;
}

static bool take_request(void *context, struct session_request *request)
{
    struct script *script = context;
    if (script->within_steps && !script->in_step) return false;
    /* One a poll, so that what stands later in the script comes later. */
    script->gave_one = !script->gave_one;
    for (int i = 0; script->gave_one && i < script->count; i++) {
        struct scripted_request *scripted = &script->requests[i];
        if (scripted->sent || script->last_step < scripted->after_step) continue;
        scripted->sent = true;
        *request = scripted->request;
        return true;
    }
    script->gave_one = false;
    return false;
}

static void wait_request(void *context, double seconds)
{
    (void)context;
    (void)seconds;
}

static void on_answer(void *context, const struct session_request *request, status result, int step)
{
    (void)request;
    struct script *script = context;
    script->last_answer = result;
    script->answered_step = step;
}

static status run_session(const struct preset *preset, struct run_folder *run, struct script *script)
{
    struct session_options options = {.device = "cpu", .threads = 1, .interrupts = &script->interrupts};
    options.hooks = (struct session_hooks){.context = script,
                                           .state = on_state,
                                           .metrics = on_metrics,
                                           .progress = on_progress,
                                           .take_request = take_request,
                                           .wait_request = wait_request,
                                           .answer = on_answer};
    struct session *session;
    TRY(session_create(preset, run, &options, &session));
    status result = session_run(session);
    session_destroy(session);
    return result;
}

status fixture_run(const char *name, const struct preset *preset, struct script *script)
{
    struct script none = {0};
    struct run_folder run;
    const char *path = fixture_path(name);
    if (run_folder_open(path, &run).code == STATUS_OK) {
        TRY(run_folder_lock(&run));
    } else {
        TRY(run_folder_create(path, preset, "cpu", 1, &run));
    }
    status result = run_session(preset, &run, script ? script : &none);
    run_folder_unlock(&run);
    return result;
}

void assert_same_adapter(const char *left, const char *right)
{
    char path[PATH_SIZE];
    struct adapter_set set;
    int matching, total;
    snprintf(path, sizeof path, "%s/lora.safetensors", fixture_path(left));
    assert_string_equal(adapter_file_read(path, &set).message, "");
    snprintf(path, sizeof path, "%s/lora.safetensors", fixture_path(right));
    assert_string_equal(adapter_file_verify(path, &set, 1, &matching, &total).message, "");
    assert_int_equal(matching, total);
    assert_int_equal(total, 4);
    adapter_set_clear(&set);
}
