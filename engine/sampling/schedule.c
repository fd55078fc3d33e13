#include "engine/sampling/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Timestep number i of n, from noise to picture, before the sampler rounds it. */
static double spaced_timestep(const struct noise_schedule *noise, int n, int i)
{
    int total = noise->train_timesteps, step = total / n;
    switch (noise->spacing) {
    case SPACING_LEADING: return step * (n - 1 - i) + noise->steps_offset;
    case SPACING_TRAILING: return nearbyint(total - i * ((double)total / n)) - 1.0;
    case SPACING_LINSPACE: return n == 1 ? 0.0 : (double)(total - 1) * (n - 1 - i) / (n - 1);
    }
    return 0.0;
}

static double alpha_bar_at(const struct noise_schedule *noise, int timestep)
{
    if (timestep >= noise->train_timesteps) timestep = noise->train_timesteps - 1;
    if (timestep >= 0) return noise->alpha_bar[timestep];
    return noise->set_alpha_to_one ? 1.0 : noise->alpha_bar[0];
}

/* With a = alpha_bar, the clean latent and the noise are linear in latent x and prediction p (Salimans and Ho 2022 for
 * v): epsilon: clean = (x - sqrt(1-a) p)/sqrt(a), noise = p; v: clean = sqrt(a) x - sqrt(1-a) p,
 * noise = sqrt(a) p + sqrt(1-a) x. */
static void ddim_step(const struct noise_schedule *noise, int n, int i, double eta, struct sampler_step *step)
{
    int timestep = (int)nearbyint(spaced_timestep(noise, n, i));
    int previous = timestep - noise->train_timesteps / n;
    double now = alpha_bar_at(noise, timestep), next = alpha_bar_at(noise, previous);
    double signal = sqrt(now), spread = sqrt(1.0 - now);
    double variance = (1.0 - next) / (1.0 - now) * (1.0 - now / next);
    double sigma = eta * sqrt(variance > 0.0 ? variance : 0.0);
    double direction = sqrt(fmax(0.0, 1.0 - next - sigma * sigma));
    double noise_latent, noise_prediction;
    if (noise->prediction == PREDICTION_EPSILON) {
        step->clean_latent_gain = 1.0 / signal;
        step->clean_prediction_gain = -spread / signal;
        noise_latent = 0.0;
        noise_prediction = 1.0;
    } else {
        step->clean_latent_gain = signal;
        step->clean_prediction_gain = -spread;
        noise_latent = spread;
        noise_prediction = signal;
    }
    step->timestep = timestep;
    step->input_scale = 1.0;
    step->latent_gain = sqrt(next) * step->clean_latent_gain + direction * noise_latent;
    step->prediction_gain = sqrt(next) * step->clean_prediction_gain + direction * noise_prediction;
    step->noise_gain = sigma;
    step->renoise_clean = signal;
    step->renoise_noise = spread;
}

/* sigma = sqrt((1 - alpha_bar) / alpha_bar), interpolated linearly between whole timesteps. */
static double sigma_at(const struct noise_schedule *noise, double timestep)
{
    int low = (int)floor(timestep), last = noise->train_timesteps - 1;
    low = low < 0 ? 0 : low > last ? last : low;
    int high = low < last ? low + 1 : last;
    double fraction = timestep - low;
    double a = noise->alpha_bar[low], b = noise->alpha_bar[high];
    return (1.0 - fraction) * sqrt((1.0 - a) / a) + fraction * sqrt((1.0 - b) / b);
}

/* x' = x + (sigma' - sigma) (x - clean)/sigma, where the model sees x / sqrt(sigma^2 + 1). */
static void euler_step(const struct noise_schedule *noise, int n, int i, double eta, struct sampler_step *step)
{
    (void)eta;
    double timestep = spaced_timestep(noise, n, i);
    double sigma = sigma_at(noise, timestep);
    double next = i + 1 < n ? sigma_at(noise, spaced_timestep(noise, n, i + 1)) : 0.0;
    double square = sigma * sigma + 1.0;
    if (noise->prediction == PREDICTION_EPSILON) {
        step->clean_latent_gain = 1.0;
        step->clean_prediction_gain = -sigma;
    } else {
        step->clean_latent_gain = 1.0 / square;
        step->clean_prediction_gain = -sigma / sqrt(square);
    }
    double rate = (next - sigma) / sigma;
    step->timestep = timestep;
    step->input_scale = 1.0 / sqrt(square);
    step->latent_gain = 1.0 + rate * (1.0 - step->clean_latent_gain);
    step->prediction_gain = -rate * step->clean_prediction_gain;
    step->noise_gain = 0.0;
    step->renoise_clean = 1.0;
    step->renoise_noise = sigma;
}

static double unit_scale(const struct noise_schedule *noise, int n)
{
    (void)noise;
    (void)n;
    return 1.0;
}

static double euler_scale(const struct noise_schedule *noise, int n)
{
    double sigma = sigma_at(noise, spaced_timestep(noise, n, 0));
    return noise->spacing == SPACING_LEADING ? sqrt(sigma * sigma + 1.0) : sigma;
}

struct sampler {
    const char *name;
    bool takes_eta;
    void (*step)(const struct noise_schedule *noise, int n, int i, double eta, struct sampler_step *step);
    double (*initial_scale)(const struct noise_schedule *noise, int n);
};

static const struct sampler samplers[] = {
    {"ddim", true, ddim_step, unit_scale},
    {"euler", false, euler_step, euler_scale},
};

static const char *const names[] = {"ddim", "euler", NULL};

const char *const *schedule_names(void)
{
    return names;
}

static const struct sampler *find(const char *name)
{
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++)
        if (strcmp(samplers[i].name, name) == 0) return &samplers[i];
    return NULL;
}

status schedule_create(const struct noise_schedule *noise, const char *name, int count, double eta,
                       struct sampler_schedule *schedule)
{
    const struct sampler *sampler = find(name);
    if (!sampler) return status_error(STATUS_BAD_INPUT, "sampler.name: \"%s\" is not one of ddim, euler", name);
    if (count < 1 || count > noise->train_timesteps)
        return status_error(STATUS_BAD_INPUT, "sampler.steps: %d is not in 1..%d, the model's training timesteps",
                            count, noise->train_timesteps);
    if (!(eta >= 0.0 && eta <= 1.0) || (eta > 0.0 && !sampler->takes_eta))
        return status_error(STATUS_BAD_INPUT, "sampler.eta: %g; %s takes %s", eta, name,
                            sampler->takes_eta ? "0 to 1" : "only 0");
    struct sampler_step *steps = calloc((size_t)count, sizeof *steps);
    if (!steps) return status_error(STATUS_NO_MEMORY, "no memory for %d sampler steps", count);
    for (int i = 0; i < count; i++) sampler->step(noise, count, i, eta, &steps[i]);
    *schedule = (struct sampler_schedule){count, steps, sampler->initial_scale(noise, count)};
    return status_ok();
}

void schedule_clear(struct sampler_schedule *schedule)
{
    free(schedule->steps);
    *schedule = (struct sampler_schedule){0};
}
