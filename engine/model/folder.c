/* Models as the diffusers library saves them: model_index.json and a folder for each component. */
#include <stdio.h>
#include <string.h>

#include "engine/model/internal.h"
#include "engine/model/schedule.h"
#include "engine/model/weight_files.h"

/* The components that are read, and the classes that they may be of (NULL: any). */
static const struct {
    const char *key, *class_name, *other_class_name;
} components[] = {
    {"unet", "UNet2DConditionModel", NULL},
    {"vae", "AutoencoderKL", NULL},
    {"text_encoder", "CLIPTextModel", "CLIPTextModelWithProjection"},
    {"tokenizer", "CLIPTokenizer", "CLIPTokenizerFast"},
    {"scheduler", NULL, NULL},
};

/* Components whose presence means another kind of model. */
static const char *const foreign_components[] = {"text_encoder_2", "text_encoder_3", "transformer", "prior",
                                                 "controlnet",     "vqvae",          "movq"};

/* Entries read ["library", "class"], or [null, null] for what a model goes without. */
static const char *component_class(const struct config *index, const char *key)
{
    const cJSON *class_name = cJSON_GetArrayItem(config_find(index, key), 1);
    return cJSON_IsString(class_name) ? class_name->valuestring : NULL;
}

static status check_index(const struct config *index)
{
    for (size_t i = 0; i < sizeof foreign_components / sizeof foreign_components[0]; i++)
        if (component_class(index, foreign_components[i]))
            return status_error(STATUS_BAD_INPUT,
                                "%s: the model has a %s (%s), which is not supported; expected the "
                                "components of Stable Diffusion 1.x or 2.x",
                                index->path, foreign_components[i], component_class(index, foreign_components[i]));
    for (size_t i = 0; i < sizeof components / sizeof components[0]; i++) {
        const char *found = component_class(index, components[i].key), *expected = components[i].class_name;
        if (!found) return config_wrong(index, components[i].key, "a pair of library and class");
        bool fits = !expected || strcmp(found, expected) == 0 ||
                    (components[i].other_class_name && strcmp(found, components[i].other_class_name) == 0);
        if (!fits)
            return status_error(STATUS_BAD_INPUT, "%s: %s is a %.80s; expected a %s", index->path, components[i].key,
                                found, expected);
    }
    return status_ok();
}

static status open_weights(struct model *model, enum model_part part, const char *component, const char *base,
                           tensor_naming naming)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    TRY(path_format(folder, "%s/%s", model->facts.path, component));
    TRY(weight_file_find(folder, base, path));
    TRY(tensor_files_open(path, &model->files[part]));
    model->parts[part] = (struct part_weights){.files = model->files[part], .naming = naming, .layout = model};
    return status_ok();
}

static status open_config(struct model *model, const char *component, const char *name, struct config *config)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/%s%s%s", model->facts.path, component, component[0] ? "/" : "", name));
    TRY(config_open(path, config));
    config->remarks = &model->remarks;
    return status_ok();
}

static status read_unet(struct model *model)
{
    struct config config;
    TRY(open_config(model, "unet", "config.json", &config));
    status result = unet_config_read(&config, &model->unet);
    config_close(&config);
    TRY(result);
    return open_weights(model, MODEL_PART_UNET, "unet", "diffusion_pytorch_model", naming_of_folder_unet);
}

static status read_autoencoder(struct model *model)
{
    struct config config;
    TRY(open_config(model, "vae", "config.json", &config));
    status result = autoencoder_config_read(&config, &model->autoencoder);
    config_close(&config);
    TRY(result);
    return open_weights(model, MODEL_PART_DECODER, "vae", "diffusion_pytorch_model", naming_of_folder_decoder);
}

static status read_text_encoder(struct model *model)
{
    static const char *const types[] = {"clip_text_model"};
    struct config config;
    int type = 0;
    TRY(open_config(model, "text_encoder", "config.json", &config));
    status result = config_choice(&config, "model_type", types, 1, &type);
    if (result.code == STATUS_OK) result = clip_text_tower_read(&config, &model->text);
    config_close(&config);
    TRY(result);
    return open_weights(model, MODEL_PART_TEXT, "text_encoder", "model", naming_of_folder_text);
}

static status read_scheduler(struct model *model)
{
    struct config config;
    TRY(open_config(model, "scheduler", "scheduler_config.json", &config));
    status result = noise_schedule_read(&config, &model->facts.schedule);
    config_close(&config);
    return result;
}

static status read_tokenizer(struct model *model)
{
    char folder[PATH_SIZE];
    TRY(path_format(folder, "%s/tokenizer", model->facts.path));
    return tokenizer_open(folder, &model->tokenizer);
}

/* Three numbers of row `row`. */
static status read_row(const struct config *config, const char *key, const cJSON *row, float values[3])
{
    if (!cJSON_IsArray(row) || cJSON_GetArraySize(row) != 3) return config_wrong(config, key, "three numbers a row");
    const cJSON *number = row->child;
    for (int i = 0; i < 3; i++, number = number->next) {
        if (!cJSON_IsNumber(number)) return config_wrong(config, key, "three numbers a row");
        values[i] = (float)number->valuedouble;
    }
    return status_ok();
}

static status read_preview_config(const struct config *config, struct model_facts *facts)
{
    static const char factors_key[] = "latent_rgb_factors", bias_key[] = "latent_rgb_bias";
    const cJSON *factors = config_find(config, factors_key), *bias = config_find(config, bias_key), *row;
    if (!cJSON_IsArray(factors) || cJSON_GetArraySize(factors) != 4)
        return config_wrong(config, factors_key, "four rows, one a latent channel");
    int i = 0;
    cJSON_ArrayForEach(row, factors) TRY(read_row(config, factors_key, row, facts->preview_factors[i++]));
    if (bias) TRY(read_row(config, bias_key, bias, facts->preview_bias));
    facts->has_preview = true;
    return status_ok();
}

/* preview.json, optional: a linear map from a latent to a rough picture. */
static status read_preview(struct model *model)
{
    char path[PATH_SIZE];
    struct config config;
    TRY(path_format(path, "%s/preview.json", model->facts.path));
    if (!path_is_file(path) || model->unet.in_channels != 4) return status_ok();
    TRY(config_open(path, &config));
    status result = read_preview_config(&config, &model->facts);
    config_close(&config);
    return result;
}

status model_open_folder(struct model *model)
{
    struct config index;
    TRY(open_config(model, "", "model_index.json", &index));
    status result = check_index(&index);
    config_close(&index);
    TRY(result);
    TRY(read_unet(model));
    TRY(read_autoencoder(model));
    TRY(read_text_encoder(model));
    TRY(read_scheduler(model));
    TRY(read_tokenizer(model));
    return read_preview(model);
}
