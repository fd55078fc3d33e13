/* What the rewards on an open-vocabulary detector share: the object's text, and the log-likelihood that its first
 * detections are there and the next ones are not. */
#ifndef ALIGNPROP_REWARD_DETECTION_H
#define ALIGNPROP_REWARD_DETECTION_H

#include "engine/reward/implementation.h"

/* A reward that keeps the `wanted` + `unwanted` strongest boxes of the request's parameter `object` after non-maximum
 * suppression at the parameter `overlap`, their logits in falling order l_1, l_2, ..., and scores the mean of
 *     log sigmoid(l_i)   for the first `wanted`,
 *     log sigmoid(-l_j)  for the next `unwanted`.
 * exp(score) is the geometric mean of the probabilities that each of these detections is as it should be. Each term's
 * gradient only vanishes as the term itself reaches 0, its best value; where fewer boxes outlive the suppression, the
 * strongest suppressed ones take their places. Which boxes are chosen is held fixed in the gradient. */
status detection_reward_create(const struct reward_kind *kind, const struct reward_request *request, int wanted,
                               int unwanted, struct reward **reward);

#endif
