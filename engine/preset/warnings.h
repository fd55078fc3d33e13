/* Collecting warnings while a preset is read. */
#ifndef ALIGNPROP_PRESET_WARNINGS_H
#define ALIGNPROP_PRESET_WARNINGS_H

#include "engine/preset/preset.h"

/* Appends a copy of one line; `warnings` may be NULL. */
void preset_warn(struct preset_warnings *warnings, const char *message);

#endif
