/* Sampler steps against diffusers' (tests/oracle/make_schedule_goldens.py). */
#include "engine/base/json.h"
#include "engine/model/schedule.h"
#include "engine/sampling/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TRAIN_TIMESTEPS = 1000 };

/* Stable Diffusion's "scaled linear" betas. */
static void fill_alpha_bar(double *alpha_bar)
{
    double product = 1.0;
    for (int i = 0; i < TRAIN_TIMESTEPS; i++) {
        double root = sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * i / (TRAIN_TIMESTEPS - 1);
        product *= 1.0 - root * root;
        alpha_bar[i] = product;
    }
}

static const char *text(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key)->valuestring;
}

static double number(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key)->valuedouble;
}

static struct noise_schedule schedule_of(const cJSON *entry, double *alpha_bar)
{
    const char *spacing = text(entry, "spacing");
    struct noise_schedule noise = {.train_timesteps = TRAIN_TIMESTEPS, .alpha_bar = alpha_bar};
    noise.prediction = strcmp(text(entry, "prediction"), "epsilon") == 0 ? PREDICTION_EPSILON : PREDICTION_V;
    noise.spacing = strcmp(spacing, "leading") == 0    ? SPACING_LEADING
                    : strcmp(spacing, "trailing") == 0 ? SPACING_TRAILING
                                                       : SPACING_LINSPACE;
    noise.steps_offset = (int)number(entry, "steps_offset");
    noise.set_alpha_to_one = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "set_alpha_to_one"));
    return noise;
}

/* diffusers keeps its tables in fp32: 1e-5 relative to the larger of 1 and the coefficient. A timestep that is found
 * from a small noise level moves by more with the rounding of 1 - alpha_bar. */
static void compare(const cJSON *entry, const struct sampler_schedule *schedule)
{
    int index = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(entry, "steps"))
    {
        const struct sampler_step *step = &schedule->steps[index++];
        const double found[] = {step->timestep, step->input_scale, step->latent_gain, step->prediction_gain,
                                step->noise_gain};
        for (int i = 0; i < 5; i++) {
            double expected = cJSON_GetArrayItem(row, i)->valuedouble;
            double tolerance = 1e-5 * fmax(1.0, fabs(expected));
            if (fabs(found[i] - expected) > (i == 0 ? fmax(tolerance, 5e-4) : tolerance))
                fail_msg("%s %s %s, step %d, coefficient %d: %.9g, expected %.9g", text(entry, "sampler"),
                         text(entry, "spacing"), text(entry, "prediction"), index - 1, i, found[i], expected);
        }
    }
    assert_int_equal(index, schedule->count);
    double expected = number(entry, "initial_scale");
    if (!(fabs(schedule->initial_scale - expected) <= 1e-5 * fmax(1.0, expected)))
        fail_msg("%s %s %s: initial scale %.9g, expected %.9g", text(entry, "sampler"), text(entry, "spacing"),
                 text(entry, "prediction"), schedule->initial_scale, expected);
}

static void test_against_diffusers(void **state)
{
    (void)state;
    cJSON *cases = NULL;
    double *alpha_bar = malloc(TRAIN_TIMESTEPS * sizeof *alpha_bar);
    fill_alpha_bar(alpha_bar);
    status read = json_read_file(GOLDEN_FOLDER "/schedules.json", 1 << 20, &cases);
    assert_string_equal(read.message, "");
    const cJSON *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, cases)
    {
        struct noise_schedule noise = schedule_of(entry, alpha_bar);
        struct sampler_schedule schedule;
        status made = schedule_create(&noise, text(entry, "sampler"), (int)number(entry, "count"), number(entry, "eta"),
                                      &schedule);
        assert_string_equal(made.message, "");
        compare(entry, &schedule);
        schedule_clear(&schedule);
        count++;
    }
    assert_int_equal(count, 24);
    cJSON_Delete(cases);
    free(alpha_bar);
}

/* The files that diffusers' classes save, read and sampled from as its own samplers do. */
static void test_scheduler_files(void **state)
{
    (void)state;
    cJSON *cases = NULL;
    status read = json_read_file(GOLDEN_FOLDER "/scheduler_files.json", 1 << 20, &cases);
    assert_string_equal(read.message, "");
    const cJSON *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, cases)
    {
        struct config config;
        struct noise_schedule noise;
        struct sampler_schedule schedule;
        const char *file = text(entry, "file");
        struct remarks remarks = {0};
        status made = config_parse(file, strlen(file), "scheduler_config.json", &config);
        config.remarks = &remarks;
        if (made.code == STATUS_OK) made = noise_schedule_read(&config, &noise);
        assert_string_equal(made.message, "");
        assert_int_equal(remarks.count, 0);
        made = schedule_create(&noise, text(entry, "sampler"), (int)number(entry, "count"), 0.0, &schedule);
        assert_string_equal(made.message, "");
        compare(entry, &schedule);
        schedule_clear(&schedule);
        noise_schedule_clear(&noise);
        config_close(&config);
        count++;
    }
    assert_true(count >= 100);
    cJSON_Delete(cases);
}

static status open_file(const char *file, const char *sampler)
{
    struct config config;
    struct noise_schedule noise;
    struct sampler_schedule schedule;
    status result = config_parse(file, strlen(file), "scheduler_config.json", &config);
    assert_string_equal(result.message, "");
    result = noise_schedule_read(&config, &noise);
    config_close(&config);
    if (result.code != STATUS_OK) return result;
    result = schedule_create(&noise, sampler, 5, 0.0, &schedule);
    if (result.code == STATUS_OK) schedule_clear(&schedule);
    noise_schedule_clear(&noise);
    return result;
}

