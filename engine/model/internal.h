/* What the files that open a model share. */
#ifndef ALIGNPROP_MODEL_INTERNAL_H
#define ALIGNPROP_MODEL_INTERNAL_H

#include "engine/base/files.h"
#include "engine/model/autoencoder.h"
#include "engine/model/clip_tower.h"
#include "engine/model/model.h"
#include "engine/model/part.h"
#include "engine/model/remarks.h"
#include "engine/model/tokenizer.h"
#include "engine/model/unet.h"

/* Which of the names that single files give their parts this one uses. */
struct single_layout {
    const char *text_prefix; /* before the names of the text encoder's tensors */
    bool text_is_bare;       /* they come without "text_model." */
    const char *decoder_prefix;
};

struct model {
    struct model_facts facts;
    struct remarks remarks;
    struct unet_config unet;
    struct autoencoder_config autoencoder;
    struct clip_text_tower text;
    struct tokenizer *tokenizer;
    struct part_weights parts[MODEL_PART_COUNT];
    struct tensor_files *files[MODEL_PART_COUNT]; /* owned; of a single-file model only the first is used */
    struct single_layout single;                  /* of a single-file model */
};

/* Opens the parts of a diffusers folder; `model` is zero but for facts.path. */
status model_open_folder(struct model *model);
/* Opens a single file in the original layout of Stable Diffusion 1.x. */
status model_open_single_file(struct model *model);

/* Name of a tensor in that layout, from its diffusers name (see single_file_names.c). `layout` is the struct model. */
bool naming_of_single_unet(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);
bool naming_of_single_decoder(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);
bool naming_of_single_text(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);

/* Adds a remark on every tensor of the model's files that no part uses and that is not known to be without effect on
 * pictures. */
status model_remark_leftovers(struct model *model);

/* As model_open, but does not look for the tensors. */
status model_open_without_weights(const char *path, struct model **model);
/* Builds one network at a small size: all of its constants, little else. */
tensor_id model_build_small_part(struct model *model, enum model_part part, struct graph *graph);

#endif
