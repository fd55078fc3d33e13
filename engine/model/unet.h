/* UNet2DConditionModel: the denoiser of Stable Diffusion and its relatives. */
#ifndef ALIGNPROP_MODEL_UNET_H
#define ALIGNPROP_MODEL_UNET_H

#include "engine/graph/graph.h"
#include "engine/model/adapter.h"
#include "engine/model/config.h"

enum { UNET_MAXIMUM_BLOCKS = 8 };

struct unet_block {
    int64_t channels;              /* block_out_channels */
    int64_t layers;                /* residual blocks on the way down; one more on the way up */
    int64_t heads;                 /* of its attention */
    int64_t transformer_layers;    /* depth of each transformer */
    bool attends_down, attends_up; /* whether the block on that way has attention */
};

struct unet_config {
    int64_t sample_width, sample_height; /* sides of the latents it was trained at; 0: unknown */
    int64_t in_channels, out_channels;
    int block_count;
    struct unet_block blocks[UNET_MAXIMUM_BLOCKS]; /* in the order of the way down; the way up takes them backward */
    int64_t norm_groups;
    double norm_epsilon;
    int64_t context_width; /* cross_attention_dim */
    int64_t time_width;    /* of the timestep embedding after its two linear layers */
    bool flip_sin_to_cos;
    double freq_shift;
    bool linear_projection;
    int64_t in_window, out_window; /* conv_in_kernel, conv_out_kernel */
};

/* Reads unet/config.json. What is not supported is STATUS_BAD_INPUT naming key and value. */
status unet_config_read(const struct config *config, struct unet_config *unet);
/* Checks that widths divide into groups and heads; for configs deduced rather than read. `origin` names the file. */
status unet_config_check(const struct unet_config *unet, const char *origin);

/* Length of the sinusoid of a timestep, and the sinusoid itself: features[unet_time_features()]. */
int unet_time_features(const struct unet_config *unet);
void unet_fill_time_features(const struct unet_config *unet, double timestep, float *features);

/* As model_build_unet. */
tensor_id unet_build(struct graph *graph, const struct unet_config *unet, tensor_id latents, tensor_id time_features,
                     tensor_id context, struct adapter_plan *adapters);

#endif
