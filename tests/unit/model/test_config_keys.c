/* Every key that diffusers and transformers read has its row in config_keys.c (tests/oracle/make_config_key_goldens.py
 * lists them), no default is refused, and keys that nobody knows are remarked on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/model/autoencoder.h"
#include "engine/model/clip_tower.h"
#include "engine/model/config_keys.h"
#include "engine/model/schedule.h"
#include "engine/model/unet.h"
#include "model_runner.h"

static struct config golden;

static const struct {
    const char *class;
    const struct config_keys *keys;
} classes[] = {
    {"UNet2DConditionModel", &unet_keys},
    {"AutoencoderKL", &autoencoder_keys},
    {"DDIMScheduler", &scheduler_keys},
    {"DDPMScheduler", &scheduler_keys},
    {"PNDMScheduler", &scheduler_keys},
    {"LMSDiscreteScheduler", &scheduler_keys},
    {"EulerDiscreteScheduler", &scheduler_keys},
    {"EulerAncestralDiscreteScheduler", &scheduler_keys},
    {"HeunDiscreteScheduler", &scheduler_keys},
    {"DPMSolverMultistepScheduler", &scheduler_keys},
    {"DPMSolverSinglestepScheduler", &scheduler_keys},
    {"DEISMultistepScheduler", &scheduler_keys},
    {"UniPCMultistepScheduler", &scheduler_keys},
    {"KDPM2DiscreteScheduler", &scheduler_keys},
    {"KDPM2AncestralDiscreteScheduler", &scheduler_keys},
    {"CLIPTextConfig", &text_tower_keys},
    {"OwlViTTextConfig", &text_tower_keys},
    {"CLIPVisionConfig", &vision_tower_keys},
    {"OwlViTVisionConfig", &vision_tower_keys},
    {"CLIPConfig", &text_image_keys},
    {"OwlViTConfig", &text_image_keys},
    {"CLIPImageProcessor", &picture_processor_keys},
    {"OwlViTImageProcessor", &picture_processor_keys},
    {"CLIPTokenizer", &tokenizer_keys},
};
enum { CLASSES = sizeof classes / sizeof classes[0] };

static void test_no_key_is_missing(void **state)
{
    (void)state;
    const cJSON *keys, *key;
    int listed = 0;
    cJSON_ArrayForEach(keys, golden.root) listed++;
    assert_int_equal(listed, CLASSES);
    for (int i = 0; i < CLASSES; i++) {
        keys = config_find(&golden, classes[i].class);
        assert_true(cJSON_GetArraySize(keys) > 5);
        cJSON_ArrayForEach(key, keys) if (!config_key_find(classes[i].keys, key->string))
            fail_msg("%s: the key %s has no row", classes[i].class, key->string);
    }
}

/* The one default that is refused: pipelines turn it off themselves. */
static bool is_turned_off(const char *key)
{
    return strcmp(key, "clip_sample") == 0;
}

static void test_defaults_are_taken(void **state)
{
    (void)state;
    for (int i = 0; i < CLASSES; i++) {
        struct remarks remarks = {0};
        struct config config = {.path = "FILE", .remarks = &remarks};
        config.root = cJSON_GetObjectItemCaseSensitive(golden.root, classes[i].class);
        const cJSON *key;
        cJSON_ArrayForEach(key, config.root)
        {
            const struct config_key *row = config_key_find(classes[i].keys, key->string);
            if (row && row->use == KEY_ONLY && !is_turned_off(key->string))
                assert_success(config_only(&config, row->name, row->only));
        }
    }
}

/* What only one value is taken of is refused with another, by name. */
static void test_other_values_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < CLASSES; i++)
        for (const struct config_keys *keys = classes[i].keys; keys; keys = keys->shared)
            for (int k = 0; k < keys->count; k++) {
                const struct config_key *row = &keys->keys[k];
                char expected[200];
                if (row->use != KEY_ONLY) continue;
                struct config config = {.path = "FILE", .root = cJSON_CreateObject()};
                cJSON_AddStringToObject(config.root, row->name, "another value");
                status result = config_check_keys(&config, classes[i].keys);
                assert_int_equal(result.code, STATUS_BAD_INPUT);
                snprintf(expected, sizeof expected, "FILE: %s is \"another value\"; expected %s", row->name, row->only);
                assert_non_null(strstr(result.message, expected));
                config_close(&config);
            }
}

