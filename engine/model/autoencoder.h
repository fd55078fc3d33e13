/* AutoencoderKL: the half of it that turns latents into pictures. */
#ifndef ALIGNPROP_MODEL_AUTOENCODER_H
#define ALIGNPROP_MODEL_AUTOENCODER_H

#include "engine/graph/graph.h"
#include "engine/model/config.h"

enum { AUTOENCODER_MAXIMUM_BLOCKS = 8 };

struct autoencoder_config {
    int64_t latent_channels;
    int block_count;                              /* the picture's side is 2^(block_count - 1) times the latent's */
    int64_t channels[AUTOENCODER_MAXIMUM_BLOCKS]; /* block_out_channels, widest last */
    int64_t layers;                               /* layers_per_block; the decoder has one more */
    int64_t norm_groups;
    double scaling_factor; /* latents of the sampler are those of the encoder times this */
    bool post_quant;       /* a 1x1 convolution in front of the decoder */
    bool attends;          /* attention in the middle */
};

/* Reads vae/config.json. What is not supported is STATUS_BAD_INPUT naming key and value. */
status autoencoder_config_read(const struct config *config, struct autoencoder_config *autoencoder);
/* Checks that widths divide into groups; for configs deduced rather than read. */
status autoencoder_config_check(const struct autoencoder_config *autoencoder, const char *origin);

/* As model_build_decoder. */
tensor_id autoencoder_build_decoder(struct graph *graph, const struct autoencoder_config *autoencoder,
                                    tensor_id latents);

#endif
