/* Root mean square of the Laplacian (4 x - up - down - left - right) of the luma in grey levels, over the pixels that
 * have all four neighbours. Its square is the focus measure known as "variance of the Laplacian" but for the mean. */
#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static const double root_guard = 1e-3; /* grey levels */

static tensor_id window(struct graph *graph, tensor_id luma, int64_t top, int64_t left, int64_t height, int64_t width)
{
    return graph_slice(graph, graph_slice(graph, luma, 1, top, height), 2, left, width);
}

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    (void)reward;
    tensor_id luma = graph_affine(graph, picture_luma(graph, pictures), 255.0, 0.0);
    const struct tensor *tensor = graph_tensor(graph, luma);
    if (tensor == NULL) return NO_TENSOR;
    int64_t height = tensor->shape.dimension[1] - 2, width = tensor->shape.dimension[2] - 2;
    tensor_id laplacian = graph_affine(graph, window(graph, luma, 1, 1, height, width), 4.0, 0.0);
    static const int neighbours[4][2] = {{0, 1}, {2, 1}, {1, 0}, {1, 2}};
    for (int i = 0; i < 4; i++)
        laplacian =
            graph_subtract(graph, laplacian, window(graph, luma, neighbours[i][0], neighbours[i][1], height, width));
    return picture_guarded_root(graph, picture_mean(graph, graph_unary(graph, UNARY_SQUARE, laplacian)), root_guard);
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    *reward = reward_allocate(kind, request, sizeof **reward);
    (*reward)->build = build;
    return status_ok();
}

const struct reward_kind sharpness_reward = {
    .name = "sharpness",
    .measures = "fine detail: root mean square of the Laplacian of the luma, in grey levels",
    .source = "Pech-Pacheco et al. 2000, focus measure by the Laplacian",
    .low = 0,
    .high = 1020,
    .create = create,
};
