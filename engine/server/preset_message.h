/* A preset in a message. */
#ifndef ALIGNPROP_SERVER_PRESET_MESSAGE_H
#define ALIGNPROP_SERVER_PRESET_MESSAGE_H

#include <cjson/cJSON.h>

/* Adds `preset`, a copy of what is `written`, to `object`. One that is longer than a client's message, so that it could
 * not be sent back changed, goes with its first prompts only and `abridged` true; is it still longer then, as null. */
void preset_message_add(cJSON *object, const cJSON *written);

#endif
