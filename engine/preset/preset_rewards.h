/* The "rewards" list of a preset. What the parameters of a reward mean is checked where the reward is made. */
#ifndef ALIGNPROP_PRESET_PRESET_REWARDS_H
#define ALIGNPROP_PRESET_PRESET_REWARDS_H

#include "engine/preset/preset.h"

/* Fills preset->rewards from preset->written. */
status preset_read_rewards(struct preset *preset, const char *origin, struct preset_warnings *warnings);

/* Writes every reward's id and weight into preset->resolved. */
void preset_resolve_rewards(struct preset *preset);

#endif
