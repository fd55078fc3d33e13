/* Pictures of many prompts in batches: noise, the chain without gradient, the decoder, previews. */
#include "engine/sampling/sampling.h"

#include "engine/base/memory.h"
#include "engine/sampling/chain_internal.h"
#include "kernels/convert.h"

#include <math.h>
#include <stdlib.h>

/* Host memory of one batch. */
struct batch {
    const char **prompts;
    uint64_t *seeds, *numbers;
    float *latents, *values;
    unsigned char *rgb;
    int count;        /* of pictures in it */
    int64_t elements; /* of one picture */
};

static void batch_clear(struct batch *batch)
{
    free(batch->prompts);
    free(batch->seeds);
    free(batch->numbers);
    free(batch->latents);
    free(batch->values);
    free(batch->rgb);
}

static status batch_create(const struct chain *chain, struct batch *batch)
{
    size_t count = (size_t)chain->settings.batch;
    batch->count = chain->settings.batch;
    batch->elements = (int64_t)chain->settings.width * chain->settings.height * 3;
    batch->prompts = memory_take(count, sizeof *batch->prompts);
    batch->seeds = memory_take(count, sizeof *batch->seeds);
    batch->numbers = memory_take(count, sizeof *batch->numbers);
    batch->latents = malloc((size_t)chain_latent_elements(chain) * sizeof(float));
    batch->values = malloc((size_t)batch->elements * (size_t)chain->decode_batch * sizeof(float));
    batch->rgb = malloc((size_t)batch->elements);
    if (batch->latents && batch->values && batch->rgb) return status_ok();
    return status_error(STATUS_NO_MEMORY, "no memory for pictures of %dx%d", chain->settings.width,
                        chain->settings.height);
}

static status check_abandon(const struct sampling_job *job)
{
    if (job->abandon && job->abandon(job->context)) return status_error(STATUS_INTERRUPTED, "interrupted");
    return status_ok();
}

static status show_preview(struct chain *chain, const struct sampling_job *job, struct batch *batch, int first,
                           int done)
{
    if (!job->previews || !job->picture || done == chain->schedule.count) return status_ok();
    TRY(chain_read_latents(chain, done, batch->latents));
    chain_preview(chain, batch->latents, batch->rgb);
    struct sampled_picture picture = {.index = first,
                                      .prompt = batch->prompts[0],
                                      .seed = batch->seeds[0],
                                      .step = done,
                                      .steps = chain->schedule.count,
                                      .width = chain->latent_width,
                                      .height = chain->latent_height,
                                      .rgb = batch->rgb};
    job->picture(job->context, &picture);
    return status_ok();
}

static void show(const struct chain *chain, const struct sampling_job *job, struct batch *batch, int first, int row,
                 const float *values)
{
    for (int64_t i = 0; i < batch->elements; i++) batch->rgb[i] = (unsigned char)lrintf(values[i] * 255.0F);
    struct sampled_picture picture = {.index = first + row,
                                      .prompt = batch->prompts[row],
                                      .seed = batch->seeds[row],
                                      .step = chain->schedule.count,
                                      .steps = chain->schedule.count,
                                      .width = chain->settings.width,
                                      .height = chain->settings.height,
                                      .rgb = batch->rgb,
                                      .values = values};
    if (job->picture) job->picture(job->context, &picture);
}

/* A picture of what is no number would be black. */
static status check_numbers(const struct batch *batch, int picture, const float *values, int64_t count,
                            const char *what)
{
    if (convert_find_not_finite(ELEMENT_F32, values, count) < 0) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "picture %d (seed %llu): its %s hold an infinity or NaN; weights, an adapter's strength or the "
                        "guidance are too large for the precision",
                        picture + 1, (unsigned long long)batch->seeds[picture % batch->count], what);
}

static status check_latents(struct chain *chain, const struct sampling_job *job, struct batch *batch, int first)
{
    int64_t each = chain_latent_elements(chain) / batch->count;
    TRY(chain_read_latents(chain, chain->schedule.count, batch->latents));
    for (int row = 0; row < batch->count && first + row < job->count; row++)
        TRY(check_numbers(batch, first + row, batch->latents + row * each, each, "latents"));
    return status_ok();
}

static status decode_batch(struct chain *chain, const struct sampling_job *job, struct batch *batch, int first)
{
    int each = chain->decode_batch;
    for (int row = 0; row < chain->settings.batch && first + row < job->count; row += each) {
        TRY(check_abandon(job));
        TRY(chain_decode(chain, row / each));
        TRY(chain_read_pictures(chain, batch->values));
        for (int i = 0; i < each && first + row + i < job->count; i++) {
            const float *values = batch->values + i * batch->elements;
            TRY(check_numbers(batch, first + row + i, values, batch->elements, "decoded samples"));
            show(chain, job, batch, first, row + i, values);
        }
    }
    return status_ok();
}

static status run_batch(struct chain *chain, const struct sampling_job *job, struct batch *batch, int first)
{
    for (int b = 0; b < chain->settings.batch; b++) {
        batch->prompts[b] = job->prompts[(first + b) % job->prompt_count];
        batch->seeds[b] = job->seed + (uint64_t)(first + b);
        batch->numbers[b] = 0;
    }
    TRY(chain_set_prompts(chain, batch->prompts, job->negative ? job->negative : ""));
    TRY(chain_start(chain, batch->seeds, batch->numbers));
    for (int step = 0; step < chain->schedule.count; step++) {
        TRY(check_abandon(job));
        TRY(chain_step(chain, step, false, -1));
        TRY(show_preview(chain, job, batch, first, step + 1));
    }
    TRY(check_latents(chain, job, batch, first));
    return decode_batch(chain, job, batch, first);
}

status sampling_run(struct chain *chain, const struct sampling_job *job)
{
    struct batch batch = {0};
    if (job->prompt_count < 1) return status_error(STATUS_USAGE, "no prompt to sample");
    status result = batch_create(chain, &batch);
    for (int first = 0; first < job->count && result.code == STATUS_OK; first += chain->settings.batch)
        result = run_batch(chain, job, &batch, first);
    batch_clear(&batch);
    return result;
}
