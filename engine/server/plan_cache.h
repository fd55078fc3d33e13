/* What plans said before: memory and work by preset and device, kept in the state folder so that a list of presets can
 * show them at once. A preset whose settings changed has none. */
#ifndef ALIGNPROP_SERVER_PLAN_CACHE_H
#define ALIGNPROP_SERVER_PLAN_CACHE_H

#include "engine/preset/preset.h"
#include "engine/tuning/tuner.h"

struct planned {
    double bytes, flops_per_step;
};

/* False when this preset (as written, with its settings) was not planned on the device. */
bool plan_cache_find(const struct preset *preset, const char *device, struct planned *planned);
/* A failure to write is no failure. */
void plan_cache_note(const struct preset *preset, const char *device, const struct memory_plan *plan);

#endif
