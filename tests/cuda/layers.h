/* The layers of Stable Diffusion 1.5 at 512x512 as operations of the forward sweep: every family of kernels at the
 * shapes that it meets there. */
#ifndef ALIGNPROP_TESTS_CUDA_LAYERS_H
#define ALIGNPROP_TESTS_CUDA_LAYERS_H

#include "kernels/operations.h"

struct layer {
    char name[64];
    struct operation operation; /* element types not set; weights of adapters are not constant */
};

enum { MAXIMUM_LAYERS = 64 };

/* The layers of a U-Net call of `pictures` pictures with guidance (two samples each), of a decoder call of one picture
 * and of the CLIP tower for `pictures`. `tiny`: the same with sides an eighth or less and channels a fifth or less, for
 * an emulated device. `main_only`: only those that take most of a step's time. Returns how many. */
int layers_list(int pictures, bool tiny, bool main_only, struct layer layers[MAXIMUM_LAYERS]);

#endif
