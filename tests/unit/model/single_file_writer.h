/* Writes the golden model single-file/, whose weights follow from its tensors' names (make_config_goldens.py), as it is
 * or with the names and tensors that some files have. */
#ifndef ALIGNPROP_TESTS_SINGLE_FILE_WRITER_H
#define ALIGNPROP_TESTS_SINGLE_FILE_WRITER_H

#include "engine/model/safetensors.h"

enum { SINGLE_FILE_RENAMINGS = 12, SINGLE_FILE_EXTRAS = 8 };

struct single_file_changes {
    /* In the tensors whose names have `from`, its first place becomes `to`; a NULL `to` leaves the tensor out. Each
     * tensor is renamed by the first row that fits. */
    struct {
        const char *from, *to;
    } renamings[SINGLE_FILE_RENAMINGS];
    bool flat_attention; /* the decoder's attention as linear maps instead of 1x1 convolutions */
    bool fp32;           /* instead of fp16 */
    struct safetensors_item extras[SINGLE_FILE_EXTRAS]; /* up to one without a name */
    struct safetensors_text metadata[2];                /* likewise without a key */
};

/* `layout_path` is the model's layout.json; `changes` may be NULL. */
void write_single_file(const char *layout_path, const char *path, const struct single_file_changes *changes);

#endif
