/* The tuner's life: what a preset needs, memory planned, adapters begun. */
#include "engine/base/format.h"
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/tuning/tuner_internal.h"

#include "engine/tuning/appearance.h"
#include "engine/tuning/truncation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer list is encoded as its prompts come: encoding all of it would keep the first step waiting. */
enum { MOST_PREPARED_PROMPTS = 256 };

static void add_line(struct memory_plan *plan, const char *name, size_t bytes)
{
    struct memory_plan_line *line = &plan->lines[plan->count++];
    snprintf(line->name, sizeof line->name, "%s", name);
    line->bytes = bytes;
    plan->total_bytes += bytes;
}

static double flops_per_step(const struct tuner *tuner)
{
    const struct chain *chain = tuner->chain;
    const struct preset *preset = tuner->preset;
    double grad_steps = truncation_mean(preset, preset->sampler_steps);
    double recomputed = fmax(0.0, grad_steps - tuner->saved_calls);
    double calls = (double)preset->batch / chain_decode_batch(chain);
    double batch =
        (preset->sampler_steps - grad_steps) * chain_step_flops(chain, false, false) +
        (grad_steps + recomputed) * chain_step_flops(chain, true, false) +
        grad_steps * chain_step_flops(chain, true, true) +
        calls * (chain_decoder_flops(chain, false) + chain_decoder_flops(chain, true) +
                 objective_reward_flops(tuner->objective, false) + objective_reward_flops(tuner->objective, true));
    return batch * preset->accumulate;
}

/* Host copies: values, gradients and two moments of every factor. */
static size_t host_bytes(const struct tuner *tuner)
{
    size_t bytes = 0;
    for (int i = 0; i < tuner->parameter_count; i++) bytes += (size_t)tuner->parameters[i].count * 4 * sizeof(float);
    return bytes;
}

static void write_plan(struct tuner *tuner)
{
    struct chain_sizes sizes = chain_sizes(tuner->chain);
    struct memory_plan *plan = &tuner->plan;
    plan->count = 0;
    plan->total_bytes = 0;
    add_line(plan, "weights", sizes.weights);
    add_line(plan, "weights in kernel layouts", sizes.packed);
    add_line(plan, "reward models", objective_reward_bytes(tuner->objective));
    add_line(plan, "latents and pictures", sizes.latents);
    add_line(plan, "adapter and optimiser", sizes.adapters + host_bytes(tuner));
    add_line(plan, "activations of kept steps", sizes.saved_calls);
    add_line(plan, "activations of the decoder", sizes.saved_decoder);
    add_line(plan, "activations of the rewards", sizes.saved_extra);
    add_line(plan, "more for a recomputed step", sizes.saved_rest);
    add_line(plan, "work", sizes.work);
    add_line(plan, "scratch", sizes.scratch);
    plan->saved_calls = tuner->saved_calls;
    plan->flops_per_step = flops_per_step(tuner);
    plan->adapter_bytes = 0;
    for (int i = 0; i < tuner->parameter_count; i++)
        plan->adapter_bytes += (size_t)tuner->parameters[i].count * sizeof(float);
}

/* What the plan is made to fit. */
static size_t memory_wanted(const struct tuner *tuner)
{
    size_t limit = tuner->preset->memory_limit;
    return limit ? limit : tuner->plan.free_bytes / 10 * 9;
}

/* As many saved regions as the limit allows; never more than steps can be kept. */
static void choose_saved_calls(struct tuner *tuner)
{
    const struct preset *preset = tuner->preset;
    size_t limit = memory_wanted(tuner);
    int largest = truncation_largest(preset, preset->sampler_steps);
    tuner->saved_calls = 1;
    if (preset->keep_steps >= 0) tuner->saved_calls = min_int(preset->keep_steps, largest);
    if (preset->keep_steps < 0) {
        write_plan(tuner);
        size_t each = chain_sizes(tuner->chain).saved_step, room = limit - tuner->plan.total_bytes;
        size_t more = each ? room / each : 0;
        if (tuner->plan.total_bytes > limit)
            tuner->saved_calls = 0;
        else
            tuner->saved_calls = more + 1 < (size_t)largest ? (int)more + 1 : largest;
    }
    chain_set_saved_calls(tuner->chain, tuner->saved_calls);
    write_plan(tuner);
}

