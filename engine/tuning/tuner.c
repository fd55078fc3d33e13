/* The tuner: what one optimiser step is made of. */
#include "engine/base/clock.h"
#include "engine/tuning/tuner_internal.h"

#include "engine/tuning/truncation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SKIPPED_IN_A_ROW = 5 };

void tuner_progress(const struct tuner *tuner, const char *phase, int done, int total)
{
    if (tuner->callbacks.progress)
        tuner->callbacks.progress(tuner->callbacks.context, phase, tuner->step + 1, done, total);
}

status tuner_check_abandon(const struct tuner *tuner)
{
    if (tuner->callbacks.abandon && tuner->callbacks.abandon(tuner->callbacks.context))
        return status_error(STATUS_INTERRUPTED, "interrupted");
    return status_ok();
}

/* Prompts and noise of micro-batch `micro` of the coming step. */
static status begin_batch(struct tuner *tuner, int micro)
{
    const struct preset *preset = tuner->preset;
    struct noise_stream draws = {preset->seed, NOISE_PROMPT, (uint64_t)tuner->step};
    for (int b = 0; b < preset->batch; b++) {
        uint32_t position = (uint32_t)(micro * preset->batch + b);
        int choice = (int)(noise_uniform(draws, position) * preset->train.count);
        tuner->prompts[b] = preset->train.texts[choice];
        tuner->seeds[b] = preset->seed;
        tuner->numbers[b] =
            1 + ((uint64_t)tuner->step * (uint64_t)preset->accumulate + (uint64_t)micro) * (uint64_t)preset->batch +
            (uint64_t)b;
    }
    TRY(objective_set_prompts(tuner->objective, tuner->prompts, preset->negative));
    return chain_start(tuner->chain, tuner->seeds, tuner->numbers);
}

/* The saved region in which grad step `step` leaves its activations; -1: none, to be recomputed. The last steps have
 * one each; when the backward pass reaches the others, region 0 is free again. */
static int slot_of(const struct tuner *tuner, int step)
{
    int from_end = tuner->preset->sampler_steps - 1 - step;
    return from_end < tuner->saved_calls ? from_end : -1;
}

static status roll_out(struct tuner *tuner, int first, int grad_steps)
{
    int steps = tuner->preset->sampler_steps;
    for (int i = first; i < steps; i++) {
        TRY(tuner_check_abandon(tuner));
        bool keep = i >= steps - grad_steps;
        TRY(chain_step(tuner->chain, i, keep, keep ? slot_of(tuner, i) : -1));
        tuner_progress(tuner, "sampling", i + 1, steps);
        TRY(tuner_show_denoising(tuner, i + 1));
    }
    return status_ok();
}

static void note_skip(struct step_report *report, const char *what)
{
    if (!report->skipped) report->skipped_what = what;
    report->skipped = true;
}

static bool all_finite(const float *values, int64_t count)
{
    enum { LANES = 8 };     /* sums that do not wait for each other */
    float sum[LANES] = {0}; /* 0 * x is NaN for an infinite or missing x, and NaN stays */
    int64_t whole = count / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sum[lane] += 0.0F * values[i + lane];
    for (int64_t i = whole; i < count; i++) sum[i - whole] += 0.0F * values[i];
    for (int lane = 1; lane < LANES; lane++) sum[0] += sum[lane];
    return sum[0] == 0.0F;
}

double tuner_total(const struct tuner *tuner, const double *scores)
{
    double total = 0.0;
    for (int r = 0; r < tuner->reward_count; r++) total += tuner->settings.weights[r] * scores[r];
    return total;
}

/* Adds the call's scores to the report and looks for what is not finite. */
static void collect_scores(struct tuner *tuner, struct step_report *report, double share)
{
    int pictures = chain_decode_batch(tuner->chain);
    for (int p = 0; p < pictures; p++) {
        const double *scores = tuner->scores + p * tuner->reward_count;
        for (int r = 0; r < tuner->reward_count; r++) {
            report->reward[r] += share * scores[r];
            if (!isfinite(scores[r])) note_skip(report, tuner->reward_labels[r]);
        }
        report->total += share * tuner_total(tuner, scores);
    }
    if (!isfinite(report->total)) note_skip(report, "loss");
}

