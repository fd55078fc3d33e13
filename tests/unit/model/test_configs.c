/* Configs with wrong values, and folders with missing, truncated or wrong files: each has a message that names the
 * file, the key or tensor, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/model/autoencoder.h"
#include "engine/model/check.h"
#include "engine/model/clip_tower.h"
#include "engine/model/config.h"
#include "engine/model/library.h"
#include "engine/model/remarks.h"
#include "engine/model/safetensors.h"
#include "engine/model/schedule.h"
#include "engine/model/unet.h"
#include "model_copy.h"
#include "model_runner.h"

static const char *config_folder; /* tests/golden/config */

/* ---- wrong values ---- */

struct wrong_value {
    const char *key, *value; /* JSON; NULL: the key is removed */
    const char *message;
};

typedef status (*reader)(const struct config *config);

static status read_unet(const struct config *config)
{
    struct unet_config unet;
    return unet_config_read(config, &unet);
}

static status read_autoencoder(const struct config *config)
{
    struct autoencoder_config autoencoder;
    return autoencoder_config_read(config, &autoencoder);
}

static status read_text(const struct config *config)
{
    struct clip_text_tower tower;
    return clip_text_tower_read(config, &tower);
}

static status read_scheduler(const struct config *config)
{
    struct noise_schedule schedule;
    status result = noise_schedule_read(config, &schedule);
    if (result.code == STATUS_OK)
        noise_schedule_clear(&schedule);
    else
        assert_null(schedule.alpha_bar);
    return result;
}

static void check_wrong_value(const char *file, const struct wrong_value *wrong, reader read)
{
    struct config config;
    char path[PATH_SIZE];
    assert_success(path_format(path, "%s/linear-v-prediction/%s", config_folder, file));
    assert_success(config_open(path, &config));
    assert_success(read(&config));
    cJSON_DeleteItemFromObjectCaseSensitive(config.root, "_use_default_values"); /* what it lists is passed over */
    cJSON_DeleteItemFromObjectCaseSensitive(config.root, wrong->key);
    if (wrong->value) cJSON_AddItemToObject(config.root, wrong->key, cJSON_Parse(wrong->value));
    status result = read(&config);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, wrong->message) || !strstr(result.message, file))
        fail_msg("%s with %s = %s: code %d, \"%s\"; expected \"%s\"", file, wrong->key,
                 wrong->value ? wrong->value : "(none)", result.code, result.message, wrong->message);
    config_close(&config);
}

#define CHECK_ALL(file, rows, read)                                                                                    \
    for (size_t row = 0; row < sizeof(rows) / sizeof((rows)[0]); row++) check_wrong_value(file, &(rows)[row], read)

static void test_unet_values(void **state)
{
    (void)state;
    static const struct wrong_value rows[] = {
        {"_class_name", "\"SD3Transformer2DModel\"", "_class_name is \"SD3Transformer2DModel\""},
        {"addition_embed_type", "\"text_time\"", "addition_embed_type is \"text_time\"; expected null"},
        {"class_embed_type", "\"timestep\"", "class_embed_type is \"timestep\""},
        {"resnet_time_scale_shift", "\"scale_shift\"", "resnet_time_scale_shift is \"scale_shift\""},
        {"center_input_sample", "true", "center_input_sample is true; expected false"},
        {"act_fn", "\"gelu\"", "act_fn is \"gelu\"; expected \"silu\" or \"swish\""},
        {"down_block_types", "[\"CrossAttnDownBlock2D\",\"AttnDownBlock2D\"]", "down_block_types is"},
        {"down_block_types", "[\"DownBlock2D\"]", "a list of 2"},
        {"up_block_types", NULL, "up_block_types is missing"},
        {"mid_block_type", "\"UNetMidBlock2DSimpleCrossAttn\"", "mid_block_type is"},
        {"block_out_channels", "[]", "block_out_channels is []"},
        {"block_out_channels", "8", "block_out_channels is 8"},
        {"block_out_channels", "[8,-16]", "block_out_channels is [8,-16]"},
        {"block_out_channels", "[8,18]", "norm_num_groups is 4; expected a divisor"},
        {"layers_per_block", "[1,2,3]", "layers_per_block is [1,2,3]"},
        {"layers_per_block", "0", "layers_per_block is 0"},
        {"attention_head_dim", "3", "attention_head_dim"},
        {"attention_head_dim", "\"8\"", "attention_head_dim is \"8\""},
        {"num_attention_heads", "1.5", "num_attention_heads is 1.5"},
        {"transformer_layers_per_block", "[1,[2]]", "transformer_layers_per_block is"},
        {"cross_attention_dim", "[12,16]", "cross_attention_dim is [12,16]"},
        {"only_cross_attention", "[true,false]", "only_cross_attention is [true,false]"},
        {"norm_num_groups", "null", "norm_num_groups"},
        {"norm_num_groups", "0", "norm_num_groups is 0"},
        {"norm_eps", "\"1e-5\"", "norm_eps is \"1e-5\""},
        {"downsample_padding", "0", "downsample_padding is 0; expected 1"},
        {"conv_in_kernel", "4", "conv_in_kernel is 4; expected an odd integer"},
        {"freq_shift", "4", "freq_shift is 4"},
        {"time_cond_proj_dim", "256", "time_cond_proj_dim is 256"},
        {"encoder_hid_dim", "1024", "encoder_hid_dim is 1024"},
    };
    CHECK_ALL("unet/config.json", rows, read_unet);
}

