/* How fast this machine's devices were in earlier runs, so that a plan can say what a step will take. */
#ifndef ALIGNPROP_SERVER_SPEED_H
#define ALIGNPROP_SERVER_SPEED_H

/* Notes what a step of so many floating-point operations took. Kept in the state folder; a failure to write is no
 * failure. */
void speed_note(const char *device, double flops, double seconds);

/* Seconds that many operations will take, by the newest note; NaN before there is one. */
double speed_predict(const char *device, double flops);

#endif
