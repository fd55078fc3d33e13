/* One network of a model and where its weights are: files, and how their tensor names follow from diffusers names. */
#ifndef ALIGNPROP_MODEL_PART_H
#define ALIGNPROP_MODEL_PART_H

#include "engine/graph/graph.h"
#include "engine/model/safetensors.h"

enum model_part { MODEL_PART_UNET, MODEL_PART_DECODER, MODEL_PART_TEXT, MODEL_PART_COUNT };

enum { TENSOR_NAME_LIMIT = 256 };

/* Writes what the file may call the tensor that diffusers calls `name`; `attempt` counts the possibilities from 0.
 * False when there is none left. */
typedef bool (*tensor_naming)(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);

struct part_weights {
    struct tensor_files *files; /* shared by the parts of a single-file model */
    tensor_naming naming;
    const void *layout; /* what `naming` needs to know of the network */
};

/* Diffusers names as they are, and the older or shorter ones of the same layout. */
bool naming_of_folder_unet(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);
bool naming_of_folder_decoder(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);
bool naming_of_folder_text(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT]);

/* The entry for diffusers name `name`, of that shape (a 1x1 convolution and a linear map count as the same).
 * STATUS_BAD_INPUT names file, tensor, expected and found. */
status part_weights_find(const struct part_weights *part, const char *name, const struct shape *shape,
                         const struct safetensors_entry **entry);
struct weight_source part_weights_source(struct part_weights *part);

/* Sets used[i] for the i-th tensor of the files (tensor_files_entry_at) where it is a constant of `graph`. */
void part_weights_mark(const struct part_weights *part, const struct graph *graph, bool *used);

/* Called with each tensor that is missing or wrong. */
typedef void (*part_problem)(void *context, const status *problem);
/* Looks for every constant of `graph` and returns the number of those that are missing or wrong. */
int part_weights_check(const struct part_weights *part, const struct graph *graph, part_problem report, void *context);

#endif
