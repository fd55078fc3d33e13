/* Whole optimiser steps on the emulated device: recorded sequences against one operation after the other, bit for bit;
 * what a step allocates, waits for and queues; a device that cannot record and one that is lost. */
#include "engine/base/json.h"
#include "engine/tuning/objective.h"
#include "engine/tuning/tuner.h"
#include "kernels/backend.h"
#include "tests/cuda/emulation/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 6, KEPT = 4, KEPT_CALLS = 2, BATCH = 2, ROUNDS = 3, LAUNCH_FAILURE = 719 };

static void require(status state)
{
    if (state.code != STATUS_OK) fail_msg("%s", state.message);
}

struct loaded {
    cJSON *json;
    struct preset preset;
};

static void load(struct loaded *loaded)
{
    static const char text[] =
        "{\"schema\":1,\"name\":\"test\",\"model\":\"linear-v-prediction\",\"prompts\":{\"train\":[\"a cat\"]},"
        "\"rewards\":[{\"name\":\"brightness\"}],\"lora\":{\"rank\":3,\"alpha\":5},\"sampler\":{\"steps\":6,"
        "\"guidance\":3.0,\"eta\":0.5,\"width\":16,\"height\":16},\"backprop\":{\"method\":\"last-k\",\"k\":4},"
        "\"batch\":2,\"memory\":{\"keep_steps\":2},\"seed\":\"11\"}";
    struct preset_warnings warnings = {0};
    memset(loaded, 0, sizeof *loaded);
    require(json_parse(text, strlen(text), "test", &loaded->json));
    require(preset_from_json(loaded->json, "test", ".", NULL, 0, &loaded->preset, &warnings));
    snprintf(loaded->preset.model_path, sizeof loaded->preset.model_path,
             GOLDEN_FOLDER "/config/linear-v-prediction");
    preset_warnings_clear(&warnings);
}

static void unload(struct loaded *loaded)
{
    preset_clear(&loaded->preset);
    cJSON_Delete(loaded->json);
}

static struct backend *device(enum cuda_precision precision)
{
    struct backend *backend;
    emulation_set_machine((struct emulation_machine){13000, 1, 9, 0, (size_t)1 << 30, true});
    require(backend_cuda_create(0, precision, &backend));
    return backend;
}

/* ---- the chain, round by round ---- */

struct chain_under_test {
    struct loaded loaded;
    struct backend *backend;
    struct objective *objective;
    struct chain *chain;
    int64_t gradient_count;
};

static void chain_begin(struct chain_under_test *test, enum cuda_precision precision)
{
    struct objective_settings settings = {.batch = BATCH, .steps = STEPS, .kept_calls = KEPT_CALLS};
    load(&test->loaded);
    test->backend = device(precision);
    require(objective_create(&test->loaded.preset, test->backend, &settings, &test->objective));
    test->chain = objective_chain(test->objective);
    require(objective_allocate(test->objective));
    test->gradient_count = 0;
    for (int i = 0; i < chain_parameter_count(test->chain); i++) {
        struct shape shape = chain_parameter_shape(test->chain, i);
        test->gradient_count += shape_elements(&shape);
    }
}

static void chain_end(struct chain_under_test *test)
{
    objective_destroy(test->objective);
    test->backend->interface->destroy(test->backend);
    unload(&test->loaded);
}

/* Adapters, prompts and noise are other ones each round: what a recording had kept of them would show. */
static void prepare_round(struct chain_under_test *test, int round)
{
    const char *prompts[][BATCH] = {{"a cat", "two dogs"}, {"two dogs", "a tree"}, {"a tree", "a tree"}};
    const uint64_t seeds[] = {5, 5}, numbers[] = {(uint64_t)(2 * round), (uint64_t)(2 * round + 1)};
    for (int i = 0; i < chain_parameter_count(test->chain); i++) {
        struct shape shape = chain_parameter_shape(test->chain, i);
        int64_t count = shape_elements(&shape);
        struct noise_stream stream = {(uint64_t)round, NOISE_TEST, (uint64_t)i};
        double *values = malloc((size_t)count * sizeof *values);
        assert_non_null(values);
        for (int64_t e = 0; e < count; e++) values[e] = (float)(0.1 * noise_normal(stream, (uint32_t)e));
        require(chain_write_parameter(test->chain, i, values));
        free(values);
    }
    require(objective_set_prompts(test->objective, prompts[round % 3], ""));
    require(chain_start(test->chain, seeds, numbers));
    require(chain_clear_gradients(test->chain));
}

