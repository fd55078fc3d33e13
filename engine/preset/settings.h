/* Dotted places in a preset's tree, and the command line's --set. */
#ifndef ALIGNPROP_PRESET_SETTINGS_H
#define ALIGNPROP_PRESET_SETTINGS_H

#include "engine/base/json.h"

/* The value at a dotted path of objects; NULL if there is none. */
cJSON *preset_tree_at(const cJSON *tree, const char *path);

/* Puts `value` (taken over, freed on failure) at a dotted path, making the objects on the way. STATUS_BAD_INPUT if
 * something on the way is no object. */
status preset_tree_put(cJSON *tree, const char *path, cJSON *value);

/* The reward in the tree's list that a key such as "rewards.ID.weight" means, ID being its id, else its name; `*rest`
 * is what follows ("weight"). NULL if the key names no reward of the list. */
cJSON *preset_tree_reward(const cJSON *tree, const char *key, const char **rest);

/* Carries out "KEY=VALUE" in `tree`. `sources` (object, may be NULL) notes "--set" for the key. STATUS_USAGE when it is
 * not of this form, or the key is unknown; the message names the nearest. */
status preset_apply_setting(cJSON *tree, cJSON *sources, const char *setting);

#endif
