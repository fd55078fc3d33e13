/* Sampler steps as linear maps: with prediction p = model(input_scale * x, timestep),
 *     x' = latent_gain x + prediction_gain p + noise_gain z.
 * So the adjoint of a step is its transpose: three numbers. A sampler is a function and a row in schedule.c. */
#ifndef ALIGNPROP_SAMPLING_SCHEDULE_H
#define ALIGNPROP_SAMPLING_SCHEDULE_H

#include "engine/base/text.h"
#include "engine/model/model.h"

struct sampler_step {
    double timestep; /* what the model is told; may be fractional for Euler */
    double input_scale, latent_gain, prediction_gain, noise_gain;
    double clean_latent_gain, clean_prediction_gain; /* predicted clean latent = these times x and p (unscaled x) */
    double renoise_clean,
        renoise_noise; /* x at this step = renoise_clean * clean + renoise_noise * z, z standard normal */
};

struct sampler_schedule {
    int count;
    struct sampler_step *steps; /* from noise to picture, owned */
    double initial_scale;       /* first latent = initial_scale * standard normal */
    bool adds_noise;            /* a step has a noise_gain */
};

/* What a sampler fills: `count` steps, of which `eta` adds noise, for `noise`. */
struct sampler_request {
    const struct noise_schedule *noise;
    enum timestep_spacing spacing;
    int count;
    double eta;
};

struct sampler {
    const char *name;  /* in presets */
    const char *title; /* in the recipe that a picture's file carries */
    bool takes_eta;
    enum timestep_spacing spacing; /* where the model's config says nothing */
    status (*fill)(const struct sampler_request *request, struct sampler_schedule *schedule);
};

/* The table: row number `index`, from 0; NULL past the last. */
const struct sampler *sampler_at(int index);
/* NULL if there is none. */
const struct sampler *sampler_find(const char *name);
/* Their names, `separator` between two and `last` before the last one: "ddim or euler". */
void sampler_list(struct text *list, const char *separator, const char *last);

/* name: a sampler's; count in [1, train_timesteps]; eta in [0, 1], 0 for samplers without noise
 * (STATUS_BAD_INPUT otherwise). Formulas: Song et al. 2020 (DDIM, eq. 12), Karras et al. 2022 (Euler), with the
 * timestep spacings of Lin et al. 2023. Caller frees with schedule_clear. */
status schedule_create(const struct noise_schedule *noise, const char *name, int count, double eta,
                       struct sampler_schedule *schedule);
void schedule_clear(struct sampler_schedule *schedule);

#endif
