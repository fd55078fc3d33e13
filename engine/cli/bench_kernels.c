/* `bench --kernels`: runs steps on a timed backend and prints the table of kernel classes beside their floors. */
#include "engine/cli/bench_kernels.h"

#include "engine/base/format.h"
#include "engine/base/json.h"
#include "engine/tuning/tuner.h"

#include <stdio.h>

/* What a class is supposed to be able to reach, of its floor: well-made kernels do. */
static const double reachable = 0.6;

static status run_steps(struct tuner *tuner, int steps, struct bench_kernels *result)
{
    struct step_report report;
    result->first = steps > 1 ? 2 : 1;
    result->steps = steps - result->first + 1;
    for (int step = 1; step <= steps; step++) {
        if (step == result->first) kernel_profile_clear(&result->profile);
        TRY(tuner_step(tuner, &report));
        if (step >= result->first) result->seconds += report.seconds / result->steps;
    }
    kernel_profile_average(&result->profile, result->steps);
    return status_ok();
}

static status profile_steps(const struct preset *preset, struct backend *timed, int steps, struct bench_kernels *result)
{
    struct tuner *tuner;
    TRY(tuner_create(preset, timed, (struct tuner_callbacks){0}, &tuner));
    status outcome = tuner_start(tuner);
    if (outcome.code == STATUS_OK) outcome = run_steps(tuner, steps, result);
    tuner_destroy(tuner);
    return outcome;
}

status bench_kernels_measure(const struct preset *preset, struct backend *backend, double ordinary_seconds, int steps,
                             struct bench_kernels *result)
{
    struct timed_hooks hooks = {&result->profile, timed_wall_clock, kernel_profile_add};
    struct backend *timed;
    *result = (struct bench_kernels){.ordinary_seconds = ordinary_seconds};
    TRY(machine_peaks_measure(backend, timed_wall_clock, NULL, &result->profile.peaks));
    TRY(timed_backend_create(backend, hooks, &timed));
    status outcome = profile_steps(preset, timed, steps, result);
    timed->interface->destroy(timed);
    return outcome;
}

/* ---- in words ---- */

static const char *type_name(enum element_type type)
{
    switch (type) {
    case ELEMENT_F32: return "fp32";
    case ELEMENT_F16: return "fp16";
    case ELEMENT_BF16: return "bf16";
    case ELEMENT_F64: return "fp64";
    case ELEMENT_I32: break;
    }
    return "int32";
}

static double ratio(double amount, double seconds)
{
    return seconds > 0.0 ? amount / seconds : 0.0;
}

/* A number in its column, which is left empty where the number says nothing. */
static void print_cell(bool known, int width, int decimals, double value)
{
    if (known)
        printf(" %*.*f", width, decimals, value);
    else
        printf(" %*s", width, "");
}

static void print_row(const struct bench_kernels *result, const char *name, const struct kernel_totals *totals)
{
    double unit = format_operations(result->profile.peaks.flops_per_second).size;
    bool multiplies = totals->flops > 0.0, bounded = totals->floor_seconds > 0.0;
    printf("%-26s %8.0f %9.4f %6.1f %9.4f", name, totals->calls, totals->seconds,
           100.0 * ratio(totals->seconds, result->seconds), kernel_profile_waits(&result->profile, totals));
    print_cell(multiplies, 9, 2, totals->flops / unit);
    print_cell(true, 9, 3, totals->bytes * 1e-9);
    print_cell(multiplies, 8, 1, ratio(totals->flops, totals->seconds) / unit);
    print_cell(true, 8, 1, ratio(totals->bytes, totals->seconds) * 1e-9);
    print_cell(bounded, 9, 4, totals->floor_seconds);
    print_cell(bounded, 10, 1, 100.0 * ratio(totals->floor_seconds, totals->seconds));
    printf("\n");
}

static void print_rows(const struct bench_kernels *result)
{
    const char *unit = format_operations(result->profile.peaks.flops_per_second).name;
    printf("%-26s %8s %9s %6s %9s %9s %9s %6s/s %8s %9s %10s\n", "a step's", "calls", "s", "%", "s waiting", unit, "GB",
           unit, "GB/s", "s floor", "% roofline");
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
        const struct kernel_totals *totals = &result->profile.totals[i];
        if (totals->calls > 0.0) print_row(result, kernel_class_name((enum kernel_class)i), totals);
    }
    struct kernel_totals sum = kernel_profile_sum(&result->profile);
    print_row(result, "all of these", &sum);
    printf("%-26s %8s %9.4f %6.1f\n", "between them", "", result->seconds - sum.seconds,
           100.0 * (1.0 - ratio(sum.seconds, result->seconds)));
}

