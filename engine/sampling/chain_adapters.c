/* The chain's adapters: factors, gradients, and what the parts are bound to. */
#include "engine/graph/transfer.h"
#include "engine/sampling/chain_internal.h"
#include "kernels/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void module_weight_name(const struct adapter_module *module, bool merged, char *name, size_t size)
{
    snprintf(name, size, "%s%s.weight", merged ? MERGED_PREFIX : "", module->name);
}

int chain_module_count(const struct chain *chain)
{
    return chain->modules.module_count;
}

const struct adapter_module *chain_module(const struct chain *chain, int index)
{
    return &chain->modules.modules[index];
}

int chain_parameter_count(const struct chain *chain)
{
    return chain->settings.trainable ? 2 * chain->modules.module_count : 0;
}

static void parameter_name(const struct chain *chain, int index, const char *prefix, char *name, size_t size)
{
    snprintf(name, size, "%s%s.%s", prefix, chain->modules.modules[index / 2].name,
             index % 2 ? "lora_up" : "lora_down");
}

static tensor_id parameter_tensor(const struct chain *chain, int index)
{
    char name[200];
    parameter_name(chain, index, "", name, sizeof name);
    return graph_find(chain->grad.graph, TENSOR_PARAMETER, name);
}

const char *chain_parameter_name(const struct chain *chain, int index)
{
    return graph_tensor(chain->grad.graph, parameter_tensor(chain, index))->name;
}

struct shape chain_parameter_shape(const struct chain *chain, int index)
{
    return graph_tensor(chain->grad.graph, parameter_tensor(chain, index))->shape;
}

static void *parameter_at(const struct chain *chain, int index)
{
    return chain_at(chain, chain->layout.parameters + chain->parameter_offset[index]);
}

static void *gradient_at(const struct chain *chain, int index)
{
    return chain_at(chain, chain->layout.parameter_gradients + chain->parameter_offset[index]);
}

status chain_write_parameter(struct chain *chain, int index, const double *values)
{
    struct shape shape = chain_parameter_shape(chain, index);
    TRY(chain_close_step(chain));
    return transfer_write_double(chain->backend, chain_exact(chain), parameter_at(chain, index), values,
                                 shape_elements(&shape));
}

status chain_write_parameter_floats(struct chain *chain, int index, const float *values)
{
    struct shape shape = chain_parameter_shape(chain, index);
    TRY(chain_close_step(chain));
    return transfer_write(chain->backend, chain_exact(chain), parameter_at(chain, index), values,
                          shape_elements(&shape));
}

status chain_read_gradient(struct chain *chain, int index, double *values)
{
    struct shape shape = chain_parameter_shape(chain, index);
    TRY(chain_settle(chain));
    return transfer_read_double(chain->backend, chain_exact(chain), gradient_at(chain, index), values,
                                shape_elements(&shape));
}

status chain_read_gradients(struct chain *chain, float *const *values)
{
    struct backend *backend = chain->backend;
    TRY(chain_settle(chain));
    TRY(backend->interface->download(backend, chain->host_gradients, chain_at(chain, chain->layout.parameter_gradients),
                                     chain->parameter_bytes));
    for (int i = 0; i < chain_parameter_count(chain); i++) {
        struct shape shape = chain_parameter_shape(chain, i);
        convert_to_float(chain_exact(chain), values[i], chain->host_gradients + chain->parameter_offset[i],
                         shape_elements(&shape));
    }
    return status_ok();
}

status chain_clear_gradients(struct chain *chain)
{
    if (chain->unsettled) TRY(program_clear_sums(chain->grad.program));
    chain->unsettled = false;
    return chain->backend->interface->clear(chain->backend, chain_at(chain, chain->layout.parameter_gradients),
                                            chain->parameter_bytes);
}

static status bind_parameters(struct chain *chain)
{
    chain->host_gradients = malloc(chain->parameter_bytes);
    if (!chain->host_gradients) return status_error(STATUS_NO_MEMORY, "no memory for the adapter's gradient");
    for (int i = 0; i < chain_parameter_count(chain); i++) {
        char name[200];
        TRY(program_bind(chain->grad.program, parameter_tensor(chain, i), parameter_at(chain, i)));
        parameter_name(chain, i, "gradient/", name, sizeof name);
        TRY(program_bind(chain->grad.program, graph_find(chain->grad.graph, TENSOR_STATE, name),
                         gradient_at(chain, i)));
    }
    return status_ok();
}

