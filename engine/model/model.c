/* A diffusion model opened from a folder or a single file, its parts checked against one another. */
#include "engine/model/model.h"
#include "engine/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/model/internal.h"
#include "engine/model/model_kind.h"
#include "engine/model/recognise.h"
#include "engine/model/schedule.h"

/* ---- facts ---- */

/* What adapters' metadata calls the families (github.com/Stability-AI/ModelSpec), by the width of their text states.
 * Anything else goes by the name of the method. */
static const struct {
    int64_t context_width, first_channels;
    enum prediction_type prediction;
    const char *name;
} architectures[] = {
    {768, 320, PREDICTION_EPSILON, "stable-diffusion-v1"},
    {768, 320, PREDICTION_V, "stable-diffusion-v1"},
    {1024, 320, PREDICTION_EPSILON, "stable-diffusion-v2-512"},
    {1024, 320, PREDICTION_V, "stable-diffusion-v2-768-v"},
};

static const char *architecture_name(const struct model *model)
{
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++)
        if (architectures[i].context_width == model->unet.context_width &&
            architectures[i].first_channels == model->unet.blocks[0].channels &&
            architectures[i].prediction == model->facts.schedule.prediction)
            return architectures[i].name;
    return "latent-diffusion";
}

/* The last component of the path; of a snapshot in the Hugging Face cache (models--ORG--NAME/snapshots/COMMIT) the
 * repository's name, ORG/NAME. */
static void name_of_path(const char *path, char *name, size_t size)
{
    static const char marker[] = "/models--";
    const char *snapshots = strstr(path, "/snapshots/"), *repository = strstr(path, marker);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/') start--;
    snprintf(name, size, "%.*s", (int)(length - start), path + start);
    if (!snapshots || !repository || repository > snapshots) return;
    snprintf(name, size, "%.*s", (int)(snapshots - repository - (sizeof marker - 1)), repository + sizeof marker - 1);
    char *separator = strstr(name, "--");
    if (!separator) return;
    *separator = '/';
    memmove(separator + 1, separator + 2, strlen(separator + 2) + 1);
}

/* Stable Diffusion's own size where the config does not say. */
static struct picture_size default_size(const struct unet_config *unet, int factor)
{
    enum { USUAL_SIDE = 64 };
    int64_t width = unet->sample_width ? unet->sample_width : USUAL_SIDE;
    int64_t height = unet->sample_height ? unet->sample_height : USUAL_SIDE;
    return (struct picture_size){(int)width * factor, (int)height * factor};
}

static void fill_facts(struct model *model)
{
    struct model_facts *facts = &model->facts;
    int longest = tokenizer_facts(model->tokenizer)->maximum_length;
    snprintf(facts->architecture, sizeof facts->architecture, "%s", architecture_name(model));
    facts->latent_channels = (int)model->unet.in_channels;
    facts->latent_factor = 1 << (model->autoencoder.block_count - 1);
    facts->default_size = default_size(&model->unet, facts->latent_factor);
    facts->scaling_factor = model->autoencoder.scaling_factor;
    facts->context_length = longest < model->text.positions ? longest : (int)model->text.positions;
    facts->context_width = (int)model->unet.context_width;
    facts->time_features = unet_time_features(&model->unet);
}

/* ---- checks across the parts ---- */

