/* A CLIPModel folder: config.json, weights (safetensors, one file or shards), tokenizer and picture processor. */
#ifndef ALIGNPROP_MODEL_CLIP_MODEL_H
#define ALIGNPROP_MODEL_CLIP_MODEL_H

#include "engine/graph/graph.h"
#include "engine/graph/weights.h"
#include "engine/model/reward_model_folder.h"

struct clip_model;
extern const struct model_class clip_model_class;

/* Opens and checks configs and weight headers (not the weights). STATUS_BAD_INPUT names file, key or tensor, expected
 * and found. Caller closes. */
status clip_model_open(const char *folder, struct clip_model **model);
void clip_model_close(struct clip_model *model);

/* Keys of its files that nothing here knows. */
const struct remarks *clip_model_remarks(const struct clip_model *model);

/* Width of the space in which pictures and texts are compared. */
int64_t clip_model_projection(const struct clip_model *model);
/* Tokens of a text. */
int clip_model_context(const struct clip_model *model);

/* Weights by their names in the file, valid while the model is open. */
struct weight_source clip_model_weights(struct clip_model *model);

/* ids[context] of `text`, cut where it is too long, and the place whose state stands for the whole text. */
status clip_model_tokenize(const struct clip_model *model, const char *text, int32_t *ids, int32_t *end);

/* The builders name constants "PREFIXNAME" with the file's NAME; `prefix` is "" or ends in a slash. Embeddings are of
 * compute type and not normalised. */

/* pictures[B,H,W,3] (exact, RGB in [0,1], any size) -> [B, projection]. */
tensor_id clip_model_build_pictures(const struct clip_model *model, struct graph *graph, tensor_id pictures,
                                    const char *prefix);
/* ids[B, context] and ends[B, 1], both int32 -> [B, projection]. */
tensor_id clip_model_build_texts(const struct clip_model *model, struct graph *graph, tensor_id ids, tensor_id ends,
                                 const char *prefix);

#endif
