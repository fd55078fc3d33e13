/* UNet2DConditionModel as graph: time embedding, blocks down, middle, up, and the transformers between. */
#include "engine/model/unet.h"

#include <math.h>
#include <stdio.h>

#include "engine/model/blocks.h"

enum { MAXIMUM_SKIPS = UNET_MAXIMUM_BLOCKS * 65 };

/* The norm before a transformer has an epsilon of its own, whatever norm_eps says. */
static const double transformer_norm_epsilon = 1e-6;
static const double layer_norm_epsilon = 1e-5;

struct unet_builder {
    struct block_builder blocks;
    const struct unet_config *config;
    tensor_id time;                 /* [B or 1, time_width], SiLU applied: what every residual block takes */
    tensor_id context;              /* [B, T, context_width] */
    tensor_id skips[MAXIMUM_SKIPS]; /* outputs of the way down, last in first out */
    int skip_count;
};

static tensor_id build_time_embedding(struct unet_builder *builder, tensor_id features)
{
    struct graph *graph = builder->blocks.graph;
    int64_t width = builder->config->time_width;
    tensor_id embedding = block_linear(&builder->blocks, features, width, true, "time_embedding.linear_1");
    embedding = graph_unary(graph, UNARY_SILU, embedding);
    embedding = block_linear(&builder->blocks, embedding, width, true, "time_embedding.linear_2");
    return graph_unary(graph, UNARY_SILU, embedding);
}

/* Attention of x over `source`, which is x itself or the text states. */
static tensor_id build_attention(struct unet_builder *builder, tensor_id x, tensor_id source, int64_t heads,
                                 const char *name)
{
    struct block_builder *blocks = &builder->blocks;
    int64_t width = tensor_dimension(blocks->graph, x, -1);
    tensor_id q = block_linear(blocks, x, width, false, "%s.to_q", name);
    tensor_id k = block_linear(blocks, source, width, false, "%s.to_k", name);
    tensor_id v = block_linear(blocks, source, width, false, "%s.to_v", name);
    double scale = 1.0 / sqrt((double)width / (double)heads);
    tensor_id mixed = graph_attention(blocks->graph, q, k, v, (int)heads, scale, false);
    return block_linear(blocks, mixed, width, true, "%s.to_out.0", name);
}

/* BasicTransformerBlock: self-attention, cross-attention, gated feed-forward; each on the normalised x, added to x. */
static tensor_id build_transformer_layer(struct unet_builder *builder, tensor_id x, int64_t heads, const char *name)
{
    struct graph *graph = builder->blocks.graph;
    int64_t width = tensor_dimension(graph, x, -1);
    char part[MODULE_NAME_SIZE];
    tensor_id normal = layer_layer_norm(graph, x, layer_norm_epsilon, "%s.norm1", name);
    snprintf(part, sizeof part, "%s.attn1", name);
    x = graph_add(graph, x, build_attention(builder, normal, normal, heads, part));
    normal = layer_layer_norm(graph, x, layer_norm_epsilon, "%s.norm2", name);
    snprintf(part, sizeof part, "%s.attn2", name);
    x = graph_add(graph, x, build_attention(builder, normal, builder->context, heads, part));
    normal = layer_layer_norm(graph, x, layer_norm_epsilon, "%s.norm3", name);
    tensor_id inner = block_linear(&builder->blocks, normal, 8 * width, true, "%s.ff.net.0.proj", name);
    inner = graph_geglu(graph, inner);
    return graph_add(graph, x, block_linear(&builder->blocks, inner, width, true, "%s.ff.net.2", name));
}

static tensor_id build_projection(struct unet_builder *builder, tensor_id map, const char *name)
{
    int64_t width = tensor_dimension(builder->blocks.graph, map, -1);
    if (builder->config->linear_projection) return block_linear(&builder->blocks, map, width, true, "%s", name);
    return block_convolution(&builder->blocks, map, width, 1, 1, "%s", name);
}

