/* Adapters of runs: what a run begins with at whose strength, what an export says of its making, and what of a preset
 * goes into the file. */
#include "engine/base/json.h"
#include "engine/model/safetensors.h"
#include "engine/run/adapter_preset.h"
#include "engine/run/export.h"
#include "engine/run/origin.h"
#include "tests/unit/run/run_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the adapter that a run begins with ---- */

enum { WIDTH = 3 };

static const float down[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, up[] = {0.5F, -1, 2, 0.25F, 3, -2, 1, 1, 1};

/* "lora_unet_mid_attn1_to_q", of which the fake tuner has rank 2 of a 3x3 weight, or another module. */
static void write_origin(const char *module, int64_t rank, float alpha)
{
    static char path[PATH_SIZE], names[3][160];
    static const char *const endings[] = {".lora_down.weight", ".lora_up.weight", ".alpha"};
    snprintf(path, sizeof path, "%s", fixture_path("begun/origin.safetensors"));
    for (int i = 0; i < 3; i++) snprintf(names[i], sizeof names[i], "%s%s", module, endings[i]);
    struct safetensors_item items[] = {{names[0], SAFETENSORS_F32, 2, {rank, WIDTH}, down},
                                       {names[1], SAFETENSORS_F32, 2, {WIDTH, rank}, up},
                                       {names[2], SAFETENSORS_F32, 0, {0}, &alpha}};
    assert_string_equal(directory_make(fixture_path("begun")).message, "");
    assert_string_equal(safetensors_write(path, items, 3, NULL, 0).message, "");
}

static status begin(const char *setting, struct preset *preset, struct tuner **tuner)
{
    struct run_folder folder = {.lock = -1};
    snprintf(folder.path, sizeof folder.path, "%s", fixture_path("begun"));
    fixture_preset(preset, &setting, setting ? 1 : 0);
    assert_string_equal(tuner_create(preset, NULL, (struct tuner_callbacks){.context = NULL}, tuner).message, "");
    return origin_apply(&folder, preset, *tuner);
}

static const float *values_of(const struct tuner *tuner, const char *name)
{
    struct tuner_tensor tensors[8];
    int count = tuner_adapter_tensors(tuner, tensors, 8);
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0) return tensors[i].values;
    fail_msg("the tuner has no %s", name);
    return NULL;
}

static double update_at(double strength, int64_t rank, const float *down_values, const float *up_values, int row,
                        int column)
{
    double sum = 0;
    for (int64_t r = 0; r < rank; r++) sum += (double)up_values[row * rank + r] * down_values[r * WIDTH + column];
    return strength * sum;
}

static void assert_same_update(const char *setting, int64_t rank, float alpha)
{
    struct preset preset;
    struct tuner *tuner;
    write_origin("lora_unet_mid_attn1_to_q", rank, alpha);
    assert_string_equal(begin(setting, &preset, &tuner).message, "");
    const float *own_down = values_of(tuner, "mid.attn1.to_q.lora_down"),
                *own_up = values_of(tuner, "mid.attn1.to_q.lora_up");
    for (int row = 0; row < WIDTH; row++)
        for (int column = 0; column < WIDTH; column++) {
            double expected = update_at(alpha / (double)rank, rank, down, up, row, column);
            double found = update_at(preset.alpha / preset.rank, 2, own_down, own_up, row, column);
            assert_true(fabs(found - expected) <= 1e-6 * fabs(expected));
        }
    tuner_destroy(tuner);
    preset_clear(&preset);
}

static void a_run_begins_at_the_strength_of_another(void **state)
{
    (void)state;
    assert_same_update(NULL, 2, 2);
    assert_same_update("lora.alpha=8", 2, 2);
    assert_same_update("lora.alpha=8", 2, 3);
    assert_same_update(NULL, 2, 0.5F);
    assert_same_update("lora.alpha=5", 1, 3); /* the other's rank is lower */
    assert_same_update(NULL, 2, 0);
}

static void assert_begin_refused(const char *message)
{
    struct preset preset;
    struct tuner *tuner;
    status result = begin(NULL, &preset, &tuner);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    if (!strstr(result.message, message)) fail_msg("expected \"%s\" in: %s", message, result.message);
    tuner_destroy(tuner);
    preset_clear(&preset);
}