static status check_agreement(const struct model *model)
{
    const char *path = model->facts.path;
    long long in = model->unet.in_channels, out = model->unet.out_channels;
    long long latent = model->autoencoder.latent_channels, vocabulary = model->text.vocabulary;
    int highest = tokenizer_facts(model->tokenizer)->highest;
    if (in != latent)
        return status_error(STATUS_BAD_INPUT,
                            "%s: the U-Net takes %lld channels; expected %lld, as many as the "
                            "autoencoder's latents have%s",
                            path, in, latent, in == 2 * latent + 1 ? " (an inpainting model is not supported)" : "");
    if (out != in)
        return status_error(STATUS_BAD_INPUT,
                            "%s: the U-Net predicts %lld channels; expected %lld, as many as it "
                            "takes",
                            path, out, in);
    if (model->unet.context_width != model->text.tower.width)
        return status_error(STATUS_BAD_INPUT,
                            "%s: the U-Net's cross_attention_dim is %lld; expected %lld, the text "
                            "encoder's hidden_size",
                            path, (long long)model->unet.context_width, (long long)model->text.tower.width);
    if (highest >= vocabulary)
        return status_error(STATUS_BAD_INPUT,
                            "%s: the tokenizer's highest id is %d; expected less than %lld, the text "
                            "encoder's vocab_size",
                            path, highest, vocabulary);
    if (tokenizer_facts(model->tokenizer)->derived && highest + 1 < vocabulary)
        return status_error(STATUS_BAD_INPUT,
                            "%s: the ids that merges.txt gives end at %d; expected %lld, the last of the text "
                            "encoder's vocab_size (is merges.txt cut, and without vocab.json beside it?)",
                            path, highest, vocabulary - 1);
    return status_ok();
}

/* ---- weights ---- */

tensor_id model_build_small_part(struct model *model, enum model_part part, struct graph *graph)
{
    const int64_t side = 8, length = model->facts.context_length;
    const struct shape latents = SHAPE4((int64_t)1, side, side, model->unet.in_channels);
    switch (part) {
    case MODEL_PART_TEXT:
        return model_build_text_encoder(model, graph,
                                        graph_input(graph, "ids", SHAPE2((int64_t)1, length), ELEMENT_I32));
    case MODEL_PART_DECODER:
        return model_build_decoder(model, graph, graph_input(graph, "latents", latents, ELEMENT_F32));
    default: break;
    }
    tensor_id x = graph_input(graph, "latents", latents, ELEMENT_F32);
    tensor_id time = graph_input(graph, "time", SHAPE2((int64_t)1, (int64_t)model->facts.time_features), ELEMENT_F32);
    tensor_id context =
        graph_input(graph, "context", SHAPE3((int64_t)1, length, model->unet.context_width), ELEMENT_F32);
    return model_build_unet(model, graph, x, time, context, NULL);
}

static void keep_first(void *context, const status *problem)
{
    status *first = context;
    if (first->code == STATUS_OK) *first = *problem;
}

/* The first tensor that is missing or wrong, and how many more are. */
static status require_weights(struct model *model)
{
    status first = status_ok();
    int problems = 0;
    for (int part = 0; part < MODEL_PART_COUNT; part++) {
        struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
        model_build_small_part(model, (enum model_part)part, graph);
        status result = graph_state(graph);
        if (result.code == STATUS_OK) problems += part_weights_check(&model->parts[part], graph, keep_first, &first);
        graph_destroy(graph);
        TRY(status_context(result, "%s", model->facts.path));
    }
    if (problems > 1) {
        char more[40];
        snprintf(more, sizeof more, " (and %d more)", problems - 1);
        strncat(first.message, more, sizeof first.message - strlen(first.message) - 1);
    }
    return first;
}

/* ---- opening ---- */

static status open_folder(struct model *model)
{
    const char *path = model->facts.path;
    char index[PATH_SIZE];
    struct recognised recognised;
    TRY(path_format(index, "%s/model_index.json", path));
    if (path_is_file(index)) return model_open_folder(model);
    if (model_recognise(path, &recognised)) return recognised_refused(path, &recognised);
    return status_error(STATUS_BAD_INPUT, "%s: has no model_index.json; expected a diffusers folder", path);
}

static status open_file(struct model *model)
{
    const char *path = model->facts.path;
    struct recognised recognised;
    enum model_kind kind;
    if (!model_kind_of(path, &kind) && model_recognise(path, &recognised)) return recognised_refused(path, &recognised);
    if (text_ends_with(path, ".safetensors")) return model_open_single_file(model);
    if (text_ends_with(path, ".ckpt") || text_ends_with(path, ".pt") || text_ends_with(path, ".bin"))
        return status_error(STATUS_BAD_INPUT,
                            "%s: pickled weights are programs and are not read; expected a "
                            ".safetensors file or a diffusers folder",
                            path);
    return status_error(STATUS_BAD_INPUT, "%s: expected a .safetensors file or a diffusers folder", path);
}

