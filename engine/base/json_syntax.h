/* The scanner behind json_parse: RFC 8259, without recursion. */
#ifndef ALIGNPROP_BASE_JSON_SYNTAX_H
#define ALIGNPROP_BASE_JSON_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

struct json_fault {
    size_t offset;    /* of the first byte that is wrong */
    const char *what; /* static words */
};

/* True if `text` is one JSON value with nothing but white space around it. `python`: NaN, Infinity and -Infinity are
 * values too, as Python's json module writes them. */
bool json_syntax_check(const char *text, size_t length, bool python, struct json_fault *fault);

/* Decodes the string at `text`, which begins with its quote and has passed the scanner, into `decoded` and ends it with
 * a NUL; what is behind the closing quote. A string never grows by it. */
const char *json_decode_string(const char *text, char *decoded);

/* Length of NaN, Infinity or -Infinity at the beginning of `text`; 0: none of them. */
size_t json_python_word(const char *text, size_t length);

#endif
