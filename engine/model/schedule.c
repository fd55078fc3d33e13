/* Betas and their cumulative products from a scheduler's config, and the options that samplers read. */
#include "engine/model/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/config_keys.h"

enum { TIMESTEPS_LIMIT = 1000000 };

enum beta_schedule { BETA_LINEAR, BETA_SCALED_LINEAR, BETA_COSINE };

static const char *const beta_schedules[] = {"linear", "scaled_linear", "squaredcos_cap_v2"};
static const char *const predictions[] = {"epsilon", "v_prediction"};
static const char *const spacings[] = {"leading", "trailing", "linspace"};

static const char *const interpolations[] = {"linear", "log_linear"};
static const char *const final_sigmas[] = {"zero", "sigma_min"};
static const char *const timestep_types[] = {"discrete", "continuous"};

/* Those whose forward process is the usual one; of flow matching and consistency models it is another. */
static const char *const class_names[] = {
    "DDIMScheduler",
    "DDPMScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
};

/* Nichol and Dhariwal 2021, equation 17. */
static double cosine_alpha_bar(double time)
{
    double c = cos((time + 0.008) / 1.008 * acos(-1.0) / 2);
    return c * c;
}

static double beta_at(enum beta_schedule kind, double start, double end, int index, int count)
{
    double place = count > 1 ? (double)index / (count - 1) : 0.0;
    switch (kind) {
    case BETA_LINEAR: return start + (end - start) * place;
    case BETA_SCALED_LINEAR: {
        double root = sqrt(start) + (sqrt(end) - sqrt(start)) * place;
        return root * root;
    }
    case BETA_COSINE:
        return fmin(1.0 - cosine_alpha_bar((double)(index + 1) / count) / cosine_alpha_bar((double)index / count),
                    0.999);
    }
    return 0.0;
}

static status fill_alpha_bar(struct noise_schedule *schedule, enum beta_schedule kind, double start, double end)
{
    int count = schedule->train_timesteps;
    schedule->alpha_bar = malloc((size_t)count * sizeof schedule->alpha_bar[0]);
    if (!schedule->alpha_bar) return status_error(STATUS_NO_MEMORY, "no memory for %d timesteps", count);
    double product = 1.0;
    for (int i = 0; i < count; i++) schedule->alpha_bar[i] = product *= 1.0 - beta_at(kind, start, end, i, count);
    return status_ok();
}

/* `trained_betas` lists every beta. */
static status read_betas(const struct config *config, const cJSON *betas, struct noise_schedule *schedule)
{
    int count = cJSON_GetArraySize(betas), i = 0;
    if (!cJSON_IsArray(betas) || count < 1 || count > TIMESTEPS_LIMIT)
        return config_wrong(config, "trained_betas", "a list of numbers between 0 and 1");
    schedule->train_timesteps = count;
    TRY(fill_alpha_bar(schedule, BETA_LINEAR, 0.0, 0.0));
    const cJSON *beta;
    double product = 1.0;
    cJSON_ArrayForEach(beta, betas)
    {
        if (!cJSON_IsNumber(beta) || !(beta->valuedouble > 0.0 && beta->valuedouble < 1.0))
            return status_error(STATUS_BAD_INPUT, "%s: trained_betas[%d] is not a number between 0 and 1", config->path,
                                i);
        schedule->alpha_bar[i++] = product *= 1.0 - beta->valuedouble;
    }
    return status_ok();
}

static status compute_betas(const struct config *config, struct noise_schedule *schedule)
{
    int kind = BETA_LINEAR;
    double start = 1e-4, end = 0.02;
    TRY(config_choice(config, "beta_schedule", beta_schedules, 3, &kind));
    TRY(config_number(config, "beta_start", 1e-9, 0.999, &start));
    TRY(config_number(config, "beta_end", 1e-9, 0.999, &end));
    if (end < start) return config_wrong(config, "beta_end", "at least beta_start");
    return fill_alpha_bar(schedule, (enum beta_schedule)kind, start, end);
}

/* Lin et al. 2023 (arXiv 2305.08891), algorithm 1: shifts and scales sqrt(alpha_bar) so that the last timestep is pure
 * noise and the first one stays. */
static status rescale_to_zero_snr(const struct config *config, struct noise_schedule *schedule)
{
    bool rescale = false;
    TRY(config_boolean(config, "rescale_betas_zero_snr", &rescale));
    if (rescale) noise_schedule_rescale_to_zero_snr(schedule);
    return status_ok();
}

static status read_sigma_spacing(const struct config *config, enum sigma_spacing *spacing)
{
    static const struct {
        const char *key;
        enum sigma_spacing spacing;
    } keys[] = {{"use_karras_sigmas", SIGMAS_KARRAS},
                {"use_exponential_sigmas", SIGMAS_EXPONENTIAL},
                {"use_beta_sigmas", SIGMAS_BETA}};
    *spacing = SIGMAS_OF_TIMESTEPS;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool set = false;
        TRY(config_boolean(config, keys[i].key, &set));
        if (!set) continue;
        if (*spacing != SIGMAS_OF_TIMESTEPS)
            return config_wrong(config, keys[i].key,
                                "false, or the other ones of use_karras_sigmas, use_exponential_sigmas and "
                                "use_beta_sigmas false");
        *spacing = keys[i].spacing;
    }
    return status_ok();
}

