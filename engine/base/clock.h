/* The clocks of the program, in seconds. */
#ifndef ALIGNPROP_BASE_CLOCK_H
#define ALIGNPROP_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Runs on evenly whatever becomes of the date: for durations and for when something is due. */
double clock_steady(void);
/* The same in whole milliseconds. */
int64_t clock_milliseconds(void);
/* Since 1970 in UTC, as people and files tell the time; it can be set, backwards too. */
double clock_wall(void);
/* Processor time of all threads of this process. */
double clock_processor(void);
/* `seconds` from now on the steady clock, for pthread_cond_timedwait. */
struct timespec clock_deadline(double seconds);

#endif
