/* Builds the chain in double precision and compares its gradient with central differences in three directions. */
#include "engine/tuning/gradcheck.h"

#include "engine/base/memory.h"
#include "engine/sampling/noise.h"
#include "engine/tuning/objective.h"
#include "engine/tuning/truncation.h"
#include "engine/tuning/tuner.h"

#include <math.h>
#include <stdlib.h>

struct check {
    const struct preset *preset;
    struct objective *objective;
    struct chain *chain;
    int steps, grad_steps, parameters;
    int passes;
    int64_t latents;              /* values of a picture's latents */
    float **entering;             /* by pass: the latents that enter the grad steps */
    double **factors, **gradient; /* by parameter */
    int64_t *counts;
};

static void release(struct check *check)
{
    for (int i = 0; i < check->parameters; i++) {
        if (check->factors) free(check->factors[i]);
        if (check->gradient) free(check->gradient[i]);
    }
    free(check->factors);
    free(check->gradient);
    free(check->counts);
    for (int pass = 0; check->entering && pass < check->passes; pass++) free(check->entering[pass]);
    free(check->entering);
    objective_destroy(check->objective);
}

/* Down factors as the tuner begins them, up factors of a size that moves the prediction by some percent. */
static status begin_factors(struct check *check)
{
    check->parameters = chain_parameter_count(check->chain);
    check->factors = memory_take((size_t)check->parameters, sizeof *check->factors);
    check->gradient = memory_take((size_t)check->parameters, sizeof *check->gradient);
    check->counts = memory_take((size_t)check->parameters, sizeof *check->counts);
    for (int i = 0; i < check->parameters; i++) {
        struct shape shape = chain_parameter_shape(check->chain, i);
        int64_t count = check->counts[i] = shape_elements(&shape);
        check->factors[i] = calloc((size_t)count, sizeof(double));
        check->gradient[i] = calloc((size_t)count, sizeof(double));
        if (!check->factors[i] || !check->gradient[i])
            return status_error(STATUS_NO_MEMORY, "no memory for the adapter");
        double scale = i % 2 ? 0.05 : 1.0 / check->preset->rank;
        for (int64_t e = 0; e < count; e++)
            check->factors[i][e] =
                scale *
                noise_normal((struct noise_stream){check->preset->seed, NOISE_ADAPTER, (uint64_t)i}, (uint32_t)e);
    }
    return status_ok();
}

/* Writes factors + distance * direction (NULL: none). `direction` has an array for every parameter. */
static status write_factors(struct check *check, double *const *direction, double distance)
{
    for (int i = 0; i < check->parameters; i++) {
        double *moved = malloc((size_t)check->counts[i] * sizeof *moved);
        if (!moved) return status_error(STATUS_NO_MEMORY, "no memory for the adapter");
        for (int64_t e = 0; e < check->counts[i]; e++) moved[e] = check->factors[i][e];
        for (int64_t e = 0; direction && direction[i] && e < check->counts[i]; e++)
            moved[e] += distance * direction[i][e];
        status result = chain_write_parameter(check->chain, i, moved);
        free(moved);
        TRY(result);
    }
    return status_ok();
}

static int first_grad_step(const struct check *check)
{
    return check->steps - check->grad_steps;
}

static status run_grad_steps(struct check *check)
{
    for (int i = first_grad_step(check); i < check->steps; i++) TRY(chain_step(check->chain, i, true, -1));
    return status_ok();
}

/* Adds the weighted reward of the grad steps from the fixed latents of a pass, as its share of the mean. */
static status add_pass(struct check *check, int pass, double *value)
{
    double scores[MAXIMUM_REWARDS];
    TRY(chain_write_latents(check->chain, first_grad_step(check), check->entering[pass]));
    TRY(run_grad_steps(check));
    TRY(chain_decode(check->chain, 0));
    TRY(objective_score(check->objective, 0, scores));
    for (int r = 0; r < objective_reward_count(check->objective); r++)
        *value += check->preset->rewards[r].weight * scores[r] / check->passes;
    return status_ok();
}

static status objective_value(struct check *check, double *value)
{
    *value = 0.0;
    for (int pass = 0; pass < check->passes; pass++) TRY(add_pass(check, pass, value));
    return status_ok();
}

/* The latents that enter the grad steps: sampled, and, as DRaFT-LV has it (Clark et al. 2023), from the finished
 * picture with fresh noise. */
static status find_entering_latents(struct check *check, uint64_t seed)
{
    check->entering = memory_take((size_t)check->passes, sizeof *check->entering);
    for (int i = 0; i < first_grad_step(check); i++) TRY(chain_step(check->chain, i, true, -1));
    for (int pass = 0; pass < check->passes; pass++) {
        float *latents = check->entering[pass] = malloc((size_t)check->latents * sizeof *latents);
        if (!latents) return status_error(STATUS_NO_MEMORY, "no memory for latents");
        uint64_t number = (uint64_t)pass;
        if (pass > 0) TRY(chain_renoise(check->chain, first_grad_step(check), &seed, &number));
        TRY(chain_read_latents(check->chain, first_grad_step(check), latents));
        if (pass == 0 && check->passes > 1) TRY(run_grad_steps(check));
    }
    return status_ok();
}

