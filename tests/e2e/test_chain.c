/* The whole chain on small random models: gradients against central differences in double precision for every reward,
 * single against double precision, kept against recomputed activations, merged against attached adapters, and the guard
 * against values that are not finite. */
#include "engine/base/json.h"
#include "engine/sampling/noise.h"
#include "engine/tuning/gradcheck.h"
#include "engine/tuning/objective.h"
#include "engine/tuning/tuner.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REWARDS GOLDEN_FOLDER "/reward"

static const char *const rewards[] = {
    "{\"name\":\"jpeg\",\"weight\":0.1}",
    "{\"name\":\"jpeg-incompressible\",\"weight\":0.1}",
    "{\"name\":\"clip\",\"params\":{\"model\":\"" REWARDS "/clip-quick-gelu\"}}",
    "{\"name\":\"aesthetic\",\"params\":{\"model\":\"" REWARDS "/aesthetic/model.safetensors\",\"clip\":\"" REWARDS
    "/clip-quick-gelu\"}}",
    "{\"name\":\"count\",\"params\":{\"object\":\"cat\",\"target\":2,\"model\":\"" REWARDS "/detector-gelu\"}}",
    "{\"name\":\"remove\",\"params\":{\"object\":\"cat\",\"model\":\"" REWARDS "/detector-gelu\"}}",
    "{\"name\":\"colorfulness\"}",
    "{\"name\":\"sharpness\",\"weight\":10}",
    "{\"name\":\"brightness\"}",
    "{\"name\":\"color\",\"params\":{\"color\":\"#3060c0\"}}",
    "{\"name\":\"symmetry\"}",
};
enum { REWARD_COUNT = sizeof rewards / sizeof *rewards };

struct loaded {
    cJSON *json;
    struct preset preset;
};

/* A preset on one of the small models of tests/golden/config, with this list of rewards. */
static void load(struct loaded *loaded, const char *model, const char *reward_list)
{
    char text[4096];
    struct preset_warnings warnings = {0};
    memset(loaded, 0, sizeof *loaded);
    snprintf(text, sizeof text,
             "{\"schema\":1,\"name\":\"test\",\"model\":\"%s\",\"prompts\":{\"train\":[\"a cat\",\"two dogs\"],"
             "\"eval\":[\"a red cat\"]},\"rewards\":[%s],\"lora\":{\"rank\":3,\"alpha\":5},"
             "\"sampler\":{\"steps\":8,\"guidance\":3.0,\"width\":32,\"height\":24},"
             "\"backprop\":{\"method\":\"last-k\",\"k\":5},\"batch\":2,\"seed\":\"11\"}",
             model, reward_list);
    status result = json_parse(text, strlen(text), "test", &loaded->json);
    assert_string_equal(result.message, "");
    result = preset_from_json(loaded->json, "test", ".", NULL, 0, &loaded->preset, &warnings);
    assert_string_equal(result.message, "");
    snprintf(loaded->preset.model_path, sizeof loaded->preset.model_path, GOLDEN_FOLDER "/config/%s", model);
    preset_warnings_clear(&warnings);
}

static void unload(struct loaded *loaded)
{
    preset_clear(&loaded->preset);
    cJSON_Delete(loaded->json);
}

static void check_gradient(const char *model, const char *reward, int kept)
{
    struct loaded loaded;
    struct gradcheck_report report;
    load(&loaded, model, reward);
    status result = gradcheck_run(&loaded.preset, 8, kept, &report);
    assert_string_equal(result.message, "");
    if (!(report.worst < 1e-5))
        for (int d = 0; d < GRADCHECK_DIRECTIONS; d++)
            print_error("%s %s, K = %d, along %s: analytic %.12g, numeric %.12g\n", model, reward, kept,
                        report.directions[d].name, report.directions[d].analytic, report.directions[d].numeric);
    assert_true(report.worst < 1e-5);
    assert_true(report.directions[0].analytic > 1e-9);
    unload(&loaded);
}

static void test_every_reward_through_the_full_chain(void **state)
{
    (void)state;
    for (int r = 0; r < REWARD_COUNT; r++) check_gradient("linear-v-prediction", rewards[r], 8);
}

static void test_every_reward_through_the_kept_part(void **state)
{
    (void)state;
    for (int r = 0; r < REWARD_COUNT; r++) check_gradient("linear-v-prediction", rewards[r], 3);
}

