/* Tensors of a file that torch.save wrote (a zip archive of stored members): enough of the layout to read a flat
 * dictionary of tensors, as LAION's aesthetic predictor comes. The whole archive is checked (stored_zip.h), and its
 * pickle is read as data and never executed (tensor_pickle.h). */
#ifndef ALIGNPROP_MODEL_TORCH_ARCHIVE_H
#define ALIGNPROP_MODEL_TORCH_ARCHIVE_H

#include "engine/model/tensor_pickle.h"

enum { TORCH_ARCHIVE_MAXIMUM_TENSORS = TENSOR_PICKLE_MAXIMUM, TORCH_ARCHIVE_MAXIMUM_BYTES = 64 << 20 };

struct torch_tensor {
    const char *name;
    enum safetensors_type type; /* F32, F16, BF16 or F64 */
    int rank;                   /* 0 (one element) .. TENSOR_PICKLE_MAXIMUM_RANK */
    const int64_t *dimension;
    int64_t elements;
    const unsigned char *bytes; /* little-endian, row-major, not aligned; valid while the archive is open */
};

struct torch_archive {
    char *data;                                                 /* the whole file; owned */
    struct tensor_pickle *pickle;                               /* owned */
    struct torch_tensor tensors[TORCH_ARCHIVE_MAXIMUM_TENSORS]; /* in the file's order */
    int count;
};

/* Reads and checks the whole file: STATUS_BAD_INPUT names file, member, expected and found. Caller closes. */
status torch_archive_open(const char *path, struct torch_archive *archive);
/* The same over bytes in memory, which are copied; `label` stands for the path in messages. */
status torch_archive_parse(const void *bytes, size_t size, const char *label, struct torch_archive *archive);
void torch_archive_close(struct torch_archive *archive);

#endif
