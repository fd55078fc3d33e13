/* Linear, convolution and norm layers as graph nodes, with the weights that their module's name has. */
#include "engine/model/layers.h"

#include <stdarg.h>
#include <stdio.h>

/* Room for a module's name and ".weight". */
enum { TENSOR_NAME_SIZE = MODULE_NAME_SIZE + 16 };

struct module_name {
    char text[MODULE_NAME_SIZE];
};

#define MODULE_NAME(name, format)                                                                                      \
    do {                                                                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        vsnprintf((name).text, sizeof(name).text, format, arguments);                                                  \
        va_end(arguments);                                                                                             \
    } while (0)

int64_t tensor_dimension(const struct graph *graph, tensor_id x, int index)
{
    const struct tensor *tensor = graph_tensor(graph, x);
    if (!tensor) return 0;
    int position = index < 0 ? tensor->shape.rank + index : index;
    return position >= 0 && position < tensor->shape.rank ? tensor->shape.dimension[position] : 0;
}

static tensor_id part(struct graph *graph, const struct module_name *module, const char *part_name, struct shape shape)
{
    char name[TENSOR_NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", module->text, part_name);
    return graph_constant(graph, name, shape);
}

tensor_id layer_linear(struct graph *graph, tensor_id x, int64_t outputs, bool has_bias, const char *name, ...)
{
    struct module_name module;
    MODULE_NAME(module, name);
    if (x == NO_TENSOR) return NO_TENSOR;
    tensor_id weight = part(graph, &module, "weight", SHAPE2(outputs, tensor_dimension(graph, x, -1)));
    tensor_id bias = has_bias ? part(graph, &module, "bias", SHAPE1(outputs)) : NO_TENSOR;
    return graph_linear(graph, x, weight, bias);
}

tensor_id layer_convolution(struct graph *graph, tensor_id x, int64_t outputs, int window, int stride, int padding,
                            bool has_bias, const char *name, ...)
{
    struct module_name module;
    MODULE_NAME(module, name);
    if (x == NO_TENSOR) return NO_TENSOR;
    tensor_id weight = part(graph, &module, "weight",
                            SHAPE4(outputs, tensor_dimension(graph, x, -1), (int64_t)window, (int64_t)window));
    tensor_id bias = has_bias ? part(graph, &module, "bias", SHAPE1(outputs)) : NO_TENSOR;
    return graph_convolution(graph, x, weight, bias, stride, padding);
}

tensor_id layer_layer_norm(struct graph *graph, tensor_id x, double epsilon, const char *name, ...)
{
    struct module_name module;
    MODULE_NAME(module, name);
    if (x == NO_TENSOR) return NO_TENSOR;
    int64_t width = tensor_dimension(graph, x, -1);
    tensor_id gamma = part(graph, &module, "weight", SHAPE1(width)), beta = part(graph, &module, "bias", SHAPE1(width));
    return graph_layer_norm(graph, x, gamma, beta, epsilon);
}

tensor_id layer_group_norm(struct graph *graph, tensor_id x, int groups, double epsilon, bool silu, const char *name,
                           ...)
{
    struct module_name module;
    MODULE_NAME(module, name);
    if (x == NO_TENSOR) return NO_TENSOR;
    int64_t width = tensor_dimension(graph, x, -1);
    tensor_id gamma = part(graph, &module, "weight", SHAPE1(width)), beta = part(graph, &module, "bias", SHAPE1(width));
    return graph_group_norm(graph, x, gamma, beta, groups, epsilon, silu);
}
