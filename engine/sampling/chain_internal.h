/* What the files of the chain share. */
#ifndef ALIGNPROP_SAMPLING_CHAIN_INTERNAL_H
#define ALIGNPROP_SAMPLING_CHAIN_INTERNAL_H

#include "engine/sampling/chain.h"

/* A graph with its program and the bound tensors' ids. */
struct part {
    struct graph *graph;
    struct program *program;
    size_t packed_offset;         /* of its packed weights in the arena */
    struct packing_plan *packing; /* shared; NULL: the program's own */
};

enum coefficient {
    COEFFICIENT_INPUT,
    COEFFICIENT_LATENT,
    COEFFICIENT_PREDICTION,
    COEFFICIENT_NOISE,
    COEFFICIENT_COUNT
};

struct step_tensors {
    tensor_id latents, noise, time, context, coefficient[COEFFICIENT_COUNT], next;
    tensor_id cotangent, gradient; /* of the grad step only */
};

struct cached_text {
    char *prompt;
    float *states; /* context_length * context_width */
};

/* Offsets into the arena. A step and a decoder call work in places of their own, where what they need is copied to and
 * from: their graphs never move, so that a backend can record one call and replay it for every step. */
struct chain_layout {
    size_t latents, noise, step_constants; /* one for each step */
    size_t step_latents, step_noise, step_constant, step_next, step_cotangent, step_gradient;
    size_t context, text_ids, text_states, decoder_latents, decoder_gradient, gradient, pictures, picture_gradient;
    size_t merge_scale, parameters, parameter_gradients, merged;
    size_t persistent, saved_steps, saved_decoder, saved_extra, work, scratch;
    size_t total;
};

struct chain {
    struct model *model;
    struct backend *backend;
    struct chain_settings settings;
    struct sampler_schedule schedule;
    int latent_height, latent_width, channels;
    int guided_batch; /* batch, times two with guidance */
    int decode_batch;

    struct part text, no_grad, grad, decoder, merge;
    const struct part *open;           /* the step whose prologue stands: keys and values of the prompts; NULL: none */
    bool unsettled;                    /* steps back have left sums for the grad step's epilogue */
    struct packing_plan *step_packing; /* of the no_grad and the grad step */
    tensor_id text_ids, text_states;
    struct step_tensors no_grad_tensors, grad_tensors;
    tensor_id decoder_latents, decoder_pictures, decoder_cotangent, decoder_gradient;

    struct adapter_plan modules, text_modules;
    struct text_merge text_merge;
    bool *text_changed;       /* by module of the text encoder: its weight is not the model's */
    size_t *parameter_offset; /* by parameter, from layout.parameters; gradients lie alike */
    size_t *merged_offset;    /* by module, from layout.merged */
    size_t parameter_bytes, merged_bytes;
    char *host_gradients; /* the device's, all at once; NULL where nothing is trained */

    struct weight_set *text_weights, *unet_weights, *decoder_weights;
    struct program_sizes extra;
    struct chain_layout layout;
    char *arena;

    int fetched_index; /* of the latents that chain_fetch_latents was asked for */

    struct cached_text *cache;
    int cache_count, cache_next;
};

enum { TEXT_CACHE_SIZE = 256 };

/* Takes what the steps back have summed on to the adapters' gradients. To be called before anything changes that the
 * grad step's prologue was made of, and before gradients are read. */
status chain_settle(struct chain *chain);
/* Settles, and has the next step make the keys and values of the prompts anew. */
status chain_close_step(struct chain *chain);
status chain_build_parts(struct chain *chain);
void chain_discard_part(struct part *part);
/* Lists the text encoder's linear layers, once its graph is built. */
void chain_list_text_modules(struct chain *chain);
void chain_open_text_weights(struct chain *chain);
/* The merge of updates whose ranks are given by module; one of rank 0 is left out. */
status chain_build_merge(struct chain *chain, const int64_t *ranks, struct part *part);
/* Binds a merge's scale, base weights and results; and one of its factors. */
status chain_bind_merge(struct chain *chain, struct part *part, void *scale);
status chain_bind_factor(struct part *part, int module, bool up, void *memory);
/* Where the merged weight of a module lies. */
void *chain_merged_at(const struct chain *chain, int module);
/* The base weights where nothing is merged. */
status chain_merge_nothing(struct chain *chain);
/* Binds everything that never moves. */
status chain_bind_parts(struct chain *chain);

size_t chain_latent_bytes(const struct chain *chain);     /* of one set of latents, aligned */
int64_t chain_latent_elements(const struct chain *chain); /* batch * h * w * channels */
size_t chain_picture_bytes(const struct chain *chain);
size_t chain_decoder_latent_bytes(const struct chain *chain); /* of one decoder call's latents */
/* What a step has of its own: time features, then the coefficients, each aligned. */
size_t chain_step_constant_bytes(const struct chain *chain);
size_t chain_coefficient_offset(const struct chain *chain, enum coefficient coefficient);
enum element_type chain_exact(const struct chain *chain);
enum element_type chain_compute(const struct chain *chain);
/* Device pointer at an offset. */
void *chain_at(const struct chain *chain, size_t offset);
void *chain_latents_at(const struct chain *chain, int index);
struct memory_region chain_packed(const struct chain *chain, const struct part *part);
struct memory_region chain_saved_step(const struct chain *chain, int slot);
struct memory_region chain_saved_decoder(const struct chain *chain);
#define MERGED_PREFIX "merged/"
/* Name of the module's frozen weight, or of the no_grad step's merged one. */
void module_weight_name(const struct adapter_module *module, bool merged, char *name, size_t size);
/* Elements of module's factor as rows x columns: down is rank x columns, up is rows x rank. */
void module_matrix(const struct adapter_module *module, int64_t *rows, int64_t *columns);

#endif
