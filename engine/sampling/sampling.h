/* Pictures from prompts: the whole way through a chain without gradient. Used by `sample`, `score`, the mixer and
 * tests.
 *
 * Picture i has prompt i modulo the number of prompts and seed `seed` + i, alone: it does not depend on how many
 * pictures are made with it. */
#ifndef ALIGNPROP_SAMPLING_SAMPLING_H
#define ALIGNPROP_SAMPLING_SAMPLING_H

#include "engine/sampling/chain.h"

struct sampled_picture {
    int index;
    const char *prompt;
    uint64_t seed;
    int step, steps; /* done of total; a preview while step < steps */
    int width, height;
    const unsigned char *rgb; /* 8 bit, [height, width, 3]; a preview is one pixel a latent */
    const float *values;      /* RGB in [0,1], [height, width, 3]; NULL in previews */
};

struct sampling_job {
    const char *const *prompts;
    int prompt_count;
    int count;
    const char *negative;
    uint64_t seed;
    bool previews; /* call `picture` after every step for the first picture of the batch */
    void *context;
    /* Pixels are valid during the call only. */
    void (*picture)(void *context, const struct sampled_picture *picture);
    bool (*abandon)(void *context); /* may be NULL; true: come back with STATUS_INTERRUPTED */
};

/* Runs on an allocated chain with whatever adapters are merged into it (chain_merge). STATUS_BAD_INPUT where a picture
 * is no number. */
status sampling_run(struct chain *chain, const struct sampling_job *job);

#endif
