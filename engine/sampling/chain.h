/* The denoising chain of one model and one preset: text, noise, U-Net steps, decoder, and the backward pass.
 *
 * A step is one graph: x' = latent_gain x + prediction_gain p + noise_gain z with p = uncond + guidance (cond -
 * uncond), both halves in one batch. It exists twice: as the no_grad step, with adapters merged into the weights
 * (everything that needs no gradient), and as the grad step, with adapters attached and its vector-Jacobian product
 * (the last K steps of training). A step's checkpoint is its latent, so all latents are kept; the activations of a step
 * live in a saved region, of which there are one or more (chain_settings.saved_calls): steps without one of their own
 * are recomputed in the backward pass.
 *
 * All sampling, tuning and scoring goes through here. After chain_allocate device memory is taken
 * by chain_merge alone, which joins what it merges there and gives it back; what passes between host and device takes
 * small buffers of the host for the time of a call. */
#ifndef ALIGNPROP_SAMPLING_CHAIN_H
#define ALIGNPROP_SAMPLING_CHAIN_H

#include "engine/graph/program.h"
#include "engine/model/model.h"
#include "engine/sampling/noise.h"
#include "engine/sampling/schedule.h"
#include "engine/sampling/text_merge.h"

struct chain;

struct chain_settings {
    const char *sampler;
    int steps, width, height; /* of pictures; multiples of the model's latent_factor */
    double guidance, eta;     /* guidance 1: no unconditional half */
    int batch;                /* pictures at once */
    bool trainable;           /* build the grad step and the decoder's gradient */
    int rank;                 /* adapters; used when trainable or adapters are merged */
    double alpha;
    unsigned targets;
    int saved_calls; /* saved regions for activations; only when trainable. 0: every grad step is recomputed, in memory
                       that the decoder and the rewards use before */
    bool recompute_blocks; /* in the backward pass through a step or the decoder, compute each block's inside again */
};

/* Opens nothing, allocates no arena: builds graphs, prepares kernels and knows the sizes. Borrows model and backend. */
status chain_create(struct model *model, struct backend *backend, const struct chain_settings *settings,
                    struct chain **chain);
void chain_destroy(struct chain *chain);

/* Bytes by purpose; call before chain_allocate to plan, the sum is what chain_allocate takes. */
struct chain_sizes {
    size_t weights, packed;            /* frozen weights; their copies in kernel layouts and with adapters merged */
    size_t latents, adapters;          /* latents, states, pictures; factors and their gradients */
    size_t saved_step;                 /* activations of one U-Net call with gradient */
    size_t saved_calls;                /* of as many as are kept; 0 where none is */
    size_t saved_decoder, saved_extra; /* the decoder's activations; what chain_reserve asked for */
    size_t saved_rest;                 /* what a recomputed call needs beyond these two, where none is kept */
    size_t work, scratch;
};
struct chain_sizes chain_sizes(const struct chain *chain);
size_t chain_total_bytes(const struct chain *chain);
/* Regions for another program (the rewards) that runs between the decoder's sweeps: work and scratch are shared. */
void chain_reserve(struct chain *chain, struct program_sizes sizes);
/* The number of saved regions, 0..; may be changed until chain_allocate. */
void chain_set_saved_calls(struct chain *chain, int saved_calls);
/* One arena and the weights. STATUS_NO_MEMORY names needed and free. */
status chain_allocate(struct chain *chain);

struct memory_region chain_saved_extra(const struct chain *chain);
struct memory_region chain_work(const struct chain *chain);
struct memory_region chain_scratch(const struct chain *chain);

const struct sampler_schedule *chain_schedule(const struct chain *chain);
int chain_batch(const struct chain *chain);
int chain_decode_batch(const struct chain *chain); /* pictures a decoder call; divides batch */
double chain_step_flops(const struct chain *chain, bool grad, bool backward);
double chain_decoder_flops(const struct chain *chain, bool backward); /* of one call */