static void test_autoencoder_values(void **state)
{
    (void)state;
    static const struct wrong_value rows[] = {
        {"_class_name", "\"AutoencoderTiny\"", "_class_name is \"AutoencoderTiny\""},
        {"shift_factor", "0.1", "shift_factor is 0.1"},
        {"latents_mean", "[0,0,0,0]", "latents_mean is [0,0,0,0]"},
        {"up_block_types", "[\"UpDecoderBlock2D\",\"AttnUpDecoderBlock2D\"]", "up_block_types is"},
        {"up_block_types", "[]", "up_block_types is []"},
        {"block_out_channels", "{}", "block_out_channels is {}"},
        {"norm_num_groups", "5", "norm_num_groups is 5"},
        {"scaling_factor", "0", "scaling_factor is 0"},
        {"out_channels", "1", "out_channels is 1; expected 3"},
        {"use_post_quant_conv", "1", "use_post_quant_conv is 1; expected true or false"},
        {"layers_per_block", "[2,2]", "layers_per_block is [2,2]"},
    };
    CHECK_ALL("vae/config.json", rows, read_autoencoder);
}

static void test_text_encoder_values(void **state)
{
    (void)state;
    static const struct wrong_value rows[] = {
        {"hidden_act", "\"mish\"", "hidden_act is \"mish\""},
        {"num_attention_heads", "5", "num_attention_heads is 5; expected a divisor of hidden_size, 12"},
        {"num_hidden_layers", "0", "num_hidden_layers is 0"},
        {"vocab_size", "1e99", "vocab_size is"},
        {"max_position_embeddings", "true", "max_position_embeddings is true"},
        {"layer_norm_eps", "-1", "layer_norm_eps is -1"},
        {"use_attention_mask", "true", "use_attention_mask is true; expected false"},
        {"quantization_config", "{\"bits\":4}", "quantization_config is {\"bits\":4}; expected null"},
    };
    CHECK_ALL("text_encoder/config.json", rows, read_text);
}

static void test_scheduler_values(void **state)
{
    (void)state;
    static const struct wrong_value rows[] = {
        {"_class_name", "\"FlowMatchEulerDiscreteScheduler\"", "_class_name is \"FlowMatchEuler"},
        {"prediction_type", "\"sample\"", "prediction_type is \"sample\""},
        {"beta_schedule", "\"sigmoid\"", "beta_schedule is \"sigmoid\""},
        {"beta_end", "0.0001", "beta_end is 0.0001"},
        {"beta_start", "1.5", "beta_start is 1.5"},
        {"num_train_timesteps", "0", "num_train_timesteps is 0"},
        {"steps_offset", "1000", "steps_offset is 1000"},
        {"timestep_spacing", "\"karras\"", "timestep_spacing is \"karras\""},
        {"trained_betas", "[0.1,2]", "trained_betas[1]"},
        {"trained_betas", "[]", "trained_betas is []"},
        {"rescale_betas_zero_snr", "1", "rescale_betas_zero_snr is 1"},
        {"thresholding", "true", "thresholding is true"},
        {"use_flow_sigmas", "true", "use_flow_sigmas is true"},
        {"interpolation_type", "\"cubic\"", "interpolation_type is \"cubic\""},
        {"final_sigmas_type", "\"half\"", "final_sigmas_type is \"half\""},
        {"timestep_type", "\"other\"", "timestep_type is \"other\""},
        {"sigma_min", "0", "sigma_min is 0"},
        {"use_karras_sigmas", "\"yes\"", "use_karras_sigmas is \"yes\""},
        {"clip_sample", "true", "clip_sample is true"},
    };
    CHECK_ALL("scheduler/scheduler_config.json", rows, read_scheduler);
}

