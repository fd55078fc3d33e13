/* The piece of graph that every reward on CLIP embeddings starts with. */
#ifndef ALIGNPROP_REWARD_CLIP_EMBEDDING_H
#define ALIGNPROP_REWARD_CLIP_EMBEDDING_H

#include "engine/model/clip_model.h"
#include "engine/reward/reward.h"

/* pictures[B,H,W,3] (exact) -> embeddings [B, projection] (exact) of Euclidean norm 1; computed once for all rewards of
 * the graph that use the model. */
tensor_id clip_unit_embedding(const struct clip_model *model, struct reward *reward, struct graph *graph,
                              tensor_id pictures);

#endif
