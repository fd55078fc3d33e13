/* Whole optimiser steps on the emulated device: recorded sequences and timed operations against one operation after the
 * other, bit for bit;
 * what a step allocates, waits for and queues; a device that cannot record and one that is lost. */
#include "engine/base/json.h"
#include "engine/tuning/objective.h"
#include "engine/tuning/tuner.h"
#include "kernels/profile/kernel_profile.h"
#include "tests/cuda/emulation/control.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 3, KEPT = 2, SAVED_CALLS = 1, BATCH = 1, ROUNDS = 2, LAUNCH_FAILURE = 719 };

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
        "\"rewards\":[{\"name\":\"brightness\"}],\"lora\":{\"rank\":3,\"alpha\":5},\"sampler\":{\"steps\":3,"
        "\"guidance\":1,\"eta\":0.5,\"width\":16,\"height\":16},\"backprop\":{\"method\":\"last-k\",\"k\":2},"
        "\"batch\":1,\"memory\":{\"keep_steps\":1},\"seed\":\"11\"}";
    struct preset_warnings warnings = {0};
    memset(loaded, 0, sizeof *loaded);
    require(json_parse(text, strlen(text), "test", &loaded->json));
    require(preset_from_json(loaded->json, "test", ".", NULL, 0, &loaded->preset, &warnings));
    snprintf(loaded->preset.model_path, sizeof loaded->preset.model_path, GOLDEN_FOLDER "/config/linear-v-prediction");
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
    emulation_set_machine((struct emulation_machine){13000, 1, 9, 0, (size_t)1 << 30, true, 0});
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

static void chain_begin_on(struct chain_under_test *test, struct backend *backend)
{
    struct objective_settings settings = {.batch = BATCH, .steps = STEPS, .saved_calls = SAVED_CALLS};
    load(&test->loaded);
    test->backend = backend;
    require(objective_create(&test->loaded.preset, test->backend, &settings, &test->objective));
    test->chain = objective_chain(test->objective);
    require(objective_allocate(test->objective));
    test->gradient_count = 0;
    for (int i = 0; i < chain_parameter_count(test->chain); i++) {
        struct shape shape = chain_parameter_shape(test->chain, i);
        test->gradient_count += shape_elements(&shape);
    }
}

static void chain_begin(struct chain_under_test *test, enum cuda_precision precision)
{
    chain_begin_on(test, device(precision));
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
    const char *prompts[][BATCH] = {{"a cat"}, {"two dogs"}, {"a tree"}};
    const uint64_t seeds[BATCH] = {5}, numbers[BATCH] = {(uint64_t)round};
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
    return from_end < SAVED_CALLS ? from_end : -1;
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
    for (int i = STEPS - 1; i >= STEPS - KEPT; i--) require(chain_step_backward(test->chain, i, slot_of(i)));
}

