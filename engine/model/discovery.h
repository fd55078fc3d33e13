/* Which models are on this machine, and what a name stands for.
 *
 * Looked through in this order: the folder or file of --model-path, $XDG_DATA_HOME/alignprop/models/, the models that
 * come with the program, and the Hugging Face cache (read only). Nothing is opened but configs and headers. */
#ifndef ALIGNPROP_MODEL_DISCOVERY_H
#define ALIGNPROP_MODEL_DISCOVERY_H

#include "engine/base/files.h"

enum model_kind {
    MODEL_KIND_DIFFUSION, /* text to image: diffusers folder or single file */
    MODEL_KIND_CLIP,      /* CLIPModel folder */
    MODEL_KIND_DETECTOR,  /* OwlViTForObjectDetection folder */
    MODEL_KIND_AESTHETIC, /* head on CLIP embeddings in LAION's layout */
    MODEL_KIND_COUNT
};

enum model_origin { MODEL_ORIGIN_GIVEN, MODEL_ORIGIN_DATA, MODEL_ORIGIN_BUILT_IN, MODEL_ORIGIN_CACHE };

/* "text-to-image model" and so on; "built in" and so on. */
const char *model_kind_words(enum model_kind kind);
const char *model_origin_words(enum model_origin origin);

struct found_model {
    char name[256]; /* of its folder or file without ".safetensors"; in the cache ORGANISATION/NAME */
    char path[PATH_SIZE];
    enum model_kind kind;
    enum model_origin origin;
};

struct model_list {
    struct found_model *models; /* in the order above, by name within a place */
    int count;
};

/* `given` (may be NULL) is a model or a folder of models. A place that is not there is skipped; `given` must be. */
status model_list_find(const char *given, struct model_list *list);
void model_list_clear(struct model_list *list);

/* What is at `path`, by its files' names and headers: false where it is no model that is known. */
bool model_kind_of(const char *path, enum model_kind *kind);

/* A name that the list has, or a path (anything with a slash, or that exists), to the path of a model of that kind.
 * STATUS_BAD_INPUT names the nearest known one, or where models are looked for. */
status model_resolve(const char *name, enum model_kind kind, const char *given, char path[PATH_SIZE]);

#endif
