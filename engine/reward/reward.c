/* What every reward shares: creation by name, constants, inputs of prompts, features shared between rewards. */
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/reward/implementation.h"
#include "engine/reward/reward_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status unknown_reward(const char *name)
{
    enum { MOST_NAMES = 256 };
    const char *names[MOST_NAMES];
    int count = 0;
    struct text known = {0};
    for (const struct reward_kind *kind; count < MOST_NAMES && (kind = reward_kind_at(count)) != NULL; count++) {
        names[count] = kind->name;
        text_append(&known, "%s%s", count > 0 ? ", " : "", kind->name);
    }
    const char *nearest = text_nearest(name, names, count);
    status result = nearest != NULL ? status_error(STATUS_BAD_INPUT, "there is no reward \"%s\"; did you mean \"%s\"?",
                                                   name, nearest)
                                    : status_error(STATUS_BAD_INPUT, "there is no reward \"%s\"; there are %s", name,
                                                   known.data != NULL ? known.data : "others");
    text_clear(&known);
    return result;
}

status reward_kind_require(const char *name, const struct reward_kind **kind)
{
    *kind = reward_kind_find(name);
    return *kind != NULL ? status_ok() : unknown_reward(name);
}

status reward_create(const char *name, const struct reward_request *request, struct reward **reward)
{
    *reward = NULL;
    const struct reward_kind *kind;
    TRY(reward_kind_require(name, &kind));
    if (strlen(request->id) >= REWARD_ID_SIZE)
        return status_error(STATUS_BAD_INPUT, "reward %s: the id \"%.80s\" is longer than %d bytes", name, request->id,
                            REWARD_ID_SIZE - 1);
    TRY(reward_check_parameters(kind, request));
    return status_context(kind->create(kind, request, reward), "reward %s", name);
}

void *reward_allocate(const struct reward_kind *kind, const struct reward_request *request, size_t size)
{
    struct reward *reward = memory_take(1, size);
    reward->kind = kind;
    reward->models = reward_models_hold(request->models);
    snprintf(reward->id, sizeof reward->id, "%s", request->id);
    return reward;
}

void reward_destroy(struct reward *reward)
{
    if (reward == NULL) return;
    if (reward->release != NULL) reward->release(reward);
    for (int i = 0; i < reward->constant_count; i++) free(reward->constants[i].values);
    reward_models_release(reward->models);
    free(reward);
}

const struct reward_kind *reward_kind_of(const struct reward *reward)
{
    return reward->kind;
}

const char *reward_prefixed(const struct reward *reward, const char *name, char text[160])
{
    snprintf(text, 160, "%s/%s", reward->id, name);
    return text;
}

/* ---- constants ---- */

static const struct reward_constant *find_constant(const struct reward *reward, const char *name)
{
    for (int i = 0; i < reward->constant_count; i++)
        if (strcmp(reward->constants[i].name, name) == 0) return &reward->constants[i];
    return NULL;
}

status reward_add_constant(struct reward *reward, const char *name, struct shape shape, const double *values)
{
    if (find_constant(reward, name) != NULL) return status_ok();
    if (reward->constant_count == MAXIMUM_REWARD_CONSTANTS)
        return status_error(STATUS_FAILED, "more than %d constants", MAXIMUM_REWARD_CONSTANTS);
    size_t count = (size_t)shape_elements(&shape);
    struct reward_constant *constant = &reward->constants[reward->constant_count];
    constant->values = memory_take(count, sizeof *constant->values);
    for (size_t i = 0; i < count; i++) constant->values[i] = (float)values[i];
    constant->shape = shape;
    snprintf(constant->name, sizeof constant->name, "%s", name);
    reward->constant_count++;
    return status_ok();
}

tensor_id reward_constant(struct reward *reward, struct graph *graph, const char *name)
{
    const struct reward_constant *constant = find_constant(reward, name);
    char text[160];
    return graph_exact_constant(graph, reward_prefixed(reward, name, text), constant->shape);
}

static bool shapes_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dimension[i] != b->dimension[i]) return false;
    return true;
}

static status read_weight(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct reward *reward = context;
    size_t prefix = strlen(reward->id);
    if (strncmp(name, reward->id, prefix) != 0 || name[prefix] != '/')
        return status_error(STATUS_FAILED, "the tensor %s is none of reward %s", name, reward->id);
    const char *own = name + prefix + 1;
    const struct reward_constant *constant = find_constant(reward, own);
    if (constant == NULL) {
        if (reward->model_weights.read == NULL)
            return status_error(STATUS_FAILED, "reward %s has no tensor %s", reward->id, own);
        return reward->model_weights.read(reward->model_weights.context, own, shape, sink);
    }
    if (!shapes_equal(&constant->shape, shape))
        return status_error(STATUS_FAILED, "the constant %s is asked for in another shape", name);
    return weight_sink_give(sink, ELEMENT_F32, constant->values);
}

struct weight_source reward_weights(struct reward *reward)
{
    bool none = reward->constant_count == 0 && reward->model_weights.read == NULL;
    return (struct weight_source){none ? NULL : read_weight, reward};
}

/* ---- graph ---- */

tensor_id reward_build(struct reward *reward, struct graph *graph, tensor_id pictures, struct shared_features *shared)
{
    const struct tensor *tensor = graph_tensor(graph, pictures);
    if (tensor == NULL) return NO_TENSOR;
    reward->batch = tensor->shape.dimension[0];
    reward->input_count = 0;
    reward->shared = shared;
    tensor_id scores = reward->build(reward, graph, pictures);
    reward->shared = NULL;
    return scores;
}

tensor_id reward_shared_features(const struct reward *reward, const void *model, tensor_id pictures)
{
    const struct shared_features *shared = reward->shared;
    for (int i = 0; i < shared->count; i++)
        if (shared->known[i].model == model && shared->known[i].pictures == pictures) return shared->known[i].features;
    return NO_TENSOR;
}

tensor_id reward_share_features(struct reward *reward, const void *model, tensor_id pictures, tensor_id features)
{
    struct shared_features *shared = reward->shared;
    if (shared->count == MAXIMUM_SHARED_FEATURES) return features;
    shared->known[shared->count].model = model;
    shared->known[shared->count].pictures = pictures;
    shared->known[shared->count++].features = features;
    return features;
}

tensor_id reward_add_input(struct reward *reward, struct graph *graph, const char *name, struct shape shape)
{
    char text[160];
    tensor_id input = graph_input(graph, reward_prefixed(reward, name, text), shape, graph_accumulation_type(graph));
    reward->inputs[reward->input_count++] = input;
    return input;
}

int reward_input_count(const struct reward *reward)
{
    return reward->input_count;
}

tensor_id reward_input(const struct reward *reward, int index)
{
    return reward->inputs[index];
}

status reward_fill_input(struct reward *reward, struct backend *backend, int index, const char *const *prompts,
                         float *values)
{
    return status_context(reward->fill_input(reward, backend, index, prompts, (int)reward->batch, values), "reward %s",
                          reward->kind->name);
}

status reward_prepare_prompts(struct reward *reward, struct backend *backend, const char *const *prompts, int count)
{
    if (reward->prepare_prompts == NULL) return status_ok();
    return status_context(reward->prepare_prompts(reward, backend, prompts, count), "reward %s", reward->kind->name);
}

bool reward_side_figure(const struct reward *reward, const float *picture, int height, int width, const char **name,
                        double *value)
{
    return reward->side_figure != NULL && reward->side_figure(reward, picture, height, width, name, value);
}