/* Transformer2DModel: norm, proj_in, layers over the positions as tokens, proj_out; added to x. */
static tensor_id build_transformer(struct unet_builder *builder, tensor_id x, const struct unet_block *block,
                                   const char *name)
{
    struct graph *graph = builder->blocks.graph;
    char part[MODULE_NAME_SIZE];
    tensor_id h =
        layer_group_norm(graph, x, builder->blocks.norm_groups, transformer_norm_epsilon, false, "%s.norm", name);
    snprintf(part, sizeof part, "%s.proj_in", name);
    h = block_tokens(graph, build_projection(builder, h, part));
    for (int i = 0; i < (int)block->transformer_layers; i++) {
        snprintf(part, sizeof part, "%s.transformer_blocks.%d", name, i);
        h = build_transformer_layer(builder, h, block->heads, part);
    }
    snprintf(part, sizeof part, "%s.proj_out", name);
    x = graph_add(graph, x, build_projection(builder, block_map(graph, h, x), part));
    graph_end_block(graph);
    return x;
}

static void push_skip(struct unet_builder *builder, tensor_id x)
{
    builder->skips[builder->skip_count++] = x;
}

static tensor_id pop_skip(struct unet_builder *builder)
{
    return builder->skips[--builder->skip_count];
}

static tensor_id build_down_block(struct unet_builder *builder, tensor_id x, int index)
{
    const struct unet_block *block = &builder->config->blocks[index];
    char name[MODULE_NAME_SIZE];
    for (int i = 0; i < (int)block->layers; i++) {
        x = block_residual(&builder->blocks, x, builder->time, block->channels, "down_blocks.%d.resnets.%d", index, i);
        if (block->attends_down) {
            snprintf(name, sizeof name, "down_blocks.%d.attentions.%d", index, i);
            x = build_transformer(builder, x, block, name);
        }
        push_skip(builder, x);
    }
    if (index + 1 < builder->config->block_count) {
        x = block_convolution(&builder->blocks, x, block->channels, 3, 2, "down_blocks.%d.downsamplers.0.conv", index);
        push_skip(builder, x);
    }
    return x;
}

static tensor_id build_middle(struct unet_builder *builder, tensor_id x)
{
    const struct unet_block *block = &builder->config->blocks[builder->config->block_count - 1];
    x = block_residual(&builder->blocks, x, builder->time, block->channels, "mid_block.resnets.0");
    x = build_transformer(builder, x, block, "mid_block.attentions.0");
    return block_residual(&builder->blocks, x, builder->time, block->channels, "mid_block.resnets.1");
}

/* `index` counts from the innermost block. */
static tensor_id build_up_block(struct unet_builder *builder, tensor_id x, int index)
{
    struct graph *graph = builder->blocks.graph;
    const struct unet_block *block = &builder->config->blocks[builder->config->block_count - 1 - index];
    char name[MODULE_NAME_SIZE];
    for (int i = 0; i <= (int)block->layers; i++) {
        x = graph_concatenate(graph, x, pop_skip(builder), 3);
        x = block_residual(&builder->blocks, x, builder->time, block->channels, "up_blocks.%d.resnets.%d", index, i);
        if (block->attends_up) {
            snprintf(name, sizeof name, "up_blocks.%d.attentions.%d", index, i);
            x = build_transformer(builder, x, block, name);
        }
    }
    if (index + 1 == builder->config->block_count) return x;
    /* An odd side was halved upward; the next skip tells what it was. */
    tensor_id next = builder->skips[builder->skip_count - 1];
    return block_upsample(&builder->blocks, x, tensor_dimension(graph, next, 1), tensor_dimension(graph, next, 2),
                          "up_blocks.%d.upsamplers.0", index);
}

tensor_id unet_build(struct graph *graph, const struct unet_config *unet, tensor_id latents, tensor_id time_features,
                     tensor_id context, struct adapter_plan *adapters)
{
    struct unet_builder builder = {.blocks = {.graph = graph,
                                              .adapters = adapters,
                                              .norm_groups = (int)unet->norm_groups,
                                              .norm_epsilon = unet->norm_epsilon},
                                   .config = unet,
                                   .context = context};
    if (adapters) adapter_plan_clear(adapters);
    builder.time = build_time_embedding(&builder, time_features);
    tensor_id x =
        block_convolution(&builder.blocks, latents, unet->blocks[0].channels, (int)unet->in_window, 1, "conv_in");
    push_skip(&builder, x);
    for (int i = 0; i < unet->block_count; i++) x = build_down_block(&builder, x, i);
    x = build_middle(&builder, x);
    for (int i = 0; i < unet->block_count; i++) x = build_up_block(&builder, x, i);
    x = layer_group_norm(graph, x, builder.blocks.norm_groups, unet->norm_epsilon, true, "conv_norm_out");
    return block_convolution(&builder.blocks, x, unet->out_channels, (int)unet->out_window, 1, "conv_out");
}
