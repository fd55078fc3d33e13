/* What the tuner shows and measures beside its steps: previews, pictures, held-out rewards, drift. */
#include "engine/base/clock.h"
#include "engine/tuning/tuner_internal.h"

#include "engine/tuning/appearance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t latent_elements(const struct tuner *tuner)
{
    const struct model_facts *facts = model_facts(objective_model(tuner->objective));
    return (int64_t)tuner->preset->batch * (tuner->preset->width / facts->latent_factor) *
           (tuner->preset->height / facts->latent_factor) * facts->latent_channels;
}

static status ask_for_preview(struct tuner *tuner, int done)
{
    const struct preset *preset = tuner->preset;
    int factor = model_facts(objective_model(tuner->objective))->latent_factor;
    tuner->last_preview = clock_steady();
    TRY(chain_fetch_latents(tuner->chain, done));
    tuner->preview = (struct tuner_picture){.kind = PICTURE_DENOISING,
                                            .step = tuner->step + 1,
                                            .denoising_step = done,
                                            .denoising_steps = preset->sampler_steps,
                                            .width = preset->width / factor,
                                            .height = preset->height / factor,
                                            .pixels = tuner->bytes,
                                            .prompt = tuner->prompts[0],
                                            .total = NAN,
                                            .seed = tuner->seeds[0]};
    return status_ok();
}

/* A preview that is not limited costs more than the work it shows. */
static bool preview_is_due(const struct tuner *tuner)
{
    double rate = tuner->settings.preview_rate;
    return rate > 0 && clock_steady() - tuner->last_preview >= 1 / rate;
}

status tuner_show_denoising(struct tuner *tuner, int done)
{
    if (!tuner->callbacks.picture) return status_ok();
    bool asked = tuner->preview.denoising_step > 0, ready;
    if (!asked && !preview_is_due(tuner)) return status_ok();
    if (!asked) TRY(ask_for_preview(tuner, done));
    TRY(chain_fetched_latents(tuner->chain, tuner->preview_latents, &ready));
    if (!ready) return status_ok();
    struct tuner_picture picture = tuner->preview;
    tuner->preview.denoising_step = 0;
    chain_preview(tuner->chain, tuner->preview_latents, tuner->bytes);
    tuner->callbacks.picture(tuner->callbacks.context, &picture);
    return status_ok();
}

void tuner_show_pictures(struct tuner *tuner, int first, int call, enum picture_kind kind)
{
    if (!tuner->callbacks.picture) return;
    const struct preset *preset = tuner->preset;
    int each = chain_decode_batch(tuner->chain);
    int64_t elements = tuner->picture_elements / each;
    for (int p = 0; p < each; p++) {
        const float *pixels = tuner->pictures + p * elements;
        const double *scores = tuner->scores + p * tuner->reward_count;
        int index = call * each + p;
        for (int64_t i = 0; i < elements; i++) tuner->bytes[i] = (unsigned char)lrintf(pixels[i] * 255.0F);
        struct tuner_picture picture = {.kind = kind,
                                        .step = tuner->step + (kind == PICTURE_SAMPLE),
                                        .index = first + index,
                                        .width = preset->width,
                                        .height = preset->height,
                                        .pixels = tuner->bytes,
                                        .prompt = tuner->prompts[index],
                                        .total = tuner_total(tuner, scores),
                                        .rewards = scores,
                                        .seed = tuner->seeds[index]};
        tuner->callbacks.picture(tuner->callbacks.context, &picture);
    }
}

static void add_side_figure(struct step_report *report, const char *name, double value)
{
    int at = 0;
    while (at < report->side_count && strcmp(report->side[at].name, name) != 0) at++;
    if (at == MAXIMUM_SIDE_FIGURES) return;
    if (at == report->side_count) {
        report->side_count++;
        report->side[at].name = name;
    }
    report->side[at].value += value;
}

static void measure_appearance(struct tuner *tuner, int index, const float *picture, struct step_report *report,
                               double share)
{
    const struct preset *preset = tuner->preset;
    struct appearance statistics = appearance_measure(picture, preset->height, preset->width);
    add_side_figure(report, "dark", share * statistics.dark);
    add_side_figure(report, "edges", share * statistics.edges);
    add_side_figure(report, "saturation", share * statistics.saturation);
    appearance_thumbnail(picture, preset->height, preset->width, tuner->thumbnails + (size_t)index * THUMBNAIL_VALUES);
}

void tuner_measure_batch(struct tuner *tuner, struct step_report *report, double share)
{
    add_side_figure(report, "diversity", share * appearance_diversity(tuner->thumbnails, tuner->preset->batch));
}

void tuner_measure_pictures(struct tuner *tuner, int call, struct step_report *report, double share)
{
    const struct preset *preset = tuner->preset;
    int each = chain_decode_batch(tuner->chain);
    for (int p = 0; p < each; p++) {
        const float *picture = tuner->pictures + p * (tuner->picture_elements / each);
        for (int r = 0; r < tuner->reward_count; r++) {
            const char *name;
            double value;
            if (reward_side_figure(objective_reward(tuner->objective, r), picture, preset->height, preset->width, &name,
                                   &value))
                add_side_figure(report, name, share * value);
        }
        measure_appearance(tuner, call * each + p, picture, report, share);
    }
}

