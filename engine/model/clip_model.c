#include "engine/model/clip_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/model/clip_vision.h"
#include "engine/model/layers.h"

const struct model_class clip_model_class = {"CLIPModel", "clip"};

struct clip_model {
    struct reward_model_folder folder;
    struct clip_text_tower text;
    struct clip_vision_tower vision;
    int64_t projection;
    struct picture_processor processor;
};

static status read_config(struct clip_model *model)
{
    const struct config *config = &model->folder.config;
    struct config text, vision;
    model->projection = 512;
    TRY(config_integer(config, "projection_dim", 1, 65536, &model->projection));
    TRY(config_section(config, "text_config", &text));
    TRY(config_section(config, "vision_config", &vision));
    TRY(clip_text_tower_read(&text, &model->text));
    return clip_vision_tower_read(&vision, 224, 32, &model->vision);
}

static status open_model(const char *folder, struct clip_model *model)
{
    TRY(reward_model_folder_open(folder, &clip_model_class, &model->folder));
    TRY(read_config(model));
    TRY(picture_processor_open(folder, false, &model->processor));
    TRY(clip_vision_tower_check(&model->vision, &model->processor, folder));
    return reward_model_folder_check_text(&model->folder, &model->text);
}

status clip_model_open(const char *folder, struct clip_model **model)
{
    *model = calloc(1, sizeof **model);
    if (*model == NULL) return status_error(STATUS_NO_MEMORY, "no memory to open %.250s", folder);
    status result = open_model(folder, *model);
    if (result.code != STATUS_OK) {
        clip_model_close(*model);
        *model = NULL;
    }
    return result;
}

void clip_model_close(struct clip_model *model)
{
    if (model == NULL) return;
    reward_model_folder_close(&model->folder);
    free(model);
}

int64_t clip_model_projection(const struct clip_model *model)
{
    return model->projection;
}

int clip_model_context(const struct clip_model *model)
{
    return (int)model->text.positions;
}

struct weight_source clip_model_weights(struct clip_model *model)
{
    return tensor_files_source(model->folder.weights);
}

status clip_model_tokenize(const struct clip_model *model, const char *text, int32_t *ids, int32_t *end)
{
    TRY(reward_model_folder_tokenize(&model->folder, text, clip_model_context(model), ids));
    *end = clip_text_pooling(&model->text, ids, clip_model_context(model));
    return status_ok();
}

tensor_id clip_model_build_pictures(const struct clip_model *model, struct graph *graph, tensor_id pictures,
                                    const char *prefix)
{
    char tower[MODULE_NAME_SIZE];
    snprintf(tower, sizeof tower, "%svision_model", prefix);
    tensor_id pixels = picture_processor_build(&model->processor, graph, pictures);
    tensor_id states = clip_vision_tower_build(graph, &model->vision, pixels, "pre_layrnorm", tower); /* sic */
    int64_t batch = tensor_dimension(graph, states, 0), width = model->vision.tower.width;
    tensor_id token = graph_reshape(graph, graph_slice(graph, states, 1, 0, 1), SHAPE2(batch, width));
    token = layer_layer_norm(graph, token, model->vision.tower.epsilon, "%s.post_layernorm", tower);
    return layer_linear(graph, token, model->projection, false, "%svisual_projection", prefix);
}

tensor_id clip_model_build_texts(const struct clip_model *model, struct graph *graph, tensor_id ids, tensor_id ends,
                                 const char *prefix)
{
    char tower[MODULE_NAME_SIZE];
    snprintf(tower, sizeof tower, "%stext_model", prefix);
    tensor_id states = clip_text_tower_build(graph, &model->text, ids, tower);
    int64_t batch = tensor_dimension(graph, states, 0);
    tensor_id end = graph_reshape(graph, graph_gather(graph, states, ends), SHAPE2(batch, model->text.tower.width));
    return layer_linear(graph, end, model->projection, false, "%stext_projection", prefix);
}
