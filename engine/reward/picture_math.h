/* Pieces of graph that several pixel rewards are made of. All work on exact tensors and keep them exact, so the scores
 * do not depend on the compute type. */
#ifndef ALIGNPROP_REWARD_PICTURE_MATH_H
#define ALIGNPROP_REWARD_PICTURE_MATH_H

#include "engine/graph/graph.h"

/* [B,H,W,3] -> [B,H,W,1]: red, green and blue with these weights. */
tensor_id picture_weighted_channels(struct graph *graph, tensor_id pictures, double red, double green, double blue);
/* [B,H,W,3] -> [B,H,W,1]: luma of ITU-R BT.601. */
tensor_id picture_luma(struct graph *graph, tensor_id pictures);
/* [B,H,W,C] -> [B,1]: mean over each picture. */
tensor_id picture_mean(struct graph *graph, tensor_id x);
/* sqrt(x + guard^2): the guard keeps the gradient finite where x is 0 and adds at most itself to the value. */
tensor_id picture_guarded_root(struct graph *graph, tensor_id x, double guard);

#endif
