/* stdout and stderr as people and scripts get them: what is no text is written out (readable.h), and a write that fails
 * is not forgotten. */
#ifndef ALIGNPROP_CLI_OUTPUT_H
#define ALIGNPROP_CLI_OUTPUT_H

#include "kernels/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct output {
    int descriptor;
    int error_number; /* of the first write that failed; 0: none */
    char held[4];     /* the beginning of a character whose rest is to come */
    size_t held_length;
};

/* Opens /dev/null for each of descriptors 0 to 2 that is closed, in the direction nobody uses: a file opened later can
 * then never be taken for stdout or stderr, and writing to them fails as on a closed descriptor. */
void output_reserve_descriptors(void);

/* Puts a stream in front of `*stream` (stdout or stderr) that keeps new lines and tabs and escapes other controls, so
 * that no printf can forget it. `output` lives as long as the stream. Where there is no memory for it, `*stream` stays
 * as it was. */
void output_open(struct output *output, int descriptor, FILE **stream);

/* Flushes. STATUS_FAILED when anything written to the stream, at any time, did not arrive. */
status output_finish(struct output *output, FILE *stream);

/* ---- printing on stdout ---- */

/* A name or value in a line of a table: its new lines and tabs are written out too. */
void print_cell(const char *message);

/* printf, but what the format makes is one line whatever is in it: new lines are written out, and one follows. */
void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- words on stderr ---- */

/* One line, as print_line. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
