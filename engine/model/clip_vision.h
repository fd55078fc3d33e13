/* The vision transformer of the CLIP family (CLIPModel, OwlViT): patches and a class token through pre-norm layers. */
#ifndef ALIGNPROP_MODEL_CLIP_VISION_H
#define ALIGNPROP_MODEL_CLIP_VISION_H

#include "engine/model/clip_tower.h"
#include "engine/model/picture_processor.h"

struct clip_vision_tower {
    struct clip_tower tower;
    int64_t image_size, patch_size; /* pixels of a side; image_size / patch_size patches on a side */
};

/* Reads a vision_config; absent keys take the defaults given. */
status clip_vision_tower_read(const struct config *config, int64_t default_image_size, int64_t default_patch_size,
                              struct clip_vision_tower *tower);

/* STATUS_BAD_INPUT naming `folder` unless the processor makes pictures of exactly image_size x image_size. */
status clip_vision_tower_check(const struct clip_vision_tower *tower, const struct picture_processor *processor,
                               const char *folder);

/* Patches on a side. */
int64_t clip_vision_patches(const struct clip_vision_tower *tower);

/* pixels[B, image_size, image_size, 3], as the picture processor leaves them -> states [B, 1 + patches^2, width] of the
 * last layer, class token first, without the final norm. Tensors "PREFIX.embeddings.class_embedding",
 * "PREFIX.encoder..." and so on; `first_norm` is the name of the norm before the layers, which differs between the
 * models. */
tensor_id clip_vision_tower_build(struct graph *graph, const struct clip_vision_tower *tower, tensor_id pixels,
                                  const char *first_norm, const char *prefix);

#endif
