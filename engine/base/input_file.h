/* Files that are read. One place opens them, and takes nothing but a regular file: a pipe, a socket or a device under
 * the name of a model or a preset is refused at once, where waiting for it could last for ever.
 *
 * Messages name the path. What cannot be read is STATUS_BAD_INPUT. */
#ifndef ALIGNPROP_BASE_INPUT_FILE_H
#define ALIGNPROP_BASE_INPUT_FILE_H

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct input_file {
    const char *path; /* the caller's, which must outlive the file */
    int descriptor;   /* -1 when closed */
    uint64_t size;    /* bytes when it was opened */
};

/* Opens `path` for reading. Closed by the caller after a success. */
status input_file_open(const char *path, struct input_file *file);
void input_file_close(struct input_file *file);
/* Reads exactly `count` bytes at `offset`, from any thread. A file that has become shorter since it was opened is an
 * error. */
status input_file_read_at(const struct input_file *file, uint64_t offset, void *bytes, size_t count);

/* The same as a stream, for what is read line by line. Caller closes. */
status input_stream_open(const char *path, FILE **stream);

/* Reads a whole file of at most `limit` bytes. `*data` gets a NUL after its `*length` bytes; the caller frees it. */
status file_read(const char *path, size_t limit, char **data, size_t *length);

#endif
