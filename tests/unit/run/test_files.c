/* metrics.jsonl, pictures, adapters and checkpoints as files. */
#include "tests/unit/run/run_fixture.h"

#include "engine/model/safetensors.h"
#include "engine/run/adapter_file.h"
#include "engine/run/metrics.h"
#include "engine/run/picture_file.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append_raw(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void later_lines_count_and_torn_ones_do_not(void **state)
{
    (void)state;
    const char *path = fixture_path("m.jsonl");
    append_raw(path, "{\"step\":1,\"reward\":{\"total\":1}}\n{\"step\":2,\"reward\":{\"total\":2}}\n"
                     "{\"event\":\"set\",\"step\":3,\"key\":\"optimizer.lr\",\"from\":1,\"to\":0.5}\n"
                     "{\"step\":3,\"reward\":{\"total\":3}}\nnonsense\n{\"event\":\"resume\",\"step\":2}\n"
                     "{\"step\":2,\"reward\":{\"total\":20}}\n{\"step\":3,\"rew");
    struct metrics_history history;
    int damaged;
    assert_int_equal(metrics_read(path, &history, &damaged).code, STATUS_OK);
    assert_int_equal(damaged, 1);
    assert_int_equal(history.record_count, 2);
    const cJSON *reward = cJSON_GetObjectItemCaseSensitive(history.records[1].value, "reward");
    assert_true(cJSON_GetObjectItemCaseSensitive(reward, "total")->valuedouble == 20);
    assert_int_equal(history.change_count, 1);
    metrics_history_clear(&history);

    struct metrics_file file;
    assert_int_equal(metrics_open(&file, path).code, STATUS_OK);
    assert_int_equal(metrics_append(&file, "{\"step\":3,\"reward\":{\"total\":30}}").code, STATUS_OK);
    metrics_close(&file);
    assert_int_equal(metrics_read(path, &history, &damaged).code, STATUS_OK);
    assert_int_equal(history.record_count, 3);
    assert_int_equal(damaged, 1);
    metrics_history_clear(&history);
}

static void changes_before_a_rollback_are_dropped(void **state)
{
    (void)state;
    const char *path = fixture_path("r.jsonl");
    append_raw(path, "{\"event\":\"set\",\"step\":2,\"key\":\"optimizer.lr\",\"from\":1,\"to\":0.5}\n"
                     "{\"event\":\"set\",\"step\":9,\"key\":\"optimizer.lr\",\"from\":0.5,\"to\":0.25}\n"
                     "{\"event\":\"rollback\",\"step\":10,\"to\":5}\n"
                     "{\"event\":\"set\",\"step\":7,\"key\":\"optimizer.lr\",\"from\":0.5,\"to\":0.125}\n");
    struct metrics_history history;
    assert_int_equal(metrics_read(path, &history, NULL).code, STATUS_OK);
    assert_int_equal(history.change_count, 2);
    assert_int_equal(history.changes[1].step, 7);
    assert_int_equal(history.rollback_count, 1);
    assert_int_equal(history.rollbacks[0], 5);
    metrics_history_clear(&history);
}

/* The text under "parameters", as libpng reads it back. */
static void read_parameters(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_read_info(png, info);
    png_textp chunks;
    int count;
    text[0] = '\0';
    png_get_text(png, info, &chunks, &count);
    for (int i = 0; i < count; i++) {
        if (strcmp(chunks[i].key, "parameters") == 0) snprintf(text, size, "%s", chunks[i].text);
    }
    png_destroy_read_struct(&png, &info, NULL);
    fclose(file);
}

