/* How much of a prompt a model reads: its text encoder has a place for so many tokens and no more. */
#ifndef ALIGNPROP_MODEL_PROMPT_FIT_H
#define ALIGNPROP_MODEL_PROMPT_FIT_H

#include "engine/model/model.h"

#include <stddef.h>

/* `*read` gets the bytes of the prompt that are read: all of them, or up to the word (in a text without blanks, the
 * character) that no longer fits whole. */
status model_prompt_fit(const struct model *model, const char *prompt, size_t *read);

/* What is not read of `count` prompts, in one sentence that names the first such prompt as `place`[index] (as `place`
 * where there is but one prompt) and how many others there are (of very long lists, among the first 20,000); `words` is
 * "" when all are read whole. */
enum { PROMPT_FIT_MESSAGE = 400 };
status model_prompts_fit(const struct model *model, const char *place, const char *const *prompts, int count,
                         char message[PROMPT_FIT_MESSAGE]);

#endif
