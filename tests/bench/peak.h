/* What the benchmarks measure with: a clock, and what a core's multiply-add units can do. */
#ifndef ALIGNPROP_TESTS_BENCH_PEAK_H
#define ALIGNPROP_TESTS_BENCH_PEAK_H

#include <stdbool.h>

/* Seconds. Until told otherwise: the processor time that the calling thread got, so that other programs disturb less.
 */
double bench_now(void);

/* true: the seconds of the wall clock, for work of several threads. */
void bench_use_clock(bool wall);

/* Floating-point operations a second of multiply-adds on registers alone, the best of a few tries on this thread. */
double bench_peak_of_a_core(void);

#endif
