/* Seconds and peak memory of the phases of a step, measured on the preset as it is. */
#include "engine/base/clock.h"
#include "engine/base/format.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/cli/bench_kernels.h"
#include "engine/cli/work.h"
#include "engine/tuning/tuner.h"
#include "kernels/host_memory.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Steps that are not counted where there are more: the first encodes prompts and loads code, the second records what
 * later ones replay. */
enum { WARM_UP_STEPS = 2 };

struct bench_result {
    int steps;
    double start, sampling, decoding, reward, backward, total, evaluation; /* seconds; of steps the median */
    double mean_kept;
    double *each, *processor; /* seconds of each step: by the clock, and of the processor */
    size_t planned_bytes, peak_bytes;
    size_t start_bytes, ready_bytes; /* what the process held once the device was open, and when all was planned */
    /* A device that has memory of its own: what was free once it was open, and the least that was free afterwards. */
    bool has_device_memory;
    size_t device_start_free, device_least_free;
    double flops_per_step;
};

static status look_at_device_memory(struct backend *backend, struct bench_result *result)
{
    size_t available;
    if (!result->has_device_memory) return status_ok();
    TRY(backend->interface->memory_free(backend, &available, NULL));
    if (available < result->device_least_free) result->device_least_free = available;
    return status_ok();
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of what the member at `offset` of the reports says: of one step; of the second of two; of all after the warm-up. */
static double median_of(const struct step_report *reports, int steps, size_t offset, double *sorted)
{
    int first = min_int(WARM_UP_STEPS, steps - 1), count = steps - first;
    for (int i = 0; i < count; i++) memcpy(&sorted[i], (const char *)&reports[first + i] + offset, sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static void summarise_steps(const struct step_report *reports, struct bench_result *result)
{
    int steps = result->steps;
    double *sorted = memory_take((size_t)steps, sizeof *sorted);
    result->sampling = median_of(reports, steps, offsetof(struct step_report, seconds_sampling), sorted);
    result->decoding = median_of(reports, steps, offsetof(struct step_report, seconds_decoding), sorted);
    result->reward = median_of(reports, steps, offsetof(struct step_report, seconds_reward), sorted);
    result->backward = median_of(reports, steps, offsetof(struct step_report, seconds_backward), sorted);
    result->total = median_of(reports, steps, offsetof(struct step_report, seconds), sorted);
    free(sorted);
    for (int i = 0; i < steps; i++) {
        result->each[i] = reports[i].seconds;
        result->mean_kept += (double)reports[i].grad_steps / steps;
    }
}

static status run_steps(struct tuner *tuner, struct backend *backend, struct step_report *reports,
                        struct bench_result *result)
{
    for (int i = 0; i < result->steps; i++) {
        double begin = clock_processor();
        TRY(tuner_step(tuner, &reports[i]));
        result->processor[i] = clock_processor() - begin;
        TRY(look_at_device_memory(backend, result));
    }
    summarise_steps(reports, result);
    return status_ok();
}

static status measure_steps(struct tuner *tuner, struct backend *backend, struct bench_result *result)
{
    struct step_report *reports = memory_take((size_t)result->steps, sizeof *reports);
    status outcome = run_steps(tuner, backend, reports, result);
    free(reports);
    return outcome;
}

static status measure(struct tuner *tuner, struct backend *backend, struct bench_result *result)
{
    double begin = clock_steady(), rewards[MAXIMUM_REWARDS], total;
    result->ready_bytes = host_memory_resident();
    TRY(tuner_start(tuner));
    result->start = clock_steady() - begin;
    TRY(measure_steps(tuner, backend, result));
    begin = clock_steady();
    TRY(tuner_evaluate(tuner, 1, rewards, &total));
    result->evaluation = clock_steady() - begin;
    result->planned_bytes = tuner_plan(tuner)->total_bytes;
    result->flops_per_step = tuner_plan(tuner)->flops_per_step;
    result->peak_bytes = host_memory_peak();
    return look_at_device_memory(backend, result);
}

enum { PHASES = 7 };

struct phase {
    const char *name, *key;
    double seconds;
};

static void list_phases(const struct bench_result *result, struct phase phases[PHASES])
{
    const struct phase all[PHASES] = {{"loading the model", "start", result->start},
                                      {"sampling", "sampling", result->sampling},
                                      {"decoding", "decoding", result->decoding},
                                      {"rewards", "reward", result->reward},
                                      {"backward sweep", "backward", result->backward},
                                      {"a whole step", "step", result->total},
                                      {"held-out pictures", "evaluation", result->evaluation}};
    memcpy(phases, all, sizeof all);
}

static void print_text(const struct bench_result *result, const char *device)
{
    struct phase phases[PHASES];
    char planned[FORMAT_SIZE], start[FORMAT_SIZE], ready[FORMAT_SIZE], peak[FORMAT_SIZE];
    list_phases(result, phases);
    for (int i = 0; i < PHASES; i++) printf("%-20s %10.3f s\n", phases[i].name, phases[i].seconds);
    printf("%d steps on %s, mean K %.1f\n", result->steps, device, result->mean_kept);
    printf("memory planned %s; the process held %s with the device open, %s when all was planned, at most %s\n",
           format_bytes(planned, sizeof planned, (double)result->planned_bytes),
           format_bytes(start, sizeof start, (double)result->start_bytes),
           format_bytes(ready, sizeof ready, (double)result->ready_bytes),
           format_bytes(peak, sizeof peak, (double)result->peak_bytes));
    if (!result->has_device_memory) return;
    double taken = (double)(result->device_start_free - result->device_least_free);
    printf("of the device's memory at most %s, from when it was open\n", format_bytes(peak, sizeof peak, taken));
}

static cJSON *describe(const struct bench_result *result, const char *device)
{
    struct phase phases[PHASES];
    cJSON *object = cJSON_CreateObject();
    cJSON *seconds = cJSON_AddObjectToObject(object, "seconds");
    list_phases(result, phases);
    for (int i = 0; i < PHASES; i++) cJSON_AddNumberToObject(seconds, phases[i].key, phases[i].seconds);
    cJSON_AddItemToObject(object, "step_seconds", cJSON_CreateDoubleArray(result->each, result->steps));
    cJSON_AddItemToObject(object, "step_processor_seconds", cJSON_CreateDoubleArray(result->processor, result->steps));
    cJSON_AddStringToObject(object, "device", device);
    cJSON_AddNumberToObject(object, "steps", result->steps);
    cJSON_AddNumberToObject(object, "mean_k", result->mean_kept);
    cJSON_AddNumberToObject(object, "planned_bytes", (double)result->planned_bytes);
    cJSON_AddNumberToObject(object, "start_bytes", (double)result->start_bytes);
    cJSON_AddNumberToObject(object, "ready_bytes", (double)result->ready_bytes);
    cJSON_AddNumberToObject(object, "peak_bytes", (double)result->peak_bytes);
    if (result->has_device_memory)
        cJSON_AddNumberToObject(object, "device_peak_bytes",
                                (double)(result->device_start_free - result->device_least_free));
    cJSON_AddNumberToObject(object, "flops_per_step", result->flops_per_step);
    return object;
}

static status bench_tuner(struct work *work, struct bench_result *result)
{
    struct tuner *tuner;
    TRY(tuner_create(&work->preset, work->backend, (struct tuner_callbacks){0}, &tuner));
    status outcome = measure(tuner, work->backend, result);
    tuner_destroy(tuner);
    return outcome;
}

/* To `object`, or in words where there is none. */
static status report_kernels(const struct work *work, const struct bench_result *result, cJSON *object)
{
    struct bench_kernels kernels;
    TRY(bench_kernels_measure(&work->preset, work->backend, result->total, result->steps, &kernels));
    if (object)
        cJSON_AddItemToObject(object, "kernels", bench_kernels_describe(&kernels));
    else
        bench_kernels_print(&kernels);
    return status_ok();
}

/* The ordinary measurement first: nothing of the other is in its seconds and memory, and it is told whatever becomes of
 * the other. */
static status bench_preset(const struct invocation *invocation, struct work *work, struct bench_result *result)
{
    TRY(bench_tuner(work, result));
    cJSON *object = invocation->json ? describe(result, work->device) : NULL;
    if (!invocation->json) print_text(result, work->device);
    status outcome = option_given(invocation, "kernels") ? report_kernels(work, result, object) : status_ok();
    if (object) print_json(object);
    cJSON_Delete(object);
    return outcome;
}

/* What opening a device takes is the driver's, not this program's: from here on counts what the program takes. */
static status begin_to_count(const struct work *work, struct bench_result *result)
{
    host_memory_forget_peak();
    result->start_bytes = host_memory_resident();
    result->has_device_memory = strcmp(work->device, "cpu") != 0;
    if (!result->has_device_memory) return status_ok();
    TRY(work->backend->interface->memory_free(work->backend, &result->device_start_free, NULL));
    result->device_least_free = result->device_start_free;
    return status_ok();
}

static status bench(const struct invocation *invocation, struct work *work)
{
    struct bench_result result = {0};
    TRY(option_int(invocation, "steps", 1, 1000, 2, &result.steps));
    TRY(work_load_preset(invocation, invocation->arguments[0], NULL, 0, work));
    TRY(work_open_device(invocation, "auto", 0, work));
    TRY(begin_to_count(work, &result));
    result.each = memory_take(2 * (size_t)result.steps, sizeof *result.each);
    result.processor = result.each + result.steps;
    status outcome = bench_preset(invocation, work, &result);
    free(result.each);
    return outcome;
}

status command_bench(const struct invocation *invocation)
{
    struct work work = {0};
    status result = bench(invocation, &work);
    work_close(&work);
    return result;
}
