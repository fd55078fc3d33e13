/* The models a machine has: those that travel with the program, folders named by the user, the data folder, and the
 * Hugging Face cache, which is only read. */
#ifndef ALIGNPROP_MODEL_LIBRARY_H
#define ALIGNPROP_MODEL_LIBRARY_H

#include "engine/base/files.h"

enum model_place { MODEL_BUILT_IN, MODEL_GIVEN, MODEL_DATA, MODEL_HUB };
/* "built in", "model path", "data folder", "Hugging Face cache". */
const char *model_place_name(enum model_place place);

struct model_entry {
    char name[256]; /* what presets call it: folder or file name without ending; "ORGANISATION/NAME" in the cache */
    char path[PATH_SIZE]; /* a diffusers folder or a .safetensors file */
    enum model_place place;
    bool diffusion; /* can be tuned; else a reward model */
};

struct model_library {
    struct model_entry *entries;
    int count;
    char **folders; /* where reward models are looked for by name, NULL-terminated */
};

/* Lists what is there; nothing is opened but small files. `given` are the folders of --model-path, `given_count` of
 * them. Names are unique: the first place that has one wins, in the order of enum model_place. */
status model_library_open(const char *const *given, int given_count, struct model_library *library);
void model_library_close(struct model_library *library);

/* The path that a preset's `model` means: an existing path, else a listed name. STATUS_BAD_INPUT names the nearest, or
 * says where models belong. */
status model_library_find(const struct model_library *library, const char *name_or_path, char path[PATH_SIZE]);

#endif