static void test_unknown_keys(void **state)
{
    (void)state;
    struct remarks remarks = {0};
    struct config config = {.path = "FILE", .root = cJSON_Parse("{\"beta_begin\": 1, \"beta_start\": 0.001}")};
    struct noise_schedule schedule;
    config.remarks = &remarks;
    for (int i = 0; i < 2; i++) {
        assert_success(noise_schedule_read(&config, &schedule));
        noise_schedule_clear(&schedule);
    }
    assert_int_equal(remarks.count, 1); /* once, however often it is read */
    assert_string_equal(remarks.lines[0], "FILE: passes over a key that is not known: beta_begin");
    config_close(&config);
}

/* The defaults of the libraries are those of the readers: absent keys and the keys with their defaults read alike. */
static void test_absent_keys(void **state)
{
    (void)state;
    struct config empty = {.path = "FILE", .root = cJSON_CreateObject()}, whole = {.path = "FILE"};
    struct clip_text_tower few, all;
    memset(&few, 0, sizeof few);
    memset(&all, 0, sizeof all);
    whole.root = cJSON_GetObjectItemCaseSensitive(golden.root, "CLIPTextConfig");
    assert_success(clip_text_tower_read(&empty, &few));
    assert_success(clip_text_tower_read(&whole, &all));
    assert_memory_equal(&few, &all, sizeof few);
    struct clip_tower few_layers, all_layers;
    memset(&few_layers, 0, sizeof few_layers);
    memset(&all_layers, 0, sizeof all_layers);
    whole.root = cJSON_GetObjectItemCaseSensitive(golden.root, "CLIPVisionConfig");
    assert_success(clip_tower_read(&empty, true, &few_layers));
    assert_success(clip_tower_read(&whole, true, &all_layers));
    assert_memory_equal(&few_layers, &all_layers, sizeof few_layers);
    struct unet_config unet;
    whole.root = cJSON_GetObjectItemCaseSensitive(golden.root, "UNet2DConditionModel");
    assert_success(unet_config_read(&whole, &unet));
    assert_int_equal(unet.context_width, 1280);
    struct autoencoder_config autoencoder;
    whole.root = cJSON_GetObjectItemCaseSensitive(golden.root, "AutoencoderKL");
    assert_success(autoencoder_config_read(&whole, &autoencoder));
    assert_true(autoencoder.scaling_factor == 0.18215);
    config_close(&empty);
}

static void test_sample_size(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t height, width;
    } rows[] = {{"32", 32, 32}, {"[16, 24]", 16, 24}, {"null", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config config = {.path = "FILE"};
        struct unet_config unet;
        config.root = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(golden.root, "UNet2DConditionModel"), true);
        cJSON_ReplaceItemInObjectCaseSensitive(config.root, "sample_size", cJSON_Parse(rows[i].value));
        assert_success(unet_config_read(&config, &unet));
        assert_int_equal(unet.sample_height, rows[i].height);
        assert_int_equal(unet.sample_width, rows[i].width);
        config_close(&config);
    }
}

/* What a row may take, among alternatives. */
static void test_alternatives(void **state)
{
    (void)state;
    static const char only[] = "true or \"eva\" or [] (others change the base weights)";
    static const struct {
        const char *value;
        bool taken;
    } rows[] = {{"true", true},         {"[]", true},         {"\"eva\"", true},     {"\"ev\"", false},
                {"\"eva\\\"\"", false}, {"[\"eva\"]", false}, {"\"others\"", false}, {"false", false},
                {"1", false},           {"{}", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *value = cJSON_Parse(rows[i].value);
        assert_non_null(value);
        if (config_is_one_of(value, only) != rows[i].taken) fail_msg("%s", rows[i].value);
        cJSON_Delete(value);
    }
    char message[160];
    config_tell_only(only, message);
    assert_string_equal(message, only);
    config_tell_only("null", message);
    assert_string_equal(message, "null (nothing else is supported)");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alternatives),       cmocka_unit_test(test_no_key_is_missing),
        cmocka_unit_test(test_defaults_are_taken), cmocka_unit_test(test_other_values_are_refused),
        cmocka_unit_test(test_unknown_keys),       cmocka_unit_test(test_absent_keys),
        cmocka_unit_test(test_sample_size),
    };
    if (argc != 2 || config_open(argv[1], &golden).code != STATUS_OK) {
        fprintf(stderr, "usage: %s GOLDEN_FILE\n", argv[0]);
        return 2;
    }
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    config_close(&golden);
    return failures;
}
