/* Pictures through CLIP's processor and picture tower to embeddings of unit length. */
#include "engine/reward/clip_embedding.h"

#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static tensor_id build(const struct clip_model *model, const struct reward *reward, struct graph *graph,
                       tensor_id pictures)
{
    char prefix[160];
    tensor_id embedding = clip_model_build_pictures(model, graph, pictures, reward_prefixed(reward, "", prefix));
    embedding = graph_convert(graph, embedding, graph_accumulation_type(graph));
    tensor_id squares = graph_reduce(graph, graph_unary(graph, UNARY_SQUARE, embedding), SHAPE2(reward->batch, 1), 1.0);
    return graph_divide(graph, embedding, picture_guarded_root(graph, squares, 1e-9));
}

tensor_id clip_unit_embedding(const struct clip_model *model, struct reward *reward, struct graph *graph,
                              tensor_id pictures)
{
    tensor_id shared = reward_shared_features(reward, model, pictures);
    if (shared != NO_TENSOR) return shared;
    return reward_share_features(reward, model, pictures, build(model, reward, graph, pictures));
}
