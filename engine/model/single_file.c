/* Single-file checkpoints in the original layout of Stable Diffusion 1.x. They carry no configs: sizes are read off the
 * tensors' shapes, and what no shape tells has the value that all models of that layout share. */
#include <libgen.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/paths.h"
#include "engine/model/internal.h"
#include "engine/model/schedule.h"

/* Of CompVis' v1-inference.yaml, which all models of this layout follow. */
enum { NORM_GROUPS = 32, UNET_HEADS = 8, TEXT_HEAD_WIDTH = 64, SAMPLE_SIZE = 64 };
static const double scaling_factor = 0.18215;

/* Tensors that tell other families apart, by the beginning of a name: diffusers' single_file_utils lists such keys. */
static const struct {
    const char *beginning, *family;
} foreign[] = {
    {"conditioner.embedders.0.model.", "Stable Diffusion XL refiner"},
    {"conditioner.embedders.1.", "Stable Diffusion XL"},
    {"model.diffusion_model.label_emb.", "Stable Diffusion XL or other class-conditional"},
    {"cond_stage_model.model.", "Stable Diffusion 2"},
    {"model.diffusion_model.joint_blocks.", "Stable Diffusion 3"},
    {"text_encoders.", "Stable Diffusion 3"},
    {"model.diffusion_model.double_blocks.", "Flux"},
    {"double_blocks.", "Flux"},
    {"control_model.", "ControlNet"},
    {"depth_model.", "depth-to-image"},
    {"edm_", "EDM (another noise schedule)"},
};

