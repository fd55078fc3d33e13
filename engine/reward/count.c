/* Exactly so many of an object: the first `target` detections on, the next `beyond` off. */
#include "engine/reward/detection.h"

status count_reward_create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    int wanted = (int)reward_number(kind, request, "target"), unwanted = (int)reward_number(kind, request, "beyond");
    return detection_reward_create(kind, request, wanted, unwanted, reward);
}
