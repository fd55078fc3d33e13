/* A noise schedule from a scheduler_config.json. The sampler itself is the preset's choice, so the configs of all
 * schedulers that share the betas (DDIM, PNDM, Euler, DPM-Solver and more) are read alike: a key counts where the
 * sampler's own class knows it, and a key that is absent has that class's default (as from_config of diffusers). */
#ifndef ALIGNPROP_MODEL_SCHEDULE_H
#define ALIGNPROP_MODEL_SCHEDULE_H

#include "engine/model/config.h"
#include "engine/model/model.h"

/* Allocates alpha_bar; noise_schedule_clear frees it. What is not supported is STATUS_BAD_INPUT naming key and value.
 */
status noise_schedule_read(const struct config *config, struct noise_schedule *schedule);
/* The schedule of Stable Diffusion 1.x, for files without a config. */
status noise_schedule_stable_diffusion(enum prediction_type prediction, struct noise_schedule *schedule);
/* Makes the last timestep pure noise (rescale_betas_zero_snr). */
void noise_schedule_rescale_to_zero_snr(struct noise_schedule *schedule);
void noise_schedule_clear(struct noise_schedule *schedule);

#endif
