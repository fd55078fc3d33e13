/* The chain's gradient against central differences, in double precision on the reference backend.
 *
 * Reduced to batch 1, T steps of which the last K carry gradient, whatever K the preset's method draws. Of low-variance
 * the estimator is checked: the mean over a pass from the sampled latents and `n` from the renoised picture. The
 * latents that enter the grad part of each pass are computed once and held fixed, as every stop-gradient value is, so
 * the two sides differentiate the same function. The adapter gets random non-zero factors: at the usual start (up = 0)
 * half of the gradient vanishes. */
#ifndef ALIGNPROP_TUNING_GRADCHECK_H
#define ALIGNPROP_TUNING_GRADCHECK_H

#include "engine/preset/preset.h"

enum { GRADCHECK_DIRECTIONS = 3 };

struct gradcheck_direction {
    const char *name; /* "gradient", "random", "mix" */
    double analytic, numeric, relative_error;
};

struct gradcheck_report {
    int batch, steps, grad_steps;
    int passes; /* over the grad steps: 1, and n more for low-variance */
    struct gradcheck_direction directions[GRADCHECK_DIRECTIONS];
    double worst; /* largest relative error */
};

/* `preset` with its model path and size resolved; steps T and kept K as wished (the command uses 4 and 3). */
status gradcheck_run(const struct preset *preset, int steps, int grad_steps, struct gradcheck_report *report);

#endif
