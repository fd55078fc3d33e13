/* How each method draws K, with the largest and the mean that it can be. */
#include "engine/tuning/truncation.h"

#include "engine/base/range.h"
#include "engine/sampling/noise.h"

#include <math.h>
#include <stddef.h>

static struct noise_stream stream_of(const struct preset *preset, int step)
{
    return (struct noise_stream){preset->seed, NOISE_TRUNCATION, (uint64_t)step};
}

/* ---- how AlignProp draws K ---- */

/* How many steps at the end carry gradient: for one optimiser step, at most, and on average. */
struct draw {
    int (*draw)(const struct preset *preset, int steps, int step);
    int (*largest)(const struct preset *preset, int steps);
    double (*mean)(const struct preset *preset, int steps);
};

static int uniform_draw(const struct preset *preset, int steps, int step)
{
    int low = clamp_int(preset->draw_minimum, 1, steps), high = clamp_int(preset->draw_maximum, low, steps);
    return low + (int)(noise_uniform(stream_of(preset, step), 0) * (high - low + 1));
}

static int uniform_largest(const struct preset *preset, int steps)
{
    return clamp_int(preset->draw_maximum, 1, steps);
}

static double uniform_mean(const struct preset *preset, int steps)
{
    int low = clamp_int(preset->draw_minimum, 1, steps);
    return 0.5 * (low + clamp_int(preset->draw_maximum, low, steps));
}

static int gaussian_draw(const struct preset *preset, int steps, int step)
{
    double drawn = preset->draw_mean + preset->draw_deviation * noise_normal(stream_of(preset, step), 0);
    return clamp_int((int)lround(drawn), 1, steps);
}

static int gaussian_largest(const struct preset *preset, int steps)
{
    return clamp_int((int)ceil(preset->draw_mean + 3.0 * preset->draw_deviation), 1, steps);
}

static double gaussian_mean(const struct preset *preset, int steps)
{
    return fmin(fmax(preset->draw_mean, 1.0), steps);
}

#define DRAW(identifier, name, functions)                                                                              \
    [DRAW_##identifier] = {functions##_draw, functions##_largest, functions##_mean},
static const struct draw draws[] = {TRUNCATION_DRAWS(DRAW)};
#undef DRAW

/* ---- the methods ---- */

static int alignprop_draw(const struct preset *preset, int steps, int step)
{
    return draws[preset->draw].draw(preset, steps, step);
}

static int alignprop_largest(const struct preset *preset, int steps)
{
    return draws[preset->draw].largest(preset, steps);
}

static double alignprop_mean(const struct preset *preset, int steps)
{
    return draws[preset->draw].mean(preset, steps);
}

static int full_draw(const struct preset *preset, int steps, int step)
{
    (void)preset;
    (void)step;
    return steps;
}

static int full_largest(const struct preset *preset, int steps)
{
    (void)preset;
    return steps;
}

static double full_mean(const struct preset *preset, int steps)
{
    (void)preset;
    return steps;
}

static int last_draw(const struct preset *preset, int steps, int step)
{
    (void)step;
    return clamp_int(preset->k, 1, steps);
}

static int last_largest(const struct preset *preset, int steps)
{
    return clamp_int(preset->k, 1, steps);
}

static double last_mean(const struct preset *preset, int steps)
{
    return clamp_int(preset->k, 1, steps);
}

#define METHOD(identifier, name, counts, functions)                                                                    \
    [BACKPROP_##identifier] = {functions##_draw, functions##_largest, functions##_mean},
static const struct draw methods[] = {BACKPROP_METHODS(METHOD)};
#undef METHOD

status truncation_check(const struct preset *preset, int steps)
{
    if (backprop_method_counts(preset->method) && (preset->k < 1 || preset->k > steps))
        return status_error(STATUS_BAD_INPUT, "backprop.k: %d is not in 1..%d, the sampler's steps", preset->k, steps);
    if (preset->method == BACKPROP_ALIGNPROP && preset->draw == DRAW_UNIFORM && preset->draw_minimum > steps)
        return status_error(STATUS_BAD_INPUT, "backprop.min: %d is not in 1..%d, the sampler's steps",
                            preset->draw_minimum, steps);
    return status_ok();
}

struct truncation truncation_draw(const struct preset *preset, int steps, int step)
{
    return (struct truncation){.grad_steps = methods[preset->method].draw(preset, steps, step),
                               .renoisings = preset->method == BACKPROP_LOW_VARIANCE ? preset->n : 0};
}

int truncation_largest(const struct preset *preset, int steps)
{
    return methods[preset->method].largest(preset, steps);
}

double truncation_mean(const struct preset *preset, int steps)
{
    return methods[preset->method].mean(preset, steps);
}