static status analytic_gradient(struct check *check)
{
    double value = 0.0, factors[MAXIMUM_REWARDS];
    for (int r = 0; r < objective_reward_count(check->objective); r++)
        factors[r] = check->preset->rewards[r].weight / check->passes;
    TRY(write_factors(check, NULL, 0.0));
    TRY(chain_clear_gradients(check->chain));
    for (int pass = 0; pass < check->passes; pass++) {
        TRY(add_pass(check, pass, &value));
        TRY(objective_score_backward(check->objective, factors));
        TRY(chain_decode_backward(check->chain, 0));
        for (int i = check->steps - 1; i >= first_grad_step(check); i--) TRY(chain_step_backward(check->chain, i, -1));
    }
    for (int i = 0; i < check->parameters; i++) TRY(chain_read_gradient(check->chain, i, check->gradient[i]));
    return status_ok();
}

static double dot(const struct check *check, double *const *a, double *const *b)
{
    double sum = 0.0;
    for (int i = 0; i < check->parameters; i++)
        for (int64_t e = 0; e < check->counts[i]; e++) sum += a[i][e] * b[i][e];
    return sum;
}

/* direction = along gradient, random, or both, at length 1. */
static void make_direction(struct check *check, bool along, bool random, double **direction)
{
    double length = sqrt(dot(check, check->gradient, check->gradient));
    int64_t total = 0;
    for (int i = 0; i < check->parameters; i++) total += check->counts[i];
    for (int i = 0; i < check->parameters; i++) {
        struct noise_stream stream = {check->preset->seed, NOISE_TEST, (uint64_t)i};
        for (int64_t e = 0; e < check->counts[i]; e++)
            direction[i][e] = (along && length > 0.0 ? check->gradient[i][e] / length : 0.0) +
                              (random ? noise_normal(stream, (uint32_t)e) / sqrt((double)total) : 0.0);
    }
}

/* Fourth-order central difference of the value along the direction. */
static status numeric_derivative(struct check *check, double *const *direction, double distance, double *derivative)
{
    double value[4];
    const double at[4] = {-2.0, -1.0, 1.0, 2.0};
    for (int i = 0; i < 4; i++) {
        TRY(write_factors(check, direction, at[i] * distance));
        TRY(objective_value(check, &value[i]));
    }
    *derivative = (value[0] - 8.0 * value[1] + 8.0 * value[2] - value[3]) / (12.0 * distance);
    return status_ok();
}

static status check_directions(struct check *check, double **direction, struct gradcheck_report *report)
{
    static const struct {
        const char *name;
        bool along, random;
    } kinds[GRADCHECK_DIRECTIONS] = {{"gradient", true, false}, {"random", false, true}, {"mix", true, true}};
    const double distance = 1e-5;
    for (int d = 0; d < GRADCHECK_DIRECTIONS; d++) {
        struct gradcheck_direction *row = &report->directions[d];
        row->name = kinds[d].name;
        make_direction(check, kinds[d].along, kinds[d].random, direction);
        row->analytic = dot(check, check->gradient, direction);
        TRY(numeric_derivative(check, direction, distance, &row->numeric));
        double scale = fmax(fabs(row->analytic), fabs(row->numeric));
        row->relative_error = scale > 0.0 ? fabs(row->analytic - row->numeric) / scale : 0.0;
        if (!(row->relative_error <= report->worst)) report->worst = row->relative_error;
    }
    return status_ok();
}

static status run(struct check *check, struct backend *backend, struct gradcheck_report *report)
{
    struct objective_settings settings = {.batch = 1, .steps = check->steps, .saved_calls = 1};
    const uint64_t seed = check->preset->seed, number = 0;
    const char *prompt = check->preset->train.texts[0];
    TRY(objective_create(check->preset, backend, &settings, &check->objective));
    check->chain = objective_chain(check->objective);
    const struct model_facts *facts = model_facts(objective_model(check->objective));
    check->latents = (int64_t)(check->preset->width / facts->latent_factor) *
                     (check->preset->height / facts->latent_factor) * facts->latent_channels;
    TRY(objective_allocate(check->objective));
    TRY(begin_factors(check));
    TRY(write_factors(check, NULL, 0.0));
    TRY(objective_set_prompts(check->objective, &prompt, check->preset->negative));
    TRY(chain_start(check->chain, &seed, &number));
    TRY(find_entering_latents(check, seed));
    TRY(analytic_gradient(check));
    double **direction = memory_take((size_t)check->parameters, sizeof *direction);
    status result = status_ok();
    for (int i = 0; i < check->parameters && result.code == STATUS_OK; i++) {
        direction[i] = malloc((size_t)check->counts[i] * sizeof(double));
        if (!direction[i]) result = status_error(STATUS_NO_MEMORY, "no memory for a direction");
    }
    if (result.code == STATUS_OK) result = check_directions(check, direction, report);
    for (int i = 0; i < check->parameters; i++) free(direction[i]);
    free(direction);
    return result;
}

status gradcheck_run(const struct preset *preset, int steps, int grad_steps, struct gradcheck_report *report)
{
    int passes = 1 + truncation_draw(preset, steps, 1).renoisings;
    struct check check = {.preset = preset, .steps = steps, .grad_steps = grad_steps, .passes = passes};
    struct backend *backend;
    if (preset->train.count < 1) return status_error(STATUS_BAD_INPUT, "prompts.train: no prompt to check with");
    *report = (struct gradcheck_report){.batch = 1, .steps = steps, .grad_steps = grad_steps, .passes = passes};
    TRY(backend_reference_create(&backend));
    status result = run(&check, backend, report);
    release(&check);
    backend->interface->destroy(backend);
    return result;
}
