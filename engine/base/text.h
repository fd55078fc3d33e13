/* A growing UTF-8 string, and the few text routines that several parts need. Its memory is taken as memory.h says: what
 * is built here is bounded by what this program writes or by the limits on the files and messages that it reads. */
#ifndef ALIGNPROP_BASE_TEXT_H
#define ALIGNPROP_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *data; /* NUL-terminated once anything was appended; NULL before */
    size_t length, capacity;
};

void text_append(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append_arguments(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
void text_append_bytes(struct text *text, const char *bytes, size_t length);
/* Appends `length` bytes as people may see them (kernels/readable.h). Characters in `kept` ("\n\t", or "") stay as they
 * are. */
void text_append_readable(struct text *text, const char *bytes, size_t length, const char *kept);
/* The string as a JSON string with quotes: what readable.h calls a control is escaped, UTF-8 passed through, and a byte
 * that is no UTF-8 becomes U+FFFD. */
void text_append_json_string(struct text *text, const char *string);
/* The shortest decimal that reads back as the same double; `null` for infinities and NaN. */
void text_append_json_number(struct text *text, double value);
/* Hands the string over (never NULL); the caller frees it. The text is empty afterwards. */
char *text_take(struct text *text);
void text_clear(struct text *text);

/* True if the bytes are UTF-8 without surrogates, overlong forms or code points over U+10FFFF. `*bad` (may be NULL) is
 * the offset of the first wrong byte. NUL bytes count as valid. */
bool text_is_utf8(const char *bytes, size_t length, size_t *bad);

/* Writes the UTF-8 of `code_point` and returns its length, 1 to 4. */
size_t text_write_code_point(uint32_t code_point, char utf8[4]);

/* Strict decimal readings of a whole string: no blanks, no rest, no overflow, no hexadecimal, no "inf" or "nan". */
bool text_to_double(const char *string, double *value);
bool text_to_int64(const char *string, int64_t *value);
bool text_to_uint64(const char *string, uint64_t *value);

/* The name of `names` (count of them) nearest to `given` by edit distance, without regard to case; NULL when none is
 * near enough to be what was meant (more than a third of the letters differ). */
const char *text_nearest(const char *given, const char *const *names, int count);

/* Whether the text has that ending, in the same case. */
bool text_ends_with(const char *text, const char *ending);

#endif
