/* Running the chain: prompts, noise, steps, decoder, and the backward pass. */
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/graph/transfer.h"
#include "engine/sampling/chain_internal.h"
#include "kernels/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void *chain_pictures(const struct chain *chain)
{
    return chain_at(chain, chain->layout.pictures);
}

void *chain_picture_gradient(const struct chain *chain)
{
    return chain_at(chain, chain->layout.picture_gradient);
}

static int64_t context_elements(const struct chain *chain)
{
    const struct model_facts *facts = model_facts(chain->model);
    return (int64_t)facts->context_length * facts->context_width;
}

static status run_text_encoder(struct chain *chain, const char *prompt, float *states)
{
    const struct model_facts *facts = model_facts(chain->model);
    int32_t *ids = memory_take((size_t)facts->context_length, sizeof *ids);
    status result = model_tokenize(chain->model, prompt, ids, NULL);
    if (result.code == STATUS_OK)
        result = chain->backend->interface->upload(chain->backend, chain_at(chain, chain->layout.text_ids), ids,
                                                   (size_t)facts->context_length * sizeof *ids);
    free(ids);
    TRY(result);
    TRY(program_forward(chain->text.program, (struct memory_region){NULL, 0}, chain_work(chain), chain_scratch(chain)));
    return transfer_read(chain->backend, chain_compute(chain), chain_at(chain, chain->layout.text_states), states,
                         context_elements(chain));
}

/* The prompt's text states; the pointer holds until the next call. */
static status text_states(struct chain *chain, const char *prompt, const float **states)
{
    for (int i = 0; i < chain->cache_count; i++) {
        if (strcmp(chain->cache[i].prompt, prompt) == 0) {
            *states = chain->cache[i].states;
            return status_ok();
        }
    }
    float *values = malloc((size_t)context_elements(chain) * sizeof *values);
    status result = values ? run_text_encoder(chain, prompt, values)
                           : status_error(STATUS_NO_MEMORY, "no memory for the text states of a prompt");
    if (result.code != STATUS_OK) {
        free(values);
        return result;
    }
    struct cached_text *entry = &chain->cache[chain->cache_next];
    free(entry->prompt);
    free(entry->states);
    *entry = (struct cached_text){memory_copy_text(prompt), values};
    chain->cache_next = (chain->cache_next + 1) % TEXT_CACHE_SIZE;
    if (chain->cache_count < TEXT_CACHE_SIZE) chain->cache_count++;
    *states = values;
    return status_ok();
}

static status write_context(struct chain *chain, int row, const char *prompt)
{
    const float *states = NULL;
    TRY(text_states(chain, prompt, &states));
    size_t bytes = (size_t)context_elements(chain) * element_size(chain_compute(chain));
    return transfer_write(chain->backend, chain_compute(chain),
                          chain_at(chain, chain->layout.context + (size_t)row * bytes), states,
                          context_elements(chain));
}

status chain_set_prompts(struct chain *chain, const char *const *prompts, const char *negative)
{
    int batch = chain->settings.batch, first = chain->guided_batch - batch;
    TRY(chain_close_step(chain));
    for (int b = 0; b < first; b++) TRY(write_context(chain, b, negative));
    for (int b = 0; b < batch; b++) TRY(write_context(chain, first + b, prompts[b]));
    return status_ok();
}

static int64_t picture_latents(const struct chain *chain)
{
    return chain_latent_elements(chain) / chain->settings.batch;
}

/* Normals for every picture of the batch, scaled, to device memory. */
static status write_noise(struct chain *chain, void *device, const uint64_t *seeds, const uint64_t *indices,
                          enum noise_purpose purpose, double scale)
{
    int64_t each = picture_latents(chain);
    float *values = calloc((size_t)chain_latent_elements(chain), sizeof *values);
    if (!values) return status_error(STATUS_NO_MEMORY, "no memory for noise");
    for (int b = 0; b < chain->settings.batch; b++)
        noise_normals((struct noise_stream){seeds[b], purpose, indices[b]}, values + b * each, each);
    for (int64_t i = 0; i < chain_latent_elements(chain); i++) values[i] = (float)(values[i] * scale);
    status result = transfer_write(chain->backend, chain_exact(chain), device, values, chain_latent_elements(chain));
    free(values);
    return result;
}

