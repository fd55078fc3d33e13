/* Opens the text side that CLIP and OWL-ViT share, and finds the token at which a text's result is read. */
#include "engine/model/text_image_model.h"

#include <stdio.h>

#include "engine/model/config_keys.h"
#include "engine/model/layers.h"

/* The section of one tower. Where a CLIP model has the older key too, that one replaces the section whole, as in
 * transformers. */
static status tower_section(const struct text_image_class *class, const struct config *config, const char *key,
                            const char *older_key, struct config *section)
{
    bool older = class->has_older_sections && config_find(config, older_key) != NULL;
    return config_section(config, older ? older_key : key, section);
}

static status read_config(struct text_image_model *model)
{
    const struct text_image_class *class = model->class;
    const struct config *config = &model->folder.config;
    struct config text, vision;
    model->projection = 512;
    TRY(config_integer(config, "projection_dim", 1, 65536, &model->projection));
    TRY(config_check_keys(config, &text_image_keys));
    TRY(tower_section(class, config, "text_config", "text_config_dict", &text));
    TRY(tower_section(class, config, "vision_config", "vision_config_dict", &vision));
    TRY(clip_text_tower_read(&text, &model->text));
    if (config_find(&text, "max_position_embeddings") == NULL) model->text.positions = class->text_positions;
    return clip_vision_tower_read(&vision, class->picture_size, class->patch_size, &model->vision);
}

status text_image_model_open(const char *folder, const struct text_image_class *class, struct text_image_model *model)
{
    model->class = class;
    TRY(reward_model_folder_open(folder, class->class, &model->folder));
    TRY(read_config(model));
    TRY(picture_processor_open(folder, class->squares_pictures, class->picture_size, &model->folder.remarks,
                               &model->processor));
    TRY(clip_vision_tower_check(&model->vision, &model->processor, folder));
    return reward_model_folder_check_text(&model->folder, &model->text);
}

void text_image_model_close(struct text_image_model *model)
{
    reward_model_folder_close(&model->folder);
}

static int first_highest(const int32_t *ids, int count)
{
    int highest = 0;
    for (int i = 1; i < count; i++)
        if (ids[i] > ids[highest]) highest = i;
    return highest;
}

status text_image_model_tokenize(const struct text_image_model *model, const char *text, int32_t *ids, int32_t *end)
{
    int positions = (int)model->text.positions;
    TRY(reward_model_folder_tokenize(&model->folder, text, positions, ids));
    *end = model->class->ends_at_highest_id ? first_highest(ids, positions)
                                            : clip_text_pooling(&model->text, ids, positions);
    return status_ok();
}

tensor_id text_image_model_build_texts(const struct text_image_model *model, struct graph *graph, tensor_id ids,
                                       tensor_id ends, const char *prefix)
{
    char tower[MODULE_NAME_SIZE];
    snprintf(tower, sizeof tower, "%stext_model", prefix);
    tensor_id states = clip_text_tower_build(graph, &model->text, ids, tower);
    int64_t batch = tensor_dimension(graph, states, 0);
    tensor_id end = graph_reshape(graph, graph_gather(graph, states, ends), SHAPE2(batch, model->text.tower.width));
    return layer_linear(graph, end, model->projection, false, "%stext_projection", prefix);
}
