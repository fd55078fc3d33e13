/* The chain's life: settings checked, graphs built, arena laid out, memory taken. */
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/graph/transfer.h"
#include "engine/sampling/chain_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum element_type chain_exact(const struct chain *chain)
{
    return chain->backend->interface->accumulation_type;
}

enum element_type chain_compute(const struct chain *chain)
{
    return chain->backend->interface->compute_type;
}

int64_t chain_latent_elements(const struct chain *chain)
{
    return (int64_t)chain->settings.batch * chain->latent_height * chain->latent_width * chain->channels;
}

size_t chain_latent_bytes(const struct chain *chain)
{
    return align_up((size_t)chain_latent_elements(chain) * element_size(chain_exact(chain)));
}

size_t chain_picture_bytes(const struct chain *chain)
{
    size_t elements = (size_t)chain->decode_batch * (size_t)chain->settings.width * (size_t)chain->settings.height * 3;
    return align_up(elements * element_size(chain_exact(chain)));
}

size_t chain_decoder_latent_bytes(const struct chain *chain)
{
    size_t elements = (size_t)chain_latent_elements(chain) / (size_t)chain->settings.batch;
    return elements * (size_t)chain->decode_batch * element_size(chain_exact(chain));
}

size_t chain_coefficient_offset(const struct chain *chain, enum coefficient coefficient)
{
    size_t time = align_up((size_t)model_facts(chain->model)->time_features * element_size(chain_compute(chain)));
    return time + (size_t)ARENA_ALIGNMENT * (size_t)coefficient;
}

size_t chain_step_constant_bytes(const struct chain *chain)
{
    return chain_coefficient_offset(chain, COEFFICIENT_COUNT);
}

void *chain_at(const struct chain *chain, size_t offset)
{
    return chain->arena + offset;
}

void *chain_latents_at(const struct chain *chain, int index)
{
    return chain_at(chain, chain->layout.latents + (size_t)index * chain_latent_bytes(chain));
}

struct memory_region chain_packed(const struct chain *chain, const struct part *part)
{
    size_t bytes = part->packing ? packing_plan_bytes(part->packing) : program_sizes(part->program).packed_bytes;
    return (struct memory_region){chain_at(chain, part->packed_offset), bytes};
}

struct memory_region chain_saved_step(const struct chain *chain, int slot)
{
    if (!chain->grad.program) return (struct memory_region){NULL, 0};
    size_t bytes = program_sizes(chain->grad.program).saved_bytes;
    return (struct memory_region){chain_at(chain, chain->layout.saved_steps + (size_t)slot * bytes), bytes};
}

struct memory_region chain_saved_decoder(const struct chain *chain)
{
    return (struct memory_region){chain_at(chain, chain->layout.saved_decoder),
                                  program_sizes(chain->decoder.program).saved_bytes};
}

enum { PART_COUNT = 5 };

/* Parts that this chain does not need have no program. */
static void list_parts(const struct chain *chain, const struct part *parts[PART_COUNT])
{
    const struct part *all[PART_COUNT] = {&chain->text, &chain->no_grad, &chain->grad, &chain->decoder, &chain->merge};
    memcpy(parts, all, sizeof all);
}

static size_t largest_over_parts(const struct chain *chain, size_t (*measure)(const struct program *))
{
    const struct part *parts[PART_COUNT];
    size_t bytes = 0;
    list_parts(chain, parts);
    for (int i = 0; i < PART_COUNT; i++)
        if (parts[i]->program) bytes = max_size(bytes, measure(parts[i]->program));
    return bytes;
}

static size_t persistent_of(const struct program *program)
{
    return program_sizes(program).persistent_bytes;
}

/* One region for the no_grad and the grad step: only one of them is open at a time. */
static size_t persistent_bytes(const struct chain *chain)
{
    return largest_over_parts(chain, persistent_of);
}

static size_t work_of(const struct program *program)
{
    return program_sizes(program).work_bytes;
}

static size_t scratch_of(const struct program *program)
{
    return program_sizes(program).scratch_bytes;
}

static size_t work_bytes(const struct chain *chain)
{
    return align_up(max_size(chain->extra.work_bytes, largest_over_parts(chain, work_of)));
}

static size_t scratch_bytes(const struct chain *chain)
{
    return align_up(max_size(chain->extra.scratch_bytes, largest_over_parts(chain, scratch_of)));
}

struct memory_region chain_work(const struct chain *chain)
{
    return (struct memory_region){chain_at(chain, chain->layout.work), work_bytes(chain)};
}

