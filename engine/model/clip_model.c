/* A CLIPModel: both towers with their projections, for scores of pictures against texts. */
#include "engine/model/clip_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/model/layers.h"
#include "engine/model/text_image_model.h"

const struct model_class clip_model_class = {"CLIPModel", "clip"};

struct clip_model {
    struct text_image_model pair;
};

static const struct text_image_class defaults = {.class = &clip_model_class,
                                                 .picture_size = 224,
                                                 .patch_size = 32,
                                                 .text_positions = 77,
                                                 .has_older_sections = true};

status clip_model_open(const char *folder, struct clip_model **model)
{
    *model = memory_take(1, sizeof **model);
    status result = text_image_model_open(folder, &defaults, &(*model)->pair);
    if (result.code != STATUS_OK) {
        clip_model_close(*model);
        *model = NULL;
    }
    return result;
}

void clip_model_close(struct clip_model *model)
{
    if (model == NULL) return;
    text_image_model_close(&model->pair);
    free(model);
}

int64_t clip_model_projection(const struct clip_model *model)
{
    return model->pair.projection;
}

int clip_model_context(const struct clip_model *model)
{
    return (int)model->pair.text.positions;
}

const struct remarks *clip_model_remarks(const struct clip_model *model)
{
    return &model->pair.folder.remarks;
}

struct weight_source clip_model_weights(struct clip_model *model)
{
    return tensor_files_source(model->pair.folder.weights);
}

status clip_model_tokenize(const struct clip_model *model, const char *text, int32_t *ids, int32_t *end)
{
    return text_image_model_tokenize(&model->pair, text, ids, end);
}

tensor_id clip_model_build_pictures(const struct clip_model *model, struct graph *graph, tensor_id pictures,
                                    const char *prefix)
{
    char tower[MODULE_NAME_SIZE];
    snprintf(tower, sizeof tower, "%svision_model", prefix);
    tensor_id pixels = picture_processor_build(&model->pair.processor, graph, pictures);
    tensor_id states = clip_vision_tower_build(graph, &model->pair.vision, pixels, "pre_layrnorm", tower); /* sic */
    int64_t batch = tensor_dimension(graph, states, 0), width = model->pair.vision.tower.width;
    tensor_id token = graph_reshape(graph, graph_slice(graph, states, 1, 0, 1), SHAPE2(batch, width));
    token = layer_layer_norm(graph, token, model->pair.vision.tower.epsilon, "%s.post_layernorm", tower);
    return layer_linear(graph, token, model->pair.projection, false, "%svisual_projection", prefix);
}

tensor_id clip_model_build_texts(const struct clip_model *model, struct graph *graph, tensor_id ids, tensor_id ends,
                                 const char *prefix)
{
    return text_image_model_build_texts(&model->pair, graph, ids, ends, prefix);
}
