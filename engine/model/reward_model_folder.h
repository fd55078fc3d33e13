/* What the folders of the two-tower reward models (CLIPModel, OwlViTForObjectDetection) have in common. */
#ifndef ALIGNPROP_MODEL_REWARD_MODEL_FOLDER_H
#define ALIGNPROP_MODEL_REWARD_MODEL_FOLDER_H

#include "engine/model/clip_tower.h"
#include "engine/model/safetensors.h"

struct tokenizer;

/* How a config.json says of which class its model is. */
struct model_class {
    const char *architecture; /* an entry of "architectures" */
    const char *type;         /* "model_type" */
};
bool model_class_matches(const struct model_class *class, const struct config *config);

/* The weights alone: model.safetensors, or the shards of its index. */
status reward_model_weights_open(const char *path, struct tensor_files **weights);

struct reward_model_folder {
    struct config config;         /* config.json */
    struct tensor_files *weights; /* model.safetensors, or the shards of model.safetensors.index.json */
    struct tokenizer *tokenizer;
};

/* Opens config, weight headers and tokenizer of a model of that class. STATUS_BAD_INPUT names file, key or tensor,
 * expected and found. Closed by the caller, also after a failure. */
status reward_model_folder_open(const char *path, const struct model_class *class, struct reward_model_folder *folder);
void reward_model_folder_close(struct reward_model_folder *folder);

/* STATUS_BAD_INPUT unless every id of the tokenizer has a row in the text tower's table. */
status reward_model_folder_check_text(const struct reward_model_folder *folder, const struct clip_text_tower *text);

/* ids[context]: begin, the text's tokens (cut where they are too many), end, padding. */
status reward_model_folder_tokenize(const struct reward_model_folder *folder, const char *text, int context,
                                    int32_t *ids);

#endif
