/* Threads of the host: a loop cut into one contiguous part a thread, always the same cut, so that results
 * depend on the number of threads alone. */
#ifndef ALIGNPROP_KERNELS_PARALLEL_H
#define ALIGNPROP_KERNELS_PARALLEL_H

#include <stdint.h>

#include "kernels/status.h"

struct parallel;

/* Works on items begin..end-1; `thread` is 0..threads-1 and never the same in two bodies that run at once. */
typedef void (*parallel_body)(void *context, int64_t begin, int64_t end, int thread);

/* `most`, or as many threads as there are processors, where those are fewer. */
int parallel_useful(int most);
/* threads: at least 1. */
status parallel_create(int threads, struct parallel **parallel);
void parallel_destroy(struct parallel *parallel);
int parallel_threads(const struct parallel *parallel);

/* Runs `body` over all items and waits for its end. A thread gets at least `grain` items (but for the last): few items
 * run in the calling thread alone. */
void parallel_for(struct parallel *parallel, int64_t items, int64_t grain, parallel_body body, void *context);

#endif
