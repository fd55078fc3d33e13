/* Pictures from prompts with adapters at scales, made again and again: the model stays open and the chain built while
 * what is asked for has the same model, size and sampler, so that a moved slider costs a merge and a sampling only. */
#ifndef ALIGNPROP_SERVER_PICTURE_MAKER_H
#define ALIGNPROP_SERVER_PICTURE_MAKER_H

#include "engine/preset/preset.h"
#include "engine/sampling/sampling.h"
#include "engine/server/adapter_mix.h"

struct picture_maker;

struct picture_adapter {
    const char *path;              /* of a file or folder; NULL: `set` */
    const struct adapter_set *set; /* borrowed for the call */
    double scale;
};

struct picture_order {
    const struct preset *preset; /* model_path resolved; size 0: the model's own */
    const char *const *prompts;  /* count of them */
    const uint64_t *seeds;       /* count of them */
    int count;
    const struct picture_adapter *adapters;
    int adapter_count;
    bool previews;
    void *context;
    void (*picture)(void *context, const struct sampled_picture *picture);
    bool (*abandon)(void *context);
    /* What is said of an adapter that is used but not as a whole; may be NULL. */
    void (*warn)(void *context, const char *message);
};

/* Borrows the backend. */
struct picture_maker *picture_maker_create(struct backend *backend);
void picture_maker_destroy(struct picture_maker *maker);

/* STATUS_BAD_INPUT for a wrong model or adapter file, STATUS_NO_MEMORY when the model does not fit beside what runs,
 * STATUS_INTERRUPTED when abandoned. */
status picture_maker_make(struct picture_maker *maker, const struct picture_order *order);

/* Lets go of models and memory. */
void picture_maker_rest(struct picture_maker *maker);
/* Seconds since the last picture was made; 0 when nothing is held. */
double picture_maker_idle(const struct picture_maker *maker);

#endif
