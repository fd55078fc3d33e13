/* A log file of timed lines. Losing a log line never fails anything, so writing reports no error. */
#ifndef ALIGNPROP_BASE_LOG_H
#define ALIGNPROP_BASE_LOG_H

#include "kernels/status.h"

#include <stdio.h>

struct log {
    FILE *file; /* NULL: lines are dropped */
};

/* Opens `path` for appending. */
status log_open(struct log *log, const char *path);
/* One line "2026-01-31T12:00:00Z words"; control characters among the words are written out. */
void log_write(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_close(struct log *log);

#endif
