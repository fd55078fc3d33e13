/* The head of an aesthetic predictor in LAION's layout: linear layers "layers.N.weight" and "layers.N.bias" one after
 * the other in the order of N, with nothing between them at inference. Such a chain is one affine map of the embedding,
 * so that is what is kept. */
#ifndef ALIGNPROP_MODEL_AESTHETIC_HEAD_H
#define ALIGNPROP_MODEL_AESTHETIC_HEAD_H

#include "engine/base/files.h"

#include <stdint.h>

struct aesthetic_head {
    double *weight; /* [width]; owned */
    double bias;
    int64_t width; /* of the embedding */
};

/* The file that holds the head: `path` itself, or the only .safetensors or .pth file of a folder. */
status aesthetic_head_find(const char *path, char file[PATH_SIZE]);
/* Reads a .safetensors file, or what torch.save wrote (any other ending); of a folder the only such file in it.
 * score = weight . embedding + bias for the normalised embedding. STATUS_BAD_INPUT names file, tensor, expected and
 * found. */
status aesthetic_head_open(const char *path, struct aesthetic_head *head);
void aesthetic_head_clear(struct aesthetic_head *head);

#endif
