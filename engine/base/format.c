/* Seconds, bytes and counts as people read them. */
#include "engine/base/format.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

const char *format_bytes(char *text, size_t size, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1000;
    if (isnan(bytes))
        snprintf(text, size, "~");
    else
        snprintf(text, size, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

const char *format_bytes_closely(char *text, size_t size, double bytes)
{
    bool large = bytes >= 1e9;
    snprintf(text, size, large ? "%.2f GB" : "%.1f MB", bytes / (large ? 1e9 : 1e6));
    return text;
}

const char *format_seconds(char *text, size_t size, double seconds)
{
    enum { MINUTE = 60, HOUR = 3600 };
    const double longest = 1e9; /* some thirty years */
    long whole = seconds >= 0 && seconds < longest ? (long)seconds : -1;
    if (whole < 0)
        snprintf(text, size, "~");
    else if (seconds < 10)
        snprintf(text, size, "%.1f s", seconds);
    else if (whole < MINUTE)
        snprintf(text, size, "%.0f s", seconds);
    else if (whole < HOUR)
        snprintf(text, size, "%ld:%02ld", whole / MINUTE, whole % MINUTE);
    else
        snprintf(text, size, "%ld:%02ld:%02ld", whole / HOUR, whole / MINUTE % 60, whole % MINUTE);
    return text;
}

const char *format_ago(char *text, size_t size, double seconds)
{
    if (isnan(seconds))
        snprintf(text, size, "~");
    else if (seconds < 90)
        snprintf(text, size, "just now");
    else if (seconds < 90 * 60)
        snprintf(text, size, "%.0f min ago", seconds / 60);
    else if (seconds < 36 * 3600)
        snprintf(text, size, "%.0f h ago", seconds / 3600);
    else
        snprintf(text, size, "%.0f days ago", seconds / 86400);
    return text;
}

const char *format_number(char *text, size_t size, double value)
{
    double magnitude = fabs(value);
    if (isnan(value))
        snprintf(text, size, "~");
    else if (magnitude < 0.0005)
        snprintf(text, size, "0.000");
    else if (magnitude >= 100000)
        snprintf(text, size, "%.1e", value);
    else
        snprintf(text, size, "%.*f", magnitude >= 1000 ? 0 : magnitude >= 100 ? 1 : magnitude >= 10 ? 2 : 3, value);
    return text;
}

struct format_unit format_operations(double operations)
{
    return operations >= 1e12 ? (struct format_unit){1e12, "TFLOP"} : (struct format_unit){1e9, "GFLOP"};
}
