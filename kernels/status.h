/* One result type for everything that can fail.
 *
 * A status carries the exit code of the contract and one sentence that names what was wrong, where, and what
 * would be right. It is returned by value: nothing to free, nothing global. */
#ifndef ALIGNPROP_KERNELS_STATUS_H
#define ALIGNPROP_KERNELS_STATUS_H

#include <stdbool.h>

enum status_code {
    STATUS_OK = 0,
    STATUS_FAILED = 1,    /* something outside the user's input went wrong: system call, device, network */
    STATUS_USAGE = 2,     /* wrong command line */
    STATUS_BAD_INPUT = 3, /* a file, preset or model is wrong; the message names file and place */
    STATUS_NO_MEMORY = 4, /* does not fit; the message says needed, free and what would fit */
    STATUS_INTERRUPTED = 130
};

typedef struct status {
    enum status_code code;
    char message[500]; /* UTF-8, one sentence without a final newline; empty when code is STATUS_OK */
} status;

/* The value that means success. */
status status_ok(void);

/* A failure with a printf-style message; cut at the size of `message` on a character boundary. Here and below names and
 * values may hold anything: the message is UTF-8 without control characters (readable.h). */
status status_error(enum status_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As status_error, with ": " and the system's message for errno value `error_number` appended. */
status status_errno(enum status_code code, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of a failure's message; a success passes through unchanged. */
status status_context(status inner, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The analyser sees one file at a time: here it learns which of these is a failure. */
#ifdef __clang_analyzer__
#define status_ok() ((status){.code = STATUS_OK})
#define status_error(code_, ...) ((void)(status_error)(code_, __VA_ARGS__), (status){.code = (code_)})
#endif

/* Returns from the calling function when `expression` (a status) is a failure. */
#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        status try_result_ = (expression);                                                                             \
        if (try_result_.code != STATUS_OK) return try_result_;                                                         \
    } while (0)

#endif