static int slot_of(int step)
{
    int from_end = STEPS - 1 - step;
    return from_end < KEPT_CALLS ? from_end : -1;
}

static void run_steps(struct chain_under_test *test)
{
    require(chain_merge_parameters(test->chain, 1.0));
    for (int i = 0; i < STEPS; i++) {
        bool kept = i >= STEPS - KEPT;
        require(chain_step(test->chain, i, kept, kept ? slot_of(i) : -1));
    }
}

static void run_back(struct chain_under_test *test)
{
    for (int i = STEPS - 1; i >= STEPS - KEPT; i--) require(chain_step_back(test->chain, i, slot_of(i)));
}

static void run_score(struct chain_under_test *test, double *scores)
{
    const double factor = 1.0;
    int each = chain_decode_batch(test->chain);
    for (int call = 0; call < BATCH / each; call++) {
        require(chain_decode(test->chain, call));
        require(objective_score(test->objective, call, scores + (ptrdiff_t)call * each));
        require(objective_score_back(test->objective, &factor));
        require(chain_decode_back(test->chain, call));
    }
}

struct round {
    double scores[BATCH];
    float latents[BATCH * 16 * 16 * 4]; /* more than the model's factor of 2 or more needs */
    double *gradient;
};

static void read_round(struct chain_under_test *test, struct round *round)
{
    double *end = round->gradient = calloc((size_t)test->gradient_count, sizeof *end);
    assert_non_null(end);
    require(chain_read_latents(test->chain, STEPS, round->latents));
    for (int i = 0; i < chain_parameter_count(test->chain); i++) {
        struct shape shape = chain_parameter_shape(test->chain, i);
        require(chain_read_gradient(test->chain, i, end));
        end += shape_elements(&shape);
    }
}

static int64_t run_rounds(enum cuda_precision precision, struct round rounds[ROUNDS])
{
    struct chain_under_test test;
    chain_begin(&test, precision);
    memset(rounds, 0, ROUNDS * sizeof *rounds);
    for (int round = 0; round < ROUNDS; round++) {
        prepare_round(&test, round);
        run_steps(&test);
        run_score(&test, rounds[round].scores);
        run_back(&test);
        read_round(&test, &rounds[round]);
    }
    chain_end(&test);
    return test.gradient_count;
}

static void check_replay(enum cuda_precision precision)
{
    static struct round direct[ROUNDS], replayed[ROUNDS];
    struct emulation_counters before = emulation_count();
    emulation_refuse_capture(true);
    run_rounds(precision, direct);
    emulation_refuse_capture(false);
    struct emulation_counters between = emulation_count();
    assert_int_equal(between.replays, before.replays);
    int64_t count = run_rounds(precision, replayed);
    struct emulation_counters after = emulation_count();
    assert_true(after.replays - between.replays > ROUNDS * (long)(STEPS + KEPT) / 2);
    for (int round = 0; round < ROUNDS; round++) {
        double size = 0.0;
        for (int64_t i = 0; i < count; i++) size += direct[round].gradient[i] * direct[round].gradient[i];
        assert_true(size > 0.0);
        assert_memory_equal(direct[round].scores, replayed[round].scores, sizeof direct[round].scores);
        assert_memory_equal(direct[round].latents, replayed[round].latents, sizeof direct[round].latents);
        assert_memory_equal(direct[round].gradient, replayed[round].gradient, (size_t)count * sizeof(double));
        if (round > 0) {
            assert_memory_not_equal(direct[round].latents, direct[0].latents, sizeof direct[0].latents);
            assert_memory_not_equal(direct[round].gradient, direct[0].gradient, (size_t)count * sizeof(double));
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        free(direct[round].gradient);
        free(replayed[round].gradient);
    }
    assert_int_equal(after.faults, before.faults);
}

/* Timesteps, coefficients, latents, noise, context, adapters and merged weights are read from device memory: a replayed
 * step equals its operations queued one by one, for every step of every round. */
static void test_replay_equals_direct(void **unused)
{
    (void)unused;
    check_replay(CUDA_PRECISION_F32);
    check_replay(CUDA_PRECISION_BF16);
}

/* Once recorded, a U-Net call is a handful of things to queue, and nothing in it allocates or waits. */
static void test_sweeps_neither_allocate_nor_wait(void **unused)
{
    (void)unused;
    struct chain_under_test test;
    double scores[BATCH];
    chain_begin(&test, CUDA_PRECISION_BF16);
    for (int round = 0; round < 2; round++) {
        prepare_round(&test, round);
        run_steps(&test);
        run_score(&test, scores);
        run_back(&test);
    }
    prepare_round(&test, 2);
    require(chain_merge_parameters(test.chain, 1.0));
    struct emulation_counters before = emulation_count();
    for (int i = 0; i < STEPS; i++) {
        bool kept = i >= STEPS - KEPT;
        require(chain_step(test.chain, i, kept, kept ? slot_of(i) : -1));
    }
    run_back(&test);
    struct emulation_counters after = emulation_count();
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.synchronizations, before.synchronizations);
    assert_int_equal(after.launches, before.launches); /* all of them within sequences */
    long calls = STEPS + KEPT + (KEPT - KEPT_CALLS);
    assert_int_equal(after.replays - before.replays, calls);
    /* latents, constants and noise in, latents out; backward also the two gradients */
    assert_int_equal(after.queued - before.queued, calls + 4 * STEPS + 5 * KEPT);
    chain_end(&test);
}