/* Pictures of one decoder call: scores, and the gradient back to the final latents. */
static status score_call(struct tuner *tuner, int call, struct step_report *report, double share)
{
    double started = clock_steady();
    TRY(chain_decode(tuner->chain, call));
    TRY(tuner->backend->interface->synchronize(tuner->backend));
    report->seconds_decoding += clock_steady() - started;

    started = clock_steady();
    TRY(objective_score(tuner->objective, call, tuner->scores));
    collect_scores(tuner, report, share);
    TRY(chain_read_pictures(tuner->chain, tuner->pictures));
    double factors[MAXIMUM_REWARDS];
    for (int r = 0; r < tuner->reward_count; r++) factors[r] = -share * tuner->settings.weights[r];
    TRY(objective_score_backward(tuner->objective, factors));
    /* While the device is busy with the backward pass of the rewards. */
    tuner_measure_pictures(tuner, call, report, share);
    tuner_show_pictures(tuner, 0, call, PICTURE_SAMPLE);
    TRY(chain_read_picture_gradient(tuner->chain, tuner->pictures));
    if (!all_finite(tuner->pictures, tuner->picture_elements)) note_skip(report, "image gradient");
    report->seconds_reward += clock_steady() - started;

    started = clock_steady();
    TRY(chain_decode_backward(tuner->chain, call));
    TRY(tuner->backend->interface->synchronize(tuner->backend));
    report->seconds_decoding += clock_steady() - started;
    return status_ok();
}

static status score_and_backward(struct tuner *tuner, int grad_steps, double share, struct step_report *report)
{
    int calls = tuner->preset->batch / chain_decode_batch(tuner->chain), steps = tuner->preset->sampler_steps;
    for (int call = 0; call < calls; call++) {
        TRY(tuner_check_abandon(tuner));
        TRY(score_call(tuner, call, report, share));
        tuner_progress(tuner, "decoding", call + 1, calls);
    }
    tuner_measure_batch(tuner, report, share * tuner->preset->batch);
    if (report->skipped) return status_ok();
    double started = clock_steady();
    for (int i = steps - 1; i >= steps - grad_steps; i--) {
        TRY(tuner_check_abandon(tuner));
        TRY(chain_step_backward(tuner->chain, i, slot_of(tuner, i)));
        tuner_progress(tuner, "backward", steps - i, grad_steps);
    }
    TRY(tuner->backend->interface->synchronize(tuner->backend));
    report->seconds_backward += clock_steady() - started;
    return status_ok();
}

static status run_batch(struct tuner *tuner, int micro, struct truncation truncation, struct step_report *report)
{
    const struct preset *preset = tuner->preset;
    int passes = 1 + truncation.renoisings;
    double share = 1.0 / ((double)preset->batch * preset->accumulate * passes);
    double started = clock_steady();
    TRY(begin_batch(tuner, micro));
    TRY(roll_out(tuner, 0, truncation.grad_steps));
    TRY(tuner->backend->interface->synchronize(tuner->backend));
    report->seconds_sampling += clock_steady() - started;
    TRY(score_and_backward(tuner, truncation.grad_steps, share, report));
    if (passes > 1) TRY(chain_read_latents(tuner->chain, preset->sampler_steps, tuner->latents));
    for (int pass = 1; pass < passes && !report->skipped; pass++) {
        int first = preset->sampler_steps - truncation.grad_steps;
        TRY(chain_write_latents(tuner->chain, preset->sampler_steps, tuner->latents));
        for (int b = 0; b < preset->batch; b++)
            tuner->renoise_numbers[b] = tuner->numbers[b] * (uint64_t)preset->n + (uint64_t)(pass - 1);
        started = clock_steady();
        TRY(chain_renoise(tuner->chain, first, tuner->seeds, tuner->renoise_numbers));
        TRY(roll_out(tuner, first, truncation.grad_steps));
        report->seconds_sampling += clock_steady() - started;
        TRY(score_and_backward(tuner, truncation.grad_steps, share, report));
    }
    return status_ok();
}

/* In sums that do not wait for each other. */
static double sum_of_squares(const float *values, int64_t count)
{
    enum { LANES = 8 };
    double sum[LANES] = {0}, total = 0.0;
    int64_t whole = count / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sum[lane] += (double)values[i + lane] * values[i + lane];
    for (int64_t i = whole; i < count; i++) sum[i - whole] += (double)values[i] * values[i];
    for (int lane = 0; lane < LANES; lane++) total += sum[lane];
    return total;
}

