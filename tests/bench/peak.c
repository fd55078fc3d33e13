/* Multiply-adds on registers: what a core of this machine reaches at the most. */
#include "tests/bench/peak.h"

#include <time.h>

static clockid_t timer = CLOCK_THREAD_CPUTIME_ID;

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double bench_now(void)
{
    return seconds_of(timer);
}

void bench_use_clock(bool wall)
{
    timer = wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
}

/* Multiply-adds on registers alone; returns flops. */
#define PEAK_LOOP(name, attribute, lanes)                                                                              \
    typedef float name##_vector __attribute__((vector_size(4 * (lanes))));                                             \
    attribute static double name(float *sink)                                                                          \
    {                                                                                                                  \
        enum { SUMS = 12, STEPS = 4000000 };                                                                           \
        name##_vector sum[SUMS] = {{0}}, factor = {0}, one = {0};                                                      \
        factor += 0.5f;                                                                                                \
        one += 1.0f;                                                                                                   \
        for (int i = 0; i < SUMS; i++) sum[i] += *sink + (float)i;                                                     \
        for (int step = 0; step < STEPS; step++)                                                                       \
            _Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) sum[i] = sum[i] * factor + one;                    \
        for (int i = 0; i < SUMS; i++) *sink += sum[i][0];                                                             \
        return 2.0 * SUMS * (lanes) * (double)STEPS;                                                                   \
    }

#ifdef __x86_64__
#pragma GCC diagnostic ignored "-Wpsabi"
PEAK_LOOP(peak_avx512, __attribute__((target("avx512f"))), 16)
PEAK_LOOP(peak_avx2, __attribute__((target("avx2,fma"))), 8)
#endif
PEAK_LOOP(peak_baseline, , 4)

static double peak_flops(float *sink)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) return peak_avx512(sink);
    if (__builtin_cpu_supports("fma")) return peak_avx2(sink);
#endif
    return peak_baseline(sink);
}

double bench_peak_of_a_core(void)
{
    enum { TRIES = 3 };
    double best = 0;
    static float sink;
    for (int i = 0; i < TRIES; i++) {
        double begin = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        double flops = peak_flops(&sink);
        double rate = flops / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begin);
        if (rate > best) best = rate;
    }
    return best;
}
