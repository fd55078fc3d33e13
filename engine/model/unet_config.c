/* A U-Net's config read and checked, and the sines and cosines of a timestep. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/config_keys.h"
#include "engine/model/unet.h"

enum { CHANNELS_LIMIT = 65536, LAYERS_LIMIT = 64 };

static const char *const activations[] = {"silu", "swish"};
static const char *const down_types[] = {"DownBlock2D", "CrossAttnDownBlock2D"};
static const char *const up_types[] = {"UpBlock2D", "CrossAttnUpBlock2D"};

/* One of two block types for each of `count` blocks; attends[i] tells whether it is the second. */
static status read_types(const struct config *config, const char *key, const char *const types[2], int count,
                         bool *attends)
{
    const cJSON *list = config_find(config, key);
    char expected[160];
    snprintf(expected, sizeof expected, "a list of %d, each \"%s\" or \"%s\"", count, types[0], types[1]);
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != count) return config_wrong(config, key, expected);
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, list)
    {
        const char *type = cJSON_IsString(item) ? item->valuestring : "";
        attends[i] = strcmp(type, types[1]) == 0;
        if (!attends[i] && strcmp(type, types[0]) != 0) return config_wrong(config, key, expected);
        i++;
    }
    return status_ok();
}

static status read_blocks(const struct config *config, struct unet_config *unet)
{
    const cJSON *channels = config_find(config, "block_out_channels");
    unet->block_count = cJSON_GetArraySize(channels);
    if (!cJSON_IsArray(channels) || unet->block_count < 1 || unet->block_count > UNET_MAXIMUM_BLOCKS)
        return config_wrong(config, "block_out_channels", "a list of 1 to 8 channel counts");
    int count = unet->block_count;
    int64_t widths[UNET_MAXIMUM_BLOCKS], layers[UNET_MAXIMUM_BLOCKS], heads[UNET_MAXIMUM_BLOCKS],
        depths[UNET_MAXIMUM_BLOCKS];
    bool attends_down[UNET_MAXIMUM_BLOCKS], attends_up[UNET_MAXIMUM_BLOCKS], only_cross[UNET_MAXIMUM_BLOCKS];
    for (int i = 0; i < count; i++) {
        layers[i] = 2;
        heads[i] = 8;
        depths[i] = 1;
        only_cross[i] = false;
    }
    TRY(config_integers(config, "block_out_channels", 1, CHANNELS_LIMIT, count, widths));
    TRY(config_integers(config, "layers_per_block", 1, LAYERS_LIMIT, count, layers));
    /* attention_head_dim has meant the number of heads since the first releases of diffusers; num_attention_heads
     * is the name that was meant. */
    TRY(config_integers(config, "attention_head_dim", 1, CHANNELS_LIMIT, count, heads));
    TRY(config_integers(config, "num_attention_heads", 1, CHANNELS_LIMIT, count, heads));
    TRY(config_integers(config, "transformer_layers_per_block", 1, LAYERS_LIMIT, count, depths));
    TRY(config_booleans(config, "only_cross_attention", count, only_cross));
    TRY(read_types(config, "down_block_types", down_types, count, attends_down));
    TRY(read_types(config, "up_block_types", up_types, count, attends_up));
    for (int i = 0; i < count; i++) {
        if (only_cross[i]) return config_wrong(config, "only_cross_attention", "false (nothing else is supported)");
        unet->blocks[i] = (struct unet_block){.channels = widths[i],
                                              .layers = layers[i],
                                              .heads = heads[i],
                                              .transformer_layers = depths[i],
                                              .attends_down = attends_down[i],
                                              .attends_up = attends_up[count - 1 - i]};
    }
    return status_ok();
}

/* One width for all blocks; a list must repeat it. */
static status read_context_width(const struct config *config, struct unet_config *unet)
{
    int64_t widths[UNET_MAXIMUM_BLOCKS];
    for (int i = 0; i < unet->block_count; i++) widths[i] = 1280;
    TRY(config_integers(config, "cross_attention_dim", 1, CHANNELS_LIMIT, unet->block_count, widths));
    for (int i = 1; i < unet->block_count; i++)
        if (widths[i] != widths[0]) return config_wrong(config, "cross_attention_dim", "one width for all blocks");
    unet->context_width = widths[0];
    return status_ok();
}

static status read_window(const struct config *config, const char *key, int64_t *window)
{
    TRY(config_integer(config, key, 1, 15, window));
    return *window % 2 == 1 ? status_ok() : config_wrong(config, key, "an odd integer");
}

