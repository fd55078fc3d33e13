/* The list of rewards: adding one is adding its file and its name here. Presets, command line and studio read it. */
#include "engine/reward/implementation.h"

#include <stddef.h>
#include <string.h>

/* In the order of lists. */
/* clang-format off */
#define REWARDS(REWARD)                                                                                                \
    REWARD(jpeg)                                                                                                       \
    REWARD(jpeg_incompressible)                                                                                        \
    REWARD(clip)                                                                                                       \
    REWARD(aesthetic)                                                                                                  \
    REWARD(count)                                                                                                      \
    REWARD(remove)                                                                                                     \
    REWARD(colorfulness)                                                                                               \
    REWARD(sharpness)                                                                                                  \
    REWARD(brightness)                                                                                                 \
    REWARD(color)                                                                                                      \
    REWARD(symmetry)
/* clang-format on */

#define REWARD(name) extern const struct reward_kind name##_reward;
REWARDS(REWARD)
#undef REWARD

static const struct reward_kind *const rewards[] = {
#define REWARD(name) &name##_reward,
    REWARDS(REWARD)
#undef REWARD
};

enum { REWARD_COUNT = sizeof rewards / sizeof rewards[0] };

const struct reward_kind *reward_kind_at(int index)
{
    return index >= 0 && index < REWARD_COUNT ? rewards[index] : NULL;
}

const struct reward_kind *reward_kind_find(const char *name)
{
    for (int i = 0; i < REWARD_COUNT; i++)
        if (strcmp(rewards[i]->name, name) == 0) return rewards[i];
    return NULL;
}