/* ---- broken folders ---- */

static char copy[PATH_SIZE];

/* A fresh copy of a golden model. */
static void fresh_copy(const char *name)
{
    char source[PATH_SIZE];
    assert_success(path_format(source, "%s/%s", config_folder, name));
    assert_success(path_format(copy, "%s", copy_path("model")));
    assert_success(directory_remove(copy));
    copy_folder(source, copy);
}

static char *in_copy(const char *name)
{
    static char path[PATH_SIZE];
    assert_success(path_format(path, "%s/%s", copy, name));
    return path;
}

static void expect_failure(const char *message, const char *place)
{
    struct model *model;
    status result = model_open(copy, &model);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, message) || !strstr(result.message, place))
        fail_msg("code %d, \"%s\"; expected \"%s\" and \"%s\"", result.code, result.message, place, message);
    assert_null(model);
}

static void test_missing_files(void **state)
{
    (void)state;
    static const struct {
        const char *file, *message;
    } rows[] = {
        {"model_index.json", "has no model_index.json"},
        {"unet/config.json", "unet/config.json"},
        {"vae/config.json", "vae/config.json"},
        {"text_encoder/config.json", "text_encoder/config.json"},
        {"scheduler/scheduler_config.json", "scheduler_config.json"},
        {"tokenizer/merges.txt", "has neither merges.txt nor tokenizer.json"},
        {"unet/diffusion_pytorch_model.safetensors", "has no diffusion_pytorch_model.safetensors"},
        {"text_encoder/model.safetensors", "has no model.safetensors"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh_copy("linear-v-prediction");
        assert_int_equal(unlink(in_copy(rows[i].file)), 0);
        expect_failure(rows[i].message, copy);
    }
    fresh_copy("deep-sharded");
    assert_int_equal(unlink(in_copy("unet/diffusion_pytorch_model-00002-of-00002.safetensors")), 0);
    expect_failure("00002-of-00002.safetensors", copy);
}

static void test_pickled_weights(void **state)
{
    (void)state;
    fresh_copy("linear-v-prediction");
    char from[PATH_SIZE];
    assert_success(path_format(from, "%s", in_copy("unet/diffusion_pytorch_model.safetensors")));
    assert_int_equal(rename(from, in_copy("unet/diffusion_pytorch_model.bin")), 0);
    expect_failure("pickled weights", "diffusion_pytorch_model.bin");
    struct model *model;
    assert_success(file_write_atomic(in_copy("old.ckpt"), "x", 1));
    status result = model_open(in_copy("old.ckpt"), &model);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "pickled weights"));
    result = model_open(in_copy("absent"), &model);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "is not there"));
}

static void test_truncated_weights(void **state)
{
    (void)state;
    static const char file[] = "unet/diffusion_pytorch_model.safetensors";
    char *data;
    size_t length;
    fresh_copy("linear-v-prediction");
    assert_success(file_read(in_copy(file), 1 << 24, &data, &length));
    free(data);
    for (size_t keep = 0; keep < length; keep += length / 7) {
        assert_int_equal(truncate(in_copy(file), (off_t)keep), 0);
        expect_failure("", file);
        fresh_copy("linear-v-prediction");
    }
    assert_int_equal(truncate(in_copy(file), (off_t)length - 1), 0);
    expect_failure("", file);
}

