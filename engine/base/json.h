/* Strict, bounded reading of JSON that comes from strangers, and exact writing.
 *
 * cJSON alone accepts rest after the value, wrong UTF-8, duplicate keys, NUL characters and numbers that overflow,
 * finds keys without regard to case and prints 15 digits. Here the text is first checked against RFC 8259 by an own
 * scanner with bounded depth; cJSON only builds the tree.
 *
 * Messages read "FILE: PLACE: what was wrong", the place being line:column in the text or a dotted key. */
#ifndef ALIGNPROP_BASE_JSON_H
#define ALIGNPROP_BASE_JSON_H

#include "engine/base/text.h"
#include "kernels/status.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_LIMIT = 64, JSON_PATH_SIZE = 200 };

/* Makes cJSON take the memory of what is built (cJSON_Create..., cJSON_Add..., cJSON_Duplicate) as memory.h says, so
 * that none of it needs a check. json_parse and its like still report lack of memory. Once, before the first value. */
void json_set_up(void);

/* Checks that `text` is exactly one JSON value: grammar, UTF-8, no NUL (also as \u0000), no lone surrogate, no
 * duplicate key, finite numbers, depth at most JSON_DEPTH_LIMIT. `origin` names the text in messages. The caller frees
 * `*value` with cJSON_Delete. */
status json_parse(const char *text, size_t length, const char *origin, cJSON **value);
/* The same without a tree, and without a look for duplicate keys and numbers that overflow: for texts whose reader
 * builds none. */
status json_check(const char *text, size_t length, const char *origin);
/* As json_parse, but takes NaN, Infinity and -Infinity, which Python's json module writes. The tree holds them as the
 * strings "NaN", "Infinity" and "-Infinity", so that no reader of numbers takes one for a number. */
status json_parse_python(const char *text, size_t length, const char *origin, cJSON **value);
/* json_parse, json_parse_python of a file of at most `limit` bytes; a byte-order mark in front is skipped. */
status json_read_file(const char *path, size_t limit, cJSON **value);
status json_read_python_file(const char *path, size_t limit, cJSON **value);
/* The text behind its UTF-8 byte-order mark, if it has one; `*length` shrinks likewise. */
const char *json_skip_mark(const char *text, size_t *length);

/* Appends `value` with exact numbers: on one line, or indented by two blanks a level. */
void json_append(struct text *text, const cJSON *value, bool indented);
/* The value as text with a final newline when indented. The caller frees it. */
char *json_print(const cJSON *value, bool indented);
/* json_print to a file by file_write_atomic. */
status json_write_file(const char *path, const cJSON *value);

/* An object being read: where it is from, for messages, and its dotted place in the text ("" at the root). */
struct json_object {
    const char *origin;
    char path[JSON_PATH_SIZE];
    const cJSON *value;
};

/* STATUS_BAD_INPUT if `value` is no object. */
status json_root(const char *origin, const cJSON *value, struct json_object *object);

/* The member by exact name; NULL if absent. */
const cJSON *json_member(const struct json_object *object, const char *key);
/* True if the member is there and not null. */
bool json_has(const struct json_object *object, const char *key);

/* Required members. A missing one, another type or a value outside low..high (both allowed) is STATUS_BAD_INPUT naming
 * origin, dotted key, what was expected and what was found. Texts point into the tree. */
status json_number(const struct json_object *object, const char *key, double low, double high, double *value);
status json_integer(const struct json_object *object, const char *key, int64_t low, int64_t high, int64_t *value);
status json_int(const struct json_object *object, const char *key, int low, int high, int *value);
status json_text(const struct json_object *object, const char *key, const char **value);
status json_boolean(const struct json_object *object, const char *key, bool *value);
status json_array(const struct json_object *object, const char *key, const cJSON **value);
status json_child(const struct json_object *object, const char *key, struct json_object *child);
/* Element `index` of array member `key`, which must be an object. */
status json_element(const struct json_object *object, const char *key, int index, struct json_object *child);

/* As above; an absent or null member gives `fallback`. */
status json_number_or(const struct json_object *object, const char *key, double low, double high, double fallback,
                      double *value);
status json_int_or(const struct json_object *object, const char *key, int low, int high, int fallback, int *value);
status json_text_or(const struct json_object *object, const char *key, const char *fallback, const char **value);
status json_boolean_or(const struct json_object *object, const char *key, bool fallback, bool *value);

/* One of `names` (count of them) -> its index; the error names the nearest one, or all. */
status json_choice(const struct json_object *object, const char *key, const char *const *names, int count, int *index);

/* "expected ..., found ..." for a value of a wrong kind: names the kind and shows a short value. */
status json_wrong(const struct json_object *object, const char *key, const char *expected);
/* As json_wrong for a value that is at hand. `place` is the dotted key. */
status json_wrong_value(const char *origin, const char *place, const char *expected, const cJSON *found);

#endif
