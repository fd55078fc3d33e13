/* What a vision model wants done to a picture before it sees it: resize, centre crop, normalise, as its own
 * preprocessor_config.json (or the image_processor of processor_config.json) says. */
#ifndef ALIGNPROP_MODEL_PICTURE_PROCESSOR_H
#define ALIGNPROP_MODEL_PICTURE_PROCESSOR_H

#include "engine/graph/graph.h"
#include "engine/model/remarks.h"

struct picture_processor {
    bool resize;
    enum resize_filter filter;
    int64_t shortest_edge; /* the shorter side becomes this, the other in proportion; 0: height x width instead */
    int64_t height, width;
    bool crop;
    int64_t crop_height, crop_width;
    double scale; /* of values in [0,1] before mean and deviation; 1 unless rescale_factor is unusual */
    double mean[3], deviation[3];
};

/* Reads the config in `folder`. `square`: what a single number for the size means, both sides (detectors) or the
 * shorter side (CLIP); `side` is that number, and the side of the crop, where the file says nothing. Remarks on keys
 * that nothing here knows go to `remarks`. STATUS_BAD_INPUT names file, key, expected and found. */
status picture_processor_open(const char *folder, bool square, int64_t side, struct remarks *remarks,
                              struct picture_processor *processor);

/* pictures[B,H,W,3] (exact, RGB in [0,1]) -> [B,h,w,3] (compute type). Resizing averages over the source pixels
 * (antialiased), as PIL and transformers do, but without their rounding to 8 bits; it is left out where the size agrees
 * already. */
tensor_id picture_processor_build(const struct picture_processor *processor, struct graph *graph, tensor_id pictures);

#endif
