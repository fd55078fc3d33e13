/* Tensors of a model's files that no part of it uses: most are known to be of no effect on pictures, the others are
 * remarked on. */
#include <stdlib.h>
#include <string.h>

#include "engine/model/internal.h"

enum place { AT_BEGINNING, AT_END, WHOLE };

/* What files are known to hold beside the weights that make pictures. */
static const struct {
    enum place place;
    const char *name;
} unneeded[] = {
    /* Averaged copies of the U-Net for training to go on from. */
    {AT_BEGINNING, "model_ema."},
    /* From pictures to latents. */
    {AT_BEGINNING, "encoder."},
    {AT_BEGINNING, "quant_conv."},
    {AT_BEGINNING, "first_stage_model.encoder."},
    {AT_BEGINNING, "first_stage_model.quant_conv."},
    {AT_BEGINNING, "first_stage_model.loss."},
    {AT_BEGINNING, "vae.encoder."},
    {AT_BEGINNING, "vae.quant_conv."},
    /* CLIP's comparison of pictures and texts. */
    {AT_BEGINNING, "vision_model."},
    {AT_BEGINNING, "visual_projection."},
    {AT_END, "logit_scale"},
    {AT_END, "text_projection"},
    {AT_END, "text_projection.weight"},
    /* 0, 1, 2 and so on. */
    {AT_END, "embeddings.position_ids"},
    /* CompVis' buffers of the noise schedule: all follow from alphas_cumprod, which is compared. */
    {WHOLE, "betas"},
    {WHOLE, "alphas_cumprod"},
    {WHOLE, "alphas_cumprod_prev"},
    {WHOLE, "sqrt_alphas_cumprod"},
    {WHOLE, "sqrt_one_minus_alphas_cumprod"},
    {WHOLE, "log_one_minus_alphas_cumprod"},
    {WHOLE, "sqrt_recip_alphas_cumprod"},
    {WHOLE, "sqrt_recipm1_alphas_cumprod"},
    {WHOLE, "posterior_variance"},
    {WHOLE, "posterior_log_variance_clipped"},
    {WHOLE, "posterior_mean_coef1"},
    {WHOLE, "posterior_mean_coef2"},
    {WHOLE, "lvlb_weights"},
    {WHOLE, "logvar"},
    {WHOLE, "denoiser.sigmas"},
    {WHOLE, "denoiser.log_sigmas"},
    {WHOLE, "global_step"},
    /* Read when the file is opened. */
    {WHOLE, "scale_factor"},
    {WHOLE, "v_pred"},
};

static bool is_unneeded(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof unneeded / sizeof unneeded[0]; i++) {
        const char *known = unneeded[i].name;
        size_t size = strlen(known);
        if (length < size) continue;
        if (unneeded[i].place == AT_BEGINNING && memcmp(name, known, size) == 0) return true;
        if (unneeded[i].place == AT_END && strcmp(name + length - size, known) == 0) return true;
        if (unneeded[i].place == WHOLE && strcmp(name, known) == 0) return true;
    }
    return false;
}

/* One remark a file: the first such tensor, and how many more. */
static void remark_file(struct model *model, const struct tensor_files *files, const bool *used)
{
    const char *first = NULL;
    int count = 0;
    for (size_t i = 0; i < tensor_files_count(files); i++) {
        const char *name = tensor_files_entry_at(files, i)->name;
        if (used[i] || is_unneeded(name)) continue;
        if (count++ == 0) first = name;
    }
    if (count == 1)
        remarks_add(&model->remarks, "%.250s: tensor %.100s is not used", tensor_files_path(files), first);
    else if (count > 1)
        remarks_add(&model->remarks, "%.250s: %d tensors are not used, the first of them %.100s",
                    tensor_files_path(files), count, first);
}

static status mark_part(struct model *model, enum model_part part, bool *used)
{
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    model_build_small_part(model, part, graph);
    status result = graph_state(graph);
    if (result.code == STATUS_OK) part_weights_mark(&model->parts[part], graph, used);
    graph_destroy(graph);
    return result;
}

static status remark_leftovers_of(struct model *model, const struct tensor_files *files)
{
    bool *used = calloc(tensor_files_count(files) + 1, sizeof *used);
    if (!used) return status_error(STATUS_NO_MEMORY, "%.300s: no memory to list its tensors", tensor_files_path(files));
    status result = status_ok();
    for (int part = 0; part < MODEL_PART_COUNT && result.code == STATUS_OK; part++)
        if (model->parts[part].files == files) result = mark_part(model, (enum model_part)part, used);
    if (result.code == STATUS_OK) remark_file(model, files, used);
    free(used);
    return result;
}

status model_remark_leftovers(struct model *model)
{
    for (int i = 0; i < MODEL_PART_COUNT; i++)
        if (model->files[i]) TRY(remark_leftovers_of(model, model->files[i]));
    return status_ok();
}