/* The no_grad step reads the merged weights instead of the frozen ones. */
static status bind_merged(struct chain *chain)
{
    for (int i = 0; i < chain->modules.module_count; i++) {
        char name[200];
        module_weight_name(&chain->modules.modules[i], true, name, sizeof name);
        TRY(program_bind(chain->no_grad.program, graph_find(chain->no_grad.graph, TENSOR_CONSTANT, name),
                         chain_merged_at(chain, i)));
    }
    return status_ok();
}

static status bind_own_merge(struct chain *chain)
{
    TRY(chain_bind_merge(chain, &chain->merge, chain_at(chain, chain->layout.merge_scale)));
    for (int i = 0; i < chain_parameter_count(chain); i++)
        TRY(chain_bind_factor(&chain->merge, i / 2, i % 2 == 1, parameter_at(chain, i)));
    return status_ok();
}

static status bind_step(struct chain *chain, struct part *part, const struct step_tensors *tensors)
{
    const struct chain_layout *layout = &chain->layout;
    struct program *program = part->program;
    TRY(program_bind(program, tensors->context, chain_at(chain, layout->context)));
    TRY(program_bind(program, tensors->latents, chain_at(chain, layout->step_latents)));
    TRY(program_bind(program, tensors->next, chain_at(chain, layout->step_next)));
    TRY(program_bind(program, tensors->time, chain_at(chain, layout->step_constant)));
    for (int c = 0; c < COEFFICIENT_COUNT; c++) {
        size_t offset = layout->step_constant + chain_coefficient_offset(chain, (enum coefficient)c);
        TRY(program_bind(program, tensors->coefficient[c], chain_at(chain, offset)));
    }
    if (tensors->noise != NO_TENSOR) TRY(program_bind(program, tensors->noise, chain_at(chain, layout->step_noise)));
    return program_bind_weights(program, chain->unet_weights);
}

static status bind_step_gradients(struct chain *chain)
{
    struct program *program = chain->grad.program;
    TRY(program_bind(program, chain->grad_tensors.cotangent, chain_at(chain, chain->layout.step_cotangent)));
    return program_bind(program, chain->grad_tensors.gradient, chain_at(chain, chain->layout.step_gradient));
}

static status bind_decoder(struct chain *chain)
{
    struct program *program = chain->decoder.program;
    TRY(program_bind(program, chain->decoder_latents, chain_at(chain, chain->layout.decoder_latents)));
    TRY(program_bind(program, chain->decoder_pictures, chain_pictures(chain)));
    if (chain->settings.trainable) {
        TRY(program_bind(program, chain->decoder_cotangent, chain_picture_gradient(chain)));
        TRY(program_bind(program, chain->decoder_gradient, chain_at(chain, chain->layout.decoder_gradient)));
    }
    return program_bind_weights(program, chain->decoder_weights);
}

static status pack(struct chain *chain, struct part *part)
{
    return program_pack(part->program, NULL, chain_packed(chain, part), chain_work(chain), chain_scratch(chain));
}

status chain_bind_parts(struct chain *chain)
{
    TRY(program_bind(chain->text.program, chain->text_ids, chain_at(chain, chain->layout.text_ids)));
    TRY(program_bind(chain->text.program, chain->text_states, chain_at(chain, chain->layout.text_states)));
    TRY(program_bind_weights(chain->text.program, chain->text_weights));
    program_bind_persistent(chain->no_grad.program, chain_at(chain, chain->layout.persistent));
    if (chain->settings.trainable)
        program_bind_persistent(chain->grad.program, chain_at(chain, chain->layout.persistent));
    TRY(bind_merged(chain));
    /* Before anything asks for one weight alone that the step has joined with others. */
    if (chain->settings.trainable) TRY(bind_step(chain, &chain->grad, &chain->grad_tensors));
    TRY(chain_merge_nothing(chain));
    TRY(bind_step(chain, &chain->no_grad, &chain->no_grad_tensors));
    TRY(bind_decoder(chain));
    TRY(pack(chain, &chain->text));
    TRY(pack(chain, &chain->decoder));
    if (chain->settings.trainable) {
        TRY(bind_step_gradients(chain));
        TRY(bind_parameters(chain));
        TRY(bind_own_merge(chain));
        TRY(pack(chain, &chain->merge));
        TRY(pack(chain, &chain->grad)); /* before the no_grad step, which shares its layouts: it needs more of them */
    }
    return pack(chain, &chain->no_grad);
}