static status read_sigmas(const struct config *config, struct sigma_options *sigmas)
{
    int interpolation = 0, final = 0, type = 0;
    TRY(read_sigma_spacing(config, &sigmas->spacing));
    TRY(config_choice(config, "interpolation_type", interpolations, 2, &interpolation));
    TRY(config_choice(config, "final_sigmas_type", final_sigmas, 2, &final));
    TRY(config_choice(config, "timestep_type", timestep_types, 2, &type));
    TRY(config_number(config, "sigma_min", 1e-9, 1e9, &sigmas->minimum));
    TRY(config_number(config, "sigma_max", 1e-9, 1e9, &sigmas->maximum));
    if (sigmas->minimum > 0.0 && sigmas->maximum > 0.0 && sigmas->maximum < sigmas->minimum)
        return config_wrong(config, "sigma_max", "at least sigma_min");
    sigmas->log_linear = interpolation == 1;
    sigmas->ends_at_minimum = final == 1;
    sigmas->continuous = type == 1;
    return status_ok();
}

static status read_schedule(const struct config *config, struct noise_schedule *schedule)
{
    int class_index = 0, prediction = PREDICTION_EPSILON, spacing = SPACING_OF_SAMPLER;
    int64_t timesteps = 1000, offset = 0;
    TRY(config_choice(config, "_class_name", class_names, (int)(sizeof class_names / sizeof class_names[0]),
                      &class_index));
    TRY(config_check_keys(config, &scheduler_keys));
    TRY(config_choice(config, "prediction_type", predictions, 2, &prediction));
    TRY(config_choice(config, "timestep_spacing", spacings, 3, &spacing));
    TRY(config_integer(config, "num_train_timesteps", 1, TIMESTEPS_LIMIT, &timesteps));
    TRY(config_integer(config, "steps_offset", 0, timesteps - 1, &offset));
    schedule->set_alpha_to_one = true;
    TRY(config_boolean(config, "set_alpha_to_one", &schedule->set_alpha_to_one));
    TRY(read_sigmas(config, &schedule->sigmas));
    schedule->train_timesteps = (int)timesteps;
    schedule->prediction = (enum prediction_type)prediction;
    schedule->spacing = (enum timestep_spacing)spacing;
    schedule->steps_offset = (int)offset;
    const cJSON *betas = config_find(config, "trained_betas");
    TRY(betas ? read_betas(config, betas, schedule) : compute_betas(config, schedule));
    return rescale_to_zero_snr(config, schedule);
}

void noise_schedule_rescale_to_zero_snr(struct noise_schedule *schedule)
{
    int last = schedule->train_timesteps - 1;
    double first_root = sqrt(schedule->alpha_bar[0]), last_root = sqrt(schedule->alpha_bar[last]);
    if (last == 0 || first_root == last_root) return;
    for (int i = 0; i <= last; i++) {
        double root = (sqrt(schedule->alpha_bar[i]) - last_root) * first_root / (first_root - last_root);
        schedule->alpha_bar[i] = root * root;
    }
}

/* A config may list the keys whose values are only the defaults of the class that wrote it. Another class does not take
 * these over, so they count as absent. Caller closes `own`. */
static status without_defaults(const struct config *config, struct config *own)
{
    static const char key[] = "_use_default_values";
    const cJSON *name;
    *own = *config;
    own->root = cJSON_Duplicate(config->root, true);
    cJSON_ArrayForEach(name, config_find(config, key))
    {
        if (!cJSON_IsString(name)) return config_wrong(config, key, "a list of keys");
        cJSON_DeleteItemFromObjectCaseSensitive(own->root, name->valuestring);
    }
    return status_ok();
}

status noise_schedule_read(const struct config *config, struct noise_schedule *schedule)
{
    struct config own;
    memset(schedule, 0, sizeof *schedule);
    status result = without_defaults(config, &own);
    if (result.code == STATUS_OK) result = read_schedule(&own, schedule);
    config_close(&own);
    if (result.code != STATUS_OK) noise_schedule_clear(schedule);
    return result;
}

status noise_schedule_stable_diffusion(enum prediction_type prediction, struct noise_schedule *schedule)
{
    *schedule = (struct noise_schedule){
        .train_timesteps = 1000, .prediction = prediction, .spacing = SPACING_LEADING, .steps_offset = 1};
    return fill_alpha_bar(schedule, BETA_SCALED_LINEAR, 0.00085, 0.012);
}

void noise_schedule_clear(struct noise_schedule *schedule)
{
    free(schedule->alpha_bar);
    schedule->alpha_bar = NULL;
}
