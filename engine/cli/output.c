/* stdout and stderr that hold no control characters and do not forget a write that failed. */
#include "engine/cli/output.h"

#include "engine/base/files.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void output_reserve_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        bool closed = fcntl(descriptor, F_GETFD) < 0 && errno == EBADF;
        /* The lowest free number is taken: this one. */
        if (closed && open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
    }
}

/* ---- the stream ---- */

/* How many bytes at the end of `bytes` may begin a character that is not whole yet. */
static size_t unfinished_length(const char *bytes, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char c = (unsigned char)bytes[length - back];
        size_t whole = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if (c < 0x80 || whole > 1) return whole > back ? back : 0;
    }
    return 0;
}

static bool write_readable(struct output *output, const char *bytes, size_t length)
{
    struct text text = {0};
    text_append_readable(&text, bytes, length, "\n\t");
    int error_number = 0;
    for (size_t at = 0; !error_number && at < text.length;) {
        ssize_t written = write(output->descriptor, text.data + at, text.length - at);
        if (written >= 0) {
            at += (size_t)written;
        } else if (errno != EINTR) {
            error_number = errno;
        }
    }
    text_clear(&text);
    if (!output->error_number) output->error_number = error_number;
    return error_number == 0;
}

static ssize_t on_write(void *context, const char *bytes, size_t length)
{
    struct output *output = context;
    struct text whole = {0};
    text_append_bytes(&whole, output->held, output->held_length);
    text_append_bytes(&whole, bytes, length);
    output->held_length = unfinished_length(whole.data, whole.length);
    whole.length -= output->held_length;
    memcpy(output->held, whole.data + whole.length, output->held_length);
    bool good = write_readable(output, whole.data, whole.length);
    text_clear(&whole);
    return good ? (ssize_t)length : 0; /* 0: an error, as fopencookie has it */
}

void output_open(struct output *output, int descriptor, FILE **stream)
{
    *output = (struct output){.descriptor = descriptor};
    FILE *opened = fopencookie(output, "w", (cookie_io_functions_t){.write = on_write});
    if (!opened) return;
    bool by_line = descriptor == STDERR_FILENO || isatty(descriptor);
    setvbuf(opened, NULL, by_line ? _IOLBF : _IOFBF, BUFSIZ);
    *stream = opened;
}

status output_finish(struct output *output, FILE *stream)
{
    bool good = fflush(stream) == 0 && !ferror(stream);
    if (output->held_length > 0) {
        size_t length = output->held_length;
        output->held_length = 0;
        good = write_readable(output, output->held, length) && good;
    }
    if (good && !output->error_number) return status_ok();
    return status_errno(STATUS_FAILED, output->error_number ? output->error_number : EIO, "cannot write the results");
}

/* ---- lines ---- */

void print_cell(const char *message)
{
    struct text text = {0};
    text_append_readable(&text, message, strlen(message), "");
    fputs(text.data, stdout);
    text_clear(&text);
}

static void put_line(FILE *stream, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

static void put_line(FILE *stream, const char *format, va_list arguments)
{
    struct text message = {0}, line = {0};
    text_append_arguments(&message, format, arguments);
    text_append_readable(&line, message.data, message.length, "\t");
    text_clear(&message);
    fprintf(stream, "%s\n", line.data);
    text_clear(&line);
}

void print_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(stdout, format, arguments);
    va_end(arguments);
}

void tell_list(const char *format, va_list arguments)
{
    put_line(stderr, format, arguments);
}

void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell_list(format, arguments);
    va_end(arguments);
}
