/* Presets of older schemas, brought to the present one: one function a version, each with a test. */
#ifndef ALIGNPROP_PRESET_MIGRATE_H
#define ALIGNPROP_PRESET_MIGRATE_H

#include "engine/base/json.h"
#include "engine/preset/preset.h"

enum { PRESET_SCHEMA = 1 };

/* Takes `preset` from its schema up to PRESET_SCHEMA, in place. STATUS_BAD_INPUT when `schema` is missing, no whole
 * number, or newer than this program. */
status preset_migrate(cJSON *preset, const char *origin);

#endif