static void print_next_gain(const struct bench_kernels *result)
{
    struct kernel_gain gain = kernel_profile_next_gain(&result->profile, reachable);
    if (gain.seconds > 0.0)
        printf("the next gain: %s, %.3f of %.3f s a step if its floor were %.0f %% of its time\n",
               kernel_class_name(gain.kernel_class), gain.seconds, result->ordinary_seconds, 100.0 * reachable);
    else
        printf("no gain left: the floor of every class is %.0f %% of its time or more\n", 100.0 * reachable);
}

void bench_kernels_print(const struct bench_kernels *result)
{
    const struct machine_peaks *peaks = &result->profile.peaks;
    struct format_unit unit = format_operations(peaks->flops_per_second);
    char copied[FORMAT_SIZE];
    print_rows(result);
    printf("floor: the larger of operations / %.1f %s/s and bytes / %.1f GB/s, which a product of %lldx%lld in %s and "
           "a copy of %s reached here\n",
           peaks->flops_per_second / unit.size, unit.name, peaks->bytes_per_second * 1e-9,
           (long long)peaks->product_side, (long long)peaks->product_side, type_name(peaks->compute_type),
           format_bytes(copied, sizeof copied, (double)peaks->copy_bytes));
    printf("every call was waited for, %.1f us where there is nothing to do: %.3f s a step, which ordinarily takes "
           "%.3f s\n",
           peaks->call_seconds * 1e6, result->seconds, result->ordinary_seconds);
    print_next_gain(result);
}

/* ---- as JSON ---- */

static void add_peaks(cJSON *object, const struct machine_peaks *peaks)
{
    cJSON *added = cJSON_AddObjectToObject(object, "peaks");
    cJSON_AddStringToObject(added, "type", type_name(peaks->compute_type));
    cJSON_AddNumberToObject(added, "flops_per_second", peaks->flops_per_second);
    cJSON_AddNumberToObject(added, "bytes_per_second", peaks->bytes_per_second);
    cJSON_AddNumberToObject(added, "call_seconds", peaks->call_seconds);
    cJSON_AddNumberToObject(added, "product_side", (double)peaks->product_side);
    cJSON_AddNumberToObject(added, "copy_bytes", (double)peaks->copy_bytes);
}

static void add_class(cJSON *classes, const struct bench_kernels *result, enum kernel_class kernel_class)
{
    const struct kernel_totals *totals = &result->profile.totals[kernel_class];
    cJSON *added = cJSON_CreateObject();
    cJSON_AddStringToObject(added, "class", kernel_class_key(kernel_class));
    cJSON_AddNumberToObject(added, "calls", totals->calls);
    cJSON_AddNumberToObject(added, "seconds", totals->seconds);
    cJSON_AddNumberToObject(added, "share", ratio(totals->seconds, result->seconds));
    cJSON_AddNumberToObject(added, "waiting_seconds", kernel_profile_waits(&result->profile, totals));
    cJSON_AddNumberToObject(added, "flops", totals->flops);
    cJSON_AddNumberToObject(added, "bytes", totals->bytes);
    cJSON_AddNumberToObject(added, "flops_per_second", ratio(totals->flops, totals->seconds));
    cJSON_AddNumberToObject(added, "bytes_per_second", ratio(totals->bytes, totals->seconds));
    cJSON_AddNumberToObject(added, "floor_seconds", totals->floor_seconds);
    cJSON_AddNumberToObject(added, "roofline", ratio(totals->floor_seconds, totals->seconds));
    cJSON_AddItemToArray(classes, added);
}

static void add_next_gain(cJSON *object, const struct kernel_profile *profile)
{
    struct kernel_gain gain = kernel_profile_next_gain(profile, reachable);
    cJSON *added = cJSON_AddObjectToObject(object, "next_gain");
    if (gain.seconds > 0.0)
        cJSON_AddStringToObject(added, "class", kernel_class_key(gain.kernel_class));
    else
        cJSON_AddNullToObject(added, "class");
    cJSON_AddNumberToObject(added, "seconds", gain.seconds);
    cJSON_AddNumberToObject(added, "roofline", reachable);
}

cJSON *bench_kernels_describe(const struct bench_kernels *result)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "steps", result->steps);
    cJSON_AddNumberToObject(object, "step_seconds", result->seconds);
    cJSON_AddNumberToObject(object, "ordinary_step_seconds", result->ordinary_seconds);
    add_peaks(object, &result->profile.peaks);
    cJSON *classes = cJSON_AddArrayToObject(object, "classes");
    for (int i = 0; i < KERNEL_CLASS_COUNT; i++) add_class(classes, result, (enum kernel_class)i);
    add_next_gain(object, &result->profile);
    return object;
}
