/* Grows a run of bytes: formatted text, base64, and control strings wrapped for a multiplexer. */
#include "tui/pictures/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct bytes *bytes, size_t length)
{
    if (bytes->failed) return false;
    size_t needed = bytes->length + length;
    if (needed <= bytes->capacity) return true;
    size_t capacity = bytes->capacity > 0 ? bytes->capacity : 256;
    while (capacity < needed) capacity *= 2;
    char *larger = realloc(bytes->data, capacity);
    if (!larger) {
        bytes->failed = true;
        return false;
    }
    bytes->data = larger;
    bytes->capacity = capacity;
    return true;
}

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    if (length == 0 || !reserve(bytes, length)) return;
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

void bytes_add_text(struct bytes *bytes, const char *text)
{
    bytes_add(bytes, text, strlen(text));
}

void bytes_format(struct bytes *bytes, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0) bytes_add(bytes, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

void bytes_add_base64(struct bytes *bytes, const unsigned char *data, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!reserve(bytes, (length + 2) / 3 * 4)) return;
    for (size_t at = 0; at < length; at += 3) {
        unsigned second = at + 1 < length ? data[at + 1] : 0, third = at + 2 < length ? data[at + 2] : 0;
        unsigned value = (unsigned)data[at] << 16 | second << 8 | third;
        char four[4] = {digits[value >> 18], digits[value >> 12 & 63], digits[value >> 6 & 63], digits[value & 63]};
        if (at + 1 >= length) four[2] = '=';
        if (at + 2 >= length) four[3] = '=';
        bytes_add(bytes, four, 4);
    }
}

void bytes_add_passed_through(struct bytes *bytes, const char *data, size_t length)
{
    bytes_add_text(bytes, "\033Ptmux;");
    size_t from = 0;
    for (size_t at = 0; at < length; at++) {
        if (data[at] != 27) continue;
        bytes_add(bytes, data + from, at + 1 - from);
        from = at;
    }
    bytes_add(bytes, data + from, length - from);
    bytes_add_text(bytes, "\033\\");
}

void bytes_clear(struct bytes *bytes)
{
    bytes->length = 0;
    bytes->failed = false;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}
