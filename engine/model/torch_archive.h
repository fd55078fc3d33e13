/* Tensors of a file that torch.save wrote (a zip archive of stored members): enough of the layout to read a flat
 * dictionary of fp32 tensors, as LAION's aesthetic predictor comes. The archive's pickle is read as data and never
 * executed: only the byte codes of such a dictionary are known, anything else is an error. */
#ifndef ALIGNPROP_MODEL_TORCH_ARCHIVE_H
#define ALIGNPROP_MODEL_TORCH_ARCHIVE_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { TORCH_ARCHIVE_MAXIMUM_TENSORS = 64, TORCH_ARCHIVE_MAXIMUM_BYTES = 64 << 20 };

struct torch_tensor {
    char name[64];
    int rank; /* 1 or 2 */
    int64_t dimension[2];
    const unsigned char *bytes; /* little-endian fp32, row-major, not aligned; valid while the archive is open */
};

struct torch_archive {
    char *data;                                                 /* the whole file; owned */
    struct torch_tensor tensors[TORCH_ARCHIVE_MAXIMUM_TENSORS]; /* in the file's order */
    int count;
};

/* Reads and checks the whole file: STATUS_BAD_INPUT names file, member, expected and found. Caller closes. */
status torch_archive_open(const char *path, struct torch_archive *archive);
/* The same over bytes in memory, which are copied; `label` stands for the path in messages. */
status torch_archive_parse(const void *bytes, size_t size, const char *label, struct torch_archive *archive);
void torch_archive_close(struct torch_archive *archive);

#endif
