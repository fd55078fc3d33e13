/* Builds a graph of one reward and its gradient, and runs it over finished pictures. */
#include "engine/reward/score.h"

#include "engine/base/memory.h"
#include "engine/reward/host_program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- one batch on a backend ---- */

struct scorer {
    struct graph *graph;
    struct host_program *program;
    tensor_id pictures, scores, cotangent, gradient;
};

static void scorer_clear(struct scorer *scorer)
{
    host_program_destroy(scorer->program);
    graph_destroy(scorer->graph);
}

static status scorer_build(struct scorer *scorer, struct reward *reward, struct backend *backend, struct shape shape,
                           bool differentiate)
{
    scorer->graph = graph_create(backend->interface->compute_type, backend->interface->accumulation_type);
    struct graph *graph = scorer->graph;
    struct shared_features shared = {0};
    scorer->pictures = graph_input(graph, "pictures", shape, graph_accumulation_type(graph));
    scorer->scores = graph_output(graph, reward_build(reward, graph, scorer->pictures, &shared), "scores");
    TRY(status_context(graph_state(graph), "reward %s on pictures of %lldx%lld", reward_kind_of(reward)->name,
                       (long long)shape.dimension[2], (long long)shape.dimension[1]));
    if (differentiate)
        TRY(graph_differentiate_one(graph, scorer->scores, scorer->pictures, &scorer->cotangent, &scorer->gradient));
    TRY(program_rewrite(backend, graph));
    return host_program_create(backend, graph, reward_weights(reward), &scorer->program);
}

/* Input `index` in fp32 as the reward gives it, then as the program takes it. */
static status fill_input(struct scorer *scorer, struct reward *reward, struct backend *backend, int index,
                         const char *const *prompts, float *values, double *exact)
{
    tensor_id input = reward_input(reward, index);
    TRY(reward_fill_input(reward, backend, index, prompts, values));
    int64_t count = shape_elements(&graph_tensor(scorer->graph, input)->shape);
    for (int64_t k = 0; k < count; k++) exact[k] = values[k];
    return host_program_write(scorer->program, input, exact);
}

static status fill_inputs(struct scorer *scorer, struct reward *reward, struct backend *backend,
                          const char *const *prompts)
{
    for (int i = 0; i < reward_input_count(reward); i++) {
        size_t count = (size_t)shape_elements(&graph_tensor(scorer->graph, reward_input(reward, i))->shape);
        float *values = malloc(count * sizeof *values);
        double *exact = malloc(count * sizeof *exact);
        bool allocated = values != NULL && exact != NULL;
        status result = allocated ? fill_input(scorer, reward, backend, i, prompts, values, exact)
                                  : status_error(STATUS_NO_MEMORY, "no memory for the prompts of a reward");
        free(exact);
        free(values);
        TRY(result);
    }
    return status_ok();
}

static status backward(struct scorer *scorer, int count, double *gradients)
{
    double *ones = memory_take((size_t)count, sizeof *ones);
    for (int i = 0; i < count; i++) ones[i] = 1.0;
    status result = host_program_write(scorer->program, scorer->cotangent, ones);
    free(ones);
    TRY(result);
    TRY(host_program_backward(scorer->program));
    return host_program_read(scorer->program, scorer->gradient, gradients);
}

/* Pixels [count, height, width, 3] in one of two types. */
struct samples {
    const double *exact;
    const unsigned char *bytes;
};

/* A model with a weight that is no number, or pictures beyond its range, must not give an answer. */
static status check_scores(const struct reward *reward, const double *scores, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(scores[i])) continue;
        char which[40] = "the picture";
        if (count > 1) snprintf(which, sizeof which, "picture %lld", (long long)i + 1);
        return status_error(STATUS_BAD_INPUT, "reward %s: %s gets a score that is no finite number (%g)",
                            reward_kind_of(reward)->name, which, scores[i]);
    }
    return status_ok();
}

