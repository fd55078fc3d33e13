/* The module patterns of peft's rank_pattern and alpha_pattern: Python's regular expressions, fitted to the end of a
 * module's path behind a dot (peft, get_pattern_key: "(.*\.)?(PATTERN)$"). */
#ifndef ALIGNPROP_MODEL_ADAPTER_PATTERN_H
#define ALIGNPROP_MODEL_ADAPTER_PATTERN_H

#include "kernels/status.h"

#include <stdbool.h>

/* Whether `pattern` fits `path`. STATUS_BAD_INPUT for a pattern that Python reads otherwise than POSIX does, or that is
 * wrong: look-around, back references, counted or possessive repetition, unknown escapes. */
status adapter_pattern_fits(const char *pattern, const char *path, bool *fits);
/* Whether it is a path or the end of one, and thus quickly compared. */
bool adapter_pattern_is_path(const char *pattern);

#endif
