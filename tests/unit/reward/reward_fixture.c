/* Makes rewards by name and parameters with the goldens' models. */
#include "reward_fixture.h"

#include "engine/reward/reward_models.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

const char *golden_folder(void)
{
    const char *folder = getenv("REWARD_GOLDENS");
    if (folder == NULL) fail_msg("REWARD_GOLDENS must name tests/golden/reward");
    return folder;
}

void assert_success(status result)
{
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
}

static status create(const char *name, const char *params, struct reward **reward)
{
    const char *const folders[] = {golden_folder(), NULL};
    /* Parameters name files of this folder. */
    assert_int_equal(chdir(golden_folder()), 0);
    cJSON *json = params != NULL ? cJSON_Parse(params) : NULL;
    if (params != NULL && json == NULL) fail_msg("not JSON: %s", params);
    struct reward_models *models = reward_models_create(NULL, folders);
    const struct reward_request request = {.id = name, .params = json, .models = models};
    status result = reward_create(name, &request, reward);
    reward_models_release(models);
    cJSON_Delete(json);
    return result;
}

struct reward *make_reward(const char *name, const char *params)
{
    struct reward *reward = NULL;
    assert_success(create(name, params, &reward));
    return reward;
}

status try_reward(const char *name, const char *params)
{
    struct reward *reward = NULL;
    status result = create(name, params, &reward);
    reward_destroy(reward);
    return result;
}

double relative_difference(const double *a, const double *b, size_t count)
{
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(difference / norm);
}

double random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(*state >> 11) * 0x1p-53;
}
