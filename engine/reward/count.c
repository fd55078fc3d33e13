/* Exactly so many of an object: the first `target` detections on, the next `beyond` off. */
#include "engine/reward/detection.h"

#include <math.h>

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    int wanted = (int)reward_number(kind, request, "target"), unwanted = (int)reward_number(kind, request, "beyond");
    return detection_reward_create(kind, request, wanted, unwanted, reward);
}

static const struct reward_parameter parameters[] = {
    {"object", "what to count, in words", PARAMETER_TEXT, 0, 0, 0, NULL, NO_MODEL},
    {"target", "how many there should be", PARAMETER_INTEGER, 1, 10, 2, NULL, NO_MODEL},
    {"beyond", "how many further detections are pushed down", PARAMETER_INTEGER, 1, 10, 2, NULL, NO_MODEL},
    {"overlap", "intersection over union above which two boxes are one object", PARAMETER_NUMBER, 0.05, 0.95, 0.3, NULL,
     NO_MODEL},
    {"model", "detector: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_DETECTOR},
};

const struct reward_kind count_reward = {
    .name = "count",
    .measures = "exactly so many of an object: mean log-likelihood of the detections wanted and unwanted",
    .source = "Minderer et al. 2022, arXiv 2205.06230 (detector)",
    .low = -INFINITY,
    .high = 0,
    PARAMETERS(parameters),
    .create = create,
};
