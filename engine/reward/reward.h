/* Rewards: pictures and prompts to one number a picture, differentiable, higher is always better.
 *
 * A reward is a piece of graph: it takes the pictures [B, H, W, 3] (exact type, RGB in [0,1]) and returns scores [B, 1]
 * (exact type); its gradient is the graph's vector-Jacobian product, its preprocessing is part of the graph. What
 * depends on the prompts enters through inputs that the reward fills on the host.
 *
 * Adding a reward is adding a file and its name in registry.c (README.md). */
#ifndef ALIGNPROP_REWARD_REWARD_H
#define ALIGNPROP_REWARD_REWARD_H

#include "engine/graph/graph.h"
#include "engine/graph/weights.h"
#include "engine/model/model_kind.h"

struct reward;
struct reward_models;
struct cJSON;

enum reward_parameter_kind { PARAMETER_NUMBER, PARAMETER_INTEGER, PARAMETER_TEXT, PARAMETER_COLOR, PARAMETER_MODEL };

/* One adjustable parameter of a reward, for presets, the command line and the studio's fields. */
struct reward_parameter {
    const char *name, *meaning;
    enum reward_parameter_kind kind;
    double low, high, fallback; /* numbers and integers */
    const char *text_fallback;  /* texts, colours ("#rrggbb"), models; NULL: required */
    enum model_kind model_kind; /* of models */
};

struct reward_request {
    const char *id;               /* key in metrics */
    const struct cJSON *params;   /* object or NULL */
    struct reward_models *models; /* where it finds its model (reward_models.h); held by the reward */
};

struct reward_kind {
    const char *name;
    const char *measures;                      /* one line for people */
    const char *source;                        /* paper or formula it is from */
    double low, high;                          /* range of the score; infinities allowed */
    const struct reward_parameter *parameters; /* parameter_count of them */
    int parameter_count;
    status (*create)(const struct reward_kind *kind, const struct reward_request *request, struct reward **reward);
};

/* The list of rewards: number `index`, from 0; NULL past the last. */
const struct reward_kind *reward_kind_at(int index);
const struct reward_kind *reward_kind_find(const char *name); /* NULL if there is none */
/* STATUS_BAD_INPUT names the nearest known name. */
status reward_kind_require(const char *name, const struct reward_kind **kind);

/* Finds the kind, checks the parameters (STATUS_BAD_INPUT names reward, key, range and the nearest known name) and
 * opens what it needs. */
status reward_create(const char *name, const struct reward_request *request, struct reward **reward);
void reward_destroy(struct reward *reward);
const struct reward_kind *reward_kind_of(const struct reward *reward);

/* What rewards in one graph compute in common: the features that a model sees in the pictures. Starts zeroed; belongs
 * to one graph. Features past the limit are not shared. */
enum { MAXIMUM_SHARED_FEATURES = 8 };
struct shared_features {
    int count;
    struct {
        const void *model;
        tensor_id pictures, features;
    } known[MAXIMUM_SHARED_FEATURES];
};

/* Appends the reward to `graph`: pictures [B,H,W,3] (exact) -> scores [B,1] (exact). Constants are prefixed "ID/" so
 * that several rewards share one graph; those of shared features have the prefix of the reward that came first. Inputs
 * it adds are listed by reward_input_count / reward_input. */
tensor_id reward_build(struct reward *reward, struct graph *graph, tensor_id pictures, struct shared_features *shared);
/* Weights of its constants (names with the prefix); read is NULL when it has none. Valid while the reward lives. */
struct weight_source reward_weights(struct reward *reward);

/* Inputs that depend on the prompts, after reward_build. */
int reward_input_count(const struct reward *reward);
tensor_id reward_input(const struct reward *reward, int index);
/* Fills input `index` (shape as in the graph) for these prompts (as many as the graph's batch), in fp32. May run the
 * reward's own text encoder on `backend`; results are cached per prompt. */
status reward_fill_input(struct reward *reward, struct backend *backend, int index, const char *const *prompts,
                         float *values);

/* Runs the reward's text encoder for all of these prompts at once and keeps the results, so that later
 * reward_fill_input with one of them runs nothing. Optional: without it the encoder is loaded whenever a new prompt
 * appears. Does nothing for rewards that read no prompt. */
status reward_prepare_prompts(struct reward *reward, struct backend *backend, const char *const *prompts, int count);

/* A measured side figure with no gradient (the real JPEG size): picture [H,W,3] in [0,1]; false when the reward has
 * none. `name` is static. */
bool reward_side_figure(const struct reward *reward, const float *picture, int height, int width, const char **name,
                        double *value);

#endif
