/* Where a reward finds the model it scores with. */
#ifndef ALIGNPROP_REWARD_MODEL_SEARCH_H
#define ALIGNPROP_REWARD_MODEL_SEARCH_H

#include "engine/model/library.h"
#include "engine/reward/reward.h"

/* The path of a reward model of that kind.
 *  - `given` (a parameter's value) not empty: what that name or path stands for (model_library_find);
 *  - else MODEL/rewards/{clip,aesthetic,detector} of the diffusion model;
 *  - else the first of its kind in the library (model_library_first).
 * The library is that of the request's search paths and of the places where models are kept.
 * STATUS_BAD_INPUT says where it looked. */
status reward_model_find(const struct reward_request *request, const char *given, enum model_kind kind,
                         char path[PATH_SIZE]);

#endif
