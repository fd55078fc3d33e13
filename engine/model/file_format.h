/* What a file that was taken for a model is in truth, by its first bytes: a pointer left in place of a large file, a
 * web page that was saved in its stead, weights of another program. */
#ifndef ALIGNPROP_MODEL_FILE_FORMAT_H
#define ALIGNPROP_MODEL_FILE_FORMAT_H

#include "kernels/status.h"

#include <stddef.h>

enum { FILE_FORMAT_BYTES = 512 }; /* as many first bytes tell every format */

struct file_format {
    const char *description; /* "a Git LFS pointer, not the file itself" */
    const char *advice;      /* what to do */
};

/* By the first bytes of a file, `size` of them, at most FILE_FORMAT_BYTES. NULL for safetensors files and for what is
 * not known. */
const struct file_format *file_format_of(const void *bytes, size_t size);
/* The same for the file at `path`; NULL also where it cannot be read. */
const struct file_format *file_format_at(const char *path);
/* STATUS_BAD_INPUT: "PATH: is WORDS; ADVICE". */
status file_format_refused(const char *path, const struct file_format *format);

#endif
