/* A tuner on toy mathematics, for tests of what is around it: deterministic, exact to resume, and able to fail on
 * order.
 *
 * Two modules of rank 2. Every step adds to each factor element a number made from seed, step, weights and learning
 * rate; the moments follow. The state is in the tensors and the step number, so resuming must bring back both. */
#include "tests/unit/run/fake_tuner.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODULES = 2, RANK = 2, WIDTH = 3, TENSORS = 2 * MODULES, ELEMENTS = RANK * WIDTH, SIDE = 8 };

static const char *const factor_names[TENSORS] = {"mid.attn1.to_q.lora_down", "mid.attn1.to_q.lora_up",
                                                  "mid.attn1.to_out.0.lora_down", "mid.attn1.to_out.0.lora_up"};
static const char *const moment_names[TENSORS] = {"moment.0", "moment.1", "moment.2", "moment.3"};

struct tuner {
    const struct preset *preset;
    struct tuner_callbacks callbacks;
    struct memory_plan plan;
    int step;
    struct live_settings settings;
    float factors[TENSORS][ELEMENTS], moments[TENSORS][ELEMENTS];
};

struct fake_tuner_orders fake_tuner_orders;

status tuner_create(const struct preset *preset, struct backend *backend, struct tuner_callbacks callbacks,
                    struct tuner **tuner)
{
    (void)backend;
    *tuner = calloc(1, sizeof **tuner);
    if (!*tuner) return status_error(STATUS_NO_MEMORY, "no memory");
    (*tuner)->preset = preset;
    (*tuner)->callbacks = callbacks;
    (*tuner)->plan.total_bytes = 1000;
    (*tuner)->settings = live_settings_of(preset);
    return status_ok();
}

void tuner_destroy(struct tuner *tuner)
{
    free(tuner);
}

const struct memory_plan *tuner_plan(const struct tuner *tuner)
{
    return &tuner->plan;
}

status tuner_start(struct tuner *tuner)
{
    (void)tuner;
    return status_ok();
}

static double mean_factor(const struct tuner *tuner)
{
    double sum = 0;
    for (int t = 0; t < TENSORS; t++) {
        for (int i = 0; i < ELEMENTS; i++) sum += tuner->factors[t][i];
    }
    return sum / (TENSORS * ELEMENTS);
}

static void move(struct tuner *tuner, int step)
{
    double pull = 0;
    for (int r = 0; r < tuner->preset->reward_count; r++) pull += tuner->settings.weights[r] * (r + 1);
    for (int t = 0; t < TENSORS; t++) {
        for (int i = 0; i < ELEMENTS; i++) {
            double gradient = sin((double)tuner->preset->seed + step * 7.0 + t * 3.0 + i) * pull;
            tuner->moments[t][i] = (float)(0.9 * tuner->moments[t][i] + 0.1 * gradient);
            tuner->factors[t][i] += (float)(tuner->settings.learning_rate * tuner->moments[t][i]);
        }
    }
}

status tuner_step(struct tuner *tuner, struct step_report *report)
{
    *report = (struct step_report){.step = tuner->step + 1, .grad_steps = 3, .seconds = 0.001, .drift = NAN};
    for (int part = 0; part < 3; part++) {
        if (tuner->callbacks.progress) {
            tuner->callbacks.progress(tuner->callbacks.context, "sampling", tuner->step + 1, part, 3);
        }
        if (tuner->callbacks.abandon && tuner->callbacks.abandon(tuner->callbacks.context)) {
            return status_error(STATUS_INTERRUPTED, "interrupted");
        }
    }
    if (report->step == fake_tuner_orders.lose_device) return status_error(STATUS_FAILED, "the GPU failed");
    tuner->step++;
    report->skipped = tuner->step == fake_tuner_orders.skip_step || tuner->step >= fake_tuner_orders.give_up_from;
    if (report->skipped) {
        report->skipped_what = "loss";
        report->loss = NAN;
        if (tuner->step >= fake_tuner_orders.give_up_from + 4)
            return status_error(STATUS_FAILED, "five steps in a row");
        return status_ok();
    }
    move(tuner, tuner->step);
    for (int r = 0; r < tuner->preset->reward_count; r++) {
        report->reward[r] = mean_factor(tuner) * (r + 1);
        report->total += tuner->settings.weights[r] * report->reward[r];
    }
    report->loss = -report->total;
    report->side_count = 1;
    report->side[0].name = "jpeg_kb";
    report->side[0].value = 2.5;
    return status_ok();
}

