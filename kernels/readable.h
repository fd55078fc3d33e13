/* Text for people's eyes: whatever a name, a key or a file holds, a terminal is told nothing by it.
 *
 * Control characters (C0, DEL, C1), the separators of lines and paragraphs, the characters that turn the direction of
 * writing (Unicode UAX 9) and bytes that are no UTF-8 are written out: \n \r \t \x1b \u0085 \u202e \xe9. Every status
 * message, line of a log and all that the commands write to stdout and stderr goes through here. */
#ifndef ALIGNPROP_KERNELS_READABLE_H
#define ALIGNPROP_KERNELS_READABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point of the well-formed sequence that `left` (at least 1) bytes begin with; its length, 0 where there is
 * none. */
size_t readable_code_point(const char *bytes, size_t left, uint32_t *code_point);

/* Control characters, separators of lines and paragraphs, and those that turn the direction of writing. */
bool readable_is_control(uint32_t code_point);

enum { READABLE_FORM_SIZE = 12 };
/* The length of the first character of `left` (at least 1) bytes; a byte that begins none is one of its own. `form` is
 * how it is written out; "" where it may be shown as it is. */
size_t readable_form(const char *bytes, size_t left, char form[READABLE_FORM_SIZE]);

/* The string as people may see it, into `size` bytes, cut at a character. */
void readable_copy(char *target, size_t size, const char *string);

#endif
