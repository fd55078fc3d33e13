/* The order in which engines that wait for a device get it: first come, first served.
 *
 * Who lines up takes the next number, as a file beside the sockets that is locked (flock) for as long as it waits; a
 * process that ends, however it ends, leaves the line. */
#ifndef ALIGNPROP_SERVER_WAITING_LINE_H
#define ALIGNPROP_SERVER_WAITING_LINE_H

#include "engine/base/files.h"

struct waiting_turn {
    int descriptor; /* holds the lock; -1: not in the line */
    unsigned long long number;
    char device[32];
};

/* Joins the end of the line for the device ("cpu", "cuda:0"). The caller leaves it with waiting_line_leave. */
status waiting_line_join(const char *device, struct waiting_turn *turn);

/* How many stand before this turn. */
status waiting_line_ahead(const struct waiting_turn *turn, int *ahead);

/* Harmless when not in the line. */
void waiting_line_leave(struct waiting_turn *turn);

#endif
