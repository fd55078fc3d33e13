/* The tuning loop of one run: rollout, reward, backward sweep, guard, optimiser step. Knows nothing of files and
 * screens; who wants to show or keep something does so in the callbacks and between steps. */
#ifndef ALIGNPROP_TUNING_TUNER_H
#define ALIGNPROP_TUNING_TUNER_H

#include "engine/base/picture_kind.h"
#include "engine/preset/live_settings.h"
#include "kernels/backend.h"
#include "kernels/status.h"

struct tuner;

enum { MAXIMUM_SIDE_FIGURES = MAXIMUM_REWARDS + 4 };

/* What one optimiser step measured. */
struct step_report {
    int step;                       /* 1.. */
    double reward[MAXIMUM_REWARDS]; /* mean raw value by reward, in the preset's order */
    double total;                   /* weighted sum */
    double loss;
    int grad_steps;       /* K */
    double gradient_norm; /* before clipping */
    double seconds, seconds_sampling, seconds_decoding, seconds_reward, seconds_backward;
    bool skipped;             /* a non-finite value was found: no optimiser step was made */
    const char *skipped_what; /* "loss", "reward NAME", "image gradient", "adapter gradient"; static */
    int side_count;
    struct {
        const char *name;
        double value;
    } side[MAXIMUM_SIDE_FIGURES]; /* means of side figures, such as jpeg_kb; and of appearance.h */
    double adapter_norm;          /* Frobenius norm of the adapters' scaled products, summed in squares */
    double drift;                 /* mean squared difference of the noise prediction from the base model's */
};

/* A picture as it is made. pixels: 8-bit RGB rows, valid during the call only. */
struct tuner_picture {
    enum picture_kind kind;
    int step, index; /* optimiser step; which picture of the batch */
    int denoising_step, denoising_steps;
    int width, height;
    const unsigned char *pixels;
    const char *prompt;
    double total;          /* weighted reward; NaN while not known */
    const double *rewards; /* raw by reward; NULL while not known */
    unsigned long long seed;
};

struct tuner_callbacks {
    void *context;
    /* May be NULL. phase: "sampling", "decoding", "reward", "backward", "evaluation"; done of total parts. */
    void (*progress)(void *context, const char *phase, int step, int done, int total);
    void (*picture)(void *context, const struct tuner_picture *picture);
    /* True asks the tuner to come back with STATUS_INTERRUPTED as soon as it can (a second Ctrl-C). */
    bool (*abandon)(void *context);
};

struct memory_plan_line {
    char name[48];
    size_t bytes;
};
struct memory_plan {
    struct memory_plan_line lines[16];
    int count;
    size_t total_bytes, free_bytes;
    int saved_calls;       /* U-Net calls whose activations stay in memory */
    bool recompute_blocks; /* one call did not fit: its blocks are computed again in the backward pass */
    double flops_per_step; /* floating-point operations of a mean optimiser step */
    size_t adapter_bytes;
};

/* Whether the preset, with its models found and its size filled in, can be tuned: all that tuner_create looks at but
 * the device and its memory, without weights and in double precision. STATUS_BAD_INPUT names the key. */
status tuner_check(const struct preset *preset);

/* Builds and plans everything for the preset without allocating the arenas. The tuner borrows `preset` and `backend`.
 */
status tuner_create(const struct preset *preset, struct backend *backend, struct tuner_callbacks callbacks,
                    struct tuner **tuner);
void tuner_destroy(struct tuner *tuner);
const struct memory_plan *tuner_plan(const struct tuner *tuner);
/* STATUS_NO_MEMORY where the plan is more than is free or than memory.limit allows: says needed, free and what would
 * fit. */
status tuner_check_memory(const struct tuner *tuner);
/* Allocates the arenas and loads the weights. STATUS_NO_MEMORY as tuner_check_memory says it. */
status tuner_start(struct tuner *tuner);

/* One optimiser step. A skipped (non-finite) step is reported, not an error; the fifth in a row is. After a failure the
 * host's adapter and optimiser are those of step tuner_step_number, whole. */
status tuner_step(struct tuner *tuner, struct step_report *report);
/* Samples the held-out prompts (sample.count of them, fixed seeds) with the present adapter (scale 0: base model) and
 * reports mean raw rewards and total; the pictures go to the picture callback. */
status tuner_evaluate(struct tuner *tuner, double adapter_scale, double *rewards, double *total);

/* Means over pictures, as appearance.h measures them; NaN while nothing was measured. */
struct image_statistics {
    double dark, edges, saturation;
    double diversity; /* of the pictures made together, averaged over such batches */
};
/* Of the pictures of the newest tuner_evaluate. */
struct image_statistics tuner_evaluated_statistics(const struct tuner *tuner);

/* The settings that count from the next step on; a tuner begins with the preset's. They were checked. */
void tuner_use_settings(struct tuner *tuner, const struct live_settings *settings);

/* Everything a resumed run needs to go on bit for bit. Tensors are the adapter factors (named as in adapter.h) and the
 * optimiser's moments; `scalars` is a JSON text that state.json holds. */
struct tuner_tensor {
    const char *name;
    struct shape shape;
    const float *values;
};
int tuner_step_number(const struct tuner *tuner);
int tuner_adapter_tensors(const struct tuner *tuner, struct tuner_tensor *tensors,
                          int capacity); /* returns the count */
int tuner_optimizer_tensors(const struct tuner *tuner, struct tuner_tensor *tensors,
                            int capacity);           /* returns the count */
char *tuner_save_scalars(const struct tuner *tuner); /* caller frees */
/* The adapter of a tuner that has made no step begins with these factors in place of fresh ones; `find` as below. */
status tuner_begin_with(struct tuner *tuner,
                        const float *(*find)(void *context, const char *name, const struct shape *shape),
                        void *context);
/* `find` returns the values of a named tensor of that shape, or NULL. */
status tuner_restore(struct tuner *tuner, const char *json,
                     const float *(*find)(void *context, const char *name, const struct shape *shape), void *context);

#endif
