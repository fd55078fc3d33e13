/* Reading JSON objects of the engine without trusting their types. */
#ifndef ALIGNPROP_TUI_CLIENT_ITEM_H
#define ALIGNPROP_TUI_CLIENT_ITEM_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* Parses exactly `length` bytes (a zero must follow them); NULL when they are no JSON object. */
cJSON *item_object(const char *text, size_t length);

const cJSON *item_get(const cJSON *object, const char *key); /* NULL when absent, null or `object` is NULL */
/* `path` is dotted: "lora.rank". A name with dots inside is found when the rest of the path is a key as a whole. */
const cJSON *item_find(const cJSON *object, const char *path);
const char *item_text(const cJSON *object, const char *key, const char *fallback);
double item_number(const cJSON *object, const char *key, double fallback);
long long item_integer(const cJSON *object, const char *key, long long fallback);
bool item_true(const cJSON *object, const char *key);
/* Sets a value under a dotted path, making objects on the way; takes ownership of `value`. */
void item_put(cJSON *object, const char *path, cJSON *value);

#endif