/* Rewrites a weight file of the copy with one tensor changed: dropped, or with another shape or type. */
static void change_tensor(const char *file, const char *name, bool drop, bool reshape, float *poison)
{
    struct safetensors *old;
    char path[PATH_SIZE];
    assert_success(path_format(path, "%s", in_copy(file)));
    assert_success(safetensors_open(path, &old));
    struct safetensors_item *items = calloc(safetensors_count(old), sizeof items[0]);
    void **bytes = calloc(safetensors_count(old), sizeof(void *));
    size_t count = 0;
    assert_non_null(items);
    assert_non_null(bytes);
    for (size_t i = 0; i < safetensors_count(old); i++) {
        const struct safetensors_entry *entry = safetensors_entry_at(old, i);
        bool changed = strcmp(entry->name, name) == 0;
        if (changed && drop) continue;
        struct safetensors_item *item = &items[count];
        bytes[count] = malloc((size_t)entry->elements * safetensors_type_size(entry->type) + 1);
        assert_non_null(bytes[count]);
        assert_success(safetensors_read_bytes(entry, bytes[count]));
        *item = (struct safetensors_item){
            .name = entry->name, .type = entry->type, .rank = entry->rank, .bytes = bytes[count]};
        count++;
        memcpy(item->dimension, entry->dimension, sizeof item->dimension);
        if (changed && reshape) {
            item->rank = 2;
            item->dimension[0] = 1;
            item->dimension[1] = entry->elements;
        }
        if (changed && poison) {
            item->type = SAFETENSORS_F32;
            item->bytes = poison;
        }
    }
    char rewritten[PATH_SIZE];
    assert_success(path_format(rewritten, "%s.new", path));
    assert_success(safetensors_write(rewritten, items, count, NULL, 0));
    safetensors_close(old);
    for (size_t i = 0; i < count; i++) free(bytes[i]);
    free(bytes);
    free(items);
    assert_int_equal(rename(rewritten, path), 0);
}

static void test_wrong_tensors(void **state)
{
    (void)state;
    static const char file[] = "unet/diffusion_pytorch_model.safetensors", name[] = "mid_block.resnets.0.conv1.bias";
    fresh_copy("linear-v-prediction");
    change_tensor(file, name, true, false, NULL);
    expect_failure("has no tensor mid_block.resnets.0.conv1.bias; expected one of shape [16]", file);
    fresh_copy("linear-v-prediction");
    change_tensor(file, name, false, true, NULL);
    expect_failure("tensor mid_block.resnets.0.conv1.bias has shape [1, 16]; expected [16]", file);
    fresh_copy("linear-v-prediction");
    change_tensor(file, name, true, false, NULL);
    change_tensor(file, "conv_in.bias", true, false, NULL);
    expect_failure("(and 1 more)", file);

    struct model_report report;
    assert_success(model_check(copy, &report));
    assert_int_equal(report.problem_count, 2);
    assert_non_null(strstr(report.problems[0], "has no tensor"));
    model_report_clear(&report);
}

static void test_check_finds_what_is_not_finite(void **state)
{
    (void)state;
    float poison[16] = {0};
    struct model_report report;
    fresh_copy("linear-v-prediction");
    assert_success(model_check(copy, &report));
    assert_int_equal(report.problem_count, 0);
    assert_true(report.recognised && report.kind == MODEL_KIND_DIFFUSION);
    assert_non_null(strstr(report.summary, "v prediction"));
    model_report_clear(&report);
    poison[5] = 1.0f / poison[0];
    change_tensor("unet/diffusion_pytorch_model.safetensors", "mid_block.resnets.0.conv1.bias", false, false, poison);
    assert_success(model_check(copy, &report));
    assert_int_equal(report.problem_count, 1);
    assert_non_null(
        strstr(report.problems[0], "mid_block.resnets.0.conv1.bias holds an infinity or NaN, at element 5"));
    model_report_clear(&report);
}

/* Sets a key in a JSON file of the copy. */
static void set_in_file(const char *file, const char *key, const char *value)
{
    struct config config;
    assert_success(config_open(in_copy(file), &config));
    cJSON_DeleteItemFromObjectCaseSensitive(config.root, key);
    cJSON_AddItemToObject(config.root, key, cJSON_Parse(value));
    char *text = cJSON_Print(config.root);
    assert_success(file_write_atomic(in_copy(file), text, strlen(text)));
    cJSON_free(text);
    config_close(&config);
}

