/* Where a component of a model folder has its weights: one file or shards, in the default element type or a variant. */
#ifndef ALIGNPROP_MODEL_WEIGHT_FILES_H
#define ALIGNPROP_MODEL_WEIGHT_FILES_H

#include "engine/base/files.h"

/* The file to open for component `base` ("model", "diffusion_pytorch_model") of `folder`:
 *   BASE.safetensors, BASE.safetensors.index.json, or of a variant, such as fp16,
 *   BASE.VARIANT.safetensors, BASE.safetensors.index.VARIANT.json, BASE.VARIANT.safetensors.index.json.
 * The default comes before the variants fp32, fp16 and bf16, in this order; another variant counts where it is the only
 * one. STATUS_BAD_INPUT says what is there instead. */
status weight_file_find(const char *folder, const char *base, char path[PATH_SIZE]);

#endif
