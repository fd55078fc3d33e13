/* The decoder of AutoencoderKL: its config, and its blocks as graph. */
#include "engine/model/autoencoder.h"

#include <math.h>
#include <string.h>

#include "engine/model/blocks.h"
#include "engine/model/config_keys.h"

enum { CHANNELS_LIMIT = 65536, LAYERS_LIMIT = 64, PICTURE_CHANNELS = 3 };

static const double norm_epsilon = 1e-6;

static const char *const activations[] = {"silu", "swish"};

static status read_blocks(const struct config *config, struct autoencoder_config *autoencoder)
{
    const cJSON *channels = config_find(config, "block_out_channels"), *type;
    int count = cJSON_GetArraySize(channels);
    if (!cJSON_IsArray(channels) || count < 1 || count > AUTOENCODER_MAXIMUM_BLOCKS)
        return config_wrong(config, "block_out_channels", "a list of 1 to 8 channel counts");
    autoencoder->block_count = count;
    TRY(config_integers(config, "block_out_channels", 1, CHANNELS_LIMIT, count, autoencoder->channels));
    const cJSON *types = config_find(config, "up_block_types");
    if (!cJSON_IsArray(types) || cJSON_GetArraySize(types) != count)
        return config_wrong(config, "up_block_types", "as many types as block_out_channels has counts");
    cJSON_ArrayForEach(
        type, types) if (!cJSON_IsString(type) ||
                         strcmp(type->valuestring, "UpDecoderBlock2D") !=
                             0) return config_wrong(config, "up_block_types",
                                                    "\"UpDecoderBlock2D\" throughout (nothing else is supported)");
    return status_ok();
}

status autoencoder_config_read(const struct config *config, struct autoencoder_config *autoencoder)
{
    *autoencoder = (struct autoencoder_config){.latent_channels = 4,
                                               .layers = 1,
                                               .norm_groups = 32,
                                               .scaling_factor = 0.18215,
                                               .post_quant = true,
                                               .attends = true};
    int activation = 0;
    TRY(config_check_keys(config, &autoencoder_keys));
    TRY(config_choice(config, "act_fn", activations, 2, &activation));
    TRY(read_blocks(config, autoencoder));
    TRY(config_integer(config, "latent_channels", 1, CHANNELS_LIMIT, &autoencoder->latent_channels));
    TRY(config_integer(config, "layers_per_block", 1, LAYERS_LIMIT, &autoencoder->layers));
    TRY(config_integer(config, "norm_num_groups", 1, CHANNELS_LIMIT, &autoencoder->norm_groups));
    TRY(config_number(config, "scaling_factor", 1e-6, 1e6, &autoencoder->scaling_factor));
    TRY(config_boolean(config, "use_post_quant_conv", &autoencoder->post_quant));
    TRY(config_boolean(config, "mid_block_add_attention", &autoencoder->attends));
    return autoencoder_config_check(autoencoder, config->path);
}

status autoencoder_config_check(const struct autoencoder_config *autoencoder, const char *origin)
{
    for (int i = 0; i < autoencoder->block_count; i++)
        if (autoencoder->channels[i] % autoencoder->norm_groups != 0)
            return status_error(STATUS_BAD_INPUT,
                                "%s: norm_num_groups is %lld; expected a divisor of every one of block_out_channels, "
                                "but %lld is one",
                                origin, (long long)autoencoder->norm_groups, (long long)autoencoder->channels[i]);
    return status_ok();
}

/* One head as wide as the map has channels, over all positions. */
static tensor_id build_attention(struct block_builder *builder, tensor_id x, const char *name)
{
    struct graph *graph = builder->graph;
    int64_t width = tensor_dimension(graph, x, -1);
    tensor_id normal = layer_group_norm(graph, x, builder->norm_groups, norm_epsilon, false, "%s.group_norm", name);
    tensor_id tokens = block_tokens(graph, normal);
    tensor_id q = layer_linear(graph, tokens, width, true, "%s.to_q", name);
    tensor_id k = layer_linear(graph, tokens, width, true, "%s.to_k", name);
    tensor_id v = layer_linear(graph, tokens, width, true, "%s.to_v", name);
    tensor_id mixed = graph_attention(graph, q, k, v, 1, 1.0 / sqrt((double)width), false);
    mixed = layer_linear(graph, mixed, width, true, "%s.to_out.0", name);
    return graph_add(graph, x, block_map(graph, mixed, x));
}

static tensor_id build_up_block(struct block_builder *builder, const struct autoencoder_config *autoencoder,
                                tensor_id x, int index)
{
    int64_t channels = autoencoder->channels[autoencoder->block_count - 1 - index];
    for (int i = 0; i <= (int)autoencoder->layers; i++)
        x = block_residual(builder, x, NO_TENSOR, channels, "decoder.up_blocks.%d.resnets.%d", index, i);
    if (index + 1 == autoencoder->block_count) return x;
    return block_upsample(builder, x, 2 * tensor_dimension(builder->graph, x, 1),
                          2 * tensor_dimension(builder->graph, x, 2), "decoder.up_blocks.%d.upsamplers.0", index);
}

tensor_id autoencoder_build_decoder(struct graph *graph, const struct autoencoder_config *autoencoder,
                                    tensor_id latents)
{
    struct block_builder builder = {
        .graph = graph, .norm_groups = (int)autoencoder->norm_groups, .norm_epsilon = norm_epsilon};
    int64_t widest = autoencoder->channels[autoencoder->block_count - 1];
    tensor_id x = graph_affine(graph, latents, 1.0 / autoencoder->scaling_factor, 0.0);
    if (autoencoder->post_quant)
        x = layer_convolution(graph, x, autoencoder->latent_channels, 1, 1, 0, true, "post_quant_conv");
    x = layer_convolution(graph, x, widest, 3, 1, 1, true, "decoder.conv_in");
    x = block_residual(&builder, x, NO_TENSOR, widest, "decoder.mid_block.resnets.0");
    if (autoencoder->attends) x = build_attention(&builder, x, "decoder.mid_block.attentions.0");
    x = block_residual(&builder, x, NO_TENSOR, widest, "decoder.mid_block.resnets.1");
    for (int i = 0; i < autoencoder->block_count; i++) x = build_up_block(&builder, autoencoder, x, i);
    x = layer_group_norm(graph, x, builder.norm_groups, norm_epsilon, true, "decoder.conv_norm_out");
    return layer_convolution(graph, x, PICTURE_CHANNELS, 3, 1, 1, true, "decoder.conv_out");
}
