/* The preset as an adapter file carries it. */
#ifndef ALIGNPROP_RUN_ADAPTER_PRESET_H
#define ALIGNPROP_RUN_ADAPTER_PRESET_H

#include "engine/preset/preset.h"

/* The resolved preset as JSON on one line, which `presets check` reads again; NULL without memory, the caller frees it.
 *
 * Paths are cut to their last part: none of this machine's goes into a file that is passed on. Of a list of prompts
 * that is longer than 16 KiB the first ones are kept, and `notes` says how many there were and the SHA-256 of all of
 * them, one on a line: readers of adapters load the whole header, and a few refuse a large one. */
char *adapter_preset_text(const struct preset *preset);

#endif
