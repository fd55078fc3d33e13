/* CLIP's transformer layers as graph, the text tower with its embeddings, and where a text's result is read. */
#include "engine/model/clip_tower.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/config_keys.h"
#include "engine/model/layers.h"

enum { LAYERS_LIMIT = 256, WIDTH_LIMIT = 65536, TABLE_LIMIT = 10000000 };

/* The library has several names for one function. */
static const char *const activation_names[] = {
    "quick_gelu", "gelu", "gelu_python", "gelu_new", "gelu_fast", "relu", "gelu_pytorch_tanh", "silu", "swish"};
static const enum unary_kind activations[] = {UNARY_QUICK_GELU, UNARY_GELU_ERF,  UNARY_GELU_ERF,
                                              UNARY_GELU_TANH,  UNARY_GELU_TANH, UNARY_RELU,
                                              UNARY_GELU_TANH,  UNARY_SILU,      UNARY_SILU};

/* Defaults: the CLIPTextConfig and CLIPVisionConfig pages of the transformers documentation. */
status clip_tower_read(const struct config *config, bool vision, struct clip_tower *tower)
{
    *tower = (struct clip_tower){.layers = 12,
                                 .width = vision ? 768 : 512,
                                 .heads = vision ? 12 : 8,
                                 .inner_width = vision ? 3072 : 2048,
                                 .epsilon = 1e-5};
    int activation = 0;
    TRY(config_check_keys(config, vision ? &vision_tower_keys : &text_tower_keys));
    TRY(config_integer(config, "num_hidden_layers", 1, LAYERS_LIMIT, &tower->layers));
    TRY(config_integer(config, "hidden_size", 1, WIDTH_LIMIT, &tower->width));
    TRY(config_integer(config, "num_attention_heads", 1, WIDTH_LIMIT, &tower->heads));
    TRY(config_integer(config, "intermediate_size", 1, 4 * WIDTH_LIMIT, &tower->inner_width));
    TRY(config_number(config, "layer_norm_eps", 0.0, 1.0, &tower->epsilon));
    TRY(config_choice(config, "hidden_act", activation_names, (int)(sizeof activations / sizeof activations[0]),
                      &activation));
    tower->activation = activations[activation];
    if (tower->width % tower->heads != 0) {
        char expected[120];
        snprintf(expected, sizeof expected, "a divisor of hidden_size, %lld", (long long)tower->width);
        return config_wrong(config, "num_attention_heads", expected);
    }
    return status_ok();
}

status clip_text_tower_read(const struct config *config, struct clip_text_tower *tower)
{
    *tower = (struct clip_text_tower){
        .vocabulary = 49408, .positions = 77, .projection = 512, .end_token = 49407, .padding_token = 1};
    TRY(clip_tower_read(config, false, &tower->tower));
    TRY(config_integer(config, "vocab_size", 1, TABLE_LIMIT, &tower->vocabulary));
    TRY(config_integer(config, "max_position_embeddings", 2, TABLE_LIMIT, &tower->positions));
    TRY(config_integer(config, "projection_dim", 0, WIDTH_LIMIT, &tower->projection));
    TRY(config_integer(config, "eos_token_id", 0, TABLE_LIMIT, &tower->end_token));
    return config_integer(config, "pad_token_id", 0, TABLE_LIMIT, &tower->padding_token);
}

static tensor_id build_attention(struct graph *graph, const struct clip_tower *tower, tensor_id x, bool causal,
                                 const char *layer)
{
    tensor_id q = layer_linear(graph, x, tower->width, true, "%s.self_attn.q_proj", layer);
    tensor_id k = layer_linear(graph, x, tower->width, true, "%s.self_attn.k_proj", layer);
    tensor_id v = layer_linear(graph, x, tower->width, true, "%s.self_attn.v_proj", layer);
    double scale = 1.0 / sqrt((double)tower->width / (double)tower->heads);
    tensor_id mixed = graph_attention(graph, q, k, v, (int)tower->heads, scale, causal);
    return layer_linear(graph, mixed, tower->width, true, "%s.self_attn.out_proj", layer);
}

static tensor_id build_perceptron(struct graph *graph, const struct clip_tower *tower, tensor_id x, const char *layer)
{
    tensor_id inner = layer_linear(graph, x, tower->inner_width, true, "%s.mlp.fc1", layer);
    inner = graph_unary(graph, tower->activation, inner);
    return layer_linear(graph, inner, tower->width, true, "%s.mlp.fc2", layer);
}

tensor_id clip_tower_build(struct graph *graph, const struct clip_tower *tower, tensor_id x, bool causal,
                           const char *prefix)
{
    for (int i = 0; i < (int)tower->layers; i++) {
        char layer[MODULE_NAME_SIZE];
        snprintf(layer, sizeof layer, "%s.layers.%d", prefix, i);
        tensor_id normal = layer_layer_norm(graph, x, tower->epsilon, "%s.layer_norm1", layer);
        x = graph_add(graph, x, build_attention(graph, tower, normal, causal, layer));
        normal = layer_layer_norm(graph, x, tower->epsilon, "%s.layer_norm2", layer);
        x = graph_add(graph, x, build_perceptron(graph, tower, normal, layer));
    }
    return x;
}

static tensor_id embedding_table(struct graph *graph, const char *prefix, const char *name, int64_t rows, int64_t width)
{
    char full[MODULE_NAME_SIZE + 16];
    snprintf(full, sizeof full, "%s.embeddings.%s.weight", prefix, name);
    return graph_constant(graph, full, SHAPE2(rows, width));
}

tensor_id clip_text_tower_build(struct graph *graph, const struct clip_text_tower *tower, tensor_id ids,
                                const char *prefix)
{
    int64_t width = tower->tower.width, length = tensor_dimension(graph, ids, 1);
    tensor_id tokens = embedding_table(graph, prefix, "token_embedding", tower->vocabulary, width);
    tensor_id positions = embedding_table(graph, prefix, "position_embedding", tower->positions, width);
    if (length < tower->positions) positions = graph_slice(graph, positions, 0, 0, length);
    tensor_id x = graph_embedding(graph, ids, tokens);
    x = graph_add(graph, x, graph_reshape(graph, positions, SHAPE3((int64_t)1, length, width)));
    char encoder[MODULE_NAME_SIZE];
    snprintf(encoder, sizeof encoder, "%s.encoder", prefix);
    x = clip_tower_build(graph, &tower->tower, x, true, encoder);
    return layer_layer_norm(graph, x, tower->tower.epsilon, "%s.final_layer_norm", prefix);
}

int clip_text_pooling(const struct clip_text_tower *tower, const int32_t *ids, int length)
{
    int highest = 0;
    for (int i = 0; i < length; i++) {
        if (tower->end_token != 2 && ids[i] == tower->end_token) return i;
        if (ids[i] > ids[highest]) highest = i;
    }
    return tower->end_token == 2 ? highest : 0;
}