static status run(struct scorer *scorer, struct reward *reward, struct backend *backend, struct samples pixels,
                  struct shape shape, const char *const *prompts, double *scores, double *gradients)
{
    TRY(scorer_build(scorer, reward, backend, shape, gradients != NULL));
    TRY(fill_inputs(scorer, reward, backend, prompts));
    TRY(pixels.exact ? host_program_write(scorer->program, scorer->pictures, pixels.exact)
                     : host_program_write_bytes(scorer->program, scorer->pictures, pixels.bytes, 255.0));
    TRY(host_program_forward(scorer->program));
    TRY(host_program_read(scorer->program, scorer->scores, scores));
    TRY(check_scores(reward, scores, shape.dimension[0]));
    return gradients == NULL ? status_ok() : backward(scorer, (int)shape.dimension[0], gradients);
}

static status score(struct reward *reward, struct backend *backend, struct samples pixels, struct shape shape,
                    const char *const *prompts, double *scores, double *gradients)
{
    struct scorer scorer = {0};
    status result = run(&scorer, reward, backend, pixels, shape, prompts, scores, gradients);
    scorer_clear(&scorer);
    return result;
}

status reward_score_exactly(struct reward *reward, struct backend *backend, const double *pixels, int count, int height,
                            int width, const char *const *prompts, double *scores, double *gradients)
{
    return score(reward, backend, (struct samples){.exact = pixels}, SHAPE4(count, height, width, 3), prompts, scores,
                 gradients);
}

/* ---- layouts ---- */

/* Where sample `index` of [count, height, width, 3] stands in the given layout. */
static size_t place(const struct picture_batch *pictures, size_t index)
{
    if (pictures->layout == PICTURES_NHWC) return index;
    size_t area = (size_t)pictures->height * (size_t)pictures->width;
    size_t channel = index % 3, pixel = index / 3;
    return (pixel / area * 3 + channel) * area + pixel % area;
}

static status check_samples(const struct picture_batch *pictures, size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        if (!isfinite(pictures->pixels[i]))
            return status_error(STATUS_BAD_INPUT, "sample %zu of the pictures is not finite", i);
    return status_ok();
}

static status score_samples(struct reward *reward, struct backend *backend, const struct picture_batch *pictures,
                            size_t samples, double *pixels, double *exact, double *scores, float *gradients)
{
    for (size_t i = 0; i < samples; i++) pixels[i] = pictures->pixels[place(pictures, i)];
    TRY(reward_score_exactly(reward, backend, pixels, pictures->count, pictures->height, pictures->width,
                             pictures->prompts, scores, exact));
    for (size_t i = 0; exact != NULL && i < samples; i++) gradients[place(pictures, i)] = (float)exact[i];
    return status_ok();
}

status reward_score_pictures(struct reward *reward, struct backend *backend, const struct picture_batch *pictures,
                             double *scores, float *gradients)
{
    if (pictures->count < 1 || pictures->height < 1 || pictures->width < 1)
        return status_error(STATUS_BAD_INPUT, "pictures must be at least one of 1x1, not %d of %dx%d", pictures->count,
                            pictures->width, pictures->height);
    size_t samples = (size_t)pictures->count * (size_t)pictures->height * (size_t)pictures->width * 3;
    if (pictures->pixels == NULL) /* of large pictures copies would be gigabytes */
        return score(reward, backend, (struct samples){.bytes = pictures->bytes},
                     SHAPE4(pictures->count, pictures->height, pictures->width, 3), pictures->prompts, scores, NULL);
    TRY(check_samples(pictures, samples));
    double *pixels = calloc(samples, sizeof *pixels);
    double *exact = gradients != NULL ? calloc(samples, sizeof *exact) : NULL;
    bool allocated = pixels != NULL && (gradients == NULL || exact != NULL);
    status result = allocated ? score_samples(reward, backend, pictures, samples, pixels, exact, scores, gradients)
                              : status_error(STATUS_NO_MEMORY, "no memory for %d pictures", pictures->count);
    free(exact);
    free(pixels);
    return result;
}