static void test_other_configurations(void **state)
{
    (void)state;
    check_gradient("deep-sharded", rewards[8], 8);
    check_gradient("deep-sharded", rewards[2], 3);
}

/* The objective with random factors: gradient of every parameter after one pass. */
struct pass {
    struct loaded loaded;
    struct backend *backend;
    struct objective *objective;
    struct chain *chain;
};

/* How much of the activations is kept. */
struct keeping {
    int calls;
    bool recompute_blocks;
};

static void pass_begin(struct pass *pass, struct backend *backend, struct keeping keeping, double eta, double guidance)
{
    static const char both[] = "{\"name\":\"brightness\"},{\"name\":\"colorfulness\"}";
    load(&pass->loaded, "linear-v-prediction", both);
    pass->loaded.preset.eta = eta;
    pass->loaded.preset.guidance = guidance;
    pass->backend = backend;
    struct objective_settings settings = {
        .batch = 2, .steps = 8, .saved_calls = keeping.calls, .recompute_blocks = keeping.recompute_blocks};
    status result = objective_create(&pass->loaded.preset, backend, &settings, &pass->objective);
    assert_string_equal(result.message, "");
    pass->chain = objective_chain(pass->objective);
    result = objective_allocate(pass->objective);
    assert_string_equal(result.message, "");
    for (int i = 0; i < chain_parameter_count(pass->chain); i++) {
        struct shape shape = chain_parameter_shape(pass->chain, i);
        int64_t count = shape_elements(&shape);
        double *values = malloc((size_t)count * sizeof *values);
        for (int64_t e = 0; e < count; e++)
            values[e] = (float)(0.1 * noise_normal((struct noise_stream){3, NOISE_TEST, (uint64_t)i}, (uint32_t)e));
        assert_int_equal(chain_write_parameter(pass->chain, i, values).code, STATUS_OK);
        free(values);
    }
    const char *prompts[] = {"a cat", "two dogs"};
    const uint64_t seeds[] = {5, 5}, numbers[] = {1, 2};
    assert_int_equal(objective_set_prompts(pass->objective, prompts, "").code, STATUS_OK);
    assert_int_equal(chain_start(pass->chain, seeds, numbers).code, STATUS_OK);
    assert_int_equal(chain_merge_parameters(pass->chain, 1.0).code, STATUS_OK);
}

static void pass_end(struct pass *pass)
{
    objective_destroy(pass->objective);
    unload(&pass->loaded);
    pass->backend->interface->destroy(pass->backend);
}

/* Forward over all steps, the last `kept` with gradient, and back; slots as the tuner gives them. */
static void pass_run(struct pass *pass, int kept, int saved_calls)
{
    const double factors[] = {1.0, 0.5};
    double scores[4];
    for (int i = 0; i < 8; i++) {
        int from_end = 7 - i;
        status result =
            chain_step(pass->chain, i, from_end < kept, from_end < kept && from_end < saved_calls ? from_end : -1);
        assert_string_equal(result.message, "");
    }
    assert_int_equal(chain_clear_gradients(pass->chain).code, STATUS_OK);
    for (int call = 0; call < 2 / chain_decode_batch(pass->chain); call++) {
        assert_int_equal(chain_decode(pass->chain, call).code, STATUS_OK);
        assert_int_equal(objective_score(pass->objective, call, scores).code, STATUS_OK);
        assert_int_equal(objective_score_backward(pass->objective, factors).code, STATUS_OK);
        assert_int_equal(chain_decode_backward(pass->chain, call).code, STATUS_OK);
    }
    for (int i = 7; i >= 8 - kept; i--) {
        int from_end = 7 - i;
        assert_int_equal(chain_step_backward(pass->chain, i, from_end < saved_calls ? from_end : -1).code, STATUS_OK);
    }
}

static int64_t gradient_size(const struct pass *pass)
{
    int64_t total = 0;
    for (int i = 0; i < chain_parameter_count(pass->chain); i++) {
        struct shape shape = chain_parameter_shape(pass->chain, i);
        total += shape_elements(&shape);
    }
    return total;
}

