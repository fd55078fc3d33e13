/* Where a long row of cases is, for whoever runs it: which cases are wanted, which one runs now, and an end to one that
 * hangs. A case that takes the device or the process with it costs itself alone: the next call goes on after it. */
#ifndef ALIGNPROP_TESTS_CUDA_POSITION_H
#define ALIGNPROP_TESTS_CUDA_POSITION_H

#include <stdbool.h>

struct position {
    int from, to;     /* the cases wanted, numbered from 1 */
    const char *file; /* holds "NUMBER NAME" of the case under way, and is gone once all are done; NULL: none */
    int limit;        /* seconds of one case; 0: as long as it takes */
    int number;       /* of the last case begun or passed over */
};

enum { EXIT_HANGS = 3 }; /* the exit status after a case that outlasted its limit */

/* Takes --from N, --to N, --position FILE and --limit SECONDS out of the arguments; false where one of them is wrong.
 */
bool position_read(int *count, char **arguments, struct position *position);

/* Whether the next case is wanted; from now on it is under way. `name` stays valid until the next call. */
bool position_next(struct position *position, const char *name);

void position_end(struct position *position);

#endif