static void square_gradients(void *context, int64_t begin, int64_t end, int thread)
{
    const struct tuner *tuner = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        struct parameter *p = &tuner->parameters[i];
        p->gradient_square = sum_of_squares(p->gradient, p->count);
    }
}

/* Each parameter's squares are summed by one thread, and these sums in order: the same bits with any number of threads.
 */
static status read_gradients(struct tuner *tuner, double *norm)
{
    double squares = 0.0;
    TRY(chain_read_gradients(tuner->chain, tuner->gradients));
    parallel_for(tuner->threads, tuner->parameter_count, 1, square_gradients, tuner);
    for (int i = 0; i < tuner->parameter_count; i++) squares += tuner->parameters[i].gradient_square;
    *norm = sqrt(squares);
    return status_ok();
}

struct update {
    const struct tuner *tuner;
    struct optimizer_settings settings;
    double scale; /* of the gradients */
};

static void update_parameters(void *context, int64_t begin, int64_t end, int thread)
{
    const struct update *update = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        struct parameter *p = &update->tuner->parameters[i];
        optimizer_step(&update->settings, update->tuner->updates, update->scale, p->values, p->m, p->v, p->gradient,
                       p->count);
    }
}

/* Gradients to the host, their norm, and AdamW; nothing is changed when the norm is not finite. */
static status optimize(struct tuner *tuner, struct step_report *report)
{
    TRY(read_gradients(tuner, &report->gradient_norm));
    if (!isfinite(report->gradient_norm)) note_skip(report, "adapter gradient");
    if (report->skipped) return status_ok();
    /* As torch's clip_grad_norm_: scaled by clip / (norm + 1e-6) when that is below 1. */
    double scale = fmin(1.0, tuner->settings.clip / (report->gradient_norm + 1e-6));
    const struct preset *preset = tuner->preset;
    struct update update = {
        tuner,
        {tuner->settings.learning_rate, preset->beta1, preset->beta2, preset->epsilon, preset->weight_decay},
        scale};
    tuner->updates++;
    parallel_for(tuner->threads, tuner->parameter_count, 1, update_parameters, &update);
    return status_ok();
}

/* The host has finished the step before the device hears of it: a device lost here costs nothing of the run. */
static status write_parameters(struct tuner *tuner)
{
    for (int i = 0; i < tuner->parameter_count; i++) TRY(tuner_write_parameter(tuner, i));
    return status_ok();
}

static status count_skip(struct tuner *tuner, const struct step_report *report)
{
    tuner->skipped_in_a_row = report->skipped ? tuner->skipped_in_a_row + 1 : 0;
    if (tuner->skipped_in_a_row < MOST_SKIPPED_IN_A_ROW) return status_ok();
    if (tuner->updates == 0)
        return status_error(
            STATUS_FAILED,
            "nothing was tuned: the first %d steps were not finite (the last one: %s); `alignprop models "
            "check` looks for such values in the model's weights",
            tuner->skipped_in_a_row, report->skipped_what);
    return status_error(
        STATUS_FAILED,
        "%d steps in a row were not finite (the last one: %s); lower optimizer.lr or the reward's weight",
        tuner->skipped_in_a_row, report->skipped_what);
}

status tuner_step(struct tuner *tuner, struct step_report *report)
{
    double started = clock_steady();
    *report = (struct step_report){.step = tuner->step + 1};
    struct truncation truncation = truncation_draw(tuner->preset, tuner->preset->sampler_steps, tuner->step + 1);
    report->grad_steps = truncation.grad_steps;
    TRY(chain_merge_parameters(tuner->chain, 1.0));
    TRY(chain_clear_gradients(tuner->chain));
    for (int micro = 0; micro < tuner->preset->accumulate && !report->skipped; micro++)
        TRY(run_batch(tuner, micro, truncation, report));
    report->loss = -report->total;
    if (!report->skipped) TRY(optimize(tuner, report));
    tuner->step++;
    report->adapter_norm = tuner_adapter_norm(tuner);
    report->drift = tuner->drift;
    report->seconds = clock_steady() - started;
    if (!report->skipped) TRY(write_parameters(tuner));
    return count_skip(tuner, report);
}