/* A side or [height, width]. */
static status read_sample_size(const struct config *config, struct unet_config *unet)
{
    int64_t sides[2] = {0, 0};
    TRY(config_integers(config, "sample_size", 1, 65536, 2, sides));
    unet->sample_height = sides[0];
    unet->sample_width = sides[1];
    return status_ok();
}

status unet_config_read(const struct config *config, struct unet_config *unet)
{
    *unet = (struct unet_config){.in_channels = 4,
                                 .out_channels = 4,
                                 .norm_groups = 32,
                                 .norm_epsilon = 1e-5,
                                 .flip_sin_to_cos = true,
                                 .in_window = 3,
                                 .out_window = 3};
    int activation = 0;
    TRY(config_check_keys(config, &unet_keys));
    TRY(config_choice(config, "act_fn", activations, 2, &activation));
    TRY(read_blocks(config, unet));
    TRY(read_context_width(config, unet));
    TRY(read_sample_size(config, unet));
    TRY(config_integer(config, "in_channels", 1, CHANNELS_LIMIT, &unet->in_channels));
    TRY(config_integer(config, "out_channels", 1, CHANNELS_LIMIT, &unet->out_channels));
    if (cJSON_HasObjectItem(config->root, "norm_num_groups")) TRY(config_require(config, "norm_num_groups"));
    TRY(config_integer(config, "norm_num_groups", 1, CHANNELS_LIMIT, &unet->norm_groups));
    TRY(config_number(config, "norm_eps", 0.0, 1.0, &unet->norm_epsilon));
    TRY(config_boolean(config, "flip_sin_to_cos", &unet->flip_sin_to_cos));
    TRY(config_number(config, "freq_shift", -1e6, 1e6, &unet->freq_shift));
    TRY(config_boolean(config, "use_linear_projection", &unet->linear_projection));
    TRY(read_window(config, "conv_in_kernel", &unet->in_window));
    TRY(read_window(config, "conv_out_kernel", &unet->out_window));
    unet->time_width = 4 * unet->blocks[0].channels;
    TRY(config_integer(config, "time_embedding_dim", 2, CHANNELS_LIMIT, &unet->time_width));
    return unet_config_check(unet, config->path);
}

status unet_config_check(const struct unet_config *unet, const char *origin)
{
    if (unet->blocks[0].channels % 2 != 0)
        return status_error(STATUS_BAD_INPUT, "%s: block_out_channels begins with %lld; expected an even number",
                            origin, (long long)unet->blocks[0].channels);
    if (!(unet->freq_shift < (double)unet_time_features(unet) / 2))
        return status_error(STATUS_BAD_INPUT, "%s: freq_shift is %g; expected less than half of the %d channels",
                            origin, unet->freq_shift, unet_time_features(unet));
    for (int i = 0; i < unet->block_count; i++) {
        const struct unet_block *block = &unet->blocks[i];
        if (block->channels % unet->norm_groups != 0)
            return status_error(STATUS_BAD_INPUT,
                                "%s: norm_num_groups is %lld; expected a divisor of every one of block_out_channels, "
                                "but %lld is one",
                                origin, (long long)unet->norm_groups, (long long)block->channels);
        bool attends = block->attends_down || block->attends_up || i == unet->block_count - 1;
        if (attends && block->channels % block->heads != 0)
            return status_error(STATUS_BAD_INPUT,
                                "%s: attention_head_dim (the number of heads) is %lld for block %d; expected a "
                                "divisor of its %lld channels",
                                origin, (long long)block->heads, i, (long long)block->channels);
    }
    return status_ok();
}

int unet_time_features(const struct unet_config *unet)
{
    return (int)unet->blocks[0].channels;
}

/* Ho et al. 2020, after Vaswani et al. 2017: frequencies 10000^(-i / (half - freq_shift)); cosines first when flipped.
 * Frequency and angle are rounded to fp32 as in the library that the models were trained with: at timestep 1000 the
 * rounding moves the sinusoid by 1e-5 and more. */
void unet_fill_time_features(const struct unet_config *unet, double timestep, float *features)
{
    int half = unet_time_features(unet) / 2;
    for (int i = 0; i < half; i++) {
        float exponent = (float)-log(10000.0) * (float)i / (float)(half - unet->freq_shift);
        float angle = (float)timestep * (float)exp((double)exponent);
        features[unet->flip_sin_to_cos ? i : half + i] = (float)cos((double)angle);
        features[unet->flip_sin_to_cos ? half + i : i] = (float)sin((double)angle);
    }
}
