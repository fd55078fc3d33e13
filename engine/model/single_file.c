/* Single-file checkpoints in the original layout of Stable Diffusion 1.x. They carry no configs: sizes are read off the
 * tensors' shapes, and what no shape tells has the value that all models of that layout share. */
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/paths.h"
#include "engine/model/internal.h"
#include "engine/model/schedule.h"

/* Of CompVis' v1-inference.yaml, which all models of this layout follow. */
enum { NORM_GROUPS = 32, UNET_HEADS = 8, TEXT_HEAD_WIDTH = 64, SAMPLE_SIZE = 64 };
static const double scaling_factor = 0.18215;

/* Tensors that tell other families apart, by presence: diffusers' single_file_utils lists the same keys. */
static const struct {
    const char *tensor, *family;
} foreign[] = {
    {"conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight", "Stable Diffusion XL"},
    {"conditioner.embedders.1.model.token_embedding.weight", "Stable Diffusion XL"},
    {"cond_stage_model.model.token_embedding.weight", "Stable Diffusion 2"},
    {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"},
    {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "Flux"},
    {"double_blocks.0.img_attn.qkv.weight", "Flux"},
    {"text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight", "Stable Diffusion 3"},
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

static status check_family(const struct model *model)
{
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (find(model, "%s", foreign[i].tensor))
            return status_error(STATUS_BAD_INPUT,
                                "%s: is a %s checkpoint (it has the tensor %s); single files are read "
                                "for Stable Diffusion 1.x only",
                                model->facts.path, foreign[i].family, foreign[i].tensor);
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
    *unet = (struct unet_config){.sample_size = SAMPLE_SIZE,
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

static status deduce_autoencoder(struct model *model)
{
    struct autoencoder_config *autoencoder = &model->autoencoder;
    char name[TENSOR_NAME_LIMIT];
    *autoencoder = (struct autoencoder_config){.norm_groups = NORM_GROUPS, .scaling_factor = scaling_factor};
    while (autoencoder->block_count < AUTOENCODER_MAXIMUM_BLOCKS) {
        snprintf(name, sizeof name, "first_stage_model.decoder.up.%d.block.0.conv2.weight", autoencoder->block_count);
        if (autoencoder->block_count > 0 && !find(model, "%s", name)) break;
        TRY(dimension_of(model, name, 0, &autoencoder->channels[autoencoder->block_count]));
        autoencoder->block_count++;
    }
    while (find(model, "first_stage_model.decoder.up.0.block.%d.conv2.weight", (int)autoencoder->layers + 1))
        autoencoder->layers++;
    TRY(dimension_of(model, "first_stage_model.decoder.conv_in.weight", 1, &autoencoder->latent_channels));
    autoencoder->attends = find(model, "first_stage_model.decoder.mid.attn_1.q.weight") != NULL;
    autoencoder->post_quant = find(model, "first_stage_model.post_quant_conv.weight") != NULL;
    return autoencoder_config_check(autoencoder, model->facts.path);
}

static status deduce_text_encoder(struct model *model)
{
    static const char prefix[] = "cond_stage_model.transformer.text_model";
    struct clip_text_tower *text = &model->text;
    char name[TENSOR_NAME_LIMIT];
    *text = (struct clip_text_tower){.tower = {.epsilon = 1e-5, .activation = UNARY_QUICK_GELU}};
    snprintf(name, sizeof name, "%s.embeddings.token_embedding.weight", prefix);
    TRY(dimension_of(model, name, 0, &text->vocabulary));
    TRY(dimension_of(model, name, 1, &text->tower.width));
    snprintf(name, sizeof name, "%s.embeddings.position_embedding.weight", prefix);
    TRY(dimension_of(model, name, 0, &text->positions));
    snprintf(name, sizeof name, "%s.encoder.layers.0.mlp.fc1.weight", prefix);
    TRY(dimension_of(model, name, 0, &text->tower.inner_width));
    while (find(model, "%s.encoder.layers.%d.layer_norm1.weight", prefix, (int)text->tower.layers))
        text->tower.layers++;
    if (text->tower.width % TEXT_HEAD_WIDTH != 0)
        return status_error(STATUS_BAD_INPUT, "%s: the text encoder is %lld wide; expected a multiple of %d",
                            model->facts.path, (long long)text->tower.width, TEXT_HEAD_WIDTH);
    text->tower.heads = text->tower.width / TEXT_HEAD_WIDTH;
    text->end_token = text->padding_token = text->vocabulary - 1;
    return status_ok();
}

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
    /* A tensor without elements marks models that predict v; nothing else in such a file could. */
    enum prediction_type prediction = find(model, "v_pred") ? PREDICTION_V : PREDICTION_EPSILON;
    TRY(noise_schedule_stable_diffusion(prediction, &model->facts.schedule));
    return open_vocabulary(model);
}
