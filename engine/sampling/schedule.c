/* DDIM and Euler steps as linear maps, their timesteps and noise levels, and the table of samplers. */
#include "engine/sampling/schedule.h"

#include "engine/base/memory.h"
#include "engine/base/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Timestep number i, from noise to picture, before the sampler rounds it. */
static double spaced_timestep(const struct sampler_request *request, int i)
{
    int total = request->noise->train_timesteps, n = request->count, step = total / n;
    switch (request->spacing) {
    case SPACING_LEADING: return step * (n - 1 - i) + request->noise->steps_offset;
    case SPACING_TRAILING: return nearbyint(total - i * ((double)total / n)) - 1.0;
    default: return n == 1 ? 0.0 : (double)(total - 1) * (n - 1 - i) / (n - 1);
    }
}

/* ---- DDIM ---- */

static double alpha_bar_at(const struct noise_schedule *noise, int timestep)
{
    if (timestep >= noise->train_timesteps) timestep = noise->train_timesteps - 1;
    if (timestep >= 0) return noise->alpha_bar[timestep];
    return noise->set_alpha_to_one ? 1.0 : noise->alpha_bar[0];
}

/* With a = alpha_bar, the clean latent and the noise are linear in latent x and prediction p (Salimans and Ho 2022 for
 * v): epsilon: clean = (x - sqrt(1-a) p)/sqrt(a), noise = p; v: clean = sqrt(a) x - sqrt(1-a) p,
 * noise = sqrt(a) p + sqrt(1-a) x. */
