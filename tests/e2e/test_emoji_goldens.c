/* The default model against diffusers, transformers and torch autograd (tests/golden/README.md): a guided DDIM
 * trajectory, the decoded picture, and the adapter's gradient of two rewards through the last three steps of the chain.
 * Usage: test_emoji_goldens MODEL GOLDENS */
#include "engine/base/json.h"
#include "engine/model/safetensors.h"
#include "engine/tuning/objective.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 20, KEPT = 3, SIDE = 16, CHANNELS = 4, LATENTS = SIDE * SIDE * CHANNELS, PICTURE = 128 * 128 * 3 };

static const char *model_path, *golden_path;

struct case_of {
    cJSON *json;
    struct preset preset;
    struct backend *backend;
    struct objective *objective;
    struct chain *chain;
    struct safetensors *golden;
};

static void must(status result)
{
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
}

static void begin(struct case_of *test, const char *reward, double alpha, const char *golden)
{
    char text[2048], path[4096];
    struct preset_warnings warnings = {0};
    memset(test, 0, sizeof *test);
    snprintf(text, sizeof text,
             "{\"schema\":1,\"name\":\"golden\",\"model\":\"emoji\",\"prompts\":{\"train\":[\"x\"]},"
             "\"rewards\":[{\"name\":\"%s\"}],\"lora\":{\"rank\":4,\"alpha\":%g},"
             "\"sampler\":{\"steps\":%d,\"guidance\":4.0,\"width\":128,\"height\":128},"
             "\"backprop\":{\"method\":\"last-k\",\"k\":%d},\"batch\":1}",
             reward, alpha, STEPS, KEPT);
    must(json_parse(text, strlen(text), "golden", &test->json));
    must(preset_from_json(test->json, "golden", ".", NULL, 0, &test->preset, &warnings));
    snprintf(test->preset.model_path, sizeof test->preset.model_path, "%s", model_path);
    preset_warnings_clear(&warnings);
    must(backend_cpu_create(2, &test->backend));
    struct objective_settings settings = {.batch = 1, .steps = STEPS, .saved_calls = KEPT};
    must(objective_create(&test->preset, test->backend, &settings, &test->objective));
    must(objective_allocate(test->objective));
    test->chain = objective_chain(test->objective);
    snprintf(path, sizeof path, "%s/%s.safetensors", golden_path, golden);
    must(safetensors_open(path, &test->golden));
    const char *prompt = "three cats on a blue background";
    must(objective_set_prompts(test->objective, &prompt, ""));
}

static void end(struct case_of *test)
{
    objective_destroy(test->objective);
    test->backend->interface->destroy(test->backend);
    safetensors_close(test->golden);
    preset_clear(&test->preset);
    cJSON_Delete(test->json);
}

/* A golden picture or latent [1, channels, side, side] as [side, side, channels]. */
static void read_channels_last(const struct case_of *test, const char *name, int channels, int side, float *values)
{
    int64_t plane = (int64_t)side * side;
    float *raw = malloc((size_t)(channels * plane) * sizeof *raw);
    struct shape shape = SHAPE4(1, channels, side, side);
    must(safetensors_read(test->golden, name, &shape, raw));
    for (int64_t pixel = 0; pixel < plane; pixel++)
        for (int c = 0; c < channels; c++) values[pixel * channels + c] = raw[c * plane + pixel];
    free(raw);
}

static double relative_error(const float *found, const float *expected, int64_t count)
{
    double error = 0.0, size = 0.0;
    for (int64_t i = 0; i < count; i++) {
        error += ((double)found[i] - expected[i]) * ((double)found[i] - expected[i]);
        size += (double)expected[i] * expected[i];
    }
    return sqrt(error / size);
}

static void check(const char *what, double error)
{
    print_message("%s: relative L2 %.2e\n", what, error);
    if (!(error < 1e-4)) fail_msg("%s: relative L2 %g is not below 1e-4", what, error);
}

static void test_trajectory(void **state)
{
    (void)state;
    struct case_of test;
    float latents[LATENTS], expected[LATENTS], norms[STEPS], *picture = malloc(PICTURE * sizeof *picture),
                                                             *golden = malloc(PICTURE * sizeof *golden);
    struct shape row = SHAPE1(STEPS);
    begin(&test, "brightness", 4.0, "emoji-chain");
    read_channels_last(&test, "initial", CHANNELS, SIDE, latents);
    must(safetensors_read(test.golden, "norms", &row, norms));
    must(chain_write_latents(test.chain, 0, latents));
    must(chain_merge_parameters(test.chain, 0.0));
    for (int i = 0; i < STEPS; i++) {
        double squares = 0.0;
        must(chain_step(test.chain, i, false, -1));
        must(chain_read_latents(test.chain, i + 1, latents));
        for (int e = 0; e < LATENTS; e++) squares += (double)latents[e] * latents[e];
        assert_true(fabs(sqrt(squares) / norms[i] - 1.0) < 1e-5);
    }
    read_channels_last(&test, "final", CHANNELS, SIDE, expected);
    check("latents after 20 guided steps", relative_error(latents, expected, LATENTS));
    must(chain_write_latents(test.chain, STEPS, expected));
    must(chain_decode(test.chain, 0));
    must(chain_read_pictures(test.chain, picture));
    read_channels_last(&test, "picture", 3, 128, golden);
    for (int i = 0; i < PICTURE; i++) golden[i] = fminf(fmaxf(golden[i] * 0.5F + 0.5F, 0.0F), 1.0F);
    check("decoded picture", relative_error(picture, golden, PICTURE));
    free(picture);
    free(golden);
    end(&test);
}

