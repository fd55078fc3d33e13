/* Layers with their adapters, residual blocks and upsampling as graph, for U-Net and decoder. */
#include "engine/model/blocks.h"

#include "engine/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT_NAME(buffer, format)                                                                                    \
    do {                                                                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        vsnprintf(buffer, sizeof(buffer), format, arguments);                                                          \
        va_end(arguments);                                                                                             \
    } while (0)

/* Lists the module in the plan. */
static void list_module(struct block_builder *builder, const char *name, int64_t inputs, int64_t outputs, int window)
{
    struct adapter_plan *plan = builder->adapters;
    plan->modules = memory_resize(plan->modules, (size_t)plan->module_count + 1, sizeof plan->modules[0]);
    struct adapter_module *module = &plan->modules[plan->module_count++];
    *module = (struct adapter_module){.inputs = inputs, .outputs = outputs, .kernel = window};
    snprintf(module->name, sizeof module->name, "%s", name);
}

static bool is_target(const struct block_builder *builder, const char *name)
{
    return builder->adapters && (adapter_target_of(name) & builder->adapters->targets) != 0;
}

/* A factor of the adapter of module `name`, in the graph's compute type. */
static tensor_id factor(struct block_builder *builder, const char *name, const char *which, struct shape shape)
{
    char full[MODULE_NAME_SIZE + 16];
    snprintf(full, sizeof full, "%s.lora_%s", name, which);
    return graph_convert(builder->graph, graph_parameter(builder->graph, full, shape),
                         graph_compute_type(builder->graph));
}

/* base + (alpha / rank) correction: Hu et al. 2021, LoRA, section 4.1. */
static tensor_id add_correction(struct block_builder *builder, tensor_id base, tensor_id correction)
{
    return graph_add_scaled(builder->graph, base, builder->adapters->alpha / builder->adapters->rank, correction);
}

tensor_id block_linear(struct block_builder *builder, tensor_id x, int64_t outputs, bool has_bias, const char *name,
                       ...)
{
    char module[MODULE_NAME_SIZE];
    FORMAT_NAME(module, name);
    struct graph *graph = builder->graph;
    tensor_id y = layer_linear(graph, x, outputs, has_bias, "%s", module);
    if (!is_target(builder, module)) return y;
    int64_t inputs = tensor_dimension(graph, x, -1), rank = builder->adapters->rank;
    list_module(builder, module, inputs, outputs, 0);
    if (!builder->adapters->attach) return y;
    tensor_id low = graph_linear(graph, x, factor(builder, module, "down", SHAPE2(rank, inputs)), NO_TENSOR);
    return add_correction(builder, y,
                          graph_linear(graph, low, factor(builder, module, "up", SHAPE2(outputs, rank)), NO_TENSOR));
}

tensor_id block_convolution(struct block_builder *builder, tensor_id x, int64_t outputs, int window, int stride,
                            const char *name, ...)
{
    char module[MODULE_NAME_SIZE];
    FORMAT_NAME(module, name);
    struct graph *graph = builder->graph;
    int padding = window / 2;
    tensor_id y = layer_convolution(graph, x, outputs, window, stride, padding, true, "%s", module);
    if (!is_target(builder, module)) return y;
    int64_t inputs = tensor_dimension(graph, x, -1), rank = builder->adapters->rank;
    list_module(builder, module, inputs, outputs, window);
    if (!builder->adapters->attach) return y;
    tensor_id down = factor(builder, module, "down", SHAPE4(rank, inputs, (int64_t)window, (int64_t)window));
    tensor_id up = factor(builder, module, "up", SHAPE4(outputs, rank, (int64_t)1, (int64_t)1));
    tensor_id low = graph_convolution(graph, x, down, NO_TENSOR, stride, padding);
    return add_correction(builder, y, graph_convolution(graph, low, up, NO_TENSOR, 1, 0));
}

tensor_id block_residual(struct block_builder *builder, tensor_id x, tensor_id time, int64_t outputs, const char *name,
                         ...)
{
    char module[MODULE_NAME_SIZE];
    FORMAT_NAME(module, name);
    struct graph *graph = builder->graph;
    tensor_id h = layer_group_norm(graph, x, builder->norm_groups, builder->norm_epsilon, true, "%s.norm1", module);
    tensor_id shift = NO_TENSOR; /* computed before the convolution, which can then take it as its bias */
    if (time != NO_TENSOR) shift = block_linear(builder, time, outputs, true, "%s.time_emb_proj", module);
    h = block_convolution(builder, h, outputs, 3, 1, "%s.conv1", module);
    if (time != NO_TENSOR) {
        int64_t batch = tensor_dimension(graph, time, 0);
        h = graph_add(graph, h, graph_reshape(graph, shift, SHAPE4(batch, (int64_t)1, (int64_t)1, outputs)));
    }
    h = layer_group_norm(graph, h, builder->norm_groups, builder->norm_epsilon, true, "%s.norm2", module);
    h = block_convolution(builder, h, outputs, 3, 1, "%s.conv2", module);
    if (tensor_dimension(graph, x, -1) != outputs)
        x = block_convolution(builder, x, outputs, 1, 1, "%s.conv_shortcut", module);
    x = graph_add(graph, x, h);
    graph_end_block(graph);
    return x;
}

tensor_id block_upsample(struct block_builder *builder, tensor_id x, int64_t height, int64_t width, const char *name,
                         ...)
{
    char module[MODULE_NAME_SIZE];
    FORMAT_NAME(module, name);
    struct graph *graph = builder->graph;
    x = graph_upsample(graph, x);
    if (height < tensor_dimension(graph, x, 1)) x = graph_slice(graph, x, 1, 0, height);
    if (width < tensor_dimension(graph, x, 2)) x = graph_slice(graph, x, 2, 0, width);
    return block_convolution(builder, x, tensor_dimension(graph, x, -1), 3, 1, "%s.conv", module);
}

tensor_id block_tokens(struct graph *graph, tensor_id map)
{
    int64_t positions = tensor_dimension(graph, map, 1) * tensor_dimension(graph, map, 2);
    return graph_reshape(graph, map,
                         SHAPE3(tensor_dimension(graph, map, 0), positions, tensor_dimension(graph, map, -1)));
}

tensor_id block_map(struct graph *graph, tensor_id tokens, tensor_id like)
{
    return graph_reshape(graph, tokens,
                         SHAPE4(tensor_dimension(graph, like, 0), tensor_dimension(graph, like, 1),
                                tensor_dimension(graph, like, 2), tensor_dimension(graph, tokens, -1)));
}