static void test_parts_that_disagree(void **state)
{
    (void)state;
    static const struct {
        const char *file, *key, *value, *message;
    } rows[] = {
        {"model_index.json", "unet", "[\"diffusers\",\"UNet2DModel\"]", "unet is a UNet2DModel; expected a UNet2DCond"},
        {"model_index.json", "text_encoder_2", "[\"transformers\",\"CLIPTextModelWithProjection\"]", "text_encoder_2"},
        {"model_index.json", "vae", "[null,null]", "vae is [null,null]"},
        {"unet/config.json", "in_channels", "9", "an inpainting model is not supported"},
        {"unet/config.json", "out_channels", "8", "predicts 8 channels; expected 4"},
        {"unet/config.json", "cross_attention_dim", "16", "cross_attention_dim is 16; expected 12"},
        {"text_encoder/config.json", "vocab_size", "100", "highest id is"},
        {"text_encoder/config.json", "model_type", "\"bert\"", "model_type is \"bert\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh_copy("linear-v-prediction");
        set_in_file(rows[i].file, rows[i].key, rows[i].value);
        expect_failure(rows[i].message, copy);
    }
}

static void write_in_copy(const char *file, const char *text)
{
    assert_success(file_write_atomic(in_copy(file), text, strlen(text)));
}

/* Tokens without a row in the text encoder's table, and merges that were cut, whether vocab.json tells or the table. */
static void test_tokenizer_and_table(void **state)
{
    (void)state;
    fresh_copy("linear-v-prediction");
    write_in_copy("tokenizer/added_tokens.json", "{\"<cat>\": 522}");
    expect_failure("highest id is 522; expected less than 522", copy);
    fresh_copy("linear-v-prediction");
    write_in_copy("tokenizer/merges.txt", "#version: 0.2\nc a\nca t</w>\n");
    expect_failure("merges.txt has 2 merges; expected 8", copy);
    fresh_copy("plain-decoder");
    write_in_copy("tokenizer/merges.txt", "#version: 0.2\nc a\nca t</w>\n");
    expect_failure("the ids that merges.txt gives end at 515; expected 521", copy);
}

/* A byte-order mark and Python's numbers in every config; unknown keys are remarked on, once each file. */
static void test_marks_and_remarks(void **state)
{
    (void)state;
    static const char *const files[] = {"model_index.json",
                                        "unet/config.json",
                                        "vae/config.json",
                                        "text_encoder/config.json",
                                        "scheduler/scheduler_config.json",
                                        "tokenizer/tokenizer_config.json"};
    struct model *model;
    fresh_copy("linear-v-prediction");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *text, *marked = NULL;
        size_t length;
        assert_success(file_read(in_copy(files[i]), 1 << 20, &text, &length));
        assert_true(asprintf(&marked, "\xEF\xBB\xBF{\"half_life\": -Infinity,%s", strchr(text, '{') + 1) > 0);
        write_in_copy(files[i], marked);
        free(marked);
        free(text);
    }
    assert_success(model_open(copy, &model));
    const struct remarks *remarks = model_remarks(model);
    assert_int_equal(remarks->count, 5); /* the index is no config */
    assert_non_null(strstr(remarks->lines[0], "unet/config.json: passes over a key that is not known: half_life"));
    model_close(model);
    struct model_report report;
    assert_success(model_check(copy, &report));
    assert_int_equal(report.problem_count, 0);
    assert_int_equal(report.remarks.count, 5);
    model_report_clear(&report);
}

static void test_preview(void **state)
{
    (void)state;
    static const char good[] =
        "{\"latent_rgb_factors\":[[1,2,3],[4,5,6],[7,8,9],[10,11,12]],\"latent_rgb_bias\":[0.5,0,1]}";
    static const char wrong[] = "{\"latent_rgb_factors\":[[1,2,3],[4,5,6],[7,8,9],[10,11]]}";
    struct model *model;
    fresh_copy("linear-v-prediction");
    assert_success(model_open(copy, &model));
    assert_false(model_facts(model)->has_preview);
    model_close(model);
    assert_success(file_write_atomic(in_copy("preview.json"), good, strlen(good)));
    assert_success(model_open(copy, &model));
    assert_true(model_facts(model)->has_preview);
    assert_true(model_facts(model)->preview_factors[3][1] == 11.0f && model_facts(model)->preview_bias[0] == 0.5f);
    model_close(model);
    assert_success(file_write_atomic(in_copy("preview.json"), wrong, strlen(wrong)));
    expect_failure("latent_rgb_factors", "preview.json");
}

