/* `bench --kernels`: a step's time by class of kernel, against what the machine can do. */
#ifndef ALIGNPROP_CLI_BENCH_KERNELS_H
#define ALIGNPROP_CLI_BENCH_KERNELS_H

#include "engine/preset/preset.h"
#include "kernels/profile/kernel_profile.h"

struct cJSON;

struct bench_kernels {
    struct kernel_profile profile; /* of a mean step */
    int first, steps;              /* the steps measured: numbers first .. first + steps - 1 */
    double seconds;                /* of a mean step with every call waited for */
    double ordinary_seconds;       /* of a step without */
};

/* Measures the machine, then steps 1 .. `steps` of the preset on a tuner of its own, one call after the other. Of
 * several steps the first, which encodes the prompts and loads code, is not counted. `ordinary_seconds` is what a step
 * takes when it is not measured so. Borrows all. */
status bench_kernels_measure(const struct preset *preset, struct backend *backend, double ordinary_seconds, int steps,
                             struct bench_kernels *result);

/* The table on stdout. */
void bench_kernels_print(const struct bench_kernels *result);

/* The same as an object that always has every class; NULL without memory. The caller's. */
struct cJSON *bench_kernels_describe(const struct bench_kernels *result);

#endif
