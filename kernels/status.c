/* Statuses and their messages. */
#include "kernels/status.h"

#include "kernels/readable.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef status_ok /* those of the analyser */
#undef status_error

status status_ok(void)
{
    status result;
    result.code = STATUS_OK;
    result.message[0] = '\0';
    return result;
}

/* Drops a UTF-8 sequence that the buffer's end cut in half. */
static void drop_partial_character(char *text)
{
    size_t length = strlen(text);
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0u) == 0x80u) start--;
    if (start == 0) return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length - (start - 1) < expected) text[start - 1] = '\0';
}

static void append(status *target, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

static void append(status *target, const char *format, va_list arguments)
{
    /* What was escaped before is not escaped again: the escapes hold nothing that would be. */
    char text[sizeof target->message];
    size_t used = strlen(target->message);
    vsnprintf(text, sizeof text, format, arguments);
    drop_partial_character(text);
    readable_copy(target->message + used, sizeof target->message - used, text);
}

static void append_text(status *target, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append_text(status *target, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(target, format, arguments);
    va_end(arguments);
}

status status_error(enum status_code code, const char *format, ...)
{
    status result = {.code = code, .message = ""};
    va_list arguments;
    va_start(arguments, format);
    append(&result, format, arguments);
    va_end(arguments);
    return result;
}

status status_errno(enum status_code code, int error_number, const char *format, ...)
{
    status result = {.code = code, .message = ""};
    va_list arguments;
    va_start(arguments, format);
    append(&result, format, arguments);
    va_end(arguments);
    append_text(&result, ": %s", strerror(error_number));
    return result;
}

status status_context(status inner, const char *format, ...)
{
    if (inner.code == STATUS_OK) return inner;
    status result = {.code = inner.code, .message = ""};
    va_list arguments;
    va_start(arguments, format);
    append(&result, format, arguments);
    va_end(arguments);
    append_text(&result, ": %s", inner.message);
    return result;
}
