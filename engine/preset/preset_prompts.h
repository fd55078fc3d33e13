/* The prompts of a preset: written in it, read from files, or the default model's; and which are held out. */
#ifndef ALIGNPROP_PRESET_PRESET_PROMPTS_H
#define ALIGNPROP_PRESET_PRESET_PROMPTS_H

#include "engine/preset/preset.h"

/* Fills preset->train and preset->evaluation from preset->written. */
status preset_read_prompts(struct preset *preset, const char *origin, struct preset_warnings *warnings);

/* Puts the prompts as read into preset->resolved, in place of the files. */
status preset_resolve_prompts(struct preset *preset);

#endif
