/* An aesthetic predictor: an affine map of the normalised CLIP embedding of the picture. */
#include "engine/model/aesthetic_head.h"
#include "engine/model/clip_model.h"
#include "engine/reward/clip_embedding.h"
#include "engine/reward/implementation.h"
#include "engine/reward/reward_models.h"

#include <math.h>

struct aesthetic_reward {
    struct reward reward;
    struct clip_model *model; /* of reward.models */
    double bias;
};

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    const struct aesthetic_reward *aesthetic = (const struct aesthetic_reward *)reward;
    tensor_id picture = clip_unit_embedding(aesthetic->model, reward, graph, pictures);
    tensor_id weighted = graph_multiply(graph, picture, reward_constant(reward, graph, "head"));
    return graph_affine(graph, graph_reduce(graph, weighted, SHAPE2(reward->batch, 1), 1.0), 1.0, aesthetic->bias);
}

static status check_width(const struct aesthetic_head *head, const struct clip_model *model, const char *head_path,
                          const char *clip_path)
{
    if (head->width == clip_model_projection(model)) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "the aesthetic head %.150s takes embeddings of width %lld, but those of %.150s have %lld; name "
                        "the CLIP model it was made for with the parameter \"clip\"",
                        head_path, (long long)head->width, clip_path, (long long)clip_model_projection(model));
}

static status fill_in(struct aesthetic_reward *aesthetic, const struct reward_request *request,
                      struct aesthetic_head *head)
{
    const struct reward_kind *kind = aesthetic->reward.kind;
    char head_path[PATH_SIZE], clip_path[PATH_SIZE];
    const char *clip = reward_text(kind, request, "clip");
    TRY(reward_models_find(request->models, reward_text(kind, request, "model"), MODEL_KIND_AESTHETIC, head_path));
    TRY(aesthetic_head_open(head_path, head));
    TRY(reward_models_open_clip(request->models, clip, clip_path, &aesthetic->model));
    TRY(check_width(head, aesthetic->model, head_path, clip_path));
    aesthetic->bias = head->bias;
    aesthetic->reward.model_weights = clip_model_weights(aesthetic->model);
    return reward_add_constant(&aesthetic->reward, "head", SHAPE2(1, head->width), head->weight);
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    struct aesthetic_head head = {0};
    *reward = reward_allocate(kind, request, sizeof(struct aesthetic_reward));
    (*reward)->build = build;
    status result = fill_in((struct aesthetic_reward *)*reward, request, &head);
    aesthetic_head_clear(&head);
    if (result.code != STATUS_OK) {
        reward_destroy(*reward);
        *reward = NULL;
    }
    return result;
}

static const struct reward_parameter parameters[] = {
    {"model", "head: folder, .safetensors or .pth file, or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_AESTHETIC},
    {"clip", "CLIP model that the head was trained on: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_CLIP},
};

const struct reward_kind aesthetic_reward = {
    .name = "aesthetic",
    .measures = "how well people would like the picture, about 1 to 10",
    .source = "LAION aesthetic predictor V2 layout",
    .low = -INFINITY,
    .high = INFINITY,
    PARAMETERS(parameters),
    .create = create,
};
