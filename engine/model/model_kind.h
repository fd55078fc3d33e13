/* What kind of model a folder or file holds. */
#ifndef ALIGNPROP_MODEL_MODEL_KIND_H
#define ALIGNPROP_MODEL_MODEL_KIND_H

#include <stdbool.h>

enum model_kind {
    MODEL_KIND_DIFFUSION, /* text to image: diffusers folder or single file */
    MODEL_KIND_CLIP,      /* CLIPModel folder */
    MODEL_KIND_DETECTOR,  /* OwlViTForObjectDetection folder */
    MODEL_KIND_AESTHETIC, /* head on CLIP embeddings in LAION's layout */
    MODEL_KIND_COUNT
};

/* "text-to-image model" and so on. */
const char *model_kind_description(enum model_kind kind);

/* What is at `path`, by its files' names, configs and headers: false, and `kind` as it was, where it is no model that
 * is known. */
bool model_kind_of(const char *path, enum model_kind *kind);

#endif
