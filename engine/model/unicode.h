/* What a tokenizer needs of Unicode: classes of characters, lower case, normalisation form C.
 *
 * The tables are generated (unicode_tables.c) and sorted by their first field. */
#ifndef ALIGNPROP_MODEL_UNICODE_H
#define ALIGNPROP_MODEL_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unicode_range {
    uint32_t first, last;
};
/* Every `step`-th code point from first to last has its lower case at `difference` from it. */
struct unicode_case {
    uint32_t first, last, step;
    int32_t difference;
};
struct unicode_class {
    uint32_t first, last, value; /* canonical combining class */
};
/* One canonical step: code = first second; second 0: first alone. */
struct unicode_decomposition {
    uint32_t code, first, second;
};
struct unicode_composition {
    uint32_t first, second, code;
};

extern const struct unicode_range unicode_letters[], unicode_numbers[]; /* categories L and N */
extern const struct unicode_range unicode_words[];                      /* \w of regular expressions */
extern const struct unicode_case unicode_lower[];
extern const struct unicode_class unicode_combining[];
extern const struct unicode_decomposition unicode_decompositions[];
extern const struct unicode_composition unicode_compositions[]; /* sorted by first, then second */
extern const int unicode_letters_count, unicode_numbers_count, unicode_words_count, unicode_lower_count,
    unicode_combining_count, unicode_decompositions_count, unicode_compositions_count;

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
/* Writes the UTF-8 of `code` and returns its length, 1 to 4. */
int unicode_encode(uint32_t code, unsigned char utf8[4]);

#endif
