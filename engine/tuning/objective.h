/* What is tuned toward: the chain's pictures and the preset's rewards, with the gradient of their weighted sum.
 *
 * The rewards share one graph over the decoder's pictures; weights enter as the scores' cotangents, so they can change
 * between steps at no cost. */
#ifndef ALIGNPROP_TUNING_OBJECTIVE_H
#define ALIGNPROP_TUNING_OBJECTIVE_H

#include "engine/preset/preset.h"
#include "engine/reward/reward.h"
#include "engine/sampling/chain.h"

struct objective;

struct objective_settings {
    int batch, steps; /* of the chain; usually the preset's */
    int saved_calls;
    bool recompute_blocks; /* as in chain_settings */
};

/* Opens the model and the rewards and plans; allocates no arena. Borrows preset and backend. */
status objective_create(const struct preset *preset, struct backend *backend, const struct objective_settings *settings,
                        struct objective **objective);
void objective_destroy(struct objective *objective);
/* Arena and weights. */
status objective_allocate(struct objective *objective);

struct chain *objective_chain(const struct objective *objective);
struct model *objective_model(const struct objective *objective);
int objective_reward_count(const struct objective *objective);
struct reward *objective_reward(const struct objective *objective, int index);
size_t
objective_reward_bytes(const struct objective *objective); /* weights, packed copies and buffers of the rewards */
double objective_reward_flops(const struct objective *objective, bool backward); /* of one decoder call */

/* Prompts of the batch (as many as the chain's batch), for the U-Net and for the rewards. The texts are borrowed until
 * the next call. */
status objective_set_prompts(struct objective *objective, const char *const *prompts, const char *negative);

/* Lets the rewards encode these prompts at once, before they are used; later ones are encoded when they come. */
status objective_prepare_prompts(struct objective *objective, const char *const *prompts, int count);

/* Scores of the pictures of the last chain_decode(call): scores[picture * reward_count + reward]. */
status objective_score(struct objective *objective, int call, double *scores);
/* After objective_score: gradient of sum over pictures and rewards of factors[reward] * score, to
 * chain_picture_gradient. */
status objective_score_backward(struct objective *objective, const double *factors);

#endif