static void pictures_carry_their_recipe(void **state)
{
    (void)state;
    static const char *const prompts[] = {"two cats", "caf\xC3\xA9", "\xE7\x8C\xAB"};
    static const char *const expected[] = {"two cats\n", "caf\xE9\n", "\xE7\x8C\xAB\n"};
    unsigned char pixels[4 * 2 * 3];
    for (int i = 0; i < 24; i++) pixels[i] = (unsigned char)(i * 10);
    for (int i = 0; i < 3; i++) {
        struct recipe recipe = {.prompt = prompts[i],
                                .negative = "ugly",
                                .steps = 20,
                                .width = 4,
                                .height = 2,
                                .sampler = "ddim",
                                .guidance = 5,
                                .seed = 42,
                                .model = "a,b",
                                .reward = "count 0.5"};
        struct text text = {0};
        recipe_append(&text, &recipe);
        const char *path = fixture_path("p.png");
        assert_string_equal(picture_write_png(path, pixels, 4, 2, text.data).message, "");
        char parameters[1000];
        read_parameters(path, parameters, sizeof parameters);
        assert_memory_equal(parameters, expected[i], strlen(expected[i]));
        assert_non_null(strstr(parameters, "\nNegative prompt: ugly\nSteps: 20, Sampler: DDIM, CFG scale: 5, Seed: 42, "
                                           "Size: 4x2, Model: \"a,b\", Reward: count 0.5"));
        struct picture back;
        assert_string_equal(picture_read(path, &back).message, "");
        assert_int_equal(back.width, 4);
        assert_memory_equal(back.pixels, pixels, sizeof pixels);
        picture_clear(&back);
        text_clear(&text);
    }
}

static void wrong_pictures_are_refused(void **state)
{
    (void)state;
    struct picture picture;
    const char *path = fixture_path("bad.png");
    append_raw(path, "\x89PNG\r\n\x1A\nrest");
    assert_int_equal(picture_read(path, &picture).code, STATUS_BAD_INPUT);
    const char *jpeg = fixture_path("bad.jpg");
    append_raw(jpeg, "\xFF\xD8\xFF\xE0nothing");
    assert_int_equal(picture_read(jpeg, &picture).code, STATUS_BAD_INPUT);
    const char *text = fixture_path("bad.txt");
    append_raw(text, "hello");
    assert_non_null(strstr(picture_read(text, &picture).message, "neither a PNG nor a JPEG"));
}

/* ---- adapters ---- */

static float down[] = {1, 2, 3, 4, 5, 6}, up[] = {0.5f, -1, 2, 0.25f};

static struct adapter_set example_set(struct adapter_factors *module)
{
    *module = (struct adapter_factors){.module = "mid.attn1.to_out.0",
                                       .kohya = "lora_unet_mid_attn1_to_out_0",
                                       .down_shape = {.rank = 2, .dimension = {2, 3}},
                                       .up_shape = {.rank = 2, .dimension = {2, 2}},
                                       .down = down,
                                       .up = up,
                                       .alpha = 4};
    return (struct adapter_set){.modules = module, .count = 1};
}

static void write_example(const char *path, enum adapter_format format, double scale)
{
    struct preset preset;
    struct adapter_factors module;
    struct adapter_set set = example_set(&module);
    struct adapter_facts facts = {.architecture = "stable-diffusion-v1", .run_id = "r", .step = 7};
    fixture_preset(&preset, NULL, 0);
    assert_string_equal(adapter_file_write(path, &set, format, scale, &preset, &facts).message, "");
    int matching, total;
    assert_string_equal(adapter_file_verify(path, &set, scale, &matching, &total).message, "");
    assert_int_equal(matching, 2);
    assert_int_equal(total, 2);
    preset_clear(&preset);
}

static void assert_tensor(const struct safetensors *file, const char *name, float first)
{
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (!entry) fail_msg("%s is missing", name);
    float values[64];
    assert_in_range(entry->elements, 1, sizeof values / sizeof *values);
    assert_int_equal(safetensors_convert(entry, values).code, STATUS_OK);
    assert_true(values[0] == first);
}