/* What a sampler cannot do is refused by name, and only by that sampler. */
static void test_refused_options(void **state)
{
    (void)state;
    static const char beta[] = "{\"use_beta_sigmas\": true}";
    static const char zero[] =
        "{\"rescale_betas_zero_snr\": true, \"timestep_spacing\": \"trailing\", \"prediction_type\": \"epsilon\"}";
    status result = open_file(beta, "euler");
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "use_beta_sigmas is true"));
    assert_int_equal(open_file(beta, "ddim").code, STATUS_OK);
    result = open_file(zero, "ddim");
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "rescale_betas_zero_snr is true"));
    assert_int_equal(open_file(zero, "euler").code, STATUS_OK);
    result = open_file("{\"use_karras_sigmas\": true, \"use_exponential_sigmas\": true}", "euler");
    assert_int_equal(result.code, STATUS_BAD_INPUT);
}

/* Figures worked out by hand for Stable Diffusion 1.5 at 50 steps (leading, offset 1). */
static void test_stable_diffusion(void **state)
{
    (void)state;
    double *alpha_bar = malloc(TRAIN_TIMESTEPS * sizeof *alpha_bar), product = 1.0;
    fill_alpha_bar(alpha_bar);
    struct noise_schedule noise = {TRAIN_TIMESTEPS, alpha_bar, PREDICTION_EPSILON, SPACING_LEADING, 1, false, {0}};
    struct sampler_schedule schedule;
    assert_int_equal(schedule_create(&noise, "ddim", 50, 0.0, &schedule).code, STATUS_OK);
    assert_true(schedule.steps[0].timestep == 981.0 && schedule.steps[49].timestep == 1.0);
    assert_true(fabs(schedule.steps[49].prediction_gain - -0.0121) < 5e-5);
    for (int i = 0; i < 50; i++) product *= schedule.steps[i].latent_gain;
    assert_true(fabs(product - 13.15) < 5e-3);
    schedule_clear(&schedule);
    free(alpha_bar);
}

/* Every row is whole, is found by its name alone, and makes steps with finite numbers from noise to a clean picture. */
static void test_every_row(void **state)
{
    (void)state;
    double *alpha_bar = malloc(TRAIN_TIMESTEPS * sizeof *alpha_bar);
    fill_alpha_bar(alpha_bar);
    struct noise_schedule noise = {TRAIN_TIMESTEPS, alpha_bar, PREDICTION_EPSILON, SPACING_OF_SAMPLER, 1, true, {0}};
    int count = 0;
    for (const struct sampler *sampler; (sampler = sampler_at(count)); count++) {
        struct sampler_schedule schedule;
        assert_true(strlen(sampler->name) > 0 && strlen(sampler->title) > 0);
        assert_ptr_equal(sampler_find(sampler->name), sampler);
        for (int steps = 1; steps <= 20; steps += 19) {
            double eta = sampler->takes_eta ? 0.5 : 0.0;
            assert_string_equal(schedule_create(&noise, sampler->name, steps, eta, &schedule).message, "");
            assert_int_equal(schedule.count, steps);
            assert_true(isfinite(schedule.initial_scale) && schedule.initial_scale > 0);
            for (int i = 0; i < steps; i++) {
                const struct sampler_step *step = &schedule.steps[i];
                assert_true(step->input_scale > 0 && isfinite(step->latent_gain) && isfinite(step->prediction_gain) &&
                            isfinite(step->noise_gain) && step->clean_latent_gain > 0 && step->renoise_noise > 0);
                assert_true(i == 0 || step->timestep < schedule.steps[i - 1].timestep);
            }
            bool adds = false;
            for (int i = 0; i < steps; i++) adds = adds || schedule.steps[i].noise_gain > 0;
            assert_int_equal(schedule.adds_noise, adds);
            assert_true(adds || eta == 0.0 || steps == 1);
            schedule_clear(&schedule);
        }
        assert_int_equal(schedule_create(&noise, sampler->name, 5, 0.5, &schedule).code,
                         sampler->takes_eta ? STATUS_OK : STATUS_BAD_INPUT);
        if (sampler->takes_eta) schedule_clear(&schedule);
    }
    assert_true(count >= 2);
    assert_null(sampler_at(-1));
    assert_null(sampler_find("none"));
    free(alpha_bar);
}

static void test_bad_values(void **state)
{
    (void)state;
    double *alpha_bar = malloc(TRAIN_TIMESTEPS * sizeof *alpha_bar);
    fill_alpha_bar(alpha_bar);
    struct noise_schedule noise = {TRAIN_TIMESTEPS, alpha_bar, PREDICTION_EPSILON, SPACING_LEADING, 1, false, {0}};
    struct sampler_schedule schedule;
    assert_int_equal(schedule_create(&noise, "plms", 20, 0.0, &schedule).code, STATUS_BAD_INPUT);
    assert_int_equal(schedule_create(&noise, "ddim", 0, 0.0, &schedule).code, STATUS_BAD_INPUT);
    assert_int_equal(schedule_create(&noise, "ddim", 1001, 0.0, &schedule).code, STATUS_BAD_INPUT);
    assert_int_equal(schedule_create(&noise, "ddim", 20, NAN, &schedule).code, STATUS_BAD_INPUT);
    assert_int_equal(schedule_create(&noise, "euler", 20, 0.5, &schedule).code, STATUS_BAD_INPUT);
    free(alpha_bar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_diffusers), cmocka_unit_test(test_scheduler_files),
        cmocka_unit_test(test_refused_options),   cmocka_unit_test(test_stable_diffusion),
        cmocka_unit_test(test_bad_values),        cmocka_unit_test(test_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
