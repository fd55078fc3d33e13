/* CLIP's picture tower as graph: patches, class token, position embeddings, layers. */
#include "engine/model/clip_vision.h"

#include <stdio.h>

#include "engine/model/layers.h"

enum { SIDE_LIMIT = 8192 };

status clip_vision_tower_read(const struct config *config, int64_t default_image_size, int64_t default_patch_size,
                              struct clip_vision_tower *tower)
{
    *tower = (struct clip_vision_tower){.image_size = default_image_size, .patch_size = default_patch_size};
    TRY(clip_tower_read(config, true, &tower->tower));
    TRY(config_integer(config, "image_size", 1, SIDE_LIMIT, &tower->image_size));
    TRY(config_integer(config, "patch_size", 1, SIDE_LIMIT, &tower->patch_size));
    if (tower->patch_size > tower->image_size) return config_wrong(config, "patch_size", "a number up to image_size");
    return status_ok();
}

status clip_vision_tower_check(const struct clip_vision_tower *tower, const struct picture_processor *processor,
                               const char *folder)
{
    int64_t size = tower->image_size;
    int64_t height = processor->crop ? processor->crop_height : processor->height;
    int64_t width = processor->crop ? processor->crop_width : processor->width;
    if (!processor->crop && (!processor->resize || processor->shortest_edge > 0))
        return status_error(STATUS_BAD_INPUT,
                            "%.250s: the picture processor must resize to height and width or crop, so that every "
                            "picture becomes %lldx%lld",
                            folder, (long long)size, (long long)size);
    if (height != size || width != size)
        return status_error(STATUS_BAD_INPUT,
                            "%.250s: the picture processor makes pictures of %lldx%lld, but vision_config.image_size "
                            "is %lld",
                            folder, (long long)width, (long long)height, (long long)size);
    bool resized_too_small = processor->crop && processor->resize &&
                             (processor->shortest_edge > 0 ? processor->shortest_edge < size
                                                           : processor->height < size || processor->width < size);
    if (resized_too_small)
        return status_error(STATUS_BAD_INPUT, "%.250s: the picture processor crops %lldx%lld out of less", folder,
                            (long long)size, (long long)size);
    return status_ok();
}

int64_t clip_vision_patches(const struct clip_vision_tower *tower)
{
    return tower->image_size / tower->patch_size;
}

static tensor_id embedding(struct graph *graph, const char *prefix, const char *name, struct shape shape)
{
    char full[MODULE_NAME_SIZE + 40];
    snprintf(full, sizeof full, "%s.embeddings.%s", prefix, name);
    return graph_constant(graph, full, shape);
}

tensor_id clip_vision_tower_build(struct graph *graph, const struct clip_vision_tower *tower, tensor_id pixels,
                                  const char *first_norm, const char *prefix)
{
    int64_t batch = tensor_dimension(graph, pixels, 0), width = tower->tower.width;
    int64_t patches = clip_vision_patches(tower) * clip_vision_patches(tower);
    int window = (int)tower->patch_size;
    tensor_id x =
        layer_convolution(graph, pixels, width, window, window, 0, false, "%s.embeddings.patch_embedding", prefix);
    x = graph_reshape(graph, x, SHAPE3(batch, patches, width));
    tensor_id token = embedding(graph, prefix, "class_embedding", SHAPE1(width));
    token = graph_broadcast(graph, graph_reshape(graph, token, SHAPE3(1, 1, width)), SHAPE3(batch, 1, width));
    tensor_id positions = embedding(graph, prefix, "position_embedding.weight", SHAPE2(patches + 1, width));
    x = graph_add(graph, graph_concatenate(graph, token, x, 1),
                  graph_reshape(graph, positions, SHAPE3(1, patches + 1, width)));
    x = layer_layer_norm(graph, x, tower->tower.epsilon, "%s.%s", prefix, first_norm);
    char encoder[MODULE_NAME_SIZE];
    snprintf(encoder, sizeof encoder, "%s.encoder", prefix);
    return clip_tower_build(graph, &tower->tower, x, false, encoder);
}
