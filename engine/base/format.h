/* Quantities as people read them, one way everywhere. Each function writes into `size` bytes (FORMAT_SIZE is always
 * enough) and returns `text`; what is not known (NaN) is "~". */
#ifndef ALIGNPROP_BASE_FORMAT_H
#define ALIGNPROP_BASE_FORMAT_H

#include <stddef.h>

enum { FORMAT_SIZE = 32 };

/* "812 B", "7.1 MB", "412 MB", "5.1 GB": units of 1000. */
const char *format_bytes(char *text, size_t size, double bytes);
/* "35.2 MB", "5.13 GB": what two amounts that are compared are told in, so that near ones differ. */
const char *format_bytes_closely(char *text, size_t size, double bytes);
/* "2.1 s", "45 s", "2:13", "1:02:05"; "~" also for what is negative or infinite. */
const char *format_seconds(char *text, size_t size, double seconds);
/* "5 min ago"; "just now" below a minute and a half. */
const char *format_ago(char *text, size_t size, double seconds);
/* Three decimals below 10, two below 100, one below 1000, then none; never "-0.000". */
const char *format_number(char *text, size_t size, double value);

/* The unit that a count of floating-point operations leaves digits before the point in; a table's columns share one. */
struct format_unit {
    double size;
    const char *name; /* "TFLOP" from 1e12 on, else "GFLOP" */
};
struct format_unit format_operations(double operations);

#endif
