/* Minus the mean squared difference of the picture to its mirror image.
 *
 * The mirror image is made of slices and joins alone, which are exact on every device: halves are exchanged, then the
 * halves of the halves, down to single pixels. Widths that are no power of two are filled up with zeros on the right,
 * which the mirror brings to the left, where they are cut off. */
#include "engine/reward/implementation.h"
#include "engine/reward/picture_math.h"

static tensor_id zeros_to_width(struct graph *graph, tensor_id x, int64_t width, int64_t wanted)
{
    if (wanted == width) return x;
    tensor_id zeros = graph_affine(graph, graph_slice(graph, x, 2, 0, wanted - width), 0.0, 0.0);
    return graph_concatenate(graph, x, zeros, 2);
}

/* x[rows, 2, half]: the two halves of every row exchanged. */
static tensor_id exchange_halves(struct graph *graph, tensor_id x)
{
    return graph_concatenate(graph, graph_slice(graph, x, 1, 1, 1), graph_slice(graph, x, 1, 0, 1), 1);
}

static tensor_id mirrored(struct graph *graph, tensor_id pictures)
{
    const struct tensor *tensor = graph_tensor(graph, pictures);
    if (tensor == NULL) return NO_TENSOR;
    int64_t batch = tensor->shape.dimension[0], height = tensor->shape.dimension[1];
    int64_t width = tensor->shape.dimension[2], channels = tensor->shape.dimension[3];
    int64_t full = 1;
    while (full < width) full *= 2;
    tensor_id x = zeros_to_width(graph, pictures, width, full);
    for (int64_t half = full / 2; half >= 1; half /= 2)
        x = exchange_halves(graph,
                            graph_reshape(graph, x, SHAPE3(batch * height * full / (2 * half), 2, half * channels)));
    x = graph_reshape(graph, x, SHAPE4(batch, height, full, channels));
    return full == width ? x : graph_slice(graph, x, 2, full - width, width);
}

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    (void)reward;
    tensor_id difference = graph_subtract(graph, pictures, mirrored(graph, pictures));
    return graph_affine(graph, picture_mean(graph, graph_unary(graph, UNARY_SQUARE, difference)), -1.0, 0.0);
}

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    *reward = reward_allocate(kind, request, sizeof **reward);
    (*reward)->build = build;
    return status_ok();
}

const struct reward_kind symmetry_reward = {
    .name = "symmetry",
    .measures = "left and right halves alike: minus the mean squared difference to the mirror image",
    .source = "mean squared error in RGB",
    .low = -1,
    .high = 0,
    .create = create,
};
