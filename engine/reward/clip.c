/* Cosine of the CLIP embeddings of picture and prompt. */
#include "engine/model/clip_model.h"
#include "engine/reward/clip_embedding.h"
#include "engine/reward/implementation.h"
#include "engine/reward/reward_models.h"
#include "engine/reward/text_encoder.h"

#include <string.h>

struct clip_reward {
    struct reward reward;
    struct clip_model *model; /* of reward.models */
    struct text_tower tower;
    struct text_embeddings prompts;
};

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    struct clip_reward *clip = (struct clip_reward *)reward;
    tensor_id picture = clip_unit_embedding(clip->model, reward, graph, pictures);
    struct shape shape = SHAPE2(reward->batch, clip->tower.width);
    tensor_id prompt = reward_add_input(reward, graph, "prompt", shape);
    return graph_reduce(graph, graph_multiply(graph, picture, prompt), SHAPE2(reward->batch, 1), 1.0);
}

static status prepare_prompts(struct reward *reward, struct backend *backend, const char *const *prompts, int count)
{
    struct clip_reward *clip = (struct clip_reward *)reward;
    return text_embeddings_add(&clip->prompts, &clip->tower, backend, prompts, count);
}

static status fill_input(struct reward *reward, struct backend *backend, int index, const char *const *prompts,
                         int count, float *values)
{
    (void)index;
    struct clip_reward *clip = (struct clip_reward *)reward;
    if (prompts == NULL)
        return status_error(STATUS_BAD_INPUT,
                            "a prompt is needed to compare the pictures with, such as --prompt \"a cat\"");
    TRY(prepare_prompts(reward, backend, prompts, count));
    size_t width = (size_t)clip->tower.width;
    for (int i = 0; i < count; i++)
        memcpy(values + (size_t)i * width, text_embeddings_find(&clip->prompts, &clip->tower, prompts[i]),
               width * sizeof *values);
    return status_ok();
}

static void release(struct reward *reward)
{
    struct clip_reward *clip = (struct clip_reward *)reward;
    text_embeddings_clear(&clip->prompts);
}

static status tokenize(const void *model, const char *text, int32_t *ids, int32_t *end)
{
    return clip_model_tokenize(model, text, ids, end);
}

static tensor_id build_texts(const void *model, struct graph *graph, tensor_id ids, tensor_id ends)
{
    return clip_model_build_texts(model, graph, ids, ends, "");
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    char path[PATH_SIZE];
    struct clip_model *model;
    TRY(reward_models_open_clip(request->models, reward_text(kind, request, "model"), path, &model));
    *reward = reward_allocate(kind, request, sizeof(struct clip_reward));
    struct clip_reward *clip = (struct clip_reward *)*reward;
    clip->model = model;
    clip->tower = (struct text_tower){.model = model,
                                      .weights = clip_model_weights(model),
                                      .context = clip_model_context(model),
                                      .width = clip_model_projection(model),
                                      .tokenize = tokenize,
                                      .build = build_texts};
    clip->reward.model_weights = clip_model_weights(model);
    clip->reward.build = build;
    clip->reward.fill_input = fill_input;
    clip->reward.prepare_prompts = prepare_prompts;
    clip->reward.release = release;
    status result = text_tower_check(&clip->tower);
    if (result.code != STATUS_OK) {
        reward_destroy(*reward);
        *reward = NULL;
    }
    return result;
}

static const struct reward_parameter parameters[] = {
    {"model", "CLIP model: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_CLIP},
};

const struct reward_kind clip_reward = {
    .name = "clip",
    .measures = "likeness of picture and prompt: cosine of their CLIP embeddings",
    .source = "Radford et al. 2021, arXiv 2103.00020",
    .low = -1,
    .high = 1,
    PARAMETERS(parameters),
    .create = create,
};
