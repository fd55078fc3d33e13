/* Colourfulness of Hasler and Suesstrunk 2003, equation of section 7: with rg = R - G and yb = (R + G) / 2 - B in grey
 * levels 0..255, the deviations and means of both over the picture give
 *     M = sqrt(deviation_rg^2 + deviation_yb^2) + 0.3 sqrt(mean_rg^2 + mean_yb^2). */
#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static const double root_guard = 1e-3; /* grey levels */

/* Squared deviation and squared mean, each [B,1], of a map [B,H,W,1]. */
static void moments(struct graph *graph, tensor_id map, tensor_id *variance, tensor_id *squared_mean)
{
    tensor_id mean = picture_mean(graph, map);
    *squared_mean = graph_unary(graph, UNARY_SQUARE, mean);
    const struct tensor *tensor = graph_tensor(graph, mean);
    if (tensor == NULL) return;
    tensor_id centred =
        graph_subtract(graph, map, graph_reshape(graph, mean, SHAPE4(tensor->shape.dimension[0], 1, 1, 1)));
    *variance = picture_mean(graph, graph_unary(graph, UNARY_SQUARE, centred));
}

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    (void)reward;
    tensor_id variance[2] = {NO_TENSOR, NO_TENSOR}, squared_mean[2] = {NO_TENSOR, NO_TENSOR};
    moments(graph, picture_weighted_channels(graph, pictures, 255.0, -255.0, 0.0), &variance[0], &squared_mean[0]);
    moments(graph, picture_weighted_channels(graph, pictures, 127.5, 127.5, -255.0), &variance[1], &squared_mean[1]);
    tensor_id spread = picture_guarded_root(graph, graph_add(graph, variance[0], variance[1]), root_guard);
    tensor_id offset = picture_guarded_root(graph, graph_add(graph, squared_mean[0], squared_mean[1]), root_guard);
    return graph_add_scaled(graph, spread, 0.3, offset);
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    *reward = reward_allocate(kind, request, sizeof **reward);
    (*reward)->build = build;
    return status_ok();
}

const struct reward_kind colorfulness_reward = {
    .name = "colorfulness",
    .measures = "vivid and varied colours (15 slight, 59 quite, 109 extreme)",
    .source = "Hasler and Suesstrunk 2003, Measuring colorfulness in natural images",
    .low = 0,
    .high = 298,
    .create = create,
};
