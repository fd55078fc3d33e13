/* The JSON header of a safetensors file, parsed by an own small parser: headers come from strangers, and this one is
 * bounded by the header's length in time and memory, knows no nesting and no number but a non-negative integer. */
#ifndef ALIGNPROP_MODEL_SAFETENSORS_HEADER_H
#define ALIGNPROP_MODEL_SAFETENSORS_HEADER_H

#include "engine/model/safetensors.h"

struct header_tensor {
    const char *name;
    enum safetensors_type type;
    int rank;
    int64_t dimension[SAFETENSORS_MAXIMUM_RANK];
    int64_t begin, end; /* offsets as the header states them, unchecked */
};

struct safetensors_header {
    char *names; /* holds every decoded string */
    struct header_tensor *tensors;
    size_t tensor_count, tensor_room;
    struct safetensors_text *metadata; /* sorted by key */
    size_t metadata_count, metadata_room;
};

/* Parses `length` bytes of JSON. `label` names the file in messages. On failure `header` is cleared. */
status safetensors_header_parse(const char *text, size_t length, const char *label, struct safetensors_header *header);
void safetensors_header_clear(struct safetensors_header *header);

#endif