struct memory_region chain_scratch(const struct chain *chain)
{
    return (struct memory_region){chain_at(chain, chain->layout.scratch), scratch_bytes(chain)};
}

struct memory_region chain_saved_extra(const struct chain *chain)
{
    return (struct memory_region){chain_at(chain, chain->layout.saved_extra), align_up(chain->extra.saved_bytes)};
}

static status check(const struct model *model, const struct chain_settings *settings)
{
    TRY(model_check_size(model_facts(model), settings->width, settings->height));
    if (settings->batch < 1) return status_error(STATUS_BAD_INPUT, "batch: %d is below 1", settings->batch);
    if (!isfinite(settings->guidance))
        return status_error(STATUS_BAD_INPUT, "sampler.guidance: %g is not a number", settings->guidance);
    return status_ok();
}

/* Few large pictures at once keep the decoder's activations small; many small ones keep the device busy. */
static int choose_decode_batch(const struct chain_settings *settings, int64_t pixels_at_once)
{
    int64_t pixels = (int64_t)settings->width * settings->height;
    for (int batch = settings->batch; batch > 1; batch--)
        if (settings->batch % batch == 0 && batch * pixels <= pixels_at_once) return batch;
    return 1;
}

static void lay_out_parameters(struct chain *chain)
{
    int modules = chain->modules.module_count;
    chain->parameter_offset = memory_take((size_t)modules * 2, sizeof *chain->parameter_offset);
    chain->merged_offset = memory_take((size_t)modules, sizeof *chain->merged_offset);
    for (int i = 0; i < modules; i++) {
        int64_t rows, columns;
        module_matrix(&chain->modules.modules[i], &rows, &columns);
        chain->merged_offset[i] = chain->merged_bytes;
        chain->merged_bytes += align_up((size_t)(rows * columns) * element_size(chain_compute(chain)));
        for (int up = 0; up < 2; up++) {
            chain->parameter_offset[2 * i + up] = chain->parameter_bytes;
            size_t elements = (size_t)chain->settings.rank * (size_t)(up ? rows : columns);
            chain->parameter_bytes += align_up(elements * element_size(chain_exact(chain)));
        }
    }
}

/* The saved regions. Decoder and rewards are done before the backward pass through the steps begins, so that a step
 * that is recomputed may lie where they were. */
static struct chain_sizes saved_sizes(const struct chain *chain)
{
    struct chain_sizes sizes = {.saved_decoder = align_up(program_sizes(chain->decoder.program).saved_bytes),
                                .saved_extra = align_up(chain->extra.saved_bytes)};
    if (!chain->grad.program) return sizes;
    sizes.saved_step = program_sizes(chain->grad.program).saved_bytes;
    sizes.saved_calls = align_up(sizes.saved_step * (size_t)chain->settings.saved_calls);
    size_t before = sizes.saved_decoder + sizes.saved_extra, step = align_up(sizes.saved_step);
    if (chain->settings.saved_calls == 0 && step > before) sizes.saved_rest = step - before;
    return sizes;
}

static size_t take(size_t *end, size_t bytes)
{
    size_t offset = *end;
    *end += align_up(bytes);
    return offset;
}

static void lay_out_part(size_t *end, struct part *part)
{
    if (part->program) part->packed_offset = take(end, program_sizes(part->program).packed_bytes);
}