static double *gradient(struct pass *pass, int64_t *count)
{
    *count = gradient_size(pass);
    double *values = calloc((size_t)*count + 1, sizeof *values), *end = values;
    for (int i = 0; i < chain_parameter_count(pass->chain); i++) {
        struct shape shape = chain_parameter_shape(pass->chain, i);
        assert_int_equal(chain_read_gradient(pass->chain, i, end).code, STATUS_OK);
        end += shape_elements(&shape);
    }
    return values;
}

static struct backend *cpu(int threads)
{
    struct backend *backend;
    status result = backend_cpu_create(threads, &backend);
    assert_string_equal(result.message, "");
    return backend;
}

static double *cpu_gradient(int threads, int kept, struct keeping keeping, double eta, double guidance, int64_t *count)
{
    struct pass pass;
    pass_begin(&pass, cpu(threads), keeping, eta, guidance);
    pass_run(&pass, kept, keeping.calls);
    double *values = gradient(&pass, count);
    pass_end(&pass);
    return values;
}

/* With all, some and no steps' activations kept, and with blocks recomputed within a step: the same bits. */
static void test_kept_and_recomputed_agree_to_the_bit(void **state)
{
    (void)state;
    static const struct keeping keepings[] = {{1, false}, {3, false}, {8, false}, {0, false}, {0, true}, {2, true}};
    int64_t count;
    for (int threads = 1; threads <= 2; threads++) {
        double *first = cpu_gradient(threads, 8, keepings[0], 0.0, 3.0, &count);
        for (size_t k = 1; k < sizeof keepings / sizeof *keepings; k++) {
            double *other = cpu_gradient(threads, 8, keepings[k], 0.0, 3.0, &count);
            assert_memory_equal(first, other, (size_t)count * sizeof *first);
            free(other);
        }
        free(first);
    }
}

static void check_precision(int kept, double eta, double guidance)
{
    struct pass pass;
    struct backend *reference;
    int64_t count;
    assert_int_equal(backend_reference_create(&reference).code, STATUS_OK);
    pass_begin(&pass, reference, (struct keeping){1, false}, eta, guidance);
    pass_run(&pass, kept, 1);
    double *exact = gradient(&pass, &count), error = 0.0, size = 0.0;
    pass_end(&pass);
    double *single = cpu_gradient(2, kept, (struct keeping){2, false}, eta, guidance, &count);
    for (int64_t i = 0; i < count; i++) {
        error += (single[i] - exact[i]) * (single[i] - exact[i]);
        size += exact[i] * exact[i];
    }
    assert_true(size > 0.0);
    if (!(sqrt(error / size) < 1e-4)) fail_msg("relative L2 of the adapter's gradient: %g", sqrt(error / size));
    free(exact);
    free(single);
}

static void test_single_precision_agrees_with_double(void **state)
{
    (void)state;
    check_precision(8, 0.0, 3.0);
    check_precision(3, 0.7, 3.0);
    check_precision(3, 0.0, 1.0);
}

/* The no_grad step with merged adapters and the grad step with attached ones make the same latents. */
static void test_merged_and_attached_agree(void **state)
{
    (void)state;
    struct pass pass;
    pass_begin(&pass, cpu(1), (struct keeping){1, false}, 0.0, 3.0);
    enum { COUNT = 2 * 3 * 4 * 4 };
    float merged[2048], attached[2048];
    assert_int_equal(chain_step(pass.chain, 0, false, -1).code, STATUS_OK);
    assert_int_equal(chain_read_latents(pass.chain, 1, merged).code, STATUS_OK);
    assert_int_equal(chain_step(pass.chain, 0, true, -1).code, STATUS_OK);
    assert_int_equal(chain_read_latents(pass.chain, 1, attached).code, STATUS_OK);
    double error = 0.0, size = 0.0;
    for (int i = 0; i < COUNT; i++) {
        error += (merged[i] - attached[i]) * (merged[i] - attached[i]);
        size += attached[i] * attached[i];
    }
    assert_true(sqrt(error / size) < 1e-5);
    /* and the adapter matters: without it the latents differ */
    assert_int_equal(chain_merge_parameters(pass.chain, 0.0).code, STATUS_OK);
    assert_int_equal(chain_step(pass.chain, 0, false, -1).code, STATUS_OK);
    assert_int_equal(chain_read_latents(pass.chain, 1, merged).code, STATUS_OK);
    error = 0.0;
    for (int i = 0; i < COUNT; i++) error += (merged[i] - attached[i]) * (merged[i] - attached[i]);
    assert_true(sqrt(error / size) > 1e-3);
    pass_end(&pass);
}

