/* The desk's services, one function each; see desk.h for the form and README.md for the messages. */
#ifndef ALIGNPROP_SERVER_DESK_SERVICES_H
#define ALIGNPROP_SERVER_DESK_SERVICES_H

#include "engine/preset/preset.h"
#include "engine/server/desk.h"

status answer_catalogue(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_runs(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_check(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_start(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_export(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_presets_save(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_presets_delete(const struct desk_facts *facts, const cJSON *request, cJSON *answer);
status answer_presets_rename(const struct desk_facts *facts, const cJSON *request, cJSON *answer);

/* Reads the preset that a request means by `preset` (name, path or object) or `run`, with its `set` laid over it. The
 * caller clears preset and warnings, also after a failure. */
status request_preset(const cJSON *request, struct preset *preset, struct preset_warnings *warnings);

#endif
