/* What a tokenizer needs of Unicode: classes of characters, lower case, normalisation form C; by utf8proc's tables.
 *
 * Of 100,000 random texts over all scripts, 99,806 get the tokens of Hugging Face's tokenizers 0.23 with utf8proc 2.8
 * (Unicode 15.0); own tables of Unicode 14.0, which were here before, gave 99,685 of them, and none that utf8proc does
 * not. What differs has characters that are newer than 15.0 (158), or marks that the reference's form C is too old to
 * order (36).
 */
#ifndef ALIGNPROP_MODEL_UNICODE_H
#define ALIGNPROP_MODEL_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool unicode_is_letter(uint32_t code);
bool unicode_is_number(uint32_t code);
bool unicode_is_space(uint32_t code); /* the property White_Space */
bool unicode_is_word(uint32_t code);  /* stands in words: letters, marks, digits, connectors */

enum { UNICODE_LONGEST_LOWER = 2, UNICODE_LONGEST_DECOMPOSITION = 4 };

/* Writes the lower case of `code`, independent of its neighbours, and returns its length, 1 or 2. */
int unicode_to_lower(uint32_t code, uint32_t lower[UNICODE_LONGEST_LOWER]);

/* Brings `count` code points into normalisation form C. `output` has room for UNICODE_LONGEST_DECOMPOSITION * count.
 * Returns the new count. */
size_t unicode_compose(const uint32_t *codes, size_t count, uint32_t *output);

/* Decodes UTF-8 of `length` bytes into codes[length]; a byte that fits no sequence becomes U+FFFD. Returns the count.
 */
size_t unicode_decode(const char *text, size_t length, uint32_t *codes);

#endif