static char *prefixed(const char *prefix, const char *name)
{
    size_t size = strlen(prefix) + strlen(name) + 1;
    char *text = memory_take(size, 1);
    snprintf(text, size, "%s%s", prefix, name);
    return text;
}

static status create_parameter(struct tuner *tuner, int index)
{
    struct parameter *p = &tuner->parameters[index];
    p->shape = chain_parameter_shape(tuner->chain, index);
    p->count = shape_elements(&p->shape);
    p->name = prefixed("", chain_parameter_name(tuner->chain, index));
    p->m_name = prefixed("first/", p->name);
    p->v_name = prefixed("second/", p->name);
    p->values = calloc((size_t)p->count, sizeof(float));
    p->gradient = calloc((size_t)p->count, sizeof(float));
    p->m = calloc((size_t)p->count, sizeof(float));
    p->v = calloc((size_t)p->count, sizeof(float));
    if (!p->values || !p->gradient || !p->m || !p->v)
        return status_error(STATUS_NO_MEMORY, "no memory for the adapter");
    /* The down factor is normal with deviation 1/rank and the up factor zero (as diffusers and PEFT's "gaussian"), so
     * the adapted model begins as the base model. */
    if (index % 2 == 0) {
        noise_normals((struct noise_stream){tuner->preset->seed, NOISE_ADAPTER, (uint64_t)index}, p->values, p->count);
        for (int64_t i = 0; i < p->count; i++) p->values[i] /= (float)tuner->preset->rank;
    }
    return status_ok();
}

/* Beyond, memory is the limit. */
enum { MOST_THREADS = 4 };

/* Parameters come in pairs: a module's down factor [rank, inputs] and its up factor [outputs, rank]. */
static status create_norm(struct tuner *tuner)
{
    int modules = tuner->parameter_count / 2, rank = tuner->preset->rank;
    tuner->modules = memory_take((size_t)modules + 1, sizeof *tuner->modules);
    for (int i = 0; i < modules; i++) {
        const struct parameter *down = &tuner->parameters[2 * i], *up = down + 1;
        tuner->modules[i] = (struct module_factors){down->values, up->values, down->count / rank, up->count / rank};
    }
    TRY(parallel_create(parallel_useful(MOST_THREADS), &tuner->threads));
    tuner->norm = adapter_norm_create(tuner->threads, rank, modules);
    return status_ok();
}

static status create_parameters(struct tuner *tuner)
{
    tuner->parameter_count = chain_parameter_count(tuner->chain);
    tuner->parameters = memory_take((size_t)tuner->parameter_count, sizeof *tuner->parameters);
    tuner->gradients = memory_take((size_t)tuner->parameter_count, sizeof *tuner->gradients);
    for (int i = 0; i < tuner->parameter_count; i++) {
        TRY(create_parameter(tuner, i));
        tuner->gradients[i] = tuner->parameters[i].gradient;
    }
    return create_norm(tuner);
}

static status create_host_buffers(struct tuner *tuner)
{
    const struct preset *preset = tuner->preset;
    const struct model_facts *facts = model_facts(objective_model(tuner->objective));
    size_t batch = (size_t)preset->batch, pixels = (size_t)preset->width * (size_t)preset->height * 3;
    size_t latents =
        batch * (pixels / 3) / (size_t)(facts->latent_factor * facts->latent_factor) * (size_t)facts->latent_channels;
    size_t decoded = (size_t)chain_decode_batch(tuner->chain);
    tuner->picture_elements = (int64_t)(decoded * pixels);
    tuner->prompts = memory_take(batch, sizeof *tuner->prompts);
    tuner->seeds = memory_take(batch, sizeof *tuner->seeds);
    tuner->numbers = memory_take(batch, sizeof *tuner->numbers);
    tuner->renoise_numbers = memory_take(batch, sizeof *tuner->renoise_numbers);
    tuner->scores = memory_take(decoded * MAXIMUM_REWARDS, sizeof *tuner->scores);
    tuner->pictures = malloc(decoded * pixels * sizeof(float));
    tuner->latents = malloc(latents * sizeof(float));
    tuner->preview_latents = malloc(latents / batch * sizeof(float));
    tuner->bytes = malloc(pixels);
    tuner->thumbnails = memory_take(batch * THUMBNAIL_VALUES, sizeof *tuner->thumbnails);
    if (!tuner->pictures || !tuner->latents || !tuner->preview_latents || !tuner->bytes)
        return status_error(STATUS_NO_MEMORY, "no memory for pictures of %dx%d", preset->width, preset->height);
    return status_ok();
}

