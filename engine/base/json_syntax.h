/* The scanner behind json_parse: RFC 8259, without recursion. */
#ifndef ALIGNPROP_BASE_JSON_SYNTAX_H
#define ALIGNPROP_BASE_JSON_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

struct json_fault {
    size_t offset;    /* of the first byte that is wrong */
    const char *what; /* static words */
};

/* True if `text` is one JSON value with nothing but white space around it. */
bool json_syntax_check(const char *text, size_t length, struct json_fault *fault);

#endif
