/* A memory plan as JSON, as the protocol and `alignprop plan --json` give it. */
#ifndef ALIGNPROP_SERVER_PLAN_MESSAGE_H
#define ALIGNPROP_SERVER_PLAN_MESSAGE_H

#include "engine/tuning/tuner.h"

#include <cjson/cJSON.h>

/* Adds the plan's figures and its `lines` to the object. */
void plan_message_add(cJSON *object, const struct memory_plan *plan);
/* Adds the `lines` alone: [{"name":TEXT,"bytes":NUMBER}, ...]. */
void plan_message_add_lines(cJSON *object, const struct memory_plan *plan);

#endif
