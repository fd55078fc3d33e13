/* Luma, weighted channels, sums, means and guarded roots of pictures, as graph. */
#include "engine/reward/picture_math.h"

tensor_id picture_weighted_channels(struct graph *graph, tensor_id pictures, double red, double green, double blue)
{
    tensor_id sum = graph_affine(graph, graph_slice(graph, pictures, 3, 0, 1), red, 0.0);
    sum = graph_add_scaled(graph, sum, green, graph_slice(graph, pictures, 3, 1, 1));
    return graph_add_scaled(graph, sum, blue, graph_slice(graph, pictures, 3, 2, 1));
}

tensor_id picture_luma(struct graph *graph, tensor_id pictures)
{
    return picture_weighted_channels(graph, pictures, 0.299, 0.587, 0.114);
}

tensor_id picture_mean(struct graph *graph, tensor_id x)
{
    const struct tensor *tensor = graph_tensor(graph, x);
    if (tensor == NULL) return NO_TENSOR;
    int64_t batch = tensor->shape.dimension[0];
    return graph_reshape(graph, graph_mean(graph, x, SHAPE4(batch, 1, 1, 1)), SHAPE2(batch, 1));
}

tensor_id picture_guarded_root(struct graph *graph, tensor_id x, double guard)
{
    return graph_unary(graph, UNARY_SQRT, graph_affine(graph, x, 1.0, guard * guard));
}
