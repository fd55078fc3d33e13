/* What the files of the rewards share: the object behind `struct reward`, the constants a reward computes itself, and
 * reading of its parameters. Included by engine/reward only. */
#ifndef ALIGNPROP_REWARD_IMPLEMENTATION_H
#define ALIGNPROP_REWARD_IMPLEMENTATION_H

#include "engine/reward/reward.h"

enum { REWARD_ID_SIZE = 64, MAXIMUM_REWARD_INPUTS = 2, MAXIMUM_REWARD_CONSTANTS = 8 };

/* A small table of numbers that a reward computes, such as the matrix of the cosine transform. */
struct reward_constant {
    char name[40]; /* without the reward's prefix */
    struct shape shape;
    float *values; /* owned */
};

struct reward {
    const struct reward_kind *kind;
    char id[REWARD_ID_SIZE];

    /* As reward_build, reward_fill_input, reward_side_figure and reward_destroy; all but `build` may be NULL. */
    tensor_id (*build)(struct reward *reward, struct graph *graph, tensor_id pictures);
    status (*fill_input)(struct reward *reward, struct backend *backend, int index, const char *const *prompts,
                         int count, float *values);
    status (*prepare_prompts)(struct reward *reward, struct backend *backend, const char *const *prompts, int count);
    bool (*side_figure)(const struct reward *reward, const float *picture, int height, int width, const char **name,
                        double *value);
    void (*release)(struct reward *reward); /* the reward's own part; the object itself is freed by reward_destroy */

    struct reward_models *models; /* held */
    /* Weights of models: names that start with "ID/" and are none of the constants below, without that prefix. */
    struct weight_source model_weights;
    struct reward_constant constants[MAXIMUM_REWARD_CONSTANTS];
    int constant_count;

    tensor_id inputs[MAXIMUM_REWARD_INPUTS];
    int64_t batch;                  /* of the graph built last */
    struct shared_features *shared; /* of the graph being built; NULL outside `build` */
    int input_count;
};

/* Makes a `size`-byte object whose first member is a struct reward, with kind and id set and the rest zero. */
void *reward_allocate(const struct reward_kind *kind, const struct reward_request *request, size_t size);

/* "ID/" followed by `name`, into text[160]; returns text. */
const char *reward_prefixed(const struct reward *reward, const char *name, char text[160]);

/* The constant `name` of this reward as an exact tensor of the graph. `values` (shape_elements of them) are copied on
 * the first call and ignored on later ones. */
status reward_add_constant(struct reward *reward, const char *name, struct shape shape, const double *values);
tensor_id reward_constant(struct reward *reward, struct graph *graph, const char *name);

/* The features of the pictures that an earlier reward of this graph had this model compute; NO_TENSOR if none did. */
tensor_id reward_shared_features(const struct reward *reward, const void *model, tensor_id pictures);
/* Offers them to the rewards after this one; returns `features`. */
tensor_id reward_share_features(struct reward *reward, const void *model, tensor_id pictures, tensor_id features);

/* Adds an input of the reward, named "ID/NAME", of exact type. */
tensor_id reward_add_input(struct reward *reward, struct graph *graph, const char *name, struct shape shape);

/* The value given in the request, or the table's fallback. The request was checked against the table before, so the
 * parameter `name` exists there and the value lies in its range. Texts are valid as long as the request. */
double reward_number(const struct reward_kind *kind, const struct reward_request *request, const char *name);
const char *reward_text(const struct reward_kind *kind, const struct reward_request *request, const char *name);
/* Red, green and blue in [0, 1]. */
void reward_color(const struct reward_kind *kind, const struct reward_request *request, const char *name,
                  double color[3]);

/* Checks every key and value of the request against the table: STATUS_BAD_INPUT names reward, key, value, range and,
 * for an unknown key, the nearest known one. */
status reward_check_parameters(const struct reward_kind *kind, const struct reward_request *request);

/* Of a row of parameters that names no model. */
#define NO_MODEL MODEL_KIND_COUNT

/* Of a reward's kind: its table of parameters. */
#define PARAMETERS(table) .parameters = (table), .parameter_count = (int)(sizeof(table) / sizeof(table)[0])

#endif