static status check_values(const struct preset *preset)
{
    if (preset->train.count < 1) return status_error(STATUS_BAD_INPUT, "prompts.train: no prompt to tune on");
    return truncation_check(preset, preset->sampler_steps);
}

/* What is tuned toward, with modules to tune. */
static status open_objective(const struct preset *preset, struct backend *backend, bool recompute_blocks,
                             struct objective **objective)
{
    struct objective_settings settings = {
        .batch = preset->batch, .steps = preset->sampler_steps, .saved_calls = 1, .recompute_blocks = recompute_blocks};
    *objective = NULL;
    TRY(objective_create(preset, backend, &settings, objective));
    if (chain_parameter_count(objective_chain(*objective)) > 0) return status_ok();
    objective_destroy(*objective);
    *objective = NULL;
    return status_error(STATUS_BAD_INPUT, "lora.targets: the model has no module of these kinds");
}

status tuner_check(const struct preset *preset)
{
    struct backend *backend;
    struct objective *objective;
    TRY(check_values(preset));
    TRY(backend_reference_create(&backend));
    status result = open_objective(preset, backend, false, &objective);
    objective_destroy(objective);
    backend->interface->destroy(backend);
    return result;
}

static status create_objective(struct tuner *tuner, bool recompute_blocks)
{
    TRY(open_objective(tuner->preset, tuner->backend, recompute_blocks, &tuner->objective));
    tuner->chain = objective_chain(tuner->objective);
    tuner->plan.recompute_blocks = recompute_blocks;
    return status_ok();
}

static status create(struct tuner *tuner)
{
    const struct preset *preset = tuner->preset;
    TRY(check_values(preset));
    TRY(create_objective(tuner, false));
    tuner->reward_count = preset->reward_count;
    for (int r = 0; r < preset->reward_count; r++)
        snprintf(tuner->reward_labels[r], sizeof tuner->reward_labels[r], "reward %s", preset->rewards[r].id);
    tuner->settings = live_settings_of(preset);
    tuner->drift = NAN;
    tuner->evaluated = (struct image_statistics){NAN, NAN, NAN, NAN};
    TRY(create_parameters(tuner));
    TRY(create_host_buffers(tuner));
    TRY(tuner->backend->interface->memory_free(tuner->backend, &tuner->plan.free_bytes, NULL));
    choose_saved_calls(tuner);
    if (tuner->plan.total_bytes <= memory_wanted(tuner)) return status_ok();
    /* One call of U-Net or decoder is too large: built anew, so that it is recomputed block by block. */
    objective_destroy(tuner->objective);
    TRY(create_objective(tuner, true));
    choose_saved_calls(tuner);
    return status_ok();
}

status tuner_create(const struct preset *preset, struct backend *backend, struct tuner_callbacks callbacks,
                    struct tuner **tuner)
{
    struct tuner *created = memory_take(1, sizeof *created);
    created->preset = preset;
    created->backend = backend;
    created->callbacks = callbacks;
    status result = create(created);
    if (result.code != STATUS_OK) {
        tuner_destroy(created);
        return result;
    }
    *tuner = created;
    return status_ok();
}