/* Held-out prompts in turn; picture i always has the same prompt and noise, so pictures of different steps compare. */
static void begin_evaluation(struct tuner *tuner, int first)
{
    const struct preset *preset = tuner->preset;
    const struct prompt_list *list = preset->evaluation.count ? &preset->evaluation : &preset->train;
    for (int b = 0; b < preset->batch; b++) {
        int picture = first + b;
        tuner->prompts[b] = list->texts[picture % list->count];
        tuner->seeds[b] = preset->seed + (uint64_t)picture;
        tuner->numbers[b] = 0;
    }
}

static status sample_plain(struct tuner *tuner)
{
    TRY(objective_set_prompts(tuner->objective, tuner->prompts, tuner->preset->negative));
    TRY(chain_start(tuner->chain, tuner->seeds, tuner->numbers));
    for (int i = 0; i < tuner->preset->sampler_steps; i++) {
        TRY(tuner_check_abandon(tuner));
        TRY(chain_step(tuner->chain, i, false, -1));
        tuner_progress(tuner, "evaluation", i + 1, tuner->preset->sampler_steps);
        TRY(tuner_show_denoising(tuner, i + 1));
    }
    return status_ok();
}

/* Adds one evaluated picture to the means and leaves its thumbnail for the diversity of its batch. */
static void look_at(struct tuner *tuner, int index, const float *picture, double share)
{
    const struct preset *preset = tuner->preset;
    struct appearance statistics = appearance_measure(picture, preset->height, preset->width);
    tuner->evaluated.dark += share * statistics.dark;
    tuner->evaluated.edges += share * statistics.edges;
    tuner->evaluated.saturation += share * statistics.saturation;
    appearance_thumbnail(picture, preset->height, preset->width, tuner->thumbnails + (size_t)index * THUMBNAIL_VALUES);
}

/* Decodes and scores the pictures [first, first + batch) that count. */
static status score_evaluation(struct tuner *tuner, int first, int count, int kind, double *rewards)
{
    int each = chain_decode_batch(tuner->chain);
    for (int call = 0; call * each < tuner->preset->batch && first + call * each < count; call++) {
        TRY(chain_decode(tuner->chain, call));
        TRY(objective_score(tuner->objective, call, tuner->scores));
        TRY(chain_read_pictures(tuner->chain, tuner->pictures));
        tuner_show_pictures(tuner, first, call, kind);
        for (int p = 0; p < each && first + call * each + p < count; p++) {
            for (int r = 0; r < tuner->reward_count; r++)
                rewards[r] += tuner->scores[p * tuner->reward_count + r] / count;
            look_at(tuner, call * each + p, tuner->pictures + p * (tuner->picture_elements / each), 1.0 / count);
        }
    }
    int together = count - first < tuner->preset->batch ? count - first : tuner->preset->batch;
    tuner->evaluated.diversity += (double)together / count * appearance_diversity(tuner->thumbnails, together);
    return status_ok();
}

/* Mean squared difference of the guided noise prediction from the base model's, on fixed latents halfway down the
 * schedule: a cheap stand-in for how far the model has moved. */
static status measure_drift(struct tuner *tuner, double scale)
{
    int middle = tuner->preset->sampler_steps / 2;
    int64_t count = latent_elements(tuner);
    double gain = chain_schedule(tuner->chain)->steps[middle].prediction_gain;
    begin_evaluation(tuner, 0);
    TRY(objective_set_prompts(tuner->objective, tuner->prompts, tuner->preset->negative));
    if (!tuner->base_prediction) {
        float *base = malloc((size_t)count * sizeof *base);
        if (!base) return status_error(STATUS_NO_MEMORY, "no memory to measure drift");
        tuner->base_prediction = base;
        TRY(chain_start(tuner->chain, tuner->seeds, tuner->numbers));
        TRY(chain_read_latents(tuner->chain, 0, tuner->latents));
        TRY(chain_write_latents(tuner->chain, middle, tuner->latents));
        TRY(chain_merge_parameters(tuner->chain, 0.0));
        TRY(chain_step(tuner->chain, middle, false, -1));
        TRY(chain_read_latents(tuner->chain, middle + 1, base));
    }
    TRY(chain_start(tuner->chain, tuner->seeds, tuner->numbers));
    TRY(chain_read_latents(tuner->chain, 0, tuner->latents));
    TRY(chain_write_latents(tuner->chain, middle, tuner->latents));
    TRY(chain_merge_parameters(tuner->chain, scale));
    TRY(chain_step(tuner->chain, middle, false, -1));
    TRY(chain_read_latents(tuner->chain, middle + 1, tuner->latents));
    double squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double difference = ((double)tuner->latents[i] - tuner->base_prediction[i]) / gain;
        squares += difference * difference;
    }
    tuner->drift = squares / (double)count;
    return status_ok();
}

status tuner_evaluate(struct tuner *tuner, double adapter_scale, double *rewards, double *total)
{
    const struct preset *preset = tuner->preset;
    int count = preset->sample_count > 0 ? preset->sample_count : 1;
    for (int r = 0; r < tuner->reward_count; r++) rewards[r] = 0.0;
    tuner->evaluated = (struct image_statistics){0};
    if (adapter_scale != 0.0) TRY(measure_drift(tuner, adapter_scale));
    TRY(chain_merge_parameters(tuner->chain, adapter_scale));
    for (int first = 0; first < count; first += preset->batch) {
        begin_evaluation(tuner, first);
        TRY(sample_plain(tuner));
        TRY(score_evaluation(tuner, first, count, adapter_scale == 0.0 ? PICTURE_BASE : PICTURE_EVALUATION, rewards));
    }
    *total = tuner_total(tuner, rewards);
    return status_ok();
}

struct image_statistics tuner_evaluated_statistics(const struct tuner *tuner)
{
    return tuner->evaluated;
}
