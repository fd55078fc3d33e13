/* What the CLIP model and the detector built on it share: a text tower and a picture tower that meet in one projection.
 */
#ifndef ALIGNPROP_MODEL_TEXT_IMAGE_MODEL_H
#define ALIGNPROP_MODEL_TEXT_IMAGE_MODEL_H

#include "engine/model/clip_tower.h"
#include "engine/model/clip_vision.h"
#include "engine/model/picture_processor.h"
#include "engine/model/reward_model_folder.h"

/* What one class of models takes where its config is silent. */
struct text_image_class {
    const struct model_class *class;
    int64_t picture_size, patch_size;
    int64_t text_positions;
    bool squares_pictures;   /* resizes to a square, where CLIP keeps the sides' ratio and cuts */
    bool has_older_sections; /* text_config_dict, vision_config_dict go before text_config, vision_config */
    bool ends_at_highest_id; /* the first token of the highest id stands for a text, not the config's end token */
};

struct text_image_model {
    const struct text_image_class *class;
    struct reward_model_folder folder;
    struct clip_text_tower text;
    struct clip_vision_tower vision;
    int64_t projection;
    struct picture_processor processor;
};

/* Reads config, tokenizer and picture settings of the folder and checks that they fit together. The caller closes the
 * model, also after a failure. */
status text_image_model_open(const char *folder, const struct text_image_class *class, struct text_image_model *model);
void text_image_model_close(struct text_image_model *model);

/* Token ids (text.positions of them) and the place of the end token among them, whose state stands for the text. */
status text_image_model_tokenize(const struct text_image_model *model, const char *text, int32_t *ids, int32_t *end);

/* ids: int32 [B, positions]; ends: int32 [B, 1]. Projected texts [B, projection]. `prefix` stands before the weights'
 * names text_model and text_projection. */
tensor_id text_image_model_build_texts(const struct text_image_model *model, struct graph *graph, tensor_id ids,
                                       tensor_id ends, const char *prefix);

#endif
