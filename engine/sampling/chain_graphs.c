/* The chain's graphs: text encoder, one step (no_grad and grad), decoder, merge. */
#include "engine/base/memory.h"
#include "engine/sampling/chain_internal.h"

#include <stdio.h>
#include <stdlib.h>

static struct graph *part_begin(struct chain *chain, struct part *part)
{
    return part->graph = graph_create(chain_compute(chain), chain_exact(chain));
}

static status part_end(struct chain *chain, struct part *part)
{
    TRY(graph_state(part->graph));
    return program_create(chain->backend, part->graph, part->packing, &part->program);
}

void chain_discard_part(struct part *part)
{
    program_destroy(part->program);
    graph_destroy(part->graph);
    *part = (struct part){0};
}

static status fold_upsampling(const struct chain *chain, struct graph *graph)
{
    return chain->backend->interface->folds_upsampling ? graph_fold_upsampling(graph) : status_ok();
}

static status build_text(struct chain *chain)
{
    const struct model_facts *facts = model_facts(chain->model);
    struct graph *graph = part_begin(chain, &chain->text);
    chain->text_ids = graph_input(graph, "ids", SHAPE2(1, facts->context_length), ELEMENT_I32);
    tensor_id states = model_build_text_encoder(chain->model, graph, chain->text_ids);
    chain->text_states = graph_output(graph, states, "states");
    TRY(program_rewrite(chain->backend, graph));
    chain_list_text_modules(chain);
    return part_end(chain, &chain->text);
}

static struct shape latent_shape(const struct chain *chain, int batch)
{
    return SHAPE4(batch, chain->latent_height, chain->latent_width, chain->channels);
}

/* p = uncond + guidance (cond - uncond); the unconditional half comes first. */
static tensor_id guide(const struct chain *chain, struct graph *graph, tensor_id both)
{
    if (chain->guided_batch == chain->settings.batch) return both;
    tensor_id unconditional = graph_slice(graph, both, 0, 0, chain->settings.batch);
    tensor_id conditional = graph_slice(graph, both, 0, chain->settings.batch, chain->settings.batch);
    tensor_id difference = graph_subtract(graph, conditional, unconditional);
    return graph_add_scaled(graph, unconditional, chain->settings.guidance, difference);
}

static void step_inputs(const struct chain *chain, struct graph *graph, struct step_tensors *tensors)
{
    const struct model_facts *facts = model_facts(chain->model);
    static const char *const names[COEFFICIENT_COUNT] = {"input_scale", "latent_gain", "prediction_gain", "noise_gain"};
    enum element_type exact = chain_exact(chain), compute = chain_compute(chain);
    tensors->latents = graph_input(graph, "latents", latent_shape(chain, chain->settings.batch), exact);
    tensors->time = graph_input(graph, "time", SHAPE2(1, facts->time_features), compute);
    tensors->context = graph_input(graph, "context",
                                   SHAPE3(chain->guided_batch, facts->context_length, facts->context_width), compute);
    for (int i = 0; i < COEFFICIENT_COUNT; i++)
        tensors->coefficient[i] = graph_input(graph, names[i], SHAPE4(1, 1, 1, 1), exact);
    tensors->noise = NO_TENSOR;
    if (chain->schedule.adds_noise)
        tensors->noise = graph_input(graph, "noise", latent_shape(chain, chain->settings.batch), exact);
}

/* The no_grad step's adapted weights differ from the grad step's, so they are packed under names of their own. */
static void rename_merged(const struct chain *chain, struct graph *graph)
{
    for (int i = 0; i < chain->modules.module_count; i++) {
        char base[200], merged[200];
        module_weight_name(&chain->modules.modules[i], false, base, sizeof base);
        module_weight_name(&chain->modules.modules[i], true, merged, sizeof merged);
        graph_rename(graph, graph_find(graph, TENSOR_CONSTANT, base), merged);
    }
}

static status build_step(struct chain *chain, struct part *part, struct step_tensors *tensors, bool grad)
{
    struct graph *graph = part_begin(chain, part);
    step_inputs(chain, graph, tensors);
    tensor_id scaled = graph_multiply(graph, tensors->latents, tensors->coefficient[COEFFICIENT_INPUT]);
    tensor_id seen = graph_convert(graph, scaled, chain_compute(chain));
    if (chain->guided_batch > chain->settings.batch) seen = graph_concatenate(graph, seen, seen, 0);

    struct adapter_plan plan = {.rank = chain->settings.rank,
                                .alpha = chain->settings.alpha,
                                .targets = chain->settings.targets,
                                .attach = grad};
    bool adapted = chain->settings.rank > 0;
    tensor_id both =
        model_build_unet(chain->model, graph, seen, tensors->time, tensors->context, adapted ? &plan : NULL);
    if (adapted && !grad) {
        chain->modules = plan;
        rename_merged(chain, graph);
    } else {
        adapter_plan_clear(&plan);
    }

    tensor_id prediction = guide(chain, graph, graph_convert(graph, both, chain_exact(chain)));
    tensor_id next = graph_multiply(graph, tensors->latents, tensors->coefficient[COEFFICIENT_LATENT]);
    next = graph_add(graph, next, graph_multiply(graph, prediction, tensors->coefficient[COEFFICIENT_PREDICTION]));
    if (tensors->noise != NO_TENSOR)
        next = graph_add(graph, next, graph_multiply(graph, tensors->noise, tensors->coefficient[COEFFICIENT_NOISE]));
    tensors->next = graph_output(graph, next, "next");
    TRY(fold_upsampling(chain, graph));
    /* Keys and values of the text need not be made in every step. */
    TRY(graph_separate_prologue(graph, &tensors->context, 1));
    if (grad)
        TRY(graph_differentiate_one(graph, tensors->next, tensors->latents, &tensors->cotangent, &tensors->gradient));
    TRY(program_rewrite(chain->backend, graph));
    if (grad && chain->settings.recompute_blocks) TRY(graph_recompute_blocks(graph));
    return part_end(chain, part);
}