/* ---- names ---- */

static void test_library(void **state)
{
    (void)state;
    struct model_library library;
    char hub[PATH_SIZE], data[PATH_SIZE], target[PATH_SIZE], path[PATH_SIZE], *snapshot;
    fresh_copy("linear-v-prediction");
    assert_success(path_format(hub, "%s", copy_path("hub")));
    assert_success(path_format(data, "%s", copy_path("data")));
    assert_success(path_format(target, "%s/models--acme--tiny/snapshots/abc123", hub));
    copy_folder(copy, target);
    assert_success(path_format(path, "%s/models--acme--tiny/refs", hub));
    assert_success(directory_make(path));
    assert_success(path_format(path, "%s/models--acme--tiny/refs/main", hub));
    assert_success(file_write_atomic(path, "abc123", 6));
    assert_success(path_format(path, "%s/alignprop/models/mine", data));
    copy_folder(copy, path);
    assert_int_equal(setenv("HF_HUB_CACHE", hub, 1), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", data, 1), 0);
    assert_int_equal(setenv("ALIGNPROP_DATA", copy_path("no-program"), 1), 0); /* nothing built in */

    const char *const folders[] = {config_folder};
    assert_success(model_library_open(folders, 1, &library));
    assert_int_equal(library.count, 3 + 1 + 1); /* the single file's folder is no model */
    assert_string_equal(library.entries[0].name, "deep-sharded");
    assert_string_equal(library.entries[3].name, "mine");
    assert_int_equal(library.entries[3].place, MODEL_DATA);
    assert_string_equal(library.entries[4].name, "acme/tiny");
    assert_int_equal(library.entries[4].place, MODEL_HUB);

    assert_success(model_library_find(&library, "tiny", MODEL_KIND_DIFFUSION, path));
    assert_string_equal(path, target);
    assert_success(model_library_find(&library, "acme/tiny", MODEL_KIND_DIFFUSION, path));
    assert_string_equal(path, target);
    struct model *model;
    assert_success(model_open(path, &model));
    assert_string_equal(model_facts(model)->name, "acme/tiny");
    model_close(model);
    assert_success(model_library_find(&library, copy, MODEL_KIND_DIFFUSION, path));
    assert_string_equal(path, copy);
    status result = model_library_find(&library, "mime", MODEL_KIND_DIFFUSION, path);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "did you mean \"mine\"?"));
    result = model_library_find(&library, "mine", MODEL_KIND_CLIP, path);
    assert_non_null(strstr(result.message, "there is no CLIP model \"mine\""));
    result = model_library_find(&library, copy, MODEL_KIND_DETECTOR, path);
    assert_non_null(strstr(result.message, "holds: text-to-image model; expected: object detector"));
    assert_string_equal(model_library_first(&library, MODEL_KIND_DIFFUSION)->name, "deep-sharded");
    assert_null(model_library_first(&library, MODEL_KIND_CLIP));
    model_library_close(&library);
    const char *const missing[] = {"/nonexistent/models"};
    assert_int_equal(model_library_open(missing, 1, &library).code, STATUS_BAD_INPUT);

    snapshot = in_copy("../hub/models--acme--tiny/refs/main");
    assert_success(file_write_atomic(snapshot, "gone", 4)); /* then the only snapshot counts */
    assert_success(model_library_open(NULL, 0, &library));
    assert_success(model_library_find(&library, "acme/tiny", MODEL_KIND_DIFFUSION, path));
    model_library_close(&library);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unet_values),
        cmocka_unit_test(test_autoencoder_values),
        cmocka_unit_test(test_text_encoder_values),
        cmocka_unit_test(test_scheduler_values),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_pickled_weights),
        cmocka_unit_test(test_truncated_weights),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_check_finds_what_is_not_finite),
        cmocka_unit_test(test_parts_that_disagree),
        cmocka_unit_test(test_tokenizer_and_table),
        cmocka_unit_test(test_marks_and_remarks),
        cmocka_unit_test(test_preview),
        cmocka_unit_test(test_library),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s CONFIG_FOLDER\n", argv[0]);
        return 2;
    }
    config_folder = argv[1];
    return cmocka_run_group_tests(tests, make_copies, remove_copies);
}
