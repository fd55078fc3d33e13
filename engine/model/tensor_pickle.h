/* The pickle in a file that torch.save wrote, read as data and never executed: a dictionary of tensors by name. Only
 * the byte codes and the names of functions that such a dictionary has are known; anything else is an error. */
#ifndef ALIGNPROP_MODEL_TENSOR_PICKLE_H
#define ALIGNPROP_MODEL_TENSOR_PICKLE_H

#include "engine/model/safetensors.h"
#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

enum { TENSOR_PICKLE_MAXIMUM = 64, TENSOR_PICKLE_MAXIMUM_RANK = 4, TENSOR_PICKLE_NAME_SIZE = 64 };

/* A tensor is a part of a storage, a member of the archive that is called by the storage's key. */
struct pickled_tensor {
    char name[TENSOR_PICKLE_NAME_SIZE];
    char storage[TENSOR_PICKLE_NAME_SIZE];
    enum safetensors_type type; /* F32, F16, BF16 or F64 */
    int64_t storage_elements;
    int64_t offset; /* of its first element in the storage */
    int rank;       /* 0: one element */
    int64_t dimension[TENSOR_PICKLE_MAXIMUM_RANK];
    int64_t elements; /* row-major, one after the other, all inside the storage */
};

struct tensor_pickle {
    struct pickled_tensor tensors[TENSOR_PICKLE_MAXIMUM]; /* in the file's order; no name twice */
    int count;                                            /* at least one */
};

/* `label` names the file in messages. STATUS_BAD_INPUT says what is not that of such a dictionary. */
status tensor_pickle_parse(const void *bytes, size_t size, const char *label, struct tensor_pickle *pickle);

#endif