struct image_statistics tuner_evaluated_statistics(const struct tuner *tuner)
{
    double dark = 0.125 * tuner->step;
    return (struct image_statistics){.dark = dark, .edges = 0.25, .saturation = 0.5, .diversity = 0.75};
}

status tuner_evaluate(struct tuner *tuner, double adapter_scale, double *rewards, double *total)
{
    static const unsigned char pixels[SIDE * SIDE * 3];
    fake_tuner_orders.evaluations++;
    *total = 0;
    for (int r = 0; r < tuner->preset->reward_count; r++) {
        rewards[r] = adapter_scale * mean_factor(tuner) * (r + 1) + fake_tuner_orders.bonus;
        *total += tuner->settings.weights[r] * rewards[r];
    }
    for (int index = 0; index < 2; index++) {
        if (tuner->callbacks.abandon && tuner->callbacks.abandon(tuner->callbacks.context)) {
            return status_error(STATUS_INTERRUPTED, "interrupted");
        }
        struct tuner_picture picture = {.kind = PICTURE_EVALUATION,
                                        .step = tuner->step,
                                        .index = index,
                                        .width = SIDE,
                                        .height = SIDE,
                                        .pixels = pixels,
                                        .prompt = "a prompt",
                                        .total = *total,
                                        .rewards = rewards,
                                        .seed = tuner->preset->seed + (unsigned)index};
        tuner->callbacks.picture(tuner->callbacks.context, &picture);
    }
    return status_ok();
}

void tuner_use_settings(struct tuner *tuner, const struct live_settings *settings)
{
    tuner->settings = *settings;
}

int tuner_step_number(const struct tuner *tuner)
{
    return tuner->step;
}

static struct shape factor_shape(int index)
{
    bool down = index % 2 == 0;
    return (struct shape){.rank = 2, .dimension = {down ? RANK : WIDTH, down ? WIDTH : RANK}};
}

static int list(const char *const *names, const float (*values)[ELEMENTS], struct tuner_tensor *tensors, int capacity)
{
    for (int i = 0; i < TENSORS && i < capacity; i++) {
        tensors[i] = (struct tuner_tensor){names[i], factor_shape(i), values[i]};
    }
    return TENSORS;
}

int tuner_adapter_tensors(const struct tuner *tuner, struct tuner_tensor *tensors, int capacity)
{
    return list(factor_names, tuner->factors, tensors, capacity);
}

int tuner_optimizer_tensors(const struct tuner *tuner, struct tuner_tensor *tensors, int capacity)
{
    return list(moment_names, tuner->moments, tensors, capacity);
}

char *tuner_save_scalars(const struct tuner *tuner)
{
    char json[32];
    snprintf(json, sizeof json, "{\"step\":%d}", tuner->step);
    return memory_copy_text(json);
}

status tuner_begin_with(struct tuner *tuner,
                        const float *(*find)(void *context, const char *name, const struct shape *shape), void *context)
{
    for (int i = 0; i < TENSORS; i++) {
        struct shape shape = factor_shape(i);
        const float *factor = find(context, factor_names[i], &shape);
        if (!factor) return status_error(STATUS_BAD_INPUT, "a tensor is missing");
        memcpy(tuner->factors[i], factor, sizeof tuner->factors[i]);
    }
    return status_ok();
}

status tuner_restore(struct tuner *tuner, const char *json,
                     const float *(*find)(void *context, const char *name, const struct shape *shape), void *context)
{
    if (sscanf(json, "{\"step\":%d}", &tuner->step) != 1) return status_error(STATUS_BAD_INPUT, "wrong scalars");
    for (int i = 0; i < TENSORS; i++) {
        struct shape shape = factor_shape(i);
        const float *factor = find(context, factor_names[i], &shape);
        const float *moment = find(context, moment_names[i], &shape);
        if (!factor || !moment) return status_error(STATUS_BAD_INPUT, "a tensor is missing");
        memcpy(tuner->factors[i], factor, sizeof tuner->factors[i]);
        memcpy(tuner->moments[i], moment, sizeof tuner->moments[i]);
    }
    return status_ok();
}