/* "NAME.lora_down" is the golden's "NAME.A", "NAME.lora_up" its "NAME.B". */
static void golden_name(const struct case_of *test, int index, const char *prefix, char *name, size_t size)
{
    const char *parameter = chain_parameter_name(test->chain, index), *dot = strrchr(parameter, '.');
    snprintf(name, size, "%.*s.%s%s", (int)(dot - parameter), parameter, prefix,
             strcmp(dot, ".lora_up") == 0 ? "B" : "A");
}

static void write_factors(struct case_of *test)
{
    for (int i = 0; i < chain_parameter_count(test->chain); i++) {
        struct shape shape = chain_parameter_shape(test->chain, i);
        int64_t count = shape_elements(&shape);
        float *values = malloc((size_t)count * sizeof *values);
        double *exact = malloc((size_t)count * sizeof *exact);
        char name[200];
        golden_name(test, i, "", name, sizeof name);
        must(safetensors_read(test->golden, name, &shape, values));
        for (int64_t e = 0; e < count; e++) exact[e] = values[e];
        must(chain_write_parameter(test->chain, i, exact));
        free(values);
        free(exact);
    }
}

static double gradient_error(struct case_of *test)
{
    double error = 0.0, size = 0.0;
    for (int i = 0; i < chain_parameter_count(test->chain); i++) {
        struct shape shape = chain_parameter_shape(test->chain, i);
        int64_t count = shape_elements(&shape);
        float *expected = malloc((size_t)count * sizeof *expected);
        double *found = malloc((size_t)count * sizeof *found);
        char name[200];
        golden_name(test, i, "grad_", name, sizeof name);
        must(safetensors_read(test->golden, name, &shape, expected));
        must(chain_read_gradient(test->chain, i, found));
        for (int64_t e = 0; e < count; e++) {
            error += (found[e] - expected[e]) * (found[e] - expected[e]);
            size += (double)expected[e] * expected[e];
        }
        free(expected);
        free(found);
    }
    return sqrt(error / size);
}

static void check_gradient(const char *reward, double alpha)
{
    struct case_of test;
    char name[64];
    float latents[LATENTS], expected[LATENTS], value;
    double score, factor = 1.0;
    struct shape one = SHAPE1(1);
    snprintf(name, sizeof name, "emoji-gradient-%s", reward);
    begin(&test, reward, alpha, name);
    write_factors(&test);

    /* The steps before the cut, with the adapter merged. */
    read_channels_last(&test, "initial", CHANNELS, SIDE, latents);
    must(chain_write_latents(test.chain, 0, latents));
    must(chain_merge_parameters(test.chain, 1.0));
    for (int i = 0; i < STEPS - KEPT; i++) must(chain_step(test.chain, i, false, -1));
    must(chain_read_latents(test.chain, STEPS - KEPT, latents));
    read_channels_last(&test, "entering", CHANNELS, SIDE, expected);
    check("latents that enter the kept part", relative_error(latents, expected, LATENTS));

    must(chain_write_latents(test.chain, STEPS - KEPT, expected));
    for (int i = STEPS - KEPT; i < STEPS; i++) must(chain_step(test.chain, i, true, STEPS - 1 - i));
    must(chain_clear_gradients(test.chain));
    must(chain_decode(test.chain, 0));
    must(objective_score(test.objective, 0, &score));
    must(objective_score_backward(test.objective, &factor));
    must(chain_decode_backward(test.chain, 0));
    for (int i = STEPS - 1; i >= STEPS - KEPT; i--) must(chain_step_backward(test.chain, i, STEPS - 1 - i));
    must(safetensors_read(test.golden, "reward", &one, &value));
    assert_true(fabs((double)score - (double)value) < 1e-4 * fabs((double)value) + 1e-6);
    snprintf(name, sizeof name, "adapter gradient of %s", reward);
    check(name, gradient_error(&test));
    end(&test);
}

static void test_clip_gradient(void **state)
{
    (void)state;
    check_gradient("clip", 4.0);
}

static void test_brightness_gradient(void **state)
{
    (void)state;
    check_gradient("brightness", 6.0);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL GOLDENS\n", argv[0]);
        return 2;
    }
    model_path = argv[1];
    golden_path = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trajectory),
        cmocka_unit_test(test_clip_gradient),
        cmocka_unit_test(test_brightness_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
