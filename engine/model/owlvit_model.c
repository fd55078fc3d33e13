/* OWL-ViT: boxes on a grid and class logits from its two towers. */
#include "engine/model/owlvit_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/layers.h"
#include "engine/model/text_image_model.h"

const struct model_class owlvit_model_class = {"OwlViTForObjectDetection", "owlvit"};

struct owlvit_model {
    struct text_image_model pair;
};

/* Defaults where they differ from CLIP's: the OwlViTTextConfig and OwlViTVisionConfig pages of the transformers
 * documentation. */
static const struct text_image_class defaults = {.class = &owlvit_model_class,
                                                 .picture_size = 768,
                                                 .patch_size = 32,
                                                 .text_positions = 16,
                                                 .squares_pictures = true,
                                                 .ends_at_highest_id = true};

static status open_model(const char *folder, struct owlvit_model *model)
{
    TRY(text_image_model_open(folder, &defaults, &model->pair));
    if (model->pair.projection != model->pair.text.tower.width)
        return config_wrong(&model->pair.folder.config, "projection_dim",
                            "text_config.hidden_size, which the class head compares with");
    return status_ok();
}

status owlvit_model_open(const char *folder, struct owlvit_model **model)
{
    *model = memory_take(1, sizeof **model);
    status result = open_model(folder, *model);
    if (result.code != STATUS_OK) {
        owlvit_model_close(*model);
        *model = NULL;
    }
    return result;
}

void owlvit_model_close(struct owlvit_model *model)
{
    if (model == NULL) return;
    text_image_model_close(&model->pair);
    free(model);
}

const struct remarks *owlvit_model_remarks(const struct owlvit_model *model)
{
    return &model->pair.folder.remarks;
}

int64_t owlvit_model_projection(const struct owlvit_model *model)
{
    return model->pair.projection;
}

int owlvit_model_context(const struct owlvit_model *model)
{
    return (int)model->pair.text.positions;
}

int64_t owlvit_model_boxes(const struct owlvit_model *model)
{
    return clip_vision_patches(&model->pair.vision) * clip_vision_patches(&model->pair.vision);
}

/* ---- weights ---- */

static double logit(double part)
{
    const double margin = 1e-4; /* keeps the ends finite */
    return log(part + margin) - log1p(-part + margin);
}

/* What is added to the box head's output before the sigmoid: the box of a patch starts at the patch's lower right
 * corner with the patch's size. */
static void box_grid(int64_t side, float *values)
{
    for (int64_t row = 0; row < side; row++)
        for (int64_t column = 0; column < side; column++) {
            float *box = values + 4 * (row * side + column);
            box[0] = (float)logit((double)(column + 1) / (double)side);
            box[1] = (float)logit((double)(row + 1) / (double)side);
            box[2] = box[3] = (float)logit(1.0 / (double)side);
        }
}

static status read_weight(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    struct owlvit_model *model = context;
    if (strcmp(name, "box_bias") != 0) {
        struct weight_source files = tensor_files_source(model->pair.folder.weights);
        return files.read(files.context, name, shape, sink);
    }
    int64_t side = clip_vision_patches(&model->pair.vision);
    float *grid = malloc((size_t)(4 * side * side) * sizeof *grid);
    if (!grid)
        return status_error(STATUS_NO_MEMORY, "no memory for the boxes of %lld patches", (long long)(side * side));
    box_grid(side, grid);
    status result = weight_sink_give(sink, ELEMENT_F32, grid);
    free(grid);
    return result;
}

struct weight_source owlvit_model_weights(struct owlvit_model *model)
{
    return (struct weight_source){read_weight, model};
}

/* ---- texts ---- */

status owlvit_model_tokenize(const struct owlvit_model *model, const char *text, int32_t *ids, int32_t *end)
{
    return text_image_model_tokenize(&model->pair, text, ids, end);
}

tensor_id owlvit_model_build_texts(const struct owlvit_model *model, struct graph *graph, tensor_id ids, tensor_id ends,
                                   const char *prefix)
{
    char inner[MODULE_NAME_SIZE];
    snprintf(inner, sizeof inner, "%sowlvit.", prefix);
    return text_image_model_build_texts(&model->pair, graph, ids, ends, inner);
}

/* ---- pictures ---- */

tensor_id owlvit_model_build_features(const struct owlvit_model *model, struct graph *graph, tensor_id pictures,
                                      const char *prefix)
{
    char tower[MODULE_NAME_SIZE];
    snprintf(tower, sizeof tower, "%sowlvit.vision_model", prefix);
    double epsilon = model->pair.vision.tower.epsilon;
    tensor_id pixels = picture_processor_build(&model->pair.processor, graph, pictures);
    tensor_id states = clip_vision_tower_build(graph, &model->pair.vision, pixels, "pre_layernorm", tower);
    states = layer_layer_norm(graph, states, epsilon, "%s.post_layernorm", tower);
    tensor_id patches = graph_slice(graph, states, 1, 1, owlvit_model_boxes(model));
    tensor_id features = graph_multiply(graph, patches, graph_slice(graph, states, 1, 0, 1));
    return layer_layer_norm(graph, features, epsilon, "%slayer_norm", prefix);
}

/* (cosine of box and text + shift) * (elu(scale) + 1), shift and scale of the box. */
static tensor_id build_logits(const struct owlvit_model *model, struct graph *graph, tensor_id features,
                              tensor_id queries, const char *prefix)
{
    tensor_id box = layer_linear(graph, features, model->pair.projection, true, "%sclass_head.dense0", prefix);
    box = graph_normalize(graph, box, 1e-6);
    tensor_id texts = graph_convert(graph, queries, graph_compute_type(graph));
    tensor_id cosine = graph_matmul(graph, box, texts, false, true, 1.0);
    tensor_id shift = layer_linear(graph, features, 1, true, "%sclass_head.logit_shift", prefix);
    tensor_id scale = layer_linear(graph, features, 1, true, "%sclass_head.logit_scale", prefix);
    scale = graph_affine(graph, graph_unary(graph, UNARY_ELU, scale), 1.0, 1.0);
    return graph_multiply(graph, graph_add(graph, cosine, shift), scale);
}

static tensor_id build_boxes(const struct owlvit_model *model, struct graph *graph, tensor_id features,
                             const char *prefix)
{
    int64_t width = model->pair.vision.tower.width, boxes = owlvit_model_boxes(model);
    tensor_id x = layer_linear(graph, features, width, true, "%sbox_head.dense0", prefix);
    x = graph_unary(graph, UNARY_GELU_ERF, x);
    x = graph_unary(graph, UNARY_GELU_ERF, layer_linear(graph, x, width, true, "%sbox_head.dense1", prefix));
    x = layer_linear(graph, x, 4, true, "%sbox_head.dense2", prefix);
    char name[MODULE_NAME_SIZE];
    snprintf(name, sizeof name, "%sbox_bias", prefix);
    tensor_id grid = graph_constant(graph, name, SHAPE3(1, boxes, 4));
    return graph_unary(graph, UNARY_SIGMOID, graph_add(graph, x, grid));
}

struct owlvit_detections owlvit_model_build_detections(const struct owlvit_model *model, struct graph *graph,
                                                       tensor_id features, tensor_id queries, const char *prefix)
{
    return (struct owlvit_detections){.logits = build_logits(model, graph, features, queries, prefix),
                                      .boxes = build_boxes(model, graph, features, prefix)};
}
