/* Texts to normalised embeddings by a reward model's text tower, kept so that each text is encoded once. */
#ifndef ALIGNPROP_REWARD_TEXT_ENCODER_H
#define ALIGNPROP_REWARD_TEXT_ENCODER_H

#include "engine/graph/graph.h"
#include "engine/graph/weights.h"

/* The tower of one model. */
struct text_tower {
    const void *model;
    struct weight_source weights;
    int context;   /* tokens of a text */
    int64_t width; /* of an embedding */
    status (*tokenize)(const void *model, const char *text, int32_t *ids, int32_t *end);
    /* ids[1, context], ends[1, 1] -> [1, width] */
    tensor_id (*build)(const void *model, struct graph *graph, tensor_id ids, tensor_id ends);
};

/* Whether the tower's weights are all there, in their shapes; reads none. */
status text_tower_check(const struct text_tower *tower);

/* Embeddings by text; starts zeroed. */
struct text_embeddings {
    char **texts;
    float *values; /* [count][width] */
    int count;
};
void text_embeddings_clear(struct text_embeddings *known);

/* Encodes those of the texts that are not known yet on `backend`; the tower's weights are loaded only when there are
 * such texts, and released again. */
status text_embeddings_add(struct text_embeddings *known, const struct text_tower *tower, struct backend *backend,
                           const char *const *texts, int count);
/* The embedding [width] of a text, of Euclidean norm 1; NULL when it is not known. */
const float *text_embeddings_find(const struct text_embeddings *known, const struct text_tower *tower,
                                  const char *text);

#endif
