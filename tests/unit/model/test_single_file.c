/* Single files with the names, flags and tensors that people's files have: the same pictures as diffusers makes of the
 * same weights, or a message that names what cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/model/config.h"
#include "engine/model/internal.h"
#include "kernels/convert.h"
#include "model_copy.h"
#include "model_runner.h"
#include "single_file_writer.h"

static char golden_folder[PATH_SIZE]; /* single-file/ */
static const double tolerance = 1e-5;

static int set_up(void **state)
{
    char tokenizer[PATH_SIZE];
    if (make_copies(state) != 0) return -1;
    assert_success(path_format(tokenizer, "%s/tokenizer", golden_folder));
    return symlink(tokenizer, copy_path("tokenizer"));
}

static void write_file(const struct single_file_changes *changes)
{
    char layout[PATH_SIZE];
    assert_success(path_format(layout, "%s/layout.json", golden_folder));
    write_single_file(layout, copy_path("model.safetensors"), changes);
}

/* All three networks against the golden values. */
static void check_networks(struct model *model)
{
    struct safetensors *golden;
    struct backend *backend;
    struct shape shape;
    char path[PATH_SIZE];
    assert_success(path_format(path, "%s/golden.safetensors", golden_folder));
    assert_success(safetensors_open(path, &golden));
    assert_success(backend_cpu_create(2, &backend));
    float *ids = golden_values(golden, "ids", &shape);
    int32_t *id_values = malloc((size_t)shape_elements(&shape) * sizeof id_values[0]);
    for (int64_t i = 0; i < shape_elements(&shape); i++) id_values[i] = (int32_t)ids[i];
    assert_golden("text", run_text_encoder(backend, model, shape.dimension[0], id_values), golden, "text_states",
                  tolerance);
    float *timestep = golden_values(golden, "timestep", NULL), *latents = golden_values(golden, "latents", &shape);
    float *context = golden_values(golden, "context", NULL);
    assert_golden("unet", run_unet(backend, model, &shape, latents, (double)*timestep, context), golden, "prediction",
                  tolerance);
    free(latents);
    latents = golden_values(golden, "decoder_latents", &shape);
    assert_golden("decoder", run_decoder(backend, model, &shape, latents), golden, "picture", tolerance);
    free(latents);
    free(context);
    free(timestep);
    free(id_values);
    free(ids);
    backend->interface->destroy(backend);
    safetensors_close(golden);
}

static void test_names_that_files_have(void **state)
{
    (void)state;
    static const struct single_file_changes files[] = {
        /* The decoder's attention as diffusers calls it, as convolutions and as linear maps. */
        {.renamings = {{"attn_1.q.", "attn_1.to_q."},
                       {"attn_1.k.", "attn_1.to_k."},
                       {"attn_1.v.", "attn_1.to_v."},
                       {"attn_1.proj_out.", "attn_1.to_out.0."}}},
        {.renamings = {{"attn_1.q.", "attn_1.to_q."},
                       {"attn_1.k.", "attn_1.to_k."},
                       {"attn_1.v.", "attn_1.to_v."},
                       {"attn_1.proj_out.", "attn_1.to_out.0."},
                       {"attn_1.norm.", "attn_1.group_norm."}},
         .flat_attention = true},
        {.renamings = {{"attn_1.q.", "attn_1.query."},
                       {"attn_1.k.", "attn_1.key."},
                       {"attn_1.v.", "attn_1.value."},
                       {"attn_1.proj_out.", "attn_1.proj_attn."}},
         .flat_attention = true},
        {.renamings = {{"decoder.mid.attn_1.q.", "decoder.mid_block.attentions.0.to_q."},
                       {"decoder.mid.attn_1.k.", "decoder.mid_block.attentions.0.to_k."},
                       {"decoder.mid.attn_1.v.", "decoder.mid_block.attentions.0.to_v."},
                       {"decoder.mid.attn_1.proj_out.", "decoder.mid_block.attentions.0.to_out.0."},
                       {"decoder.mid.attn_1.norm.", "decoder.mid_block.attentions.0.group_norm."}}},
        {.flat_attention = true, .fp32 = true},
        /* Text encoders. */
        {.renamings = {{"cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."}}},
        {.renamings = {{"cond_stage_model.transformer.", "conditioner.embedders.0.transformer."}}},
        {.renamings = {{"cond_stage_model.transformer.text_model.", "conditioner.embedders.0.transformer."}}},
        {.renamings = {{"first_stage_model.", "vae."}}},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct model *model;
        printf("file %zu\n", i);
        write_file(&files[i]);
        assert_success(model_open(copy_path("model.safetensors"), &model));
        assert_int_equal(model_remarks(model)->count, 0);
        check_networks(model);
        model_close(model);
    }
}

static void expect_refused(const struct single_file_changes *changes, const char *message)
{
    struct model *model;
    write_file(changes);
    status result = model_open(copy_path("model.safetensors"), &model);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, message) ||
        !strstr(result.message, "model.safetensors"))
        fail_msg("code %d, \"%s\"; expected \"%s\"", result.code, result.message, message);
    assert_null(model);
}