static void run_score(struct chain_under_test *test, double *scores)
{
    const double factor = 1.0;
    int each = chain_decode_batch(test->chain);
    for (int call = 0; call < BATCH / each; call++) {
        require(chain_decode(test->chain, call));
        require(objective_score(test->objective, call, scores + (ptrdiff_t)call * each));
        require(objective_score_backward(test->objective, &factor));
        require(chain_decode_backward(test->chain, call));
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

static void run_round(struct chain_under_test *test, int number, struct round *round)
{
    prepare_round(test, number);
    run_steps(test);
    run_score(test, round->scores);
    run_back(test);
    read_round(test, round);
}

/* One operation after the other, as on a device that cannot record. */
static void run_direct(struct round rounds[ROUNDS])
{
    struct chain_under_test test;
    struct emulation_counters before = emulation_count();
    emulation_refuse_capture(true);
    chain_begin(&test, CUDA_PRECISION_BF16);
    for (int i = 0; i < ROUNDS; i++) run_round(&test, i, &rounds[i]);
    chain_end(&test);
    emulation_refuse_capture(false);
    assert_int_equal(emulation_count().replays, before.replays);
}

/* Every operation timed and waited for. */
static void run_timed(struct round rounds[ROUNDS])
{
    struct chain_under_test test;
    struct kernel_profile profile = {.peaks = {.flops_per_second = 1.0, .bytes_per_second = 1.0}};
    struct backend *inner = device(CUDA_PRECISION_BF16), *timed;
    require(timed_backend_create(inner, (struct timed_hooks){&profile, timed_wall_clock, kernel_profile_add}, &timed));
    struct emulation_counters before = emulation_count();
    chain_begin_on(&test, timed);
    for (int i = 0; i < ROUNDS; i++) run_round(&test, i, &rounds[i]);
    chain_end(&test);
    struct emulation_counters after = emulation_count();
    struct kernel_totals sum = kernel_profile_sum(&profile);
    assert_int_equal(after.replays, before.replays);
    assert_true((double)(after.synchronizations - before.synchronizations) >= sum.calls);
    for (int i = 0; i < KERNEL_OTHER; i++)
        if (profile.totals[i].calls == 0.0) fail_msg("no %s", kernel_class_name((enum kernel_class)i));
    inner->interface->destroy(inner);
}

static void compare(const struct round *direct, const struct round *replayed, int64_t count)
{
    double size = 0.0;
    for (int64_t i = 0; i < count; i++) size += direct->gradient[i] * direct->gradient[i];
    assert_true(size > 0.0);
    assert_memory_equal(direct->scores, replayed->scores, sizeof direct->scores);
    assert_memory_equal(direct->latents, replayed->latents, sizeof direct->latents);
    assert_memory_equal(direct->gradient, replayed->gradient, (size_t)count * sizeof(double));
}

/* Once recorded, a U-Net call is a handful of things to queue, and nothing in it allocates or waits. */
static void check_what_is_queued(struct chain_under_test *test)
{
    prepare_round(test, ROUNDS);
    require(chain_merge_parameters(test->chain, 1.0));
    struct emulation_counters before = emulation_count();
    for (int i = 0; i < STEPS; i++) {
        bool kept = i >= STEPS - KEPT;
        require(chain_step(test->chain, i, kept, kept ? slot_of(i) : -1));
    }
    run_back(test);
    struct emulation_counters after = emulation_count();
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.synchronizations, before.synchronizations);
    assert_int_equal(after.launches, before.launches); /* all of them within sequences */
    long prologues = 2; /* keys and values of the prompts, for the no_grad and for the grad steps */
    long calls = prologues + STEPS + KEPT + (KEPT - SAVED_CALLS);
    assert_int_equal(after.replays - before.replays, calls);
    /* latents, constants and noise in, latents out; backward also the two gradients; the sums for the epilogue cleared
     */
    assert_int_equal(after.queued - before.queued, calls + 4 * STEPS + 5 * KEPT + 1);
}

struct way {
    struct round round;
    long launches;
    size_t bytes; /* planned */
    int64_t gradient_count;
};

static void run_way(const char *joined, struct way *way)
{
    struct chain_under_test test;
    struct backend *backend;
    setenv("ALIGNPROP_JOINED_PROJECTIONS", joined, 1);
    /* Without cuBLASLt, whose products are no launches that are counted. */
    emulation_set_machine((struct emulation_machine){13000, 1, 9, 0, (size_t)1 << 30, false, 0});
    require(backend_cuda_create(0, CUDA_PRECISION_F32, &backend));
    chain_begin_on(&test, backend);
    way->bytes = chain_total_bytes(test.chain);
    way->gradient_count = test.gradient_count;
    emulation_refuse_capture(true);
    struct emulation_counters before = emulation_count();
    run_round(&test, 0, &way->round);
    way->launches = emulation_count().launches - before.launches;
    emulation_refuse_capture(false);
    chain_end(&test);
    unsetenv("ALIGNPROP_JOINED_PROJECTIONS");
}

/* One product for queries, keys and values gives the gradients that three give, from fewer launches and no more memory.
 */
static void test_joined_projections(void **unused)
{
    (void)unused;
    enum { SELF_ATTENTIONS = 6, CALLS = STEPS + (KEPT - SAVED_CALLS) + KEPT /* forward, again, backward */ };
    static struct way apart, joined;
    double difference = 0.0, size = 0.0;
    run_way("off", &apart);
    run_way("on", &joined);
    print_message("launches %ld, joined %ld; bytes %zu, joined %zu\n", apart.launches, joined.launches, apart.bytes,
                  joined.bytes);
    assert_true(joined.launches <= apart.launches - 2L * SELF_ATTENTIONS * CALLS);
    assert_true(joined.bytes <= apart.bytes);
    assert_int_equal(joined.gradient_count, apart.gradient_count);
    for (int64_t i = 0; i < apart.gradient_count; i++) {
        double own = joined.round.gradient[i] - apart.round.gradient[i];
        difference += own * own;
        size += apart.round.gradient[i] * apart.round.gradient[i];
    }
    print_message("gradients differ by %.2g of their size\n", sqrt(difference / size));
    assert_true(size > 0.0 && difference < 1e-10 * size);
    free(apart.round.gradient);
    free(joined.round.gradient);
}

/* Timesteps, coefficients, latents, noise, context, adapters and merged weights are read from device memory: a replayed
 * step equals its operations queued one by one, for every step of every round; so does one with each of them timed. */
static void test_replay_equals_direct(void **unused)
{
    (void)unused;
    static struct round direct[ROUNDS], replayed[ROUNDS], timed[ROUNDS];
    struct chain_under_test test;
    long faults = emulation_count().faults;
    run_direct(direct);
    run_timed(timed);
    chain_begin(&test, CUDA_PRECISION_BF16);
    for (int i = 0; i < ROUNDS; i++) run_round(&test, i, &replayed[i]);
    for (int i = 0; i < ROUNDS; i++) compare(&direct[i], &replayed[i], test.gradient_count);
    for (int i = 0; i < ROUNDS; i++) compare(&direct[i], &timed[i], test.gradient_count);
    assert_memory_not_equal(direct[0].latents, direct[1].latents, sizeof direct[0].latents);
    assert_memory_not_equal(direct[0].gradient, direct[1].gradient, (size_t)test.gradient_count * sizeof(double));
    check_what_is_queued(&test);
    for (int i = 0; i < ROUNDS; i++) {
        free(direct[i].gradient);
        free(replayed[i].gradient);
        free(timed[i].gradient);
    }
    chain_end(&test);
    assert_int_equal(emulation_count().faults, faults);
}

/* Fetched latents come while later steps are queued, and are those of the step that was asked for. */
static void test_fetch_beside_the_steps(void **unused)
{
    (void)unused;
    struct chain_under_test test;
    struct round *expected = calloc(1, sizeof *expected), *fetched = calloc(1, sizeof *fetched);
    bool there;
    assert_non_null(expected);
    assert_non_null(fetched);
    chain_begin(&test, CUDA_PRECISION_BF16);
    prepare_round(&test, 0);
    require(chain_merge_parameters(test.chain, 1.0));
    require(chain_step(test.chain, 0, false, -1));
    require(chain_fetch_latents(test.chain, 1));
    long waits = emulation_count().synchronizations;
    require(chain_step(test.chain, 1, false, -1));
    require(chain_fetched_latents(test.chain, fetched->latents, &there));
    assert_false(there);
    require(chain_step(test.chain, 2, false, -1));
    require(chain_fetched_latents(test.chain, fetched->latents, &there));
    assert_true(there);
    assert_int_equal(emulation_count().synchronizations, waits);
    require(chain_read_latents(test.chain, 1, expected->latents));
    assert_memory_equal(fetched->latents, expected->latents, sizeof expected->latents);
    /* One that nobody has asked for again is done once the device was waited for, whatever is written then. */
    require(chain_fetch_latents(test.chain, 1));
    require(test.backend->interface->synchronize(test.backend));
    require(chain_write_latents(test.chain, 1, fetched->latents + 1));
    require(chain_fetched_latents(test.chain, fetched->latents, &there));
    assert_true(there);
    assert_memory_equal(fetched->latents, expected->latents, sizeof expected->latents);
    chain_end(&test);
    free(expected);
    free(fetched);
}

/* ---- the tuner ---- */

/* What the picture callback was given. */
struct shown {
    int previews, samples;
    int last_denoising_step;
};

struct tuner_under_test {
    struct loaded loaded;
    struct backend *backend;
    struct tuner *tuner;
    struct shown shown;
};

static void count_picture(void *context, const struct tuner_picture *picture)
{
    struct shown *shown = context;
    shown->samples += picture->kind == PICTURE_SAMPLE;
    if (picture->kind != PICTURE_DENOISING) return;
    shown->previews++;
    shown->last_denoising_step = picture->denoising_step;
}

static void tuner_begin(struct tuner_under_test *test)
{
    struct tuner_callbacks callbacks = {.context = &test->shown, .picture = count_picture};
    test->shown = (struct shown){0};
    load(&test->loaded);
    test->backend = device(CUDA_PRECISION_BF16);
    require(tuner_create(&test->loaded.preset, test->backend, callbacks, &test->tuner));
    require(tuner_start(test->tuner));
}

static void tuner_end(struct tuner_under_test *test)
{
    tuner_destroy(test->tuner);
    test->backend->interface->destroy(test->backend);
    unload(&test->loaded);
}

/* A step waits where the host needs a number before it may go on, and nowhere else: not for its previews, which come
 * while it goes on. */
static void check_waits(struct tuner *tuner, const struct shown *shown)
{
    enum {
        WAITS = 1 /* sampled */ + 1 /* decoded */ + 3 /* scores, pictures, their gradient */ +
                1                            /* decoder's gradient */
                + 1 /* backward sweep */ + 1 /* adapter gradients */
    };
    struct step_report report;
    for (int step = 0; step < 2; step++) require(tuner_step(tuner, &report));
    struct shown shown_before = *shown;
    struct emulation_counters before = emulation_count();
    require(tuner_step(tuner, &report));
    struct emulation_counters after = emulation_count();
    assert_true(shown->previews > shown_before.previews);
    assert_int_equal(shown->samples - shown_before.samples, BATCH);
    assert_false(report.skipped);
    assert_true(report.gradient_norm > 0.0);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.synchronizations - before.synchronizations, WAITS);
}