static status build_decoder(struct chain *chain)
{
    struct graph *graph = part_begin(chain, &chain->decoder);
    chain->decoder_latents =
        graph_input(graph, "latents", latent_shape(chain, chain->decode_batch), chain_exact(chain));
    tensor_id seen = graph_convert(graph, chain->decoder_latents, chain_compute(chain));
    tensor_id decoded = graph_convert(graph, model_build_decoder(chain->model, graph, seen), chain_exact(chain));
    tensor_id pictures = graph_clamp(graph, graph_affine(graph, decoded, 0.5, 0.5), 0.0, 1.0);
    chain->decoder_pictures = graph_output(graph, pictures, "pictures");
    TRY(fold_upsampling(chain, graph));
    if (chain->settings.trainable)
        TRY(graph_differentiate_one(graph, chain->decoder_pictures, chain->decoder_latents, &chain->decoder_cotangent,
                                    &chain->decoder_gradient));
    TRY(program_rewrite(chain->backend, graph));
    if (chain->settings.trainable && chain->settings.recompute_blocks) TRY(graph_recompute_blocks(graph));
    return part_end(chain, &chain->decoder);
}

void module_matrix(const struct adapter_module *module, int64_t *rows, int64_t *columns)
{
    *rows = module->outputs;
    *columns = module->inputs * (module->kernel ? (int64_t)module->kernel * module->kernel : 1);
}

/* merged = base + scale * up down, for every module of a rank; the sum is exact before it is rounded to the weight's
 * type. */
status chain_build_merge(struct chain *chain, const int64_t *ranks, struct part *part)
{
    struct graph *graph = part_begin(chain, part);
    enum element_type exact = chain_exact(chain);
    tensor_id scale = graph_input(graph, "scale", SHAPE3(1, 1, 1), exact);
    for (int i = 0; i < chain->modules.module_count; i++) {
        const struct adapter_module *module = &chain->modules.modules[i];
        int64_t rows, columns, rank = ranks[i];
        char name[200];
        if (rank == 0) continue;
        module_matrix(module, &rows, &columns);
        module_weight_name(module, false, name, sizeof name);
        struct shape shape =
            module->kernel ? SHAPE4(rows, module->inputs, module->kernel, module->kernel) : SHAPE2(rows, columns);
        tensor_id base = graph_reshape(graph, graph_constant(graph, name, shape), SHAPE3(1, rows, columns));
        snprintf(name, sizeof name, "down/%d", i);
        tensor_id down = graph_input(graph, name, SHAPE3(1, rank, columns), exact);
        snprintf(name, sizeof name, "up/%d", i);
        tensor_id up = graph_input(graph, name, SHAPE3(1, rows, rank), exact);
        tensor_id delta = graph_matmul(graph, up, down, false, false, 1.0);
        tensor_id merged = graph_add(graph, base, graph_multiply(graph, delta, scale));
        snprintf(name, sizeof name, "merged/%d", i);
        graph_output(graph, merged, name);
    }
    return part_end(chain, part);
}

/* The merge of the factors that are tuned. */
static status build_own_merge(struct chain *chain)
{
    int64_t *ranks = memory_take((size_t)chain->modules.module_count + 1, sizeof *ranks);
    for (int i = 0; i < chain->modules.module_count; i++) ranks[i] = chain->settings.rank;
    status result = chain_build_merge(chain, ranks, &chain->merge);
    free(ranks);
    return result;
}

status chain_build_parts(struct chain *chain)
{
    TRY(status_context(build_text(chain), "text encoder"));
    chain->step_packing = packing_plan_create();
    chain->no_grad.packing = chain->grad.packing = chain->step_packing;
    TRY(status_context(build_step(chain, &chain->no_grad, &chain->no_grad_tensors, false), "U-Net"));
    if (chain->settings.trainable)
        TRY(status_context(build_step(chain, &chain->grad, &chain->grad_tensors, true), "U-Net with adapters"));
    TRY(status_context(build_decoder(chain), "decoder"));
    if (chain->settings.trainable) TRY(build_own_merge(chain));
    return status_ok();
}