status chain_start(struct chain *chain, const uint64_t *seeds, const uint64_t *numbers)
{
    TRY(write_noise(chain, chain_latents_at(chain, 0), seeds, numbers, NOISE_LATENT, chain->schedule.initial_scale));
    if (!chain->schedule.adds_noise) return status_ok();
    uint64_t *indices = memory_take((size_t)chain->settings.batch, sizeof *indices);
    status result = status_ok();
    for (int step = 0; step < chain->schedule.count && result.code == STATUS_OK; step++) {
        for (int b = 0; b < chain->settings.batch; b++)
            indices[b] = numbers[b] * (uint64_t)chain->schedule.count + (uint64_t)step;
        result = write_noise(chain, chain_at(chain, chain->layout.noise + (size_t)step * chain_latent_bytes(chain)),
                             seeds, indices, NOISE_STEP, 1.0);
    }
    free(indices);
    return result;
}

static status copy(struct chain *chain, void *to, const void *from, size_t bytes)
{
    return chain->backend->interface->copy(chain->backend, to, from, bytes);
}

/* What step `step` reads, to where the step's graphs read it. */
static status load_step(struct chain *chain, int step)
{
    const struct chain_layout *layout = &chain->layout;
    size_t latents = chain_latent_bytes(chain), constants = chain_step_constant_bytes(chain);
    TRY(copy(chain, chain_at(chain, layout->step_latents), chain_latents_at(chain, step), latents));
    TRY(copy(chain, chain_at(chain, layout->step_constant),
             chain_at(chain, layout->step_constants + (size_t)step * constants), constants));
    if (!chain->schedule.adds_noise) return status_ok();
    return copy(chain, chain_at(chain, layout->step_noise), chain_at(chain, layout->noise + (size_t)step * latents),
                latents);
}

status chain_settle(struct chain *chain)
{
    if (!chain->unsettled) return status_ok();
    TRY(program_close(chain->grad.program, chain_work(chain), chain_scratch(chain)));
    chain->unsettled = false;
    return status_ok();
}

status chain_close_step(struct chain *chain)
{
    TRY(chain_settle(chain));
    chain->open = NULL;
    return status_ok();
}

/* Makes the keys and values of the prompts for this step's adapters, unless they stand already. */
static status open_step(struct chain *chain, const struct part *part)
{
    if (chain->open == part) return status_ok();
    TRY(chain_close_step(chain));
    TRY(program_open(part->program, chain_work(chain), chain_scratch(chain)));
    chain->open = part;
    return status_ok();
}

status chain_step(struct chain *chain, int step, bool grad, int slot)
{
    const struct part *part = grad ? &chain->grad : &chain->no_grad;
    TRY(open_step(chain, part));
    TRY(load_step(chain, step));
    TRY(program_forward(part->program, chain_saved_step(chain, max_int(slot, 0)), chain_work(chain),
                        chain_scratch(chain)));
    return copy(chain, chain_latents_at(chain, step + 1), chain_at(chain, chain->layout.step_next),
                chain_latent_bytes(chain));
}

status chain_step_backward(struct chain *chain, int step, int slot)
{
    const struct chain_layout *layout = &chain->layout;
    struct memory_region saved = chain_saved_step(chain, max_int(slot, 0));
    size_t bytes = chain_latent_bytes(chain);
    TRY(open_step(chain, &chain->grad));
    TRY(load_step(chain, step));
    if (slot < 0) TRY(program_forward(chain->grad.program, saved, chain_work(chain), chain_scratch(chain)));
    TRY(copy(chain, chain_at(chain, layout->step_cotangent), chain_at(chain, layout->gradient), bytes));
    TRY(program_backward(chain->grad.program, saved, chain_work(chain), chain_scratch(chain)));
    chain->unsettled = true;
    return copy(chain, chain_at(chain, layout->gradient), chain_at(chain, layout->step_gradient), bytes);
}

/* Where the call's pictures begin in a set of latents. */
static size_t call_offset(const struct chain *chain, int call)
{
    return (size_t)call * chain_decoder_latent_bytes(chain);
}

status chain_decode(struct chain *chain, int call)
{
    const char *latents = chain_latents_at(chain, chain->schedule.count);
    TRY(copy(chain, chain_at(chain, chain->layout.decoder_latents), latents + call_offset(chain, call),
             chain_decoder_latent_bytes(chain)));
    return program_forward(chain->decoder.program, chain_saved_decoder(chain), chain_work(chain), chain_scratch(chain));
}

