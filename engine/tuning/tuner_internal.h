/* What the files of the tuner share. */
#ifndef ALIGNPROP_TUNING_TUNER_INTERNAL_H
#define ALIGNPROP_TUNING_TUNER_INTERNAL_H

#include "engine/tuning/adapter_norm.h"
#include "engine/tuning/objective.h"
#include "engine/tuning/optimizer.h"
#include "engine/tuning/tuner.h"
#include "kernels/parallel.h"

/* One adapter factor on the host; the device holds a copy of `values`. */
struct parameter {
    char *name, *m_name, *v_name;
    struct shape shape;
    int64_t count;
    float *values, *gradient, *m, *v;
    double gradient_square; /* sum of the gradient's squares */
};

struct tuner {
    const struct preset *preset;
    struct backend *backend;
    struct tuner_callbacks callbacks;
    struct objective *objective;
    struct chain *chain;
    struct memory_plan plan;
    int saved_calls;

    int step;    /* optimiser steps done, skipped ones included */
    int updates; /* optimiser steps that changed the adapter */
    int skipped_in_a_row;
    struct live_settings settings;
    int reward_count;
    char reward_labels[MAXIMUM_REWARDS][80]; /* "reward NAME" */
    double drift;
    float *base_prediction; /* of the drift probe; NULL until measured */

    struct parameter *parameters;
    int parameter_count;
    float **gradients;        /* of the parameters, in their order */
    struct parallel *threads; /* of the host, for what it computes over the parameters */
    struct adapter_norm *norm;
    struct module_factors *modules; /* the values of each pair of parameters */

    const char **prompts;
    uint64_t *seeds, *numbers, *renoise_numbers;
    double *scores;
    float *pictures, *latents, *preview_latents; /* the last: of one picture */
    int64_t picture_elements;
    unsigned char *bytes; /* one picture, 8-bit RGB */
    float *thumbnails;    /* of the batch, as in appearance.h */
    double last_preview;
    struct image_statistics evaluated; /* as tuner_evaluated_statistics gives them */
    struct tuner_picture preview;      /* the one under way from the device; denoising_step 0: none */
};

/* Weighted sum of one picture's scores, `reward_count` raw values, under the present weights. */
double tuner_total(const struct tuner *tuner, const double *scores);
void tuner_progress(const struct tuner *tuner, const char *phase, int done, int total);
status tuner_check_abandon(const struct tuner *tuner);
/* Host values of parameter i to the device. */
status tuner_write_parameter(struct tuner *tuner, int index);
/* Square root of the summed squares of (alpha/rank) up down over all modules. */
double tuner_adapter_norm(const struct tuner *tuner);

/* The latents' first picture as a preview, at most settings.preview_rate times a second: asked for here, and shown here
 * once the device has sent it. */
status tuner_show_denoising(struct tuner *tuner, int done);
/* tuner->pictures and tuner->scores of a decoder call, to the picture callback; `first` is the index of the batch's
 * first. */
void tuner_show_pictures(struct tuner *tuner, int first, int call, enum picture_kind kind);
/* Side figures of the decoder call's pictures, added to the report with weight `share` each. */
void tuner_measure_pictures(struct tuner *tuner, int call, struct step_report *report, double share);
/* After every call of the batch: how much its pictures differ, with weight `share` of the step. */
void tuner_measure_batch(struct tuner *tuner, struct step_report *report, double share);

#endif
