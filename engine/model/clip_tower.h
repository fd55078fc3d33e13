/* The transformer encoder of the CLIP family (CLIPTextModel, CLIPModel, OwlViT): pre-norm layers of self-attention and
 * a two-layer perceptron.
 *
 *   x = x + out_proj(attention(q_proj, k_proj, v_proj of layer_norm1(x)))
 *   x = x + fc2(activation(fc1(layer_norm2(x)))) */
#ifndef ALIGNPROP_MODEL_CLIP_TOWER_H
#define ALIGNPROP_MODEL_CLIP_TOWER_H

#include "engine/graph/graph.h"
#include "engine/model/config.h"

struct clip_tower {
    int64_t layers;
    int64_t width;              /* hidden_size */
    int64_t heads;              /* num_attention_heads; divides width */
    int64_t inner_width;        /* intermediate_size of the perceptron */
    double epsilon;             /* layer_norm_eps */
    enum unary_kind activation; /* hidden_act */
};

struct clip_text_tower {
    struct clip_tower tower;
    int64_t vocabulary;    /* vocab_size */
    int64_t positions;     /* max_position_embeddings: tokens of a text, at most */
    int64_t projection;    /* projection_dim */
    int64_t end_token;     /* eos_token_id as the config says; see clip_text_pooling */
    int64_t padding_token; /* pad_token_id */
};

/* Reads a text_config or vision_config, or the whole config of a CLIPTextModel. Keys that are absent take the values
 * that transformers gives them (those of CLIP ViT-B/32's text or vision model). */
status clip_tower_read(const struct config *config, bool vision, struct clip_tower *tower);
status clip_text_tower_read(const struct config *config, struct clip_text_tower *tower);

/* All encoder layers over x[B, T, width]; tensors "PREFIX.layers.N.self_attn.q_proj.weight" and so on. `prefix` such
 * as "text_model.encoder". */
tensor_id clip_tower_build(struct graph *graph, const struct clip_tower *tower, tensor_id x, bool causal,
                           const char *prefix);

/* Token and position embeddings, causal layers and the final norm: ids[B, T] (int32, T up to `positions`) -> states
 * [B, T, width]. Tensors "PREFIX.embeddings.token_embedding.weight", "PREFIX.encoder...",
 * "PREFIX.final_layer_norm.weight". `prefix` such as "text_model". */
tensor_id clip_text_tower_build(struct graph *graph, const struct clip_text_tower *tower, tensor_id ids,
                                const char *prefix);

/* The place in `ids` (length of them) whose state stands for the whole text: the first `end_token`, or, for the
 * configs that say end_token 2 (written before the id was corrected), the place of the highest id. */
int clip_text_pooling(const struct clip_text_tower *tower, const int32_t *ids, int length);

#endif