/* Gives everything its offset; called again whenever a size changes before chain_allocate. */
static void lay_out(struct chain *chain)
{
    const struct model_facts *facts = model_facts(chain->model);
    struct chain_layout *layout = &chain->layout;
    size_t end = 0, compute = element_size(chain_compute(chain)), exact = element_size(chain_exact(chain));
    size_t context = (size_t)facts->context_length * (size_t)facts->context_width * compute;
    size_t steps = (size_t)chain->schedule.count, latents = chain_latent_bytes(chain);
    size_t noise = chain->schedule.adds_noise ? latents : 0;
    bool trainable = chain->settings.trainable;
    layout->latents = take(&end, latents * (steps + 1));
    layout->noise = take(&end, noise * steps);
    layout->step_constants = take(&end, chain_step_constant_bytes(chain) * steps);
    layout->step_latents = take(&end, latents);
    layout->step_noise = take(&end, noise);
    layout->step_constant = take(&end, chain_step_constant_bytes(chain));
    layout->step_next = take(&end, latents);
    layout->step_cotangent = take(&end, trainable ? latents : 0);
    layout->step_gradient = take(&end, trainable ? latents : 0);
    layout->context = take(&end, context * (size_t)chain->guided_batch);
    layout->text_ids = take(&end, (size_t)facts->context_length * sizeof(int32_t));
    layout->text_states = take(&end, context);
    layout->decoder_latents = take(&end, chain_decoder_latent_bytes(chain));
    layout->decoder_gradient = take(&end, trainable ? chain_decoder_latent_bytes(chain) : 0);
    layout->gradient = take(&end, trainable ? latents : 0);
    layout->pictures = take(&end, chain_picture_bytes(chain));
    layout->picture_gradient = take(&end, trainable ? chain_picture_bytes(chain) : 0);
    layout->merge_scale = take(&end, exact);
    layout->parameters = take(&end, trainable ? chain->parameter_bytes : 0);
    layout->parameter_gradients = take(&end, trainable ? chain->parameter_bytes : 0);
    layout->merged = take(&end, chain->merged_bytes);
    lay_out_part(&end, &chain->text);
    chain->no_grad.packed_offset = chain->grad.packed_offset = take(&end, packing_plan_bytes(chain->step_packing));
    lay_out_part(&end, &chain->decoder);
    lay_out_part(&end, &chain->merge);
    layout->persistent = take(&end, persistent_bytes(chain));
    struct chain_sizes sizes = saved_sizes(chain);
    layout->saved_steps = take(&end, sizes.saved_calls);
    layout->saved_decoder = take(&end, sizes.saved_decoder);
    layout->saved_extra = take(&end, sizes.saved_extra);
    if (chain->settings.saved_calls == 0) layout->saved_steps = layout->saved_decoder;
    take(&end, sizes.saved_rest);
    layout->work = take(&end, work_bytes(chain));
    layout->scratch = take(&end, scratch_bytes(chain));
    layout->total = end;
}

status chain_create(struct model *model, struct backend *backend, const struct chain_settings *settings,
                    struct chain **chain)
{
    TRY(check(model, settings));
    const struct model_facts *facts = model_facts(model);
    struct chain *created = memory_take(1, sizeof *created);
    created->model = model;
    created->backend = backend;
    created->settings = *settings;
    if (created->settings.saved_calls < 0) created->settings.saved_calls = 0;
    created->latent_height = settings->height / facts->latent_factor;
    created->latent_width = settings->width / facts->latent_factor;
    created->channels = facts->latent_channels;
    created->guided_batch = settings->guidance == 1.0 ? settings->batch : 2 * settings->batch;
    created->decode_batch = choose_decode_batch(settings, backend->interface->pixels_at_once);
    created->cache = memory_take(TEXT_CACHE_SIZE, sizeof *created->cache);
    status result =
        schedule_create(&facts->schedule, settings->sampler, settings->steps, settings->eta, &created->schedule);
    if (result.code == STATUS_OK) result = chain_build_parts(created);
    if (result.code != STATUS_OK) {
        chain_destroy(created);
        return result;
    }
    lay_out_parameters(created);
    lay_out(created);
    *chain = created;
    return status_ok();
}

void chain_destroy(struct chain *chain)
{
    if (!chain) return;
    struct part *parts[] = {&chain->text, &chain->no_grad, &chain->grad, &chain->decoder, &chain->merge};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) chain_discard_part(parts[i]);
    packing_plan_destroy(chain->step_packing);
    weight_set_destroy(chain->text_weights);
    weight_set_destroy(chain->unet_weights);
    weight_set_destroy(chain->decoder_weights);
    if (chain->arena) chain->backend->interface->release(chain->backend, chain->arena);
    for (int i = 0; chain->cache && i < TEXT_CACHE_SIZE; i++) {
        free(chain->cache[i].prompt);
        free(chain->cache[i].states);
    }
    free(chain->cache);
    free(chain->parameter_offset);
    free(chain->host_gradients);
    free(chain->merged_offset);
    adapter_plan_clear(&chain->modules);
    adapter_plan_clear(&chain->text_modules);
    free(chain->text_changed);
    schedule_clear(&chain->schedule);
    free(chain);
}

/* Whether a U-Net program, where there is one, reads the constant of that name as it is. */
static bool reads(const struct part *part, const char *name)
{
    tensor_id constant = part->program ? graph_find(part->graph, TENSOR_CONSTANT, name) : NO_TENSOR;
    return constant != NO_TENSOR && program_reads(part->program, constant);
}