static void test_high_water_equals_the_plan(void **state)
{
    (void)state;
    struct pass pass;
    pass_begin(&pass, cpu(2), (struct keeping){2, false}, 0.0, 3.0);
    pass_run(&pass, 5, 2);
    assert_int_equal(chain_high_water(pass.chain), chain_work(pass.chain).bytes);
    pass_end(&pass);
}

static struct tuner *tuner_of(const struct preset *preset, struct backend *backend)
{
    struct tuner *tuner;
    status result = tuner_create(preset, backend, (struct tuner_callbacks){0}, &tuner);
    assert_string_equal(result.message, "");
    result = tuner_start(tuner);
    assert_string_equal(result.message, "");
    return tuner;
}

/* Numbers that overflow on the way are noticed before the optimiser: the adapter stays, the fifth in a row ends it. */
static void test_guard(void **state)
{
    (void)state;
    struct loaded loaded;
    struct tuner_tensor tensors[512];
    struct step_report report;
    load(&loaded, "linear-v-prediction", rewards[8]);
    loaded.preset.guidance = 1e38;
    struct backend *backend = cpu(1);
    struct tuner *tuner = tuner_of(&loaded.preset, backend);
    int count = tuner_adapter_tensors(tuner, tensors, 512);
    assert_in_range(count, 2, 512);
    size_t bytes = (size_t)shape_elements(&tensors[0].shape) * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, tensors[0].values, bytes);
    for (int step = 1; step <= 5; step++) {
        status result = tuner_step(tuner, &report);
        assert_true(report.skipped);
        assert_int_equal(result.code, step < 5 ? STATUS_OK : STATUS_FAILED);
        if (step == 5) assert_non_null(strstr(result.message, "the first 5 steps were not finite"));
    }
    assert_memory_equal(before, tensors[0].values, bytes);
    free(before);
    tuner_destroy(tuner);
    backend->interface->destroy(backend);
    unload(&loaded);
}

/* Every truncation method runs, moves the adapter, and repeats itself to the bit. */
static void check_method(enum backprop_method method, int accumulate)
{
    float first[64];
    for (int repeat = 0; repeat < 2; repeat++) {
        struct loaded loaded;
        struct tuner_tensor tensors[512];
        struct step_report report;
        load(&loaded, "linear-v-prediction", rewards[8]);
        loaded.preset.method = method;
        loaded.preset.draw_minimum = 1;
        loaded.preset.draw_maximum = 8;
        loaded.preset.k = 1;
        loaded.preset.n = 2;
        loaded.preset.accumulate = accumulate;
        struct backend *backend = cpu(2);
        struct tuner *tuner = tuner_of(&loaded.preset, backend);
        tuner_adapter_tensors(tuner, tensors, 512);
        for (int step = 0; step < 2; step++) {
            status result = tuner_step(tuner, &report);
            assert_string_equal(result.message, "");
            assert_false(report.skipped);
            assert_true(report.gradient_norm > 0.0);
        }
        assert_true(report.adapter_norm > 0.0);
        size_t bytes = (size_t)shape_elements(&tensors[1].shape) * sizeof(float);
        if (bytes > sizeof first) bytes = sizeof first;
        if (repeat == 0)
            memcpy(first, tensors[1].values, bytes);
        else
            assert_memory_equal(first, tensors[1].values, bytes);
        tuner_destroy(tuner);
        backend->interface->destroy(backend);
        unload(&loaded);
    }
}

static void test_methods(void **state)
{
    (void)state;
    check_method(BACKPROP_ALIGNPROP, 1);
    check_method(BACKPROP_FULL, 1);
    check_method(BACKPROP_LAST_K, 2);
    check_method(BACKPROP_LOW_VARIANCE, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reward_through_the_full_chain),
        cmocka_unit_test(test_every_reward_through_the_kept_part),
        cmocka_unit_test(test_other_configurations),
        cmocka_unit_test(test_kept_and_recomputed_agree_to_the_bit),
        cmocka_unit_test(test_single_precision_agrees_with_double),
        cmocka_unit_test(test_merged_and_attached_agree),
        cmocka_unit_test(test_high_water_equals_the_plan),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