static void test_attention_is_never_left_out(void **state)
{
    (void)state;
    expect_refused(&(struct single_file_changes){.renamings = {{"attn_1.q.", "attn_1.qq."}}},
                   "has no tensor first_stage_model.decoder.mid.attn_1.q.weight");
    expect_refused(&(struct single_file_changes){.renamings = {{"attn_1.v.", NULL}}},
                   "has no tensor first_stage_model.decoder.mid.attn_1.v.weight");
    expect_refused(&(struct single_file_changes){.renamings = {{"attn_1.q.", NULL}}},
                   "has no tensor first_stage_model.decoder.mid.attn_1.q.weight");
}

/* ---- flags and metadata ---- */

static const float one = 1.0F;

static void check_prediction(const struct single_file_changes *changes, enum prediction_type expected)
{
    struct model *model;
    write_file(changes);
    assert_success(model_open(copy_path("model.safetensors"), &model));
    assert_int_equal(model_facts(model)->schedule.prediction, expected);
    assert_int_equal(model_remarks(model)->count, 0);
    model_close(model);
}

static void test_prediction(void **state)
{
    (void)state;
    static const struct safetensors_item empty = {"v_pred", SAFETENSORS_F32, 1, {0}, &one},
                                         number = {"v_pred", SAFETENSORS_F32, 0, {0}, &one};
    static const char key[] = "modelspec.prediction_type";
    check_prediction(NULL, PREDICTION_EPSILON);
    check_prediction(&(struct single_file_changes){.extras = {empty}}, PREDICTION_V);
    check_prediction(&(struct single_file_changes){.extras = {number}}, PREDICTION_V);
    check_prediction(&(struct single_file_changes){.metadata = {{"v_pred", "true"}}}, PREDICTION_V);
    check_prediction(&(struct single_file_changes){.metadata = {{"v_pred", "False"}}}, PREDICTION_EPSILON);
    check_prediction(&(struct single_file_changes){.metadata = {{key, "v"}}}, PREDICTION_V);
    check_prediction(&(struct single_file_changes){.metadata = {{key, "epsilon"}}}, PREDICTION_EPSILON);
    check_prediction(&(struct single_file_changes){.extras = {empty}, .metadata = {{key, "v"}}}, PREDICTION_V);
    expect_refused(&(struct single_file_changes){.extras = {empty}, .metadata = {{key, "epsilon"}}},
                   "modelspec.prediction_type is \"epsilon\"; expected v, as the file has the tensor v_pred");
    expect_refused(&(struct single_file_changes){.metadata = {{key, "sample"}}},
                   "modelspec.prediction_type is \"sample\"; expected epsilon or v");
}

static void test_noise_schedule(void **state)
{
    (void)state;
    static const struct safetensors_item flag = {"ztsnr", SAFETENSORS_F32, 1, {0}, &one};
    static const struct safetensors_item v_pred = {"v_pred", SAFETENSORS_F32, 1, {0}, &one};
    struct model *model;
    expect_refused(&(struct single_file_changes){.extras = {flag}}, "has the flag ztsnr");
    expect_refused(&(struct single_file_changes){.extras = {flag, v_pred}}, "has the flag ztsnr");
    expect_refused(&(struct single_file_changes){.metadata = {{"ss_zero_terminal_snr", "True"}}},
                   "has the flag ss_zero_terminal_snr");

    static uint16_t halves[1000];
    write_file(NULL);
    assert_success(model_open(copy_path("model.safetensors"), &model));
    const double *alphas = model_facts(model)->schedule.alpha_bar;
    double first = alphas[0], last = alphas[999];
    for (int i = 0; i < 1000; i++) halves[i] = half_from_float((float)alphas[i]);
    struct safetensors_item buffer = {"alphas_cumprod", SAFETENSORS_F16, 1, {1000}, halves};
    check_prediction(&(struct single_file_changes){.extras = {buffer}}, PREDICTION_EPSILON);
    /* Rescaled to zero terminal SNR (Lin and others 2024, algorithm 1). */
    for (int i = 0; i < 1000; i++) {
        double root = (sqrt(alphas[i]) - sqrt(last)) * sqrt(first) / (sqrt(first) - sqrt(last));
        halves[i] = half_from_float((float)(root * root));
    }
    model_close(model);
    expect_refused(&(struct single_file_changes){.extras = {buffer}}, "alphas_cumprod is");
    const float scale = 0.13025F;
    expect_refused(&(struct single_file_changes){.extras = {{"scale_factor", SAFETENSORS_F32, 0, {0}, &scale}}},
                   "scale_factor is 0.13025; expected 0.18215");
}

/* ---- tensors that nothing uses ---- */

