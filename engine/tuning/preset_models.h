/* The models that a preset names, and how it names them: found on this machine, by paths that hold from any folder. */
#ifndef ALIGNPROP_TUNING_PRESET_MODELS_H
#define ALIGNPROP_TUNING_PRESET_MODELS_H

#include "engine/base/files.h"
#include "engine/model/library.h"
#include "engine/preset/preset.h"

/* Makes paths to models absolute, of the diffusion model and of the rewards': relative ones are relative to the
 * preset's file (preset_find_path). A name that `library` lists stays a name; so does what is found nowhere. `library`
 * NULL: the one without --model-path, opened only where a value could be either. */
status preset_make_model_paths_absolute(struct preset *preset, const struct model_library *library,
                                        struct preset_warnings *warnings);

/* After that: finds the diffusion model alone, which is what sampling needs (preset->model_path). */
status preset_find_diffusion_model(struct preset *preset, const struct model_library *library);

/* Finds the diffusion model and every model of a reward. What would be found by other
 * means in another folder or with another --model-path is written into `resolved` as a path. The library's folders are
 * borrowed by the preset. STATUS_BAD_INPUT names the preset's file, the key and what is missing. */
status preset_find_models(struct preset *preset, const struct model_library *library);

/* A model that a run of a preset computes with. */
struct model_use {
    char key[160]; /* of the preset: "model", "rewards.ID.params.NAME" */
    char path[PATH_SIZE];
};
struct model_uses {
    struct model_use *uses;
    int count;
};

/* The diffusion model first, after preset_find_models; without `rewards` it alone, after preset_find_diffusion_model.
 * The caller clears them. */
status preset_list_models(const struct preset *preset, bool rewards, struct model_uses *models);
void model_uses_clear(struct model_uses *models);

#endif