void tuner_destroy(struct tuner *tuner)
{
    if (!tuner) return;
    for (int i = 0; tuner->parameters && i < tuner->parameter_count; i++) {
        struct parameter *p = &tuner->parameters[i];
        char *texts[] = {p->name, p->m_name, p->v_name};
        float *arrays[] = {p->values, p->gradient, p->m, p->v};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) free(texts[t]);
        for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++) free(arrays[a]);
    }
    free(tuner->parameters);
    free(tuner->gradients);
    free(tuner->modules);
    adapter_norm_destroy(tuner->norm);
    if (tuner->threads) parallel_destroy(tuner->threads);
    free(tuner->prompts);
    free(tuner->seeds);
    free(tuner->numbers);
    free(tuner->renoise_numbers);
    free(tuner->scores);
    free(tuner->pictures);
    free(tuner->latents);
    free(tuner->preview_latents);
    free(tuner->bytes);
    free(tuner->thumbnails);
    free(tuner->base_prediction);
    objective_destroy(tuner->objective);
    free(tuner);
}

const struct memory_plan *tuner_plan(const struct tuner *tuner)
{
    return &tuner->plan;
}

status tuner_check_memory(const struct tuner *tuner)
{
    const struct preset *preset = tuner->preset;
    bool limited = preset->memory_limit && preset->memory_limit < tuner->plan.free_bytes;
    size_t limit = limited ? preset->memory_limit : tuner->plan.free_bytes;
    if (tuner->plan.total_bytes <= limit) return status_ok();
    char message[100], needed[FORMAT_SIZE], allowed[FORMAT_SIZE];
    snprintf(message, sizeof message, limited ? "needs %s, memory.limit allows %s" : "needs %s, %s are free",
             format_bytes_closely(needed, sizeof needed, (double)tuner->plan.total_bytes),
             format_bytes_closely(allowed, sizeof allowed, (double)limit));
    struct chain_sizes sizes = chain_sizes(tuner->chain);
    size_t per_picture = (sizes.saved_step + sizes.work) / (size_t)preset->batch;
    size_t excess = tuner->plan.total_bytes - limit;
    size_t before = sizes.saved_decoder + sizes.saved_extra;
    size_t rest = sizes.saved_step > before ? sizes.saved_step - before : 0;
    size_t spare_calls = sizes.saved_calls > rest ? sizes.saved_calls - rest : 0;
    if (spare_calls >= excess) return status_error(STATUS_NO_MEMORY, "%s; memory.keep_steps=0 would fit", message);
    int fewer = preset->batch - (int)((excess - spare_calls) / (per_picture ? per_picture : 1)) - 1;
    if (fewer >= 1)
        return status_error(STATUS_NO_MEMORY,
                            "%s; batch=%d with memory.keep_steps=0 (and accumulate=%d) or "
                            "a smaller sampler.width and sampler.height would fit",
                            message, fewer, (preset->batch + fewer - 1) / fewer * preset->accumulate);
    return status_error(STATUS_NO_MEMORY, "%s; a smaller sampler.width and sampler.height or a smaller model would fit",
                        message);
}

status tuner_write_parameter(struct tuner *tuner, int index)
{
    return chain_write_parameter_floats(tuner->chain, index, tuner->parameters[index].values);
}

/* Before the arenas, so that the text encoders' weights are gone when these are allocated. */
static status prepare_prompts(struct tuner *tuner)
{
    const struct prompt_list *lists[] = {&tuner->preset->train, &tuner->preset->evaluation};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        int count = lists[i]->count < MOST_PREPARED_PROMPTS ? lists[i]->count : MOST_PREPARED_PROMPTS;
        if (count > 0) TRY(objective_prepare_prompts(tuner->objective, (const char *const *)lists[i]->texts, count));
    }
    return status_ok();
}

status tuner_start(struct tuner *tuner)
{
    TRY(tuner_check_memory(tuner));
    TRY(prepare_prompts(tuner));
    TRY(objective_allocate(tuner->objective));
    for (int i = 0; i < tuner->parameter_count; i++) TRY(tuner_write_parameter(tuner, i));
    return status_ok();
}
