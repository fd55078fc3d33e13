/* Whether an operation's shapes and attributes fit together: checked once by every backend, so that kernels need not.
 */
#ifndef ALIGNPROP_KERNELS_OPERATION_CHECK_H
#define ALIGNPROP_KERNELS_OPERATION_CHECK_H

#include "kernels/operations.h"
#include "kernels/status.h"

/* STATUS_FAILED names the operation, its shapes and what does not fit. */
status operation_check(const struct operation *operation);

/* Whether every operand that is present has that element type, but for whole numbers (ELEMENT_I32). */
bool operation_numbers_are(const struct operation *operation, enum element_type type);

/* Whether the rows of every operand adjoin (operations.h: row_step). */
bool operation_rows_adjoin(const struct operation *operation);

/* Writes "name(a[2,3], b[3]) -> [2,3]" to `text`; cut at `bytes`. */
void operation_describe(const struct operation *operation, char *text, size_t bytes);

/* A STATUS_FAILED that names the operation, its shapes and the reason. */
status operation_error(const struct operation *operation, const char *reason);

#endif
