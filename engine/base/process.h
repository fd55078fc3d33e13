/* Processes that this one has started. */
#ifndef ALIGNPROP_BASE_PROCESS_H
#define ALIGNPROP_BASE_PROCESS_H

#include <sys/types.h>

/* Collects the child when it ends, whenever that is, so that it does not stay behind as a zombie. Returns at once; its
 * exit status is not wanted. To be called once a child, by whoever waits for it no further. */
void process_collect(pid_t child);

#endif