static void what_would_be_lost_is_refused(void **state)
{
    (void)state;
    write_origin("lora_unet_mid_attn1_to_q", 3, 3);
    assert_begin_refused("has rank 3, the new run 2: a part would be lost; expected lora.rank=3 or more");
    write_origin("lora_unet_mid_attn1_to_k", 2, 2);
    assert_begin_refused("changes lora_unet_mid_attn1_to_k, which the new run does not tune");
    write_origin("lora_te_text_model_encoder_layers_0_mlp_fc1", 2, 2);
    assert_begin_refused("changes the text encoder (lora_te_text_model_encoder_layers_0_mlp_fc1)");
    write_origin("lora_te2_text_model_encoder_layers_0_mlp_fc1", 2, 2);
    assert_begin_refused("changes lora_te2_text_model_encoder_layers_0_mlp_fc1, which this model does not have");
    write_origin("lora_unet_mid_attn1_to_q", 2, NAN);
    assert_begin_refused("tensor lora_unet_mid_attn1_to_q.alpha holds an infinity or NaN");
}

/* ---- what an export says ---- */

static void assert_same_text(const struct safetensors *left, const struct safetensors *right, const char *key)
{
    assert_non_null(safetensors_metadata(left, key));
    assert_non_null(safetensors_metadata(right, key));
    assert_string_equal(safetensors_metadata(left, key), safetensors_metadata(right, key));
}

static void an_export_tells_the_run_s_own_steps_and_times(void **state)
{
    (void)state;
    struct preset preset;
    struct run_folder folder;
    struct export_report report;
    struct safetensors *own, *exported;
    char source[PATH_SIZE], target[PATH_SIZE];
    fixture_preset(&preset, NULL, 0);
    assert_string_equal(fixture_run("told", &preset, NULL).message, "");
    preset_clear(&preset);
    assert_string_equal(run_folder_open(fixture_path("told"), &folder).message, "");
    snprintf(source, sizeof source, "%s/lora.safetensors", folder.path);
    snprintf(target, sizeof target, "%s", fixture_path("exported.safetensors"));
    struct export_order order = {.folder = &folder, .step = -1, .format = ADAPTER_PEFT, .scale = 0.5, .target = target};
    assert_string_equal(export_adapter(&order, &report).message, "");
    assert_string_equal(safetensors_open(source, &own).message, "");
    assert_string_equal(safetensors_open(target, &exported).message, "");
    assert_string_equal(safetensors_metadata(exported, "ss_steps"), "12");
    assert_same_text(own, exported, "ss_training_started_at");
    assert_same_text(own, exported, "ss_training_finished_at");
    assert_same_text(own, exported, "modelspec.architecture");
    safetensors_close(own);
    safetensors_close(exported);
}

/* ---- the preset in the file ---- */

static cJSON *many_prompts(const char *word, int count)
{
    cJSON *list = cJSON_CreateArray();
    char prompt[40];
    for (int i = 0; i < count; i++) {
        snprintf(prompt, sizeof prompt, "%s number %d", word, i);
        cJSON_AddItemToArray(list, cJSON_CreateString(prompt));
    }
    return list;
}

static void prompts_do_not_swell_the_file(void **state)
{
    (void)state;
    enum { MANY = 80000 };
    struct preset preset, read;
    cJSON *tree, *prompts;
    fixture_preset(&preset, NULL, 0);
    prompts = cJSON_GetObjectItemCaseSensitive(preset.resolved, "prompts");
    cJSON_ReplaceItemInObjectCaseSensitive(prompts, "train", many_prompts("cat", MANY));
    cJSON_ReplaceItemInObjectCaseSensitive(preset.resolved, "model", cJSON_CreateString("/somewhere/of/mine/model"));
    char *text = adapter_preset_text(&preset);
    assert_non_null(text);
    assert_true(strlen(text) < 20000);
    assert_null(strstr(text, "somewhere"));
    assert_non_null(strstr(text, "of 80000 prompts (sha256 of all: "));
    /* What is there can be opened as a preset. */
    assert_string_equal(json_parse(text, strlen(text), "embedded", &tree).message, "");
    assert_string_equal(preset_from_json(tree, "embedded", NULL, NULL, 0, &read, NULL).message, "");
    assert_string_equal(read.train.texts[0], "cat number 0");
    assert_true(read.train.count > 100 && read.train.count < 1000);
    preset_clear(&read);
    cJSON_Delete(tree);
    free(text);
    preset_clear(&preset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_begins_at_the_strength_of_another),
        cmocka_unit_test(what_would_be_lost_is_refused),
        cmocka_unit_test(an_export_tells_the_run_s_own_steps_and_times),
        cmocka_unit_test(prompts_do_not_swell_the_file),
    };
    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
