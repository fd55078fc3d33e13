/* Counter-based random numbers: every value is a pure function of seed, stream and position, so the bits agree on every
 * device and thread count, and resuming needs no stored state.
 *
 * Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). Normals are Box-Muller pairs
 * with our own logarithm, sine and cosine in double precision, in one fixed order of IEEE operations. */
#ifndef ALIGNPROP_SAMPLING_NOISE_H
#define ALIGNPROP_SAMPLING_NOISE_H

#include <stdint.h>

/* What a stream is for; one purpose never disturbs another. */
enum noise_purpose {
    NOISE_LATENT = 1,   /* initial latents; index: picture number */
    NOISE_STEP,         /* the sampler's own noise (eta > 0); index: picture number * steps + step */
    NOISE_PROMPT,       /* which training prompt */
    NOISE_TRUNCATION,   /* K of a batch */
    NOISE_ADAPTER,      /* initial adapter factors; index: module */
    NOISE_LOW_VARIANCE, /* renoising of DRaFT-LV */
    NOISE_TEST
};

struct noise_stream {
    uint64_t seed;
    enum noise_purpose purpose;
    uint64_t index;
};

/* Four words of block `block`. */
void noise_words(struct noise_stream stream, uint32_t block, uint32_t words[4]);

/* values[count]: standard normals number 0..count-1 of the stream. */
void noise_normals(struct noise_stream stream, float *values, int64_t count);

/* A uniform number in [0, 1), position `position` of the stream. */
double noise_uniform(struct noise_stream stream, uint32_t position);

/* The standard normal that noise_normals puts at `position`, in double precision. */
double noise_normal(struct noise_stream stream, uint32_t position);

#endif
