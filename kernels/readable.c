/* UTF-8, and text that is safe to show. */
#include "kernels/readable.h"

#include <stdio.h>
#include <string.h>

/* Length of the well-formed sequence at `bytes` (Unicode 15, table 3-7), or 0. */
static size_t sequence_length(const unsigned char *bytes, size_t left)
{
    unsigned char lead = bytes[0];
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (left < length) return 0;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (bytes[1] < low || bytes[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if ((bytes[i] & 0xC0u) != 0x80u) return 0;
    }
    return length;
}

size_t readable_code_point(const char *bytes, size_t left, uint32_t *code_point)
{
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *sequence = (const unsigned char *)bytes;
    size_t length = sequence_length(sequence, left);
    if (length == 0) return 0;
    *code_point = sequence[0] & lead_bits[length];
    for (size_t i = 1; i < length; i++) *code_point = *code_point << 6 | (sequence[i] & 0x3Fu);
    return length;
}

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
    size_t length = readable_code_point(bytes, left, &code_point);
    if (length == 0) {
        snprintf(form, READABLE_FORM_SIZE, "\\x%02x", (unsigned)(unsigned char)bytes[0]);
        return 1;
    }
    if (readable_is_control(code_point)) write_out(code_point, form);
    return length;
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