/* Adapter factors, in the order of modules: two tensors a module. Values are host double (exact) or float. */
int chain_parameter_count(const struct chain *chain);
const char *chain_parameter_name(const struct chain *chain, int index);
struct shape chain_parameter_shape(const struct chain *chain, int index);
status chain_write_parameter(struct chain *chain, int index, const double *values);
status chain_write_parameter_floats(struct chain *chain, int index, const float *values);
status chain_read_gradient(struct chain *chain, int index, double *values);
/* All of them with one wait for the device: values[i] receives parameter i's, as floats. */
status chain_read_gradients(struct chain *chain, float *const *values);
status chain_clear_gradients(struct chain *chain);
int chain_module_count(const struct chain *chain);
const struct adapter_module *chain_module(const struct chain *chain, int index);

/* The text encoder's linear layers, which adapters may change too. */
int chain_text_module_count(const struct chain *chain);
const struct adapter_module *chain_text_module(const struct chain *chain, int index);

/* Rebuilds the no_grad step's weights: base + `scale` * (alpha / rank) up down of the factors that were written with
 * chain_write_parameter. */
status chain_merge_parameters(struct chain *chain, double scale);
/* Rebuilds them as base + the sum of the updates of chain_module's modules, of any ranks. Returns to the base where
 * there is none. */
status chain_merge(struct chain *chain, const struct low_rank_update *updates, int count);
/* The same for the text encoder, chain_text_module's modules. Prompts must be set again afterwards. */
status chain_merge_text(struct chain *chain, const struct low_rank_update *updates, int count);

/* Encodes the prompts (batch of them) and the negative prompt into the chain's context; results are cached. */
status chain_set_prompts(struct chain *chain, const char *const *prompts, const char *negative);

/* First latents: picture b from stream {seeds[b], NOISE_LATENT, numbers[b]}; the sampler's own noise likewise. */
status chain_start(struct chain *chain, const uint64_t *seeds, const uint64_t *numbers);

/* Step i of the schedule: latents i -> i + 1. `grad` runs the grad step; slot >= 0 leaves its activations in that
 * saved region. */
status chain_step(struct chain *chain, int step, bool grad, int slot);
/* Backward pass of step i: gradient of latents i + 1 -> gradient of latents i, adapter gradients added. slot >= 0: the
 * region that holds this step's activations; -1: recompute. */
status chain_step_backward(struct chain *chain, int step, int slot);

/* Decoder call number `call` (pictures call*decode_batch ...): final latents -> pictures. */
status chain_decode(struct chain *chain, int call);
/* Gradient of those pictures (chain_picture_gradient filled) -> gradient of the final latents. */
status chain_decode_backward(struct chain *chain, int call);

/* Device memory. Pictures are [decode_batch, H, W, 3] exact, RGB clamped to [0,1], of the last decoder call. */
void *chain_pictures(const struct chain *chain);
void *chain_picture_gradient(const struct chain *chain);

/* Host copies: latents number i (0 first noise ... steps final) as [batch, h, w, channels]; pictures as above. */
status chain_read_latents(struct chain *chain, int index, float *values);
status chain_write_latents(struct chain *chain, int index, const float *values);
/* Puts x = renoise_clean * (final latents) + renoise_noise * z at `step`, z from stream NOISE_LOW_VARIANCE (DRaFT-LV).
 */
status chain_renoise(struct chain *chain, int step, const uint64_t *seeds, const uint64_t *numbers);
status chain_read_pictures(struct chain *chain, float *values);
status chain_read_picture_gradient(struct chain *chain, float *values);

/* The largest relative use of the planned work region so far: bytes touched. Equals the plan after a full step. */
size_t chain_high_water(const struct chain *chain);

/* For previews: begins to copy the first picture's latents number i to the host, without holding up what is queued
 * after. One at a time; the latents must not be written to before the device was waited for. */
status chain_fetch_latents(struct chain *chain, int index);
/* True once they are there, in values [h, w, channels]. Does not wait. */
status chain_fetched_latents(struct chain *chain, float *values, bool *ready);

/* An approximate picture straight from latents (host): latents [h, w, channels] -> 8-bit RGB [h, w, 3], by the model's
 * own coefficients or Stable Diffusion's. */
void chain_preview(const struct chain *chain, const float *latents, unsigned char *rgb);

#endif
