/* Scores of finished pictures, and their gradients: what `alignprop score` prints and what the tests check. */
#ifndef ALIGNPROP_REWARD_SCORE_H
#define ALIGNPROP_REWARD_SCORE_H

#include "engine/reward/reward.h"

enum picture_layout {
    PICTURES_NCHW, /* [count, 3, height, width], the layout of the contract's reward interface */
    PICTURES_NHWC  /* [count, height, width, 3] */
};

struct picture_batch {
    const float *pixels; /* RGB in [0,1]; NULL: `bytes` */
    enum picture_layout layout;
    int count, height, width;
    const char *const *prompts; /* count of them; may be NULL for rewards that read no prompt */
    const unsigned char *bytes; /* RGB of 8 bits in layout PICTURES_NHWC, for scores without gradients */
};

/* scores[count]: the reward of every picture; gradients (may be NULL): the gradient of the scores' sum by the pixels,
 * in the pictures' layout and number. Pixels or scores that are not finite are STATUS_BAD_INPUT. */
status reward_score_pictures(struct reward *reward, struct backend *backend, const struct picture_batch *pictures,
                             double *scores, float *gradients);

/* As above for doubles [count, height, width, 3], with nothing rounded to fp32: for gradient checks on the reference
 * backend. `gradients` may be NULL. */
status reward_score_exactly(struct reward *reward, struct backend *backend, const double *pixels, int count, int height,
                            int width, const char *const *prompts, double *scores, double *gradients);

#endif
