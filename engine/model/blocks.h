/* The building blocks that the U-Net and the autoencoder share, written as the diffusers library names them.
 *
 * Feature maps are [B, H, W, C]. Where an adapter plan is given, every module of its targets is listed in it and, when
 * asked for, gets its two factors (adapter.h). */
#ifndef ALIGNPROP_MODEL_BLOCKS_H
#define ALIGNPROP_MODEL_BLOCKS_H

#include "engine/graph/graph.h"
#include "engine/model/adapter.h"
#include "engine/model/layers.h"

struct block_builder {
    struct graph *graph;
    struct adapter_plan *adapters; /* NULL: none */
    int norm_groups;
    double norm_epsilon; /* of the residual blocks */
};

/* As layer_linear and layer_convolution ("same" padding for odd windows at stride 1), with an adapter where the plan
 * wants one. */
tensor_id block_linear(struct block_builder *builder, tensor_id x, int64_t outputs, bool has_bias, const char *name,
                       ...) __attribute__((format(printf, 5, 6)));
tensor_id block_convolution(struct block_builder *builder, tensor_id x, int64_t outputs, int window, int stride,
                            const char *name, ...) __attribute__((format(printf, 6, 7)));

/* ResnetBlock2D: norm1, SiLU, conv1, plus time_emb_proj(time) where `time` [B or 1, T] (SiLU already applied) is given,
 * norm2, SiLU, conv2; plus x, through conv_shortcut where the number of channels changes. */
tensor_id block_residual(struct block_builder *builder, tensor_id x, tensor_id time, int64_t outputs, const char *name,
                         ...) __attribute__((format(printf, 5, 6)));

/* Nearest neighbour times two, cut to height x width (at most twice x's), then the convolution NAME.conv. */
tensor_id block_upsample(struct block_builder *builder, tensor_id x, int64_t height, int64_t width, const char *name,
                         ...) __attribute__((format(printf, 5, 6)));

/* [B, H, W, C] as the token sequence [B, H*W, C], and back to the height and width of `like`. */
tensor_id block_tokens(struct graph *graph, tensor_id map);
tensor_id block_map(struct graph *graph, tensor_id tokens, tensor_id like);

#endif