static void ddim_step(const struct sampler_request *request, int i, struct sampler_step *step)
{
    const struct noise_schedule *noise = request->noise;
    int timestep = (int)nearbyint(spaced_timestep(request, i));
    int previous = timestep - noise->train_timesteps / request->count;
    double now = alpha_bar_at(noise, timestep), next = alpha_bar_at(noise, previous);
    double signal = sqrt(now), spread = sqrt(1.0 - now);
    double variance = (1.0 - next) / (1.0 - now) * (1.0 - now / next);
    double sigma = request->eta * sqrt(max_double(variance, 0.0));
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

static status ddim_fill(const struct sampler_request *request, struct sampler_schedule *schedule)
{
    for (int i = 0; i < request->count; i++) {
        ddim_step(request, i, &schedule->steps[i]);
        if (!isfinite(schedule->steps[i].latent_gain))
            return status_error(
                STATUS_BAD_INPUT,
                "the model's scheduler_config.json: rescale_betas_zero_snr is true and prediction_type "
                "\"epsilon\", so the prediction at timestep %g says nothing about the picture; expected "
                "\"v_prediction\", or a timestep_spacing that leaves the last timestep out",
                schedule->steps[i].timestep);
    }
    schedule->initial_scale = 1.0;
    return status_ok();
}

/* ---- Euler ---- */

/* sigma = sqrt((1 - alpha_bar) / alpha_bar). The least alpha_bar keeps a last timestep of pure noise finite. */
static double train_sigma(const struct noise_schedule *noise, int timestep)
{
    double alpha_bar = fmax(noise->alpha_bar[timestep], 0x1p-24);
    return sqrt((1.0 - alpha_bar) / alpha_bar);
}

/* Interpolated linearly between whole timesteps. */
static double sigma_at(const struct noise_schedule *noise, double timestep)
{
    int low = (int)floor(timestep), last = noise->train_timesteps - 1;
    low = clamp_int(low, 0, last);
    int high = low < last ? low + 1 : last;
    double fraction = timestep - low;
    return (1.0 - fraction) * train_sigma(noise, low) + fraction * train_sigma(noise, high);
}

/* The timestep of a noise level: linear in log(sigma) between whole timesteps, within the first and the last. */
static double timestep_of_sigma(const struct noise_schedule *noise, double sigma)
{
    int low = 0, last = noise->train_timesteps - 1;
    if (last == 0) return 0.0;
    while (low < last - 1 && train_sigma(noise, low + 1) <= sigma) low++;
    double below = log(train_sigma(noise, low)), above = log(train_sigma(noise, low + 1));
    double fraction = (log(fmax(sigma, 1e-10)) - below) / (above - below);
    return low + fmin(fmax(fraction, 0.0), 1.0);
}

/* Place i of n, evenly in sigma^(1/7) (Karras et al. 2022, equation 5). */
static double karras_sigma(double maximum, double minimum, int i, int n)
{
    const double rho = 7.0;
    double place = n > 1 ? (double)i / (n - 1) : 0.0, high = pow(maximum, 1.0 / rho), low = pow(minimum, 1.0 / rho);
    return pow(high + place * (low - high), rho);
}

/* Place i of n, evenly in log(sigma). */
static double exponential_sigma(double maximum, double minimum, int i, int n)
{
    double place = n > 1 ? (double)i / (n - 1) : 0.0;
    return exp(log(maximum) + place * (log(minimum) - log(maximum)));
}

/* The noise level in front of step i; of step `count`, the one that the last step leaves. */
static double euler_sigma(const struct sampler_request *request, int i)
{
    const struct noise_schedule *noise = request->noise;
    const struct sigma_options *options = &noise->sigmas;
    int n = request->count, last = noise->train_timesteps - 1;
    double minimum = options->log_linear ? train_sigma(noise, 0) : sigma_at(noise, spaced_timestep(request, n - 1));
    double maximum = options->log_linear ? train_sigma(noise, last) : sigma_at(noise, spaced_timestep(request, 0));
    if (options->spacing == SIGMAS_OF_TIMESTEPS) {
        /* Evenly in the logarithm there is one level more, so that the last step ends at the least one. */
        if (options->log_linear) return exponential_sigma(maximum, minimum, i, n + 1);
        if (i < n) return sigma_at(noise, spaced_timestep(request, i));
    }
    if (i == n) return options->ends_at_minimum ? train_sigma(noise, 0) : 0.0;
    if (options->minimum > 0.0) minimum = options->minimum;
    if (options->maximum > 0.0) maximum = options->maximum;
    return options->spacing == SIGMAS_KARRAS ? karras_sigma(maximum, minimum, i, n)
                                             : exponential_sigma(maximum, minimum, i, n);
}

static double euler_timestep(const struct sampler_request *request, int i, double sigma)
{
    const struct noise_schedule *noise = request->noise;
    if (noise->sigmas.continuous && noise->prediction == PREDICTION_V) return 0.25 * log(sigma);
    if (noise->sigmas.spacing != SIGMAS_OF_TIMESTEPS) return timestep_of_sigma(noise, sigma);
    return spaced_timestep(request, i);
}

/* x' = x + (sigma' - sigma) (x - clean)/sigma, where the model sees x / sqrt(sigma^2 + 1). */
static void euler_step(const struct sampler_request *request, int i, struct sampler_step *step)
{
    double sigma = euler_sigma(request, i), next = euler_sigma(request, i + 1), square = sigma * sigma + 1.0;
    if (request->noise->prediction == PREDICTION_EPSILON) {
        step->clean_latent_gain = 1.0;
        step->clean_prediction_gain = -sigma;
    } else {
        step->clean_latent_gain = 1.0 / square;
        step->clean_prediction_gain = -sigma / sqrt(square);
    }
    double rate = (next - sigma) / sigma;
    step->timestep = euler_timestep(request, i, sigma);
    step->input_scale = 1.0 / sqrt(square);
    step->latent_gain = 1.0 + rate * (1.0 - step->clean_latent_gain);
    step->prediction_gain = -rate * step->clean_prediction_gain;
    step->noise_gain = 0.0;
    step->renoise_clean = 1.0;
    step->renoise_noise = sigma;
}

static status euler_fill(const struct sampler_request *request, struct sampler_schedule *schedule)
{
    if (request->noise->sigmas.spacing == SIGMAS_BETA)
        return status_error(STATUS_BAD_INPUT,
                            "the model's scheduler_config.json: use_beta_sigmas is true; sampler \"euler\" needs false "
                            "(sampler \"ddim\" passes it over)");
    double largest = 0.0;
    for (int i = 0; i < request->count; i++) {
        euler_step(request, i, &schedule->steps[i]);
        largest = fmax(largest, schedule->steps[i].renoise_noise);
    }
    schedule->initial_scale = request->spacing == SPACING_LEADING ? sqrt(largest * largest + 1.0) : largest;
    return status_ok();
}

/* ---- the samplers ---- */

static const struct sampler samplers[] = {
    {"ddim", "DDIM", true, SPACING_LEADING, ddim_fill},
    {"euler", "Euler", false, SPACING_LINSPACE, euler_fill},
};

enum { SAMPLER_COUNT = sizeof samplers / sizeof *samplers };

const struct sampler *sampler_at(int index)
{
    return index >= 0 && index < SAMPLER_COUNT ? &samplers[index] : NULL;
}

const struct sampler *sampler_find(const char *name)
{
    for (int i = 0; i < SAMPLER_COUNT; i++)
        if (strcmp(samplers[i].name, name) == 0) return &samplers[i];
    return NULL;
}

void sampler_list(struct text *list, const char *separator, const char *last)
{
    for (int i = 0; i < SAMPLER_COUNT; i++)
        text_append(list, "%s%s", i == 0 ? "" : i + 1 < SAMPLER_COUNT ? separator : last, samplers[i].name);
}

static status no_such_sampler(const char *name)
{
    struct text list = {0};
    sampler_list(&list, ", ", ", ");
    status result = status_error(STATUS_BAD_INPUT, "sampler.name: \"%s\" is not one of %s", name,
                                 list.data ? list.data : "those there are");
    text_clear(&list);
    return result;
}

status schedule_create(const struct noise_schedule *noise, const char *name, int count, double eta,
                       struct sampler_schedule *schedule)
{
    const struct sampler *sampler = sampler_find(name);
    if (!sampler) return no_such_sampler(name);
    if (count < 1 || count > noise->train_timesteps)
        return status_error(STATUS_BAD_INPUT, "sampler.steps: %d is not in 1..%d, the model's training timesteps",
                            count, noise->train_timesteps);
    if (!(eta >= 0.0 && eta <= 1.0) || (eta > 0.0 && !sampler->takes_eta))
        return status_error(STATUS_BAD_INPUT, "sampler.eta: %g; %s takes %s", eta, name,
                            sampler->takes_eta ? "0 to 1" : "only 0");
    struct sampler_step *steps = memory_take((size_t)count, sizeof *steps);
    const struct sampler_request request = {
        noise, noise->spacing == SPACING_OF_SAMPLER ? sampler->spacing : noise->spacing, count, eta};
    *schedule = (struct sampler_schedule){.count = count, .steps = steps};
    status result = sampler->fill(&request, schedule);
    if (result.code != STATUS_OK) {
        schedule_clear(schedule);
        return result;
    }
    for (int i = 0; i < count; i++) schedule->adds_noise = schedule->adds_noise || steps[i].noise_gain != 0.0;
    return status_ok();
}

void schedule_clear(struct sampler_schedule *schedule)
{
    free(schedule->steps);
    *schedule = (struct sampler_schedule){0};
}