static void test_leftovers(void **state)
{
    (void)state;
    static const int64_t positions[2] = {0, 1};
    const struct single_file_changes known = {
        .extras = {
            {"model_ema.diffusion_modelout2weight", SAFETENSORS_F32, 1, {1}, &one},
            {"betas", SAFETENSORS_F32, 1, {1}, &one},
            {"cond_stage_model.transformer.text_model.embeddings.position_ids", SAFETENSORS_I64, 2, {1, 2}, positions},
            {"cond_stage_model.logit_scale", SAFETENSORS_F32, 0, {0}, &one},
            {"first_stage_model.encoder.conv_in.bias", SAFETENSORS_F32, 1, {1}, &one},
            {"first_stage_model.quant_conv.bias", SAFETENSORS_F32, 1, {1}, &one},
            {"model_ema.decay", SAFETENSORS_F32, 0, {0}, &one}}};
    struct model *model;
    write_file(&known);
    assert_success(model_open(copy_path("model.safetensors"), &model));
    assert_int_equal(model_remarks(model)->count, 0);
    model_close(model);
    const struct single_file_changes unknown = {
        .extras = {{"model.diffusion_model.out.2.scale", SAFETENSORS_F32, 1, {1}, &one},
                   {"first_stage_model.decoder.conv_in.gate", SAFETENSORS_F32, 1, {1}, &one}}};
    write_file(&unknown);
    assert_success(model_open(copy_path("model.safetensors"), &model));
    assert_int_equal(model_remarks(model)->count, 1);
    assert_non_null(strstr(model_remarks(model)->lines[0],
                           "2 tensors are not used, the first of them first_stage_model.decoder.conv_in.gate"));
    model_close(model);
}

static void test_other_families(void **state)
{
    (void)state;
    static const struct {
        const char *tensor, *message;
    } rows[] = {
        {"conditioner.embedders.1.model.ln_final.weight", "is a Stable Diffusion XL checkpoint"},
        {"model.diffusion_model.label_emb.0.0.weight", "is a Stable Diffusion XL or other class-conditional"},
        {"cond_stage_model.model.ln_final.weight", "is a Stable Diffusion 2 checkpoint"},
        {"control_model.time_embed.0.weight", "is a ControlNet checkpoint"},
        {"edm_mean", "is a EDM"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_refused(&(struct single_file_changes){.extras = {{rows[i].tensor, SAFETENSORS_F32, 1, {1}, &one}}},
                       rows[i].message);
    expect_refused(
        &(struct single_file_changes){.renamings = {{"model.diffusion_model.", "model_ema.diffusion_model"}}},
        "is a file of averaged (EMA) weights alone");
}

/* ---- values ---- */

static void test_weights_that_are_no_numbers(void **state)
{
    (void)state;
    struct backend *backend;
    struct model *model;
    static uint16_t infinite[4] = {0x3C00, 0x3C00, 0xFC00, 0x3C00};
    static float missing[32];
    for (int i = 0; i < 32; i++) missing[i] = i == 7 ? NAN : 1.0F;
    write_file(&(struct single_file_changes){
        .renamings = {{"model.diffusion_model.out.2.bias", NULL}, {"decoder.conv_in.bias", NULL}},
        .extras = {{"model.diffusion_model.out.2.bias", SAFETENSORS_F16, 1, {4}, infinite}}});
    assert_success(backend_cpu_create(1, &backend));
    /* The decoder's tensor is missing: only the U-Net is looked at. */
    assert_success(model_open_without_weights(copy_path("model.safetensors"), &model));
    struct weight_set *set;
    void *memory;
    set = weight_set_create(backend, model_unet_weights(model));
    status result = weight_set_get(set, "conv_out.bias", &SHAPE1((int64_t)4), ELEMENT_F32, &memory);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "model.safetensors: model.diffusion_model.out.2.bias: tensor conv_out.bias "
                                           "holds an infinity or NaN, at element 2"));
    weight_set_destroy(set);
    model_close(model);
    write_file(&(struct single_file_changes){
        .renamings = {{"model.diffusion_model.out.0.bias", NULL}},
        .extras = {{"model.diffusion_model.out.0.bias", SAFETENSORS_F32, 1, {32}, missing}}});
    assert_success(model_open(copy_path("model.safetensors"), &model));
    set = weight_set_create(backend, model_unet_weights(model));
    for (int type = ELEMENT_F32; type <= ELEMENT_BF16; type++) {
        result = weight_set_get(set, "conv_norm_out.bias", &SHAPE1((int64_t)32), (enum element_type)type, &memory);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
        assert_non_null(strstr(result.message, "holds an infinity or NaN, at element 7"));
    }
    weight_set_destroy(set);
    model_close(model);
    backend->interface->destroy(backend);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_files_have),
        cmocka_unit_test(test_attention_is_never_left_out),
        cmocka_unit_test(test_prediction),
        cmocka_unit_test(test_noise_schedule),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_weights_that_are_no_numbers),
    };
    if (argc != 2 || !realpath(argv[1], golden_folder)) return 2;
    return cmocka_run_group_tests(tests, set_up, remove_copies);
}
