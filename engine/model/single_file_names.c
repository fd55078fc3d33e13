/* Tensor names of the original Stable Diffusion 1.x checkpoints, from the names that diffusers gives them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/internal.h"

struct renaming {
    const char *diffusers, *original;
};

/* Replaces the beginning of `rest` by the first row that fits, or keeps it. */
static void rename_beginning(const struct renaming *rows, size_t count, const char *rest, char *renamed, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(rows[i].diffusers);
        if (strncmp(rest, rows[i].diffusers, length) != 0) continue;
        snprintf(renamed, size, "%s%s", rows[i].original, rest + length);
        return;
    }
    snprintf(renamed, size, "%s", rest);
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct renaming unet_outside[] = {
    {"conv_in.", "input_blocks.0.0."},
    {"time_embedding.linear_1.", "time_embed.0."},
    {"time_embedding.linear_2.", "time_embed.2."},
    {"conv_norm_out.", "out.0."},
    {"conv_out.", "out.2."},
    {"mid_block.attentions.0.", "middle_block.1."},
};

static const struct renaming unet_residual[] = {
    {"norm1.", "in_layers.0."},  {"conv1.", "in_layers.2."},  {"time_emb_proj.", "emb_layers.1."},
    {"norm2.", "out_layers.0."}, {"conv2.", "out_layers.3."}, {"conv_shortcut.", "skip_connection."},
};

enum { LARGEST_NUMBER = 1000 };

/* What follows in `name` behind a pattern in which every '#' stands for a number, NULL where it does not fit; numbers[]
 * takes the numbers, two at most. */
static const char *match(const char *name, const char *pattern, int numbers[2])
{
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) return NULL;
            continue;
        }
        char *end;
        long number = *name >= '0' && *name <= '9' ? strtol(name, &end, 10) : -1;
        if (number < 0 || number > LARGEST_NUMBER) return NULL;
        *numbers++ = (int)number;
        name = end;
    }
    return name;
}

/* Blocks are numbered through: conv_in is input block 0, then `layers` and a downsampler for each level; going up,
 * `layers` + 1 for each level, the last holding the upsampler behind its attention, if it has one. */
static void unet_name(const struct unet_config *unet, const char *name, char *original, size_t size)
{
    int stride = (int)unet->blocks[0].layers + 1, n[2];
    char rest[TENSOR_NAME_LIMIT];
    const char *tail;
    if ((tail = match(name, "down_blocks.#.resnets.#.", n))) {
        rename_beginning(unet_residual, COUNT(unet_residual), tail, rest, sizeof rest);
        snprintf(original, size, "input_blocks.%d.0.%s", 1 + n[0] * stride + n[1], rest);
    } else if ((tail = match(name, "down_blocks.#.attentions.#.", n))) {
        snprintf(original, size, "input_blocks.%d.1.%s", 1 + n[0] * stride + n[1], tail);
    } else if ((tail = match(name, "down_blocks.#.downsamplers.0.conv.", n))) {
        snprintf(original, size, "input_blocks.%d.0.op.%s", (n[0] + 1) * stride, tail);
    } else if ((tail = match(name, "mid_block.resnets.#.", n))) {
        rename_beginning(unet_residual, COUNT(unet_residual), tail, rest, sizeof rest);
        snprintf(original, size, "middle_block.%d.%s", 2 * n[0], rest);
    } else if ((tail = match(name, "up_blocks.#.resnets.#.", n))) {
        rename_beginning(unet_residual, COUNT(unet_residual), tail, rest, sizeof rest);
        snprintf(original, size, "output_blocks.%d.0.%s", n[0] * stride + n[1], rest);
    } else if ((tail = match(name, "up_blocks.#.attentions.#.", n))) {
        snprintf(original, size, "output_blocks.%d.1.%s", n[0] * stride + n[1], tail);
    } else if ((tail = match(name, "up_blocks.#.upsamplers.0.", n))) {
        bool attends = n[0] < unet->block_count && unet->blocks[unet->block_count - 1 - n[0]].attends_up;
        snprintf(original, size, "output_blocks.%d.%d.%s", n[0] * stride + stride - 1, attends ? 2 : 1, tail);
    } else {
        rename_beginning(unet_outside, COUNT(unet_outside), name, original, size);
    }
}

static const struct renaming decoder_residual[] = {{"conv_shortcut.", "nin_shortcut."}};

/* The modules of the decoder's attention: as CompVis called them, as diffusers calls them, as it did until version
 * 0.13. */
