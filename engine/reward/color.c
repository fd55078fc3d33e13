/* Minus the mean squared difference of every pixel to one colour. */
#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    tensor_id difference = graph_subtract(graph, pictures, reward_constant(reward, graph, "color"));
    return graph_affine(graph, picture_mean(graph, graph_unary(graph, UNARY_SQUARE, difference)), -1.0, 0.0);
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
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

static const struct reward_parameter parameters[] = {
    {"color", "the colour to move to, #rrggbb", PARAMETER_COLOR, 0, 0, 0, NULL, NO_MODEL},
};

const struct reward_kind color_reward = {
    .name = "color",
    .measures = "closeness to a colour: minus the mean squared difference",
    .source = "mean squared error in RGB",
    .low = -1,
    .high = 0,
    PARAMETERS(parameters),
    .create = create,
};