static status open_parts(struct model *model)
{
    const char *path = model->facts.path;
    struct input_file file;
    if (path_is_directory(path)) return open_folder(model);
    if (access(path, F_OK) != 0)
        return status_error(STATUS_BAD_INPUT, "%s: is not there; expected a model's folder or file", path);
    TRY(input_file_open(path, &file));
    input_file_close(&file);
    return open_file(model);
}

static status open_all(struct model *model)
{
    TRY(open_parts(model));
    TRY(check_agreement(model));
    remarks_add_all(&model->remarks, tokenizer_remarks(model->tokenizer));
    fill_facts(model);
    return status_ok();
}

status model_open_without_weights(const char *path, struct model **model)
{
    *model = memory_take(1, sizeof **model);
    status result = path_format((*model)->facts.path, "%s", path);
    name_of_path(path, (*model)->facts.name, sizeof(*model)->facts.name);
    if (result.code == STATUS_OK) result = open_all(*model);
    if (result.code != STATUS_OK) {
        model_close(*model);
        *model = NULL;
    }
    return result;
}

status model_open(const char *path, struct model **model)
{
    TRY(model_open_without_weights(path, model));
    status result = require_weights(*model);
    if (result.code == STATUS_OK) result = model_remark_leftovers(*model);
    if (result.code != STATUS_OK) {
        model_close(*model);
        *model = NULL;
    }
    return result;
}

void model_close(struct model *model)
{
    if (!model) return;
    for (int i = 0; i < MODEL_PART_COUNT; i++) tensor_files_close(model->files[i]);
    noise_schedule_clear(&model->facts.schedule);
    tokenizer_close(model->tokenizer);
    free(model);
}

const struct model_facts *model_facts(const struct model *model)
{
    return &model->facts;
}

const struct remarks *model_remarks(const struct model *model)
{
    return &model->remarks;
}

status model_check_size(const struct model_facts *facts, int width, int height)
{
    int factor = facts->latent_factor;
    if (width >= factor && height >= factor && width % factor == 0 && height % factor == 0) return status_ok();
    return status_error(STATUS_BAD_INPUT, "sampler.width, sampler.height: %dx%d; %s needs multiples of %d from %d up",
                        width, height, facts->name, factor, factor);
}

/* ---- parts ---- */

struct weight_source model_unet_weights(struct model *model)
{
    return part_weights_source(&model->parts[MODEL_PART_UNET]);
}

struct weight_source model_decoder_weights(struct model *model)
{
    return part_weights_source(&model->parts[MODEL_PART_DECODER]);
}

struct weight_source model_text_weights(struct model *model)
{
    return part_weights_source(&model->parts[MODEL_PART_TEXT]);
}

status model_tokenize(const struct model *model, const char *text, int32_t *ids, bool *cut)
{
    return tokenizer_encode_prompt(model->tokenizer, text, ids, model->facts.context_length, cut);
}

void model_time_features(const struct model *model, double timestep, float *features)
{
    unet_fill_time_features(&model->unet, timestep, features);
}

tensor_id model_build_text_encoder(struct model *model, struct graph *graph, tensor_id ids)
{
    return clip_text_tower_build(graph, &model->text, ids, "text_model");
}

tensor_id model_build_unet(struct model *model, struct graph *graph, tensor_id latents, tensor_id time_features,
                           tensor_id context, struct adapter_plan *adapters)
{
    return unet_build(graph, &model->unet, latents, time_features, context, adapters);
}

tensor_id model_build_decoder(struct model *model, struct graph *graph, tensor_id latents)
{
    return autoencoder_build_decoder(graph, &model->autoencoder, latents);
}
