/* The system's steady clock, the time of day and the processor time, in seconds. */
#include "engine/base/clock.h"

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clock_steady(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

double clock_processor(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

struct timespec clock_deadline(double seconds)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    long long nanoseconds = end.tv_nsec + (long long)(seconds * 1e9);
    end.tv_sec += nanoseconds / 1000000000;
    end.tv_nsec = nanoseconds % 1000000000;
    return end;
}
