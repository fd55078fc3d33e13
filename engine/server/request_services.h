/* The request worker's services, one function each; see request_worker.h for the form and README.md for the messages.
 */
#ifndef ALIGNPROP_SERVER_REQUEST_SERVICES_H
#define ALIGNPROP_SERVER_REQUEST_SERVICES_H

#include "engine/preset/preset.h"
#include "engine/server/request_worker.h"

status answer_catalogue(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_runs(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_check(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_start(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_export(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_presets_save(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_presets_delete(const struct service_facts *facts, const cJSON *request, cJSON *answer);
status answer_presets_rename(const struct service_facts *facts, const cJSON *request, cJSON *answer);

/* Reads the preset that a request means by `preset` (name, path or object) or `run`, with its `set` laid over it. The
 * caller clears preset and warnings, also after a failure. */
status request_preset(const cJSON *request, struct preset *preset, struct preset_warnings *warnings);

#endif
