/* The table of rewards and of their parameters. */
#include "engine/reward/implementation.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define NO_MODEL MODEL_KIND_COUNT

static const struct reward_parameter jpeg_parameters[] = {
    {"quality", "quality setting of the JPEG file", PARAMETER_INTEGER, 1, 100, 95, NULL, NO_MODEL},
};

static const struct reward_parameter clip_parameters[] = {
    {"model", "CLIP model: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_CLIP},
};

static const struct reward_parameter aesthetic_parameters[] = {
    {"model", "head: folder, .safetensors or .pth file, or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_AESTHETIC},
    {"clip", "CLIP model that the head was trained on: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_CLIP},
};

static const struct reward_parameter count_parameters[] = {
    {"object", "what to count, in words", PARAMETER_TEXT, 0, 0, 0, NULL, NO_MODEL},
    {"target", "how many there should be", PARAMETER_INTEGER, 1, 10, 2, NULL, NO_MODEL},
    {"beyond", "how many further detections are pushed down", PARAMETER_INTEGER, 1, 10, 2, NULL, NO_MODEL},
    {"overlap", "intersection over union above which two boxes are one object", PARAMETER_NUMBER, 0.05, 0.95, 0.3, NULL,
     NO_MODEL},
    {"model", "detector: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_DETECTOR},
};

static const struct reward_parameter remove_parameters[] = {
    {"object", "what should not be there, in words", PARAMETER_TEXT, 0, 0, 0, NULL, NO_MODEL},
    {"boxes", "how many of the strongest detections are pushed down", PARAMETER_INTEGER, 1, 10, 2, NULL, NO_MODEL},
    {"overlap", "intersection over union above which two boxes are one object", PARAMETER_NUMBER, 0.05, 0.95, 0.3, NULL,
     NO_MODEL},
    {"model", "detector: folder or name", PARAMETER_MODEL, 0, 0, 0, "", MODEL_KIND_DETECTOR},
};

static const struct reward_parameter color_parameters[] = {
    {"color", "the colour to move to, #rrggbb", PARAMETER_COLOR, 0, 0, 0, NULL, NO_MODEL},
};

#define PARAMETERS(table) (table), (int)(sizeof(table) / sizeof(table)[0])

/* Adding a reward is adding its file and its row here; presets, command line and studio read this table. */
static const struct reward_kind rows[] = {
    {"jpeg", "small JPEG files: minus the kilobytes (1000 bytes) at a quality, 4:2:0",
     "smooth rate of the quantised cosine coefficients, fitted to libjpeg's sizes", -INFINITY, 0,
     PARAMETERS(jpeg_parameters), jpeg_reward_create},
    {"jpeg-incompressible", "large JPEG files: the kilobytes (1000 bytes) at a quality, 4:2:0",
     "smooth rate of the quantised cosine coefficients, fitted to libjpeg's sizes", 0, INFINITY,
     PARAMETERS(jpeg_parameters), jpeg_reward_create},
    {"clip", "likeness of picture and prompt: cosine of their CLIP embeddings", "Radford et al. 2021, arXiv 2103.00020",
     -1, 1, PARAMETERS(clip_parameters), clip_reward_create},
    {"aesthetic", "how well people would like the picture, about 1 to 10", "LAION aesthetic predictor V2 layout",
     -INFINITY, INFINITY, PARAMETERS(aesthetic_parameters), aesthetic_reward_create},
    {"count", "exactly so many of an object: mean log-likelihood of the detections wanted and unwanted",
     "Minderer et al. 2022, arXiv 2205.06230 (detector)", -INFINITY, 0, PARAMETERS(count_parameters),
     count_reward_create},
    {"remove", "an object is not there: mean log-likelihood that its strongest detections are off",
     "Minderer et al. 2022, arXiv 2205.06230 (detector)", -INFINITY, 0, PARAMETERS(remove_parameters),
     remove_reward_create},
    {"colorfulness", "vivid and varied colours (15 slight, 59 quite, 109 extreme)",
     "Hasler and Suesstrunk 2003, Measuring colorfulness in natural images", 0, 298, NULL, 0,
     colorfulness_reward_create},
    {"sharpness", "fine detail: root mean square of the Laplacian of the luma, in grey levels",
     "Pech-Pacheco et al. 2000, focus measure by the Laplacian", 0, 1020, NULL, 0, sharpness_reward_create},
    {"brightness", "mean luma", "ITU-R BT.601 luma", 0, 1, NULL, 0, brightness_reward_create},
    {"color", "closeness to a colour: minus the mean squared difference", "mean squared error in RGB", -1, 0,
     PARAMETERS(color_parameters), color_reward_create},
    {"symmetry", "left and right halves alike: minus the mean squared difference to the mirror image",
     "mean squared error in RGB", -1, 0, NULL, 0, symmetry_reward_create},
};

const struct reward_kind *reward_kinds(int *count)
{
    *count = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

const struct reward_kind *reward_kind_find(const char *name)
{
    int count;
    const struct reward_kind *kinds = reward_kinds(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}
