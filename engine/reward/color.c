/* Minus the mean squared difference of every pixel to one colour. */
#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    tensor_id difference = graph_subtract(graph, pictures, reward_constant(reward, graph, "color"));
    return graph_affine(graph, picture_mean(graph, graph_unary(graph, UNARY_SQUARE, difference)), -1.0, 0.0);
}

status color_reward_create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    double color[3];
    reward_color(kind, request, "color", color);
    *reward = reward_allocate(kind, request, sizeof **reward);
    (*reward)->build = build;
    status result = reward_add_constant(*reward, "color", SHAPE4(1, 1, 1, 3), color);
    if (result.code != STATUS_OK) {
        reward_destroy(*reward);
        *reward = NULL;
    }
    return result;
}
