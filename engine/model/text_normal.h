/* The form of a text that CLIP's tokenizer splits into words. */
#ifndef ALIGNPROP_MODEL_TEXT_NORMAL_H
#define ALIGNPROP_MODEL_TEXT_NORMAL_H

#include "engine/model/unicode.h"

/* Form C, runs of blanks to one space, lower case. `scratch` and `output` have room for UNICODE_LONGEST_DECOMPOSITION *
 * count. Returns the new count. */
size_t text_normalize(const uint32_t *codes, size_t count, uint32_t *scratch, uint32_t *output);

#endif