status chain_decode_backward(struct chain *chain, int call)
{
    TRY(program_backward(chain->decoder.program, chain_saved_decoder(chain), chain_work(chain), chain_scratch(chain)));
    return copy(chain, chain_at(chain, chain->layout.gradient + call_offset(chain, call)),
                chain_at(chain, chain->layout.decoder_gradient), chain_decoder_latent_bytes(chain));
}

status chain_read_latents(struct chain *chain, int index, float *values)
{
    return transfer_read(chain->backend, chain_exact(chain), chain_latents_at(chain, index), values,
                         chain_latent_elements(chain));
}

status chain_fetch_latents(struct chain *chain, int index)
{
    struct backend *backend = chain->backend;
    chain->fetched_index = index;
    if (!backend->interface->fetch) return status_ok();
    return backend->interface->fetch(backend, chain_latents_at(chain, index),
                                     (size_t)picture_latents(chain) * element_size(chain_exact(chain)));
}

status chain_fetched_latents(struct chain *chain, float *values, bool *ready)
{
    struct backend *backend = chain->backend;
    const void *host = NULL;
    *ready = true;
    if (!backend->interface->fetched)
        return transfer_read(backend, chain_exact(chain), chain_latents_at(chain, chain->fetched_index), values,
                             picture_latents(chain));
    TRY(backend->interface->fetched(backend, &host));
    *ready = host != NULL;
    if (host) convert_to_float(chain_exact(chain), values, host, picture_latents(chain));
    return status_ok();
}

status chain_write_latents(struct chain *chain, int index, const float *values)
{
    return transfer_write(chain->backend, chain_exact(chain), chain_latents_at(chain, index), values,
                          chain_latent_elements(chain));
}

status chain_renoise(struct chain *chain, int step, const uint64_t *seeds, const uint64_t *numbers)
{
    int64_t count = chain_latent_elements(chain), each = picture_latents(chain);
    const struct sampler_step *row = &chain->schedule.steps[step];
    float *clean = calloc((size_t)count, sizeof *clean), *noise = calloc((size_t)count, sizeof *noise);
    status result = clean && noise ? chain_read_latents(chain, chain->schedule.count, clean)
                                   : status_error(STATUS_NO_MEMORY, "no memory for noise");
    if (result.code == STATUS_OK) {
        for (int b = 0; b < chain->settings.batch; b++)
            noise_normals((struct noise_stream){seeds[b], NOISE_LOW_VARIANCE, numbers[b]}, noise + b * each, each);
        for (int64_t i = 0; i < count; i++)
            clean[i] = (float)(row->renoise_clean * clean[i] + row->renoise_noise * noise[i]);
        result = chain_write_latents(chain, step, clean);
    }
    free(clean);
    free(noise);
    return result;
}

static int64_t picture_elements(const struct chain *chain)
{
    return (int64_t)chain->decode_batch * chain->settings.width * chain->settings.height * 3;
}

status chain_read_pictures(struct chain *chain, float *values)
{
    return transfer_read(chain->backend, chain_exact(chain), chain_pictures(chain), values, picture_elements(chain));
}

status chain_read_picture_gradient(struct chain *chain, float *values)
{
    return transfer_read(chain->backend, chain_exact(chain), chain_picture_gradient(chain), values,
                         picture_elements(chain));
}

/* Stable Diffusion 1's published linear approximation of its decoder, halved and shifted from [-1, 1] to [0, 1]. */
static const float fallback_factors[4][3] = {{0.1756F, 0.11485F, 0.16135F},
                                             {0.1625F, 0.2487F, 0.1175F},
                                             {-0.14145F, 0.0881F, 0.13605F},
                                             {-0.106F, -0.1308F, -0.35885F}};

void chain_preview(const struct chain *chain, const float *latents, unsigned char *rgb)
{
    const struct model_facts *facts = model_facts(chain->model);
    int channels = min_int(chain->channels, 4);
    for (int64_t pixel = 0; pixel < (int64_t)chain->latent_height * chain->latent_width; pixel++) {
        for (int color = 0; color < 3; color++) {
            float value = facts->has_preview ? facts->preview_bias[color] : 0.5F;
            for (int c = 0; c < channels; c++) {
                float factor = facts->has_preview ? facts->preview_factors[c][color] : fallback_factors[c][color];
                value += factor * latents[pixel * chain->channels + c];
            }
            value = clamp_float(value, 0.0F, 1.0F);
            rgb[pixel * 3 + color] = (unsigned char)lrintf(value * 255.0F);
        }
    }
}
