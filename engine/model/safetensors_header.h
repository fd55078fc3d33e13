/* The JSON header of a safetensors file. It comes from strangers: the scanner of all JSON (json_check) looks through it
 * first; then it is read as it stands, without a tree, so that time and memory are bounded by its length. No number
 * stands in it but non-negative integers. */
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
