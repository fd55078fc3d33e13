/* A text-to-image diffusion model on disk: what it is made of, and its parts as graphs.
 *
 * Everything comes from the model's own config files; no size or name of one model is written into the code.
 * Formats: a diffusers folder (model_index.json) or a single-file Stable Diffusion 1.x checkpoint (.safetensors in the
 * original layout; tensor names are mapped to diffusers names on reading). Weights are read from their files
 * when they are asked for. */
#ifndef ALIGNPROP_MODEL_MODEL_H
#define ALIGNPROP_MODEL_MODEL_H

#include "engine/base/picture_size.h"
#include "engine/graph/graph.h"
#include "engine/graph/weights.h"
#include "engine/model/adapter.h"

struct model;
struct remarks;

enum prediction_type { PREDICTION_EPSILON, PREDICTION_V };
/* SPACING_OF_SAMPLER: as the sampler has it where a config does not say. */
enum timestep_spacing { SPACING_LEADING, SPACING_TRAILING, SPACING_LINSPACE, SPACING_OF_SAMPLER };

/* How the Euler sampler places its noise levels. */
enum sigma_spacing { SIGMAS_OF_TIMESTEPS, SIGMAS_KARRAS, SIGMAS_EXPONENTIAL, SIGMAS_BETA };

struct sigma_options {
    enum sigma_spacing spacing;
    bool log_linear;         /* interpolation_type: evenly in the logarithm, whatever the timesteps */
    bool ends_at_minimum;    /* final_sigmas_type: the last step ends at the least level of training, not at 0 */
    bool continuous;         /* timestep_type: a network that predicts v is told log(sigma) / 4 */
    double minimum, maximum; /* sigma_min, sigma_max of Karras' and exponential spacing; 0: those of the timesteps */
};

struct noise_schedule {
    int train_timesteps; /* usually 1000 */
    double *alpha_bar;   /* cumulative product of 1 - beta, train_timesteps values, owned by the model */
    enum prediction_type prediction;
    enum timestep_spacing spacing;
    int steps_offset;
    bool set_alpha_to_one; /* alpha_bar after the last step: 1, else alpha_bar[0] */
    struct sigma_options sigmas;
};

struct model_facts {
    char path[4096];
    char name[256];        /* folder or file name */
    char architecture[64]; /* "stable-diffusion-v1" and so on, as modelspec names it */
    int latent_channels;
    int latent_factor;                /* picture side / latent side, 8 */
    struct picture_size default_size; /* the one the model was trained for */
    double scaling_factor;            /* decoder input = latent / scaling_factor */
    int context_length;               /* tokens per prompt, 77 */
    int context_width;                /* width of the text states */
    int time_features;                /* length of the timestep embedding's sinusoid */
    bool has_preview;
    float preview_factors[4][3], preview_bias[3]; /* latent (scaled space) to RGB in [0,1] */
    struct noise_schedule schedule;
};

/* Opens and checks configs and weight headers (not the weights). STATUS_BAD_INPUT names file, key or tensor,
 * expected and found. Caller closes. */
status model_open(const char *path, struct model **model);
void model_close(struct model *model);
const struct model_facts *model_facts(const struct model *model);
/* What opening it noticed and went on from, such as tensors that nothing uses and keys that nothing here knows. */
const struct remarks *model_remarks(const struct model *model);
/* STATUS_BAD_INPUT where the model makes no pictures of that size: sides are multiples of its latent_factor. */
status model_check_size(const struct model_facts *facts, int width, int height);

/* What the original Stable Diffusion layout calls the U-Net's module of diffusers name `module`: "input_blocks.1.1..."
 * for "down_blocks.0.attentions.0...". False where that is too long. */
bool model_original_module(const struct model *model, const char *module, char *original, size_t size);

/* Weight sources of the three parts, valid while the model is open. */
struct weight_source model_unet_weights(struct model *model);
struct weight_source model_decoder_weights(struct model *model);
struct weight_source model_text_weights(struct model *model);

/* Token ids of `text`, exactly context_length of them (begin, words, end, padding); too long a text is cut and
 * `*cut` (may be NULL) set. */
status model_tokenize(const struct model *model, const char *text, int32_t *ids, bool *cut);

/* The sinusoid of timestep t: features[time_features] (host). */
void model_time_features(const struct model *model, double timestep, float *features);

/* ids[B, context_length] (int32) -> text states [B, context_length, context_width]. */
tensor_id model_build_text_encoder(struct model *model, struct graph *graph, tensor_id ids);

/* latents[B, H, W, latent_channels] (compute type), time features [B or 1, time_features] (compute type), context
 * [B, context_length, context_width] -> prediction [B, H, W, latent_channels]. `adapters` may be NULL.
 * Names of constants are the diffusers names, such as "conv_in.weight". */
tensor_id model_build_unet(struct model *model, struct graph *graph, tensor_id latents, tensor_id time_features,
                           tensor_id context, struct adapter_plan *adapters);

/* latents[B, h, w, latent_channels] as the sampler leaves them (scaled) -> picture [B, H, W, 3] in about [-1, 1],
 * not clamped. Divides by scaling_factor itself. */
tensor_id model_build_decoder(struct model *model, struct graph *graph, tensor_id latents);

#endif
