/* What the tests of the rewards share: making a reward, and its value and gradient in double precision. */
#ifndef ALIGNPROP_TESTS_REWARD_FIXTURE_H
#define ALIGNPROP_TESTS_REWARD_FIXTURE_H

#include "engine/reward/reward.h"
#include "engine/reward/score.h"

/* The folder with the goldens and the small reward models. */
const char *golden_folder(void);

/* Fails the running test with the message unless `result` is a success. */
void assert_success(status result);

/* The reward of that name with JSON parameters (NULL: none); models are looked up in the folder of the goldens. */
struct reward *make_reward(const char *name, const char *params);
/* The status of making it; the reward is destroyed again. */
status try_reward(const char *name, const char *params);

/* |a - b| / |b| in the Euclidean norm. */
double relative_difference(const double *a, const double *b, size_t count);

/* A reproducible number in [0, 1). */
double random_unit(uint64_t *state);

#endif
