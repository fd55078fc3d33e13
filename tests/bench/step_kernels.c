/* Where the time of one optimiser step goes on the CPU, by kind of operation, against what the processor's multiply-add
 * units can do: calls, seconds, GFLOP/s, and the seconds that would be left if every kernel ran at that peak.
 *
 * usage: bench_step_kernels PRESET MODEL [threads [steps]]   PRESET: a file; MODEL: the folder of the preset's model */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tuning/tuner.h"
#include "kernels/profile/timed_backend.h"
#include "tests/bench/peak.h"

struct totals {
    double calls, seconds, flops, bytes;
};

static struct totals totals[OPERATION_KIND_COUNT];

static void stop_on(status state)
{
    if (state.code == STATUS_OK) return;
    fprintf(stderr, "%s\n", state.message);
    exit(state.code);
}

static double now(void *unused)
{
    (void)unused;
    return bench_now();
}

static void add(void *unused, const struct timed_call *call)
{
    (void)unused;
    if (call->work != TIMED_OPERATION) return;
    struct totals *kind = &totals[call->operation->kind];
    kind->seconds += call->seconds;
    kind->calls += 1;
    kind->flops += operation_flops(call->operation);
    kind->bytes += call->bytes;
}

static double run_steps(const char *preset_path, const char *model, struct backend *backend, int steps)
{
    struct preset preset;
    struct tuner *tuner;
    struct step_report report;
    stop_on(preset_load(preset_path, NULL, 0, &preset, NULL));
    snprintf(preset.model_path, sizeof preset.model_path, "%s", model);
    stop_on(tuner_create(&preset, backend, (struct tuner_callbacks){0}, &tuner));
    stop_on(tuner_start(tuner));
    stop_on(tuner_step(tuner, &report)); /* the first step encodes the prompts */
    memset(totals, 0, sizeof totals);
    double begin = bench_now();
    for (int i = 0; i < steps; i++) stop_on(tuner_step(tuner, &report));
    double seconds = bench_now() - begin;
    tuner_destroy(tuner);
    preset_clear(&preset);
    return seconds / steps;
}

static void print_table(double step_seconds, double peak, int steps)
{
    double in_kernels = 0, flops = 0;
    printf("%-26s %8s %10s %6s %9s %7s %8s %10s\n", "a step's", "calls", "ms", "share", "GFLOP/s", "of peak", "GB/s",
           "ms at peak");
    for (int kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
        double seconds = totals[kind].seconds / steps;
        if (totals[kind].calls == 0) continue;
        printf("%-26s %8.0f %10.2f %5.1f%%", operation_facts(kind)->name, totals[kind].calls / steps, seconds * 1e3,
               100 * seconds / step_seconds);
        if (totals[kind].flops > 0)
            printf(" %9.1f %6.1f%% %8s %10.2f\n", totals[kind].flops / totals[kind].seconds * 1e-9,
                   100 * totals[kind].flops / totals[kind].seconds / peak, "", totals[kind].flops / steps / peak * 1e3);
        else
            printf(" %9s %7s %8.1f\n", "", "", totals[kind].bytes / totals[kind].seconds * 1e-9);
        in_kernels += seconds;
        flops += totals[kind].flops / steps;
    }
    printf("%-26s %8s %10.2f %5.1f%%\n", "outside kernels", "", (step_seconds - in_kernels) * 1e3,
           100 * (1 - in_kernels / step_seconds));
    printf("step %.3f s, %.1f GFLOP, %.1f GFLOP/s, %.1f %% of the peak of %.1f GFLOP/s; at the peak it would take %.3f "
           "s\n",
           step_seconds, flops * 1e-9, flops / step_seconds * 1e-9, 100 * flops / step_seconds / peak, peak * 1e-9,
           flops / peak);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 3) {
        fprintf(stderr, "usage: %s PRESET MODEL [threads [steps]]\n", arguments[0]);
        return 2;
    }
    int threads = argument_count > 3 ? atoi(arguments[3]) : 1, steps = argument_count > 4 ? atoi(arguments[4]) : 3;
    if (threads < 1 || steps < 1) return 2;
    struct backend *backend, *timed;
    stop_on(backend_cpu_create(threads, &backend));
    stop_on(timed_backend_create(backend, (struct timed_hooks){NULL, now, add}, &timed));
    bench_use_clock(threads > 1);
    double before = bench_peak_of_a_core(), seconds = run_steps(arguments[1], arguments[2], timed, steps),
           after = bench_peak_of_a_core();
    print_table(seconds, (before > after ? before : after) * threads, steps);
    timed->interface->destroy(timed);
    backend->interface->destroy(backend);
    return 0;
}
