/* Keeps the first warnings about an adapter; those past the limit are left out. */
#include "engine/model/adapter_warnings.h"

#include <stdarg.h>
#include <stdio.h>

void adapter_warn(struct adapter_warnings *warnings, const char *format, ...)
{
    if (warnings->count == ADAPTER_WARNINGS) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(warnings->lines[warnings->count++], ADAPTER_WARNING_SIZE, format, arguments);
    va_end(arguments);
}
