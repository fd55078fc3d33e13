/* An OwlViTForObjectDetection folder (Minderer et al. 2022, arXiv 2205.06230): finds what a text names. One box for
 * every patch of the picture, and for every text a logit of how well the box shows it. */
#ifndef ALIGNPROP_MODEL_OWLVIT_MODEL_H
#define ALIGNPROP_MODEL_OWLVIT_MODEL_H

#include "engine/graph/graph.h"
#include "engine/graph/weights.h"
#include "engine/model/reward_model_folder.h"

struct owlvit_model;
extern const struct model_class owlvit_model_class;

/* Opens and checks configs and weight headers (not the weights). STATUS_BAD_INPUT names file, key or tensor, expected
 * and found. Caller closes. */
status owlvit_model_open(const char *folder, struct owlvit_model **model);
void owlvit_model_close(struct owlvit_model *model);

/* Keys of its files that nothing here knows. */
const struct remarks *owlvit_model_remarks(const struct owlvit_model *model);

/* Width of a text's embedding. */
int64_t owlvit_model_projection(const struct owlvit_model *model);
/* Tokens of a text. */
int owlvit_model_context(const struct owlvit_model *model);
/* Boxes of a picture: one for every patch. */
int64_t owlvit_model_boxes(const struct owlvit_model *model);

/* Weights by their names in the file, and the grid of the boxes under "box_bias"; valid while the model is open. */
struct weight_source owlvit_model_weights(struct owlvit_model *model);

/* ids[context] of `text`, cut where it is too long, and the place whose state stands for the whole text: the one with
 * the highest id. */
status owlvit_model_tokenize(const struct owlvit_model *model, const char *text, int32_t *ids, int32_t *end);

/* The builders name constants "PREFIXNAME" with the file's NAME; `prefix` is "" or ends in a slash. */

/* ids[Q, context] and ends[Q, 1], both int32 -> embeddings [Q, projection] (compute type), not normalised. */
tensor_id owlvit_model_build_texts(const struct owlvit_model *model, struct graph *graph, tensor_id ids, tensor_id ends,
                                   const char *prefix);

struct owlvit_detections {
    tensor_id logits; /* [B, boxes, Q] */
    tensor_id boxes;  /* [B, boxes, 4]: centre x, centre y, width, height as parts of the picture */
};
/* pictures[B,H,W,3] (exact, RGB in [0,1], any size) -> features [B, boxes, width] (compute type): the state of each
 * patch, multiplied by the state of the whole picture. */
tensor_id owlvit_model_build_features(const struct owlvit_model *model, struct graph *graph, tensor_id pictures,
                                      const char *prefix);
/* features as above, queries[B, Q, projection] (exact): normalised embeddings of the texts -> logits and boxes of
 * compute type. */
struct owlvit_detections owlvit_model_build_detections(const struct owlvit_model *model, struct graph *graph,
                                                       tensor_id features, tensor_id queries, const char *prefix);

#endif
