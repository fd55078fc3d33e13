/* Seconds and peak memory of the phases of a step, measured on the preset as it is. */
#include "engine/base/json.h"
#include "engine/cli/progress.h"
#include "engine/cli/work.h"
#include "engine/tuning/tuner.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

struct bench_result {
    int steps;
    double start, sampling, decoding, reward, backward, total, evaluation; /* seconds; steps: the mean */
    double mean_kept;
    size_t planned_bytes, peak_bytes;
    double flops_per_step;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static size_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

static status measure_steps(struct tuner *tuner, struct bench_result *result)
{
    for (int i = 0; i < result->steps; i++) {
        struct step_report report;
        TRY(tuner_step(tuner, &report));
        result->sampling += report.seconds_sampling / result->steps;
        result->decoding += report.seconds_decoding / result->steps;
        result->reward += report.seconds_reward / result->steps;
        result->backward += report.seconds_backward / result->steps;
        result->total += report.seconds / result->steps;
        result->mean_kept += (double)report.kept_steps / result->steps;
    }
    return status_ok();
}

static status measure(struct tuner *tuner, struct bench_result *result)
{
    double begin = now(), rewards[MAXIMUM_REWARDS], total;
    TRY(tuner_start(tuner));
    result->start = now() - begin;
    TRY(measure_steps(tuner, result));
    begin = now();
    TRY(tuner_evaluate(tuner, 1, rewards, &total));
    result->evaluation = now() - begin;
    result->planned_bytes = tuner_plan(tuner)->total_bytes;
    result->flops_per_step = tuner_plan(tuner)->flops_per_step;
    result->peak_bytes = peak_bytes();
    return status_ok();
}

static void print_result(const struct invocation *invocation, const struct bench_result *result, const char *device)
{
    const struct {
        const char *name, *key;
        double seconds;
    } phases[] = {{"loading the model", "start", result->start},
                  {"sampling", "sampling", result->sampling},
                  {"decoding", "decoding", result->decoding},
                  {"rewards", "reward", result->reward},
                  {"backward sweep", "backward", result->backward},
                  {"a whole step", "step", result->total},
                  {"held-out pictures", "evaluation", result->evaluation}};
    enum { PHASES = sizeof phases / sizeof *phases };
    cJSON *object = cJSON_CreateObject();
    cJSON *seconds = cJSON_AddObjectToObject(object, "seconds");
    for (int i = 0; i < PHASES; i++) {
        cJSON_AddNumberToObject(seconds, phases[i].key, phases[i].seconds);
        if (!invocation->json) printf("%-20s %10.3f s\n", phases[i].name, phases[i].seconds);
    }
    cJSON_AddStringToObject(object, "device", device);
    cJSON_AddNumberToObject(object, "steps", result->steps);
    cJSON_AddNumberToObject(object, "mean_k", result->mean_kept);
    cJSON_AddNumberToObject(object, "planned_bytes", (double)result->planned_bytes);
    cJSON_AddNumberToObject(object, "peak_bytes", (double)result->peak_bytes);
    cJSON_AddNumberToObject(object, "flops_per_step", result->flops_per_step);
    if (invocation->json) {
        print_json(object);
    } else {
        char planned[32], peak[32];
        format_bytes((double)result->planned_bytes, planned);
        format_bytes((double)result->peak_bytes, peak);
        printf("%d steps on %s, mean K %.1f; planned memory %s, peak of the process %s\n", result->steps, device,
               result->mean_kept, planned, peak);
    }
    cJSON_Delete(object);
}

static status bench(const struct invocation *invocation, struct work *work)
{
    struct bench_result result = {0};
    TRY(option_int(invocation, "steps", 1, 1000, 2, &result.steps));
    TRY(work_load_preset(invocation, invocation->arguments[0], NULL, 0, work));
    TRY(work_open_device(invocation, "auto", 0, work));
    struct tuner *tuner;
    TRY(tuner_create(&work->preset, work->backend, (struct tuner_callbacks){0}, &tuner));
    status outcome = measure(tuner, &result);
    if (outcome.code == STATUS_OK) print_result(invocation, &result, work->device);
    tuner_destroy(tuner);
    return outcome;
}

status command_bench(const struct invocation *invocation)
{
    struct work work = {0};
    status result = bench(invocation, &work);
    work_close(&work);
    return result;
}
