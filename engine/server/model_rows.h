/* Models as a screen lists them. */
#ifndef ALIGNPROP_SERVER_MODEL_ROWS_H
#define ALIGNPROP_SERVER_MODEL_ROWS_H

#include <cjson/cJSON.h>

struct model_library;

/* "models": every model of the library. */
void add_models(cJSON *catalogue, const struct model_library *library);
/* "model_present" and "model_hint" for a preset's model. */
void add_model_presence(cJSON *row, const char *model, const struct model_library *library);

#endif
