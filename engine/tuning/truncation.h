/* Which steps of the chain carry gradient: a method is a row in preset/choices.h and its functions in truncation.c.
 *
 * Steps are numbered from noise to picture, 0..T-1; the K steps at the end are grad steps, the ones before no_grad
 * steps (AlignProp's randomised truncation, drawn once per optimiser step and contiguous; reward-tuning literature:
 * Prabhudesai et al. 2023, Clark et al. 2023). */
#ifndef ALIGNPROP_TUNING_TRUNCATION_H
#define ALIGNPROP_TUNING_TRUNCATION_H

#include "engine/preset/preset.h"

struct truncation {
    int grad_steps; /* K, 1..T */
    int renoisings; /* DRaFT-LV: further passes over the last K steps from a renoised picture */
};

/* STATUS_BAD_INPUT when the method's numbers do not fit `steps`. */
status truncation_check(const struct preset *preset, int steps);
/* The draw for optimiser step `step` (1..); a pure function of its arguments. */
struct truncation truncation_draw(const struct preset *preset, int steps, int step);
/* The largest K that any draw can give. */
int truncation_largest(const struct preset *preset, int steps);
/* Expected K, for the plan. */
double truncation_mean(const struct preset *preset, int steps);

#endif
