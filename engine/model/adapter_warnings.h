/* What is said of an adapter that can be used, but of which something is left out or strange. */
#ifndef ALIGNPROP_MODEL_ADAPTER_WARNINGS_H
#define ALIGNPROP_MODEL_ADAPTER_WARNINGS_H

#include "kernels/status.h"

enum { ADAPTER_WARNINGS = 16, ADAPTER_WARNING_SIZE = 400 };

struct adapter_warnings {
    char lines[ADAPTER_WARNINGS][ADAPTER_WARNING_SIZE]; /* one sentence each, beginning with the file */
    int count;
};

/* Adds one; more than there is room for are dropped. */
void adapter_warn(struct adapter_warnings *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