static const struct renaming compvis_attention[] = {
    {"group_norm.", "norm."}, {"to_q.", "q."}, {"to_k.", "k."}, {"to_v.", "v."}, {"to_out.0.", "proj_out."},
};
static const struct renaming diffusers_attention[] = {{"group_norm.", "norm."}};
static const struct renaming older_attention[] = {
    {"group_norm.", "norm."}, {"to_q.", "query."}, {"to_k.", "key."}, {"to_v.", "value."}, {"to_out.0.", "proj_attn."},
};

enum { ATTENTION_NAMES = 4 };

/* What the file may call a module of the attention; false where there is no such possibility. */
static bool attention_name(const char *module, int attempt, char *renamed, size_t size)
{
    switch (attempt) {
    case 0: rename_beginning(compvis_attention, COUNT(compvis_attention), module, renamed, size); return true;
    case 1: rename_beginning(diffusers_attention, COUNT(diffusers_attention), module, renamed, size); return true;
    case 2: snprintf(renamed, size, "%s", module); return true;
    case 3: rename_beginning(older_attention, COUNT(older_attention), module, renamed, size); return true;
    default: return false;
    }
}

/* Levels are numbered from the picture's side there, from the latent's side here. */
static bool decoder_name(const struct autoencoder_config *autoencoder, const char *name, int attempt,
                         char original[TENSOR_NAME_LIMIT])
{
    int last = autoencoder->block_count - 1, n[2];
    char rest[TENSOR_NAME_LIMIT];
    const char *tail;
    if ((tail = match(name, "decoder.mid_block.attentions.#.", n))) {
        if (attempt >= ATTENTION_NAMES) /* the whole name as in a diffusers folder */
            return naming_of_folder_decoder(autoencoder, name, attempt - ATTENTION_NAMES, original);
        if (!attention_name(tail, attempt, rest, sizeof rest)) return false;
        snprintf(original, TENSOR_NAME_LIMIT, "decoder.mid.attn_%d.%s", n[0] + 1, rest);
        return true;
    }
    if (attempt > 0) return false;
    if ((tail = match(name, "decoder.up_blocks.#.resnets.#.", n))) {
        rename_beginning(decoder_residual, COUNT(decoder_residual), tail, rest, sizeof rest);
        snprintf(original, TENSOR_NAME_LIMIT, "decoder.up.%d.block.%d.%s", last - n[0], n[1], rest);
    } else if ((tail = match(name, "decoder.up_blocks.#.upsamplers.0.", n))) {
        snprintf(original, TENSOR_NAME_LIMIT, "decoder.up.%d.upsample.%s", last - n[0], tail);
    } else if ((tail = match(name, "decoder.mid_block.resnets.#.", n))) {
        rename_beginning(decoder_residual, COUNT(decoder_residual), tail, rest, sizeof rest);
        snprintf(original, TENSOR_NAME_LIMIT, "decoder.mid.block_%d.%s", n[0] + 1, rest);
    } else {
        static const struct renaming norm[] = {{"decoder.conv_norm_out.", "decoder.norm_out."}};
        rename_beginning(norm, COUNT(norm), name, original, TENSOR_NAME_LIMIT);
    }
    return true;
}

bool naming_of_single_unet(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT])
{
    char original[TENSOR_NAME_LIMIT];
    if (attempt > 0) return false;
    unet_name(&((const struct model *)layout)->unet, name, original, sizeof original);
    return snprintf(file_name, TENSOR_NAME_LIMIT, "model.diffusion_model.%s", original) < TENSOR_NAME_LIMIT;
}

bool naming_of_single_decoder(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT])
{
    const struct model *model = layout;
    char original[TENSOR_NAME_LIMIT];
    if (!decoder_name(&model->autoencoder, name, attempt, original)) return false;
    return snprintf(file_name, TENSOR_NAME_LIMIT, "%s%s", model->single.decoder_prefix, original) < TENSOR_NAME_LIMIT;
}

bool naming_of_single_text(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT])
{
    static const char model_prefix[] = "text_model.";
    const struct single_layout *single = &((const struct model *)layout)->single;
    if (attempt > 0) return false;
    if (single->text_is_bare && strncmp(name, model_prefix, sizeof model_prefix - 1) == 0)
        name += sizeof model_prefix - 1;
    return snprintf(file_name, TENSOR_NAME_LIMIT, "%s%s", single->text_prefix, name) < TENSOR_NAME_LIMIT;
}

bool model_original_module(const struct model *model, const char *module, char *original, size_t size)
{
    static const char weight[] = ".weight";
    char name[TENSOR_NAME_LIMIT], renamed[TENSOR_NAME_LIMIT];
    if (snprintf(name, sizeof name, "%s%s", module, weight) >= (int)sizeof name) return false;
    unet_name(&model->unet, name, renamed, sizeof renamed);
    int length = (int)strlen(renamed) - (int)(sizeof weight - 1);
    return length > 0 && snprintf(original, size, "%.*s", length, renamed) < (int)size;
}