/* ---- the tuner ---- */

static struct tuner *tuner_of(const struct preset *preset, struct backend *backend)
{
    struct tuner *tuner;
    require(tuner_create(preset, backend, (struct tuner_callbacks){0}, &tuner));
    require(tuner_start(tuner));
    return tuner;
}

/* A step waits where the host needs a number before it may go on, and nowhere else. */
static void test_step_allocates_nothing(void **unused)
{
    (void)unused;
    enum {
        WAITS = 1 /* sampled */ + 1 /* decoded */ + 3 /* scores, pictures, their gradient */ + 1 /* decoder's gradient */
                + 1 /* backward sweep */ + 1 /* adapter gradients */
    };
    struct loaded loaded;
    struct step_report report;
    load(&loaded);
    struct backend *backend = device(CUDA_PRECISION_BF16);
    struct tuner *tuner = tuner_of(&loaded.preset, backend);
    for (int step = 0; step < 2; step++) require(tuner_step(tuner, &report));
    struct emulation_counters before = emulation_count();
    require(tuner_step(tuner, &report));
    struct emulation_counters after = emulation_count();
    assert_false(report.skipped);
    assert_true(report.gradient_norm > 0.0);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.synchronizations - before.synchronizations, WAITS);
    tuner_destroy(tuner);
    backend->interface->destroy(backend);
    unload(&loaded);
}

static void copy_adapter(struct tuner *tuner, float *values, int64_t capacity, int64_t *count)
{
    struct tuner_tensor tensors[512];
    int tensor_count = tuner_adapter_tensors(tuner, tensors, 512);
    *count = 0;
    for (int i = 0; i < tensor_count; i++) {
        int64_t elements = shape_elements(&tensors[i].shape);
        assert_true(*count + elements <= capacity);
        memcpy(values + *count, tensors[i].values, (size_t)elements * sizeof *values);
        *count += elements;
    }
}

/* A device lost anywhere in a step fails it with words that say so, and leaves the adapter of the step before. */
static void test_lost_device(void **unused)
{
    (void)unused;
    enum { CAPACITY = 1 << 20 };
    static float before[CAPACITY], after[CAPACITY];
    long lengths[] = {0, 3, 40, 100};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct loaded loaded;
        struct step_report report;
        int64_t count, again;
        load(&loaded);
        struct backend *backend = device(CUDA_PRECISION_BF16);
        struct tuner *tuner = tuner_of(&loaded.preset, backend);
        require(tuner_step(tuner, &report));
        require(tuner_step(tuner, &report));
        copy_adapter(tuner, before, CAPACITY, &count);
        emulation_lose_device(lengths[i], LAUNCH_FAILURE);
        status failed = tuner_step(tuner, &report);
        assert_int_equal(failed.code, STATUS_FAILED);
        if (!strstr(failed.message, "unspecified launch failure; the GPU is lost to this program"))
            fail_msg("after %ld: \"%s\"", lengths[i], failed.message);
        assert_int_equal(tuner_step_number(tuner), 2);
        copy_adapter(tuner, after, CAPACITY, &again);
        assert_int_equal(count, again);
        assert_memory_equal(before, after, (size_t)count * sizeof *before);
        tuner_destroy(tuner);
        backend->interface->destroy(backend);
        emulation_lose_device(0, 0);
        unload(&loaded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_equals_direct),
        cmocka_unit_test(test_sweeps_neither_allocate_nor_wait),
        cmocka_unit_test(test_step_allocates_nothing),
        cmocka_unit_test(test_lost_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
