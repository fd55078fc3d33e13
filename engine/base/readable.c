#include "engine/base/readable.h"

#include <stdio.h>
#include <string.h>

bool readable_is_control(uint32_t code_point)
{
    if (code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F)) return true;
    bool separator = code_point == 0x2028 || code_point == 0x2029;
    bool mark = code_point == 0x061C || code_point == 0x200E || code_point == 0x200F;
    bool embedding = code_point >= 0x202A && code_point <= 0x202E;
    bool isolate = code_point >= 0x2066 && code_point <= 0x2069;
    return separator || mark || embedding || isolate;
}

static void write_out(uint32_t code_point, char form[READABLE_FORM_SIZE])
{
    const char *letter = code_point == '\n' ? "\\n" : code_point == '\r' ? "\\r" : code_point == '\t' ? "\\t" : NULL;
    if (letter) {
        snprintf(form, READABLE_FORM_SIZE, "%s", letter);
    } else {
        snprintf(form, READABLE_FORM_SIZE, code_point < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code_point);
    }
}

size_t readable_form(const char *bytes, size_t left, char form[READABLE_FORM_SIZE])
{
    form[0] = '\0';
    uint32_t code_point;
    size_t length = text_code_point(bytes, left, &code_point);
    if (length == 0) {
        snprintf(form, READABLE_FORM_SIZE, "\\x%02x", (unsigned)(unsigned char)bytes[0]);
        return 1;
    }
    if (readable_is_control(code_point)) write_out(code_point, form);
    return length;
}

void readable_append(struct text *text, const char *bytes, size_t length, const char *kept)
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

void readable_copy(char *target, size_t size, const char *string)
{
    size_t used = 0, length = strlen(string);
    for (size_t at = 0; at < length;) {
        char form[READABLE_FORM_SIZE];
        size_t step = readable_form(string + at, length - at, form);
        const char *piece = form[0] ? form : string + at;
        size_t piece_length = form[0] ? strlen(form) : step;
        if (used + piece_length >= size) break;
        memcpy(target + used, piece, piece_length);
        used += piece_length;
        at += step;
    }
    target[used] = '\0';
}