static int64_t copy_adapter(struct tuner *tuner, float *values, int64_t capacity)
{
    struct tuner_tensor tensors[512];
    int tensor_count = tuner_adapter_tensors(tuner, tensors, 512);
    int64_t count = 0;
    for (int i = 0; i < tensor_count; i++) {
        int64_t elements = shape_elements(&tensors[i].shape);
        assert_true(count + elements <= capacity);
        memcpy(values + count, tensors[i].values, (size_t)elements * sizeof *values);
        count += elements;
    }
    return count;
}

/* A step on a device that is lost after so many queued things. True if the step failed. */
static bool lose_device(struct tuner *tuner, long after_queued, int *counted)
{
    enum { CAPACITY = 1 << 18 };
    static float before[CAPACITY], after[CAPACITY];
    struct step_report report;
    int step = tuner_step_number(tuner);
    int64_t count = copy_adapter(tuner, before, CAPACITY);
    emulation_lose_device(after_queued, LAUNCH_FAILURE);
    status failed = tuner_step(tuner, &report);
    emulation_lose_device(0, 0);
    if (failed.code == STATUS_OK) return false;
    assert_int_equal(failed.code, STATUS_FAILED);
    if (!strstr(failed.message, "unspecified launch failure; this process can no longer use the GPU"))
        fail_msg("after %ld: \"%s\"", after_queued, failed.message);
    assert_int_equal(copy_adapter(tuner, after, CAPACITY), count);
    *counted = tuner_step_number(tuner) - step;
    bool same = memcmp(before, after, (size_t)count * sizeof *before) == 0;
    assert_int_equal(same, *counted == 0);
    return true;
}

/* Wherever in a step the device is lost, the step fails with words that say so; the host has the adapter of the step
 * before or, when the loss came while the new one was sent, the new one and the step counted. */
static void check_losses(struct tuner *tuner)
{
    enum { APART = 17 };
    int cut_off = 0, counted = 0, last = 0;
    for (long after = 0; lose_device(tuner, after, &last); after += APART) {
        assert_true(last == 0 || last == 1);
        assert_true(last == 1 || counted == 0);
        cut_off += 1 - last;
        counted += last;
    }
    assert_true(cut_off > 2 && counted > 2);
}

static void test_tuner(void **unused)
{
    (void)unused;
    struct tuner_under_test test;
    tuner_begin(&test);
    check_waits(test.tuner, &test.shown);
    struct emulation_counters before = emulation_count();
    check_losses(test.tuner);
    assert_int_equal(emulation_count().allocations, before.allocations);
    tuner_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_equals_direct),
        cmocka_unit_test(test_joined_projections),
        cmocka_unit_test(test_fetch_beside_the_steps),
        cmocka_unit_test(test_tuner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