static const struct safetensors_entry *find(const struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const struct safetensors_entry *find(const struct model *model, const char *format, ...)
{
    char name[TENSOR_NAME_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return tensor_files_find(model->files[0], name);
}

/* Dimension `index` of the tensor, which must be there and have it. */
static status dimension_of(const struct model *model, const char *name, int index, int64_t *value)
{
    const struct safetensors_entry *entry = find(model, "%s", name);
    if (!entry)
        return status_error(STATUS_BAD_INPUT, "%s: has no tensor %s; expected a whole Stable Diffusion 1.x checkpoint",
                            model->facts.path, name);
    if (index >= entry->rank || entry->dimension[index] < 1) {
        char shape[200];
        return status_error(STATUS_BAD_INPUT, "%s: tensor %s has shape %s; expected at least %d dimensions",
                            model->facts.path, name,
                            safetensors_shape_text(entry->rank, entry->dimension, shape, sizeof shape), index + 1);
    }
    *value = entry->dimension[index];
    return status_ok();
}

static bool has_beginning(const struct model *model, const char *beginning, const char **name)
{
    for (size_t i = 0; i < tensor_files_count(model->files[0]); i++) {
        *name = tensor_files_entry_at(model->files[0], i)->name;
        if (strncmp(*name, beginning, strlen(beginning)) == 0) return true;
    }
    return false;
}

static status check_family(const struct model *model)
{
    const char *name;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (has_beginning(model, foreign[i].beginning, &name))
            return status_error(
                STATUS_BAD_INPUT,
                "%.250s: is a %s checkpoint (it has the tensor %.100s); single files are read for Stable "
                "Diffusion 1.x only",
                model->facts.path, foreign[i].family, name);
    return status_ok();
}

/* Levels and residual blocks of each: the downsamplers' places among the input blocks tell both. */
static status deduce_levels(struct model *model, int *layers)
{
    enum { PLACES = 64 };
    int first = 0, downsamplers = 0;
    for (int i = 1; i < PLACES; i++) {
        if (!find(model, "model.diffusion_model.input_blocks.%d.0.op.weight", i)) continue;
        if (!first) first = i;
        downsamplers++;
    }
    model->unet.block_count = downsamplers + 1;
    *layers = first - 1;
    if (!first || *layers < 1 || model->unet.block_count > UNET_MAXIMUM_BLOCKS)
        return status_error(STATUS_BAD_INPUT,
                            "%s: has no model.diffusion_model.input_blocks with downsamplers; "
                            "expected a Stable Diffusion 1.x checkpoint",
                            model->facts.path);
    return status_ok();
}

static int count_transformer_layers(const struct model *model, const char *transformer)
{
    int count = 0;
    while (find(model, "%s.transformer_blocks.%d.norm1.weight", transformer, count)) count++;
    return count > 0 ? count : 1;
}

static status deduce_block(struct model *model, int index, int layers)
{
    struct unet_block *block = &model->unet.blocks[index];
    char name[TENSOR_NAME_LIMIT];
    int place = 1 + index * (layers + 1), up_place = (model->unet.block_count - 1 - index) * (layers + 1);
    snprintf(name, sizeof name, "model.diffusion_model.input_blocks.%d.0.out_layers.3.weight", place);
    TRY(dimension_of(model, name, 0, &block->channels));
    block->layers = layers;
    block->heads = UNET_HEADS;
    block->attends_down = find(model, "model.diffusion_model.input_blocks.%d.1.proj_in.weight", place) != NULL;
    block->attends_up = find(model, "model.diffusion_model.output_blocks.%d.1.proj_in.weight", up_place) != NULL;
    snprintf(name, sizeof name, "model.diffusion_model.input_blocks.%d.1", place);
    block->transformer_layers = count_transformer_layers(model, name);
    return status_ok();
}

static status deduce_unet(struct model *model)
{
    static const char middle[] = "model.diffusion_model.middle_block.1";
    struct unet_config *unet = &model->unet;
    int layers;
    *unet = (struct unet_config){.sample_width = SAMPLE_SIZE,
                                 .sample_height = SAMPLE_SIZE,
                                 .norm_groups = NORM_GROUPS,
                                 .norm_epsilon = 1e-5,
                                 .flip_sin_to_cos = true,
                                 .in_window = 3,
                                 .out_window = 3};
    TRY(deduce_levels(model, &layers));
    for (int i = 0; i < unet->block_count; i++) TRY(deduce_block(model, i, layers));
    unet->blocks[unet->block_count - 1].transformer_layers = count_transformer_layers(model, middle);
    TRY(dimension_of(model, "model.diffusion_model.input_blocks.0.0.weight", 1, &unet->in_channels));
    TRY(dimension_of(model, "model.diffusion_model.out.2.weight", 0, &unet->out_channels));
    TRY(dimension_of(model, "model.diffusion_model.time_embed.0.weight", 0, &unet->time_width));
    TRY(dimension_of(model, "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight", 1,
                     &unet->context_width));
    const struct safetensors_entry *projection = find(model, "%s.proj_in.weight", middle);
    unet->linear_projection = projection && projection->rank == 2;
    return unet_config_check(unet, model->facts.path);
}

/* By any tensor of the attention, whatever its modules are called. */
static bool decoder_attends(const struct model *model)
{
    static const char *const attentions[] = {"decoder.mid.attn_1.", "decoder.mid_block.attentions.0."};
    char beginning[TENSOR_NAME_LIMIT];
    const char *name;
    for (size_t i = 0; i < sizeof attentions / sizeof attentions[0]; i++) {
        snprintf(beginning, sizeof beginning, "%s%s", model->single.decoder_prefix, attentions[i]);
        if (has_beginning(model, beginning, &name)) return true;
    }
    return false;
}

static void find_decoder_prefix(struct model *model)
{
    const char *name;
    model->single.decoder_prefix = "first_stage_model.";
    if (!has_beginning(model, "first_stage_model.", &name) && has_beginning(model, "vae.", &name))
        model->single.decoder_prefix = "vae.";
}

static status deduce_autoencoder(struct model *model)
{
    struct autoencoder_config *autoencoder = &model->autoencoder;
    char name[TENSOR_NAME_LIMIT];
    find_decoder_prefix(model);
    const char *prefix = model->single.decoder_prefix;
    *autoencoder = (struct autoencoder_config){.norm_groups = NORM_GROUPS, .scaling_factor = scaling_factor};
    while (autoencoder->block_count < AUTOENCODER_MAXIMUM_BLOCKS) {
        snprintf(name, sizeof name, "%sdecoder.up.%d.block.0.conv2.weight", prefix, autoencoder->block_count);
        if (autoencoder->block_count > 0 && !find(model, "%s", name)) break;
        TRY(dimension_of(model, name, 0, &autoencoder->channels[autoencoder->block_count]));
        autoencoder->block_count++;
    }
    while (find(model, "%sdecoder.up.0.block.%d.conv2.weight", prefix, (int)autoencoder->layers + 1))
        autoencoder->layers++;
    snprintf(name, sizeof name, "%sdecoder.conv_in.weight", prefix);
    TRY(dimension_of(model, name, 1, &autoencoder->latent_channels));
    autoencoder->attends = decoder_attends(model);
    autoencoder->post_quant = find(model, "%spost_quant_conv.weight", prefix) != NULL;
    return autoencoder_config_check(autoencoder, model->facts.path);
}

/* What comes before the text encoder's tensors: "text_model." follows in all but the oldest files, and
 * trainers made for Stable Diffusion XL say "conditioner". */
static const char *const text_prefixes[] = {"cond_stage_model.transformer.", "conditioner.embedders.0.transformer."};

static void find_text_prefix(struct model *model)
{
    model->single =
        (struct single_layout){.text_prefix = text_prefixes[0], .decoder_prefix = model->single.decoder_prefix};
    for (size_t i = 0; i < sizeof text_prefixes / sizeof text_prefixes[0]; i++)
        for (int bare = 0; bare < 2; bare++)
            if (find(model, "%s%sembeddings.token_embedding.weight", text_prefixes[i], bare ? "" : "text_model.")) {
                model->single.text_prefix = text_prefixes[i];
                model->single.text_is_bare = bare;
                return;
            }
}

static status deduce_text_encoder(struct model *model)
{
    struct clip_text_tower *text = &model->text;
    char name[TENSOR_NAME_LIMIT], prefix[TENSOR_NAME_LIMIT / 2];
    find_text_prefix(model);
    snprintf(prefix, sizeof prefix, "%s%s", model->single.text_prefix, model->single.text_is_bare ? "" : "text_model.");
    *text = (struct clip_text_tower){.tower = {.epsilon = 1e-5, .activation = UNARY_QUICK_GELU}};
    snprintf(name, sizeof name, "%sembeddings.token_embedding.weight", prefix);
    TRY(dimension_of(model, name, 0, &text->vocabulary));
    TRY(dimension_of(model, name, 1, &text->tower.width));
    snprintf(name, sizeof name, "%sembeddings.position_embedding.weight", prefix);
    TRY(dimension_of(model, name, 0, &text->positions));
    snprintf(name, sizeof name, "%sencoder.layers.0.mlp.fc1.weight", prefix);
    TRY(dimension_of(model, name, 0, &text->tower.inner_width));
    while (find(model, "%sencoder.layers.%d.layer_norm1.weight", prefix, (int)text->tower.layers)) text->tower.layers++;
    if (text->tower.width % TEXT_HEAD_WIDTH != 0)
        return status_error(STATUS_BAD_INPUT, "%s: the text encoder is %lld wide; expected a multiple of %d",
                            model->facts.path, (long long)text->tower.width, TEXT_HEAD_WIDTH);
    text->tower.heads = text->tower.width / TEXT_HEAD_WIDTH;
    text->end_token = text->padding_token = text->vocabulary - 1;
    return status_ok();
}

/* ---- metadata and buffers that decide the result ---- */

/* A flag is a tensor of that name, whatever it holds, or a key of the metadata that is not false. */
static bool has_flag(const struct model *model, const char *name)
{
    const char *value = tensor_files_metadata(model->files[0], name);
    if (find(model, "%s", name)) return true;
    return value && strcasecmp(value, "false") != 0 && strcasecmp(value, "none") != 0 && strcmp(value, "0") != 0 &&
           value[0] != '\0';
}

static status wrong_metadata(const struct model *model, const char *key, const char *value, const char *expected)
{
    return status_error(STATUS_BAD_INPUT, "%.250s: __metadata__ says %s is \"%.60s\"; expected %s", model->facts.path,
                        key, value, expected);
}

/* From the flag v_pred and the metadata of github.com/Stability-AI/ModelSpec; noise where neither says anything. */
static status read_prediction(const struct model *model, enum prediction_type *prediction)
{
    static const char key[] = "modelspec.prediction_type";
    const char *stated = tensor_files_metadata(model->files[0], key);
    bool flag = has_flag(model, "v_pred");
    *prediction = flag ? PREDICTION_V : PREDICTION_EPSILON;
    if (!stated || stated[0] == '\0') return status_ok();
    if (strcmp(stated, "v") == 0 || strcmp(stated, "v_prediction") == 0) {
        *prediction = PREDICTION_V;
        return status_ok();
    }
    if (strcmp(stated, "epsilon") != 0 && strcmp(stated, "eps") != 0)
        return wrong_metadata(model, key, stated, "epsilon or v");
    return flag ? wrong_metadata(model, key, stated, "v, as the file has the tensor v_pred") : status_ok();
}

static status check_terminal_noise(const struct model *model)
{
    static const char *const flags[] = {"ztsnr", "ss_zero_terminal_snr"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (has_flag(model, flags[i]))
            return status_error(
                STATUS_BAD_INPUT,
                "%.250s: has the flag %s (a noise schedule rescaled to zero terminal SNR), which is not "
                "supported",
                model->facts.path, flags[i]);
    return status_ok();
}

/* The noise schedule that CompVis' code takes from the file. Half precision leaves three digits of it. */
static status check_alphas(const struct model *model, const float *alphas)
{
    const struct noise_schedule *schedule = &model->facts.schedule;
    for (int i = 0; i < schedule->train_timesteps; i++)
        if (!(fabs((double)alphas[i] - schedule->alpha_bar[i]) < 1e-3 + 0.01 * schedule->alpha_bar[i]))
            return status_error(STATUS_BAD_INPUT,
                                "%.250s: alphas_cumprod is %g at timestep %d; expected %g, as in Stable Diffusion 1.x; "
                                "another noise schedule, such as one rescaled to zero terminal SNR, is not supported",
                                model->facts.path, (double)alphas[i], i, schedule->alpha_bar[i]);
    return status_ok();
}

static status check_schedule(const struct model *model)
{
    const struct safetensors_entry *entry = find(model, "alphas_cumprod");
    int64_t count = model->facts.schedule.train_timesteps;
    if (!entry) return status_ok();
    if (entry->elements != count)
        return status_error(STATUS_BAD_INPUT, "%.250s: alphas_cumprod has %lld timesteps; expected %lld",
                            model->facts.path, (long long)entry->elements, (long long)count);
    float *alphas = malloc((size_t)count * sizeof *alphas);
    if (!alphas) return status_error(STATUS_NO_MEMORY, "%.250s: no memory to read alphas_cumprod", model->facts.path);
    status result = status_context(safetensors_convert(entry, alphas), "%.250s", model->facts.path);
    if (result.code == STATUS_OK) result = check_alphas(model, alphas);
    free(alphas);
    return result;
}

/* A buffer of models whose latents were scaled by their measured deviation. */
static status check_scale(const struct model *model)
{
    const struct safetensors_entry *entry = find(model, "scale_factor");
    float scale;
    if (!entry || entry->elements != 1) return status_ok();
    TRY(status_context(safetensors_convert(entry, &scale), "%.250s", model->facts.path));
    if (fabs((double)scale - scaling_factor) < 1e-3) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%.250s: scale_factor is %g; expected %g, as in Stable Diffusion 1.x",
                        model->facts.path, (double)scale, scaling_factor);
}

static status deduce_schedule(struct model *model)
{
    enum prediction_type prediction;
    TRY(read_prediction(model, &prediction));
    TRY(check_terminal_noise(model));
    TRY(noise_schedule_stable_diffusion(prediction, &model->facts.schedule));
    TRY(check_schedule(model));
    return check_scale(model);
}

/* ---- tokenizer ---- */

static bool has_merges(const char *folder)
{
    char path[PATH_SIZE];
    return path_format(path, "%s/merges.txt", folder).code == STATUS_OK && path_is_file(path);
}

/* CLIP's vocabulary: from the file's folder or its tokenizer/, the user's data, or what ships with the program. */
static status open_vocabulary(struct model *model)
{
    char folder[PATH_SIZE], base[PATH_SIZE], copy[PATH_SIZE];
    TRY(path_format(copy, "%s", model->facts.path));
    TRY(path_format(base, "%s", dirname(copy)));
    TRY(path_format(folder, "%s/tokenizer", base));
    if (has_merges(folder)) return tokenizer_open(folder, &model->tokenizer);
    if (has_merges(base)) return tokenizer_open(base, &model->tokenizer);
    TRY(paths_data(base));
    TRY(path_format(folder, "%s/tokenizers/clip", base));
    if (has_merges(folder)) return tokenizer_open(folder, &model->tokenizer);
    TRY(paths_program_data(base));
    TRY(path_format(folder, "%s/presets/tokenizers/clip", base));
    return tokenizer_open(folder, &model->tokenizer);
}

status model_open_single_file(struct model *model)
{
    static const tensor_naming namings[MODEL_PART_COUNT] = {[MODEL_PART_UNET] = naming_of_single_unet,
                                                            [MODEL_PART_DECODER] = naming_of_single_decoder,
                                                            [MODEL_PART_TEXT] = naming_of_single_text};
    TRY(tensor_files_open(model->facts.path, &model->files[0]));
    for (int i = 0; i < MODEL_PART_COUNT; i++)
        model->parts[i] = (struct part_weights){.files = model->files[0], .naming = namings[i], .layout = model};
    TRY(check_family(model));
    TRY(deduce_unet(model));
    TRY(deduce_autoencoder(model));
    TRY(deduce_text_encoder(model));
    TRY(deduce_schedule(model));
    return open_vocabulary(model);
}
