/* The models that rewards score with: where they are found, and each opened once, however many rewards use it. */
#ifndef ALIGNPROP_REWARD_REWARD_MODELS_H
#define ALIGNPROP_REWARD_REWARD_MODELS_H

#include "engine/model/clip_model.h"
#include "engine/model/library.h"
#include "engine/model/owlvit_model.h"

struct reward_models;

/* `model_path`: the diffusion model, whose rewards/{clip,aesthetic,detector} come first; NULL: none. `search_paths`:
 * further folders of models to look in, NULL-terminated; NULL: none. Both are borrowed while rewards are created.
 * Nothing is listed or opened before a reward asks. */
struct reward_models *reward_models_create(const char *model_path, const char *const *search_paths);

/* Every reward holds on to the models it was created with: they close when the last holder releases them. */
struct reward_models *reward_models_hold(struct reward_models *models);
void reward_models_release(struct reward_models *models); /* NULL: does nothing */

/* The path of a reward model of that kind.
 *  - `given` (a parameter's value) not empty: what that name or path stands for (model_library_find);
 *  - else MODEL/rewards/{clip,aesthetic,detector} of the diffusion model;
 *  - else the first of its kind in the library (model_library_first).
 * The library is that of the search paths and of the places where models are kept; it is listed once.
 * STATUS_BAD_INPUT says where it looked. */
status reward_models_find(struct reward_models *models, const char *given, enum model_kind kind, char path[PATH_SIZE]);

/* The model found as above, opened; it is the same object for the same folder, and closes with `models`. */
status reward_models_open_clip(struct reward_models *models, const char *given, char path[PATH_SIZE],
                               struct clip_model **model);
status reward_models_open_detector(struct reward_models *models, const char *given, char path[PATH_SIZE],
                                   struct owlvit_model **model);

/* What opening them noticed and went on from. */
const struct remarks *reward_models_remarks(const struct reward_models *models);

#endif
