/* The models a machine has: those that travel with the program, folders named by the user, the data folder, and the
 * Hugging Face cache, which is only read. Nothing is opened but configs and headers. */
#ifndef ALIGNPROP_MODEL_LIBRARY_H
#define ALIGNPROP_MODEL_LIBRARY_H

#include "engine/base/files.h"
#include "engine/model/model_kind.h"

enum model_place { MODEL_BUILT_IN, MODEL_GIVEN, MODEL_DATA, MODEL_HUB };
/* "built in", "model path", "data folder", "Hugging Face cache". */
const char *model_place_name(enum model_place place);

struct model_entry {
    char name[256]; /* what presets call it: folder or file name without ending; "ORGANISATION/NAME" in the cache */
    char path[PATH_SIZE];
    enum model_place place;
    enum model_kind kind;
};

struct model_library {
    struct model_entry *entries; /* by place, then by name */
    int count;
    char **folders; /* those of --model-path, for whoever opens a library of his own; NULL-terminated */
};

/* Lists what is there. `given` are the models or folders of models of --model-path, `given_count` of them, which must
 * exist; other places may be missing. A name is listed once a kind: the first place that has it wins, in the order of
 * enum model_place. */
status model_library_open(const char *const *given, int given_count, struct model_library *library);
void model_library_close(struct model_library *library);

/* The path that a name stands for: a listed model of that kind ("NAME" is also found as "ORGANISATION/NAME"), else an
 * existing path that holds none of another kind. STATUS_BAD_INPUT names the nearest, or says where models belong. */
status model_library_find(const struct model_library *library, const char *name_or_path, enum model_kind kind,
                          char path[PATH_SIZE]);
/* True if a listed model of that kind is called so. */
bool model_library_lists(const struct model_library *library, const char *name, enum model_kind kind);
/* The first listed model of that kind; NULL if there is none. */
const struct model_entry *model_library_first(const struct model_library *library, enum model_kind kind);

#endif
