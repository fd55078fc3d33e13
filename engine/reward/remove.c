/* None of an object: its strongest detections off. */
#include "engine/reward/detection.h"

#include <math.h>

static status create(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward)
{
    return detection_reward_create(kind, request, 0, (int)reward_number(kind, request, "boxes"), reward);
}

static const struct reward_parameter parameters[] = {
    {"object", "what should not be there, in words", PARAMETER_TEXT, 0, 0, 0, NULL, NO_MODEL},
    {"boxes", "how many of the strongest detections are pushed down", PARAMETER_INTEGER, 1, 10, 2, NULL, NO_MODEL},
    {"overlap", "intersection over union above which two boxes are one object", PARAMETER_NUMBER, 0.05, 0.95, 0.3, NULL,
     NO_MODEL},
    {"model", "detector: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_DETECTOR},
};

const struct reward_kind remove_reward = {
    .name = "remove",
    .measures = "an object is not there: mean log-likelihood that its strongest detections are off",
    .source = "Minderer et al. 2022, arXiv 2205.06230 (detector)",
    .low = -INFINITY,
    .high = 0,
    PARAMETERS(parameters),
    .create = create,
};