static void kohya_files_hold_what_other_programs_read(void **state)
{
    (void)state;
    const char *path = fixture_path("kohya.safetensors");
    write_example(path, ADAPTER_KOHYA, 0.5);
    struct safetensors *file;
    assert_int_equal(safetensors_open(path, &file).code, STATUS_OK);
    assert_int_equal(safetensors_count(file), 3);
    assert_tensor(file, "lora_unet_mid_attn1_to_out_0.lora_down.weight", 1);
    assert_tensor(file, "lora_unet_mid_attn1_to_out_0.lora_up.weight", 0.25f);
    assert_tensor(file, "lora_unet_mid_attn1_to_out_0.alpha", 4);
    assert_string_equal(safetensors_metadata(file, "ss_base_model_version"), "sd_v1");
    assert_string_equal(safetensors_metadata(file, "ss_network_module"), "networks.lora");
    assert_string_equal(safetensors_metadata(file, "ss_network_dim"), "2");
    assert_string_equal(safetensors_metadata(file, "modelspec.architecture"), "stable-diffusion-v1/lora");
    assert_memory_equal(safetensors_metadata(file, "modelspec.hash_sha256"), "0x", 2);
    assert_non_null(strstr(safetensors_metadata(file, "alignprop.preset"), "\"name\":\"fixture\""));
    safetensors_close(file);
    struct adapter_set set;
    assert_int_equal(adapter_file_read(path, &set).code, STATUS_OK);
    assert_string_equal(set.modules[0].module, "mid.attn1.to_out.0");
    adapter_set_clear(&set);
}

/* alpha / rank = 2 and the scale 0.5 are folded into B. */
static void peft_files_fold_the_scale(void **state)
{
    (void)state;
    const char *path = fixture_path("peft.safetensors");
    write_example(path, ADAPTER_PEFT, 0.25);
    struct safetensors *file;
    assert_int_equal(safetensors_open(path, &file).code, STATUS_OK);
    assert_int_equal(safetensors_count(file), 2);
    assert_tensor(file, "unet.mid.attn1.to_out.0.lora_A.weight", 1);
    assert_tensor(file, "unet.mid.attn1.to_out.0.lora_B.weight", 0.25f);
    safetensors_close(file);
}

static void assert_adapter_refused(const struct safetensors_item *items, size_t count, const char *message)
{
    const char *path = fixture_path("wrong.safetensors");
    assert_string_equal(safetensors_write(path, items, count, NULL, 0).message, "");
    struct adapter_set set;
    status result = adapter_file_read(path, &set);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    if (!strstr(result.message, message)) fail_msg("expected \"%s\" in: %s", message, result.message);
}

static void wrong_adapters_are_refused(void **state)
{
    (void)state;
    struct safetensors_item lone = {"lora_unet_x.lora_down.weight", SAFETENSORS_F32, 2, {2, 3}, down};
    assert_adapter_refused(&lone, 1, "the up factor is missing");
    struct safetensors_item ranks[] = {lone, {"lora_unet_x.lora_up.weight", SAFETENSORS_F32, 2, {4, 1}, up}};
    assert_adapter_refused(ranks, 2, "ranks differ: down has 2, up has 1");
    struct safetensors_item other = {"conv_in.weight", SAFETENSORS_F32, 2, {2, 3}, down};
    assert_adapter_refused(&other, 1, "conv_in.weight: is no part of a LoRA adapter");
    struct safetensors_item flat[] = {{"lora_unet_x.lora_down.weight", SAFETENSORS_F32, 1, {6}, down}, ranks[1]};
    assert_adapter_refused(flat, 2, "2 or 4 dimensions, found 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_lines_count_and_torn_ones_do_not),
        cmocka_unit_test(changes_before_a_rollback_are_dropped),
        cmocka_unit_test(pictures_carry_their_recipe),
        cmocka_unit_test(wrong_pictures_are_refused),
        cmocka_unit_test(kohya_files_hold_what_other_programs_read),
        cmocka_unit_test(peft_files_fold_the_scale),
        cmocka_unit_test(wrong_adapters_are_refused),
    };
    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