/* The frozen weights that the no_grad or the grad step reads as they are, and those that adapters are merged into. */
static size_t unet_weight_bytes(const struct chain *chain)
{
    size_t bytes = 0;
    for (int i = 0; i < graph_tensor_count(chain->no_grad.graph); i++) {
        const struct tensor *tensor = graph_tensor(chain->no_grad.graph, i);
        if (!tensor_is_weight(tensor)) continue;
        bool merged = strncmp(tensor->name, MERGED_PREFIX, strlen(MERGED_PREFIX)) == 0;
        if (merged || program_reads(chain->no_grad.program, i) || reads(&chain->grad, tensor->name))
            bytes += align_up((size_t)shape_elements(&tensor->shape) * element_size(tensor->type));
    }
    return bytes;
}

struct chain_sizes chain_sizes(const struct chain *chain)
{
    struct chain_sizes sizes = saved_sizes(chain);
    const struct part *parts[] = {&chain->text, &chain->decoder, &chain->merge};
    sizes.packed = align_up(packing_plan_bytes(chain->step_packing));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i]->program) sizes.packed += align_up(program_sizes(parts[i]->program).packed_bytes);
    sizes.packed += align_up(chain->merged_bytes);
    sizes.weights = program_sizes(chain->text.program).weight_bytes + unet_weight_bytes(chain) +
                    program_sizes(chain->decoder.program).weight_bytes;
    sizes.adapters = chain->settings.trainable ? 2 * align_up(chain->parameter_bytes) : 0;
    sizes.work = work_bytes(chain);
    sizes.scratch = scratch_bytes(chain);
    sizes.latents = chain->layout.total - sizes.packed - sizes.adapters - sizes.saved_calls - sizes.saved_decoder -
                    sizes.saved_extra - sizes.saved_rest - sizes.work - sizes.scratch;
    return sizes;
}

size_t chain_total_bytes(const struct chain *chain)
{
    return chain->layout.total + chain_sizes(chain).weights;
}

void chain_reserve(struct chain *chain, struct program_sizes sizes)
{
    chain->extra = sizes;
    lay_out(chain);
}

void chain_set_saved_calls(struct chain *chain, int saved_calls)
{
    chain->settings.saved_calls = max_int(saved_calls, 0);
    lay_out(chain);
}

static status write_step_constants(struct chain *chain)
{
    int32_t count = model_facts(chain->model)->time_features;
    float *features = memory_take((size_t)count, sizeof *features);
    status result = status_ok();
    for (int i = 0; i < chain->schedule.count && result.code == STATUS_OK; i++) {
        const struct sampler_step *step = &chain->schedule.steps[i];
        const double values[COEFFICIENT_COUNT] = {step->input_scale, step->latent_gain, step->prediction_gain,
                                                  step->noise_gain};
        size_t constants = chain->layout.step_constants + (size_t)i * chain_step_constant_bytes(chain);
        model_time_features(chain->model, step->timestep, features);
        result = transfer_write(chain->backend, chain_compute(chain), chain_at(chain, constants), features, count);
        for (int c = 0; c < COEFFICIENT_COUNT && result.code == STATUS_OK; c++) {
            size_t offset = constants + chain_coefficient_offset(chain, (enum coefficient)c);
            result = transfer_write_double(chain->backend, chain_exact(chain), chain_at(chain, offset), &values[c], 1);
        }
    }
    free(features);
    return result;
}

status chain_allocate(struct chain *chain)
{
    struct backend *backend = chain->backend;
    TRY(backend->interface->allocate(backend, chain->layout.total, (void **)&chain->arena));
    TRY(backend->interface->clear(backend, chain->arena, chain->layout.total));
    chain_open_text_weights(chain);
    chain->unet_weights = weight_set_create(backend, model_unet_weights(chain->model));
    chain->decoder_weights = weight_set_create(backend, model_decoder_weights(chain->model));
    TRY(write_step_constants(chain));
    return chain_bind_parts(chain);
}

const struct sampler_schedule *chain_schedule(const struct chain *chain)
{
    return &chain->schedule;
}

int chain_decode_batch(const struct chain *chain)
{
    return chain->decode_batch;
}

double chain_step_flops(const struct chain *chain, bool grad, bool backward)
{
    const struct part *part = grad ? &chain->grad : &chain->no_grad;
    return part->program ? program_flops(part->program, backward) : 0.0;
}

double chain_decoder_flops(const struct chain *chain, bool backward)
{
    return program_flops(chain->decoder.program, backward);
}

size_t chain_high_water(const struct chain *chain)
{
    return largest_over_parts(chain, program_high_water);
}

int chain_batch(const struct chain *chain)
{
    return chain->settings.batch;
}
