/* Tokens that stand beside a vocabulary and are found in a text before it is split into words: special tokens, and
 * learned ones (textual inversion, Gal et al. 2022, arXiv 2208.01618). */
#ifndef ALIGNPROP_MODEL_ADDED_TOKENS_H
#define ALIGNPROP_MODEL_ADDED_TOKENS_H

#include <stdbool.h>

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

struct added_token {
    char *content;   /* as the files write it */
    uint32_t *codes; /* what is looked for: the content, normalised where `normalized` */
    size_t length;
    int32_t id;
    bool normalized;  /* looked for in the normalised text; else in the text as given */
    bool single_word; /* counts only where no word goes on before or behind it */
};

struct added_tokens {
    struct added_token *tokens;
    int count, room;
    int *order; /* by first code, longer ones first; made by added_tokens_sort */
};

/* Adds a token of at least one character. Of two of the same content the later one's rules hold. */
void added_tokens_add(struct added_tokens *added, const char *content, int32_t id, bool normalized, bool single_word);
/* Prepares added_tokens_at; once all are added. */
void added_tokens_sort(struct added_tokens *added);
void added_tokens_clear(struct added_tokens *added);

/* The token of that content, or NULL. */
const struct added_token *added_tokens_find(const struct added_tokens *added, const char *content);
/* The longest token of that kind at codes[0], whatever stands around it; or NULL. */
const struct added_token *added_tokens_at(const struct added_tokens *added, const uint32_t *codes, size_t count,
                                          bool normalized);

#endif
