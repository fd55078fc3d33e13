/* A growing string, JSON's escapes and shortest numbers, checks of UTF-8, the nearest of several names. */
#include "engine/base/text.h"

#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "kernels/readable.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct text *text, size_t extra)
{
    if (text->data && extra < text->capacity - text->length) return;
    size_t wanted = text->length + extra + 1;
    if (text->capacity == 0) text->capacity = 64;
    while (text->capacity < wanted) text->capacity *= 2;
    text->data = memory_resize(text->data, text->capacity, 1);
}

void text_append_bytes(struct text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    if (length > 0) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_append_arguments(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) memory_exhausted(INT_MAX); /* longer than an int tells */
    reserve(text, (size_t)length);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
    va_end(again);
}

void text_append(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_append_arguments(text, format, arguments);
    va_end(arguments);
}

void text_append_readable(struct text *text, const char *bytes, size_t length, const char *kept)
{
    size_t plain = 0;
    for (size_t at = 0; at < length;) {
        char form[READABLE_FORM_SIZE];
        size_t step = readable_form(bytes + at, length - at, form);
        bool stays = !form[0] || (bytes[at] && strchr(kept, bytes[at]));
        if (!stays) {
            text_append_bytes(text, bytes + plain, at - plain);
            text_append_bytes(text, form, strlen(form));
            plain = at + step;
        }
        at += step;
    }
    text_append_bytes(text, bytes + plain, length - plain);
}

/* Printable ASCII but quote and backslash: what JSON takes as it is, and nearly all there is. */
static size_t plain_length(const char *string)
{
    const char *p = string;
    while (*p >= 0x20 && *p < 0x7F && *p != '"' && *p != '\\') p++;
    return (size_t)(p - string);
}

/* What stands after the backslash for a character with an escape of one letter; 0 for others. */
static char json_letter(char c)
{
    switch (c) {
    case '"':
    case '\\': return c;
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

/* The character at `string`, not plain; returns its length. */
static size_t append_json_character(struct text *text, const char *string, size_t left)
{
    uint32_t code_point;
    size_t length = readable_code_point(string, left, &code_point);
    if (json_letter(*string)) {
        text_append(text, "\\%c", json_letter(*string));
    } else if (length == 0) {
        text_append_bytes(text, "\xEF\xBF\xBD", 3); /* U+FFFD: JSON is UTF-8 whatever it is told of */
    } else if (readable_is_control(code_point)) {
        text_append(text, "\\u%04x", (unsigned)code_point);
    } else {
        text_append_bytes(text, string, length);
    }
    return length ? length : 1;
}

void text_append_json_string(struct text *text, const char *string)
{
    size_t left = strlen(string);
    text_append_bytes(text, "\"", 1);
    while (left > 0) {
        size_t length = plain_length(string);
        text_append_bytes(text, string, length);
        if (length == 0) length = append_json_character(text, string, left);
        string += length;
        left -= length;
    }
    text_append_bytes(text, "\"", 1);
}

void text_append_json_number(struct text *text, double value)
{
    if (!isfinite(value)) {
        text_append(text, "null");
        return;
    }
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    text_append(text, "%s", digits);
}

char *text_take(struct text *text)
{
    if (!text->data) text_append_bytes(text, "", 0);
    char *data = text->data;
    *text = (struct text){0};
    return data;
}

void text_clear(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

size_t text_write_code_point(uint32_t code_point, char utf8[4])
{
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t length = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code_point >>= 6) utf8[i] = (char)(0x80 | (code_point & 0x3F));
    utf8[0] = (char)(leads[length] | code_point);
    return length;
}

bool text_is_utf8(const char *bytes, size_t length, size_t *bad)
{
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t step = readable_code_point(bytes + i, length - i, &code_point);
        if (step == 0) {
            if (bad) *bad = i;
            return false;
        }
        i += step;
    }
    return true;
}

/* Only what a decimal number is written with: keeps strtod from reading blanks, hexadecimal, "inf" and "nan". */
static bool only_of(const char *string, const char *allowed)
{
    return *string && string[strspn(string, allowed)] == '\0';
}

bool text_to_double(const char *string, double *value)
{
    if (!only_of(string, "0123456789+-.eE")) return false;
    char *end;
    double parsed = strtod(string, &end);
    if (*end || end == string || !isfinite(parsed)) return false;
    *value = parsed;
    return true;
}

bool text_to_int64(const char *string, int64_t *value)
{
    if (!only_of(string, "0123456789+-")) return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(string, &end, 10);
    if (*end || end == string || errno) return false;
    *value = parsed;
    return true;
}

bool text_to_uint64(const char *string, uint64_t *value)
{
    if (!only_of(string, "0123456789")) return false;
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(string, &end, 10);
    if (*end || errno) return false;
    *value = parsed;
    return true;
}

enum { LONGEST_NAME = 64 };

/* Levenshtein distance without regard to case, with one row of memory. */
static int edit_distance(const char *left, size_t left_length, const char *right, size_t right_length)
{
    int row[LONGEST_NAME + 1];
    for (size_t j = 0; j <= right_length; j++) row[j] = (int)j;
    for (size_t i = 1; i <= left_length; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= right_length; j++) {
            int above = row[j];
            bool same = tolower((unsigned char)left[i - 1]) == tolower((unsigned char)right[j - 1]);
            int best = diagonal + (same ? 0 : 1);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[right_length];
}

const char *text_nearest(const char *given, const char *const *names, int count)
{
    size_t given_length = strlen(given);
    if (given_length == 0 || given_length > LONGEST_NAME) return NULL;
    const char *nearest = NULL;
    int smallest = 0;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (length > LONGEST_NAME) continue;
        int distance = edit_distance(given, given_length, names[i], length);
        size_t longer = max_size(length, given_length);
        if ((size_t)distance * 3 > longer + 1) continue;
        if (!nearest || distance < smallest) {
            nearest = names[i];
            smallest = distance;
        }
    }
    return nearest;
}

bool text_ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}
