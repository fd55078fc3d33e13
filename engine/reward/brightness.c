/* Mean luma of the picture. */
#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    (void)reward;
    return picture_mean(graph, picture_luma(graph, pictures));
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    *reward = reward_allocate(kind, request, sizeof **reward);
    (*reward)->build = build;
    return status_ok();
}

const struct reward_kind brightness_reward = {
    .name = "brightness",
    .measures = "mean luma",
    .source = "ITU-R BT.601 luma",
    .low = 0,
    .high = 1,
    .create = create,
};
