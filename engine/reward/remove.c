/* None of an object: its strongest detections off. */
#include "engine/reward/detection.h"

status remove_reward_create(const struct reward_kind *kind, const struct reward_request *request,
                            struct reward **reward)
{
    return detection_reward_create(kind, request, 0, (int)reward_number(kind, request, "boxes"), reward);
}
