/* The graph of decoder and rewards with its gradient, and what of it is bound, measured and filled. */
#include "engine/tuning/objective.h"

#include "engine/base/memory.h"
#include "engine/graph/transfer.h"
#include "engine/reward/reward_models.h"
#include "engine/tuning/tuner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prompt_input {
    int reward, index;
    tensor_id tensor;
    void *memory;
};

enum { MAXIMUM_PROMPT_INPUTS = 4 * MAXIMUM_REWARDS };

struct objective {
    const struct preset *preset;
    struct backend *backend;
    struct model *model;
    struct chain *chain;
    int reward_count;
    struct reward *rewards[MAXIMUM_REWARDS];
    struct reward_models *reward_models;
    struct graph *graph;
    struct program *program;
    struct weight_set *weights;
    tensor_id pictures, picture_gradient, scores[MAXIMUM_REWARDS], cotangents[MAXIMUM_REWARDS];
    void *score_memory[MAXIMUM_REWARDS], *cotangent_memory[MAXIMUM_REWARDS];
    struct prompt_input inputs[MAXIMUM_PROMPT_INPUTS];
    int input_count;
    struct memory_region packed;
    void *buffers; /* scores, cotangents, prompt inputs */
    size_t buffer_bytes;
    const char **prompts;
};

static status create_chain(struct objective *objective, const struct objective_settings *settings)
{
    const struct preset *preset = objective->preset;
    struct chain_settings chain = {
        .sampler = preset->sampler,
        .steps = settings->steps,
        .width = preset->width,
        .height = preset->height,
        .guidance = preset->guidance,
        .eta = preset->eta,
        .batch = settings->batch,
        .trainable = true,
        .rank = preset->rank,
        .alpha = preset->alpha,
        .targets = preset->targets,
        .saved_calls = settings->saved_calls,
        .recompute_blocks = settings->recompute_blocks,
    };
    return chain_create(objective->model, objective->backend, &chain, &objective->chain);
}

static status create_rewards(struct objective *objective)
{
    const struct preset *preset = objective->preset;
    if (preset->reward_count > MAXIMUM_REWARDS)
        return status_error(STATUS_BAD_INPUT, "rewards: %d given, at most %d at once", preset->reward_count,
                            MAXIMUM_REWARDS);
    objective->reward_models = reward_models_create(preset->model_path, preset->model_folders);
    for (int i = 0; i < preset->reward_count; i++) {
        struct reward_request request = {
            .id = preset->rewards[i].id, .params = preset->rewards[i].params, .models = objective->reward_models};
        TRY(reward_create(preset->rewards[i].name, &request, &objective->rewards[i]));
        objective->reward_count++;
    }
    return status_ok();
}

static status list_inputs(struct objective *objective, int reward)
{
    for (int i = 0; i < reward_input_count(objective->rewards[reward]); i++) {
        if (objective->input_count == MAXIMUM_PROMPT_INPUTS)
            return status_error(STATUS_FAILED, "rewards: too many inputs that depend on the prompts");
        objective->inputs[objective->input_count++] =
            (struct prompt_input){.reward = reward, .index = i, .tensor = reward_input(objective->rewards[reward], i)};
    }
    return status_ok();
}

static status build_graph(struct objective *objective)
{
    const struct preset *preset = objective->preset;
    enum element_type compute = objective->backend->interface->compute_type;
    enum element_type exact = objective->backend->interface->accumulation_type;
    objective->graph = graph_create(compute, exact);
    struct shape shape = SHAPE4(chain_decode_batch(objective->chain), preset->height, preset->width, 3);
    struct shared_features shared = {0};
    objective->pictures = graph_input(objective->graph, "pictures", shape, exact);
    for (int i = 0; i < objective->reward_count; i++) {
        tensor_id score = reward_build(objective->rewards[i], objective->graph, objective->pictures, &shared);
        char name[96];
        snprintf(name, sizeof name, "score/%s", preset->rewards[i].id);
        objective->scores[i] = graph_output(objective->graph, score, name);
        TRY(status_context(graph_state(objective->graph), "reward %s", preset->rewards[i].id));
        TRY(list_inputs(objective, i));
    }
    struct differentiation request = {.output_count = objective->reward_count,
                                      .outputs = objective->scores,
                                      .cotangents = objective->cotangents,
                                      .wanted_count = 1,
                                      .wanted = &objective->pictures,
                                      .gradients = &objective->picture_gradient};
    TRY(graph_differentiate(objective->graph, &request));
    TRY(program_rewrite(objective->backend, objective->graph));
    return program_create(objective->backend, objective->graph, NULL, &objective->program);
}

/* Constants are prefixed with the reward's id: hands the request to the reward whose prefix it has. */
static status read_weight(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct objective *objective = context;
    for (int i = 0; i < objective->reward_count; i++) {
        const char *id = objective->preset->rewards[i].id;
        size_t length = strlen(id);
        struct weight_source source = reward_weights(objective->rewards[i]);
        if (source.read && strncmp(name, id, length) == 0 && name[length] == '/')
            return source.read(source.context, name, shape, sink);
    }
    return status_error(STATUS_FAILED, "rewards: no reward has weight %s", name);
}

static size_t tensor_bytes(const struct objective *objective, tensor_id id)
{
    const struct tensor *tensor = graph_tensor(objective->graph, id);
    return align_up((size_t)shape_elements(&tensor->shape) * element_size(tensor->type));
}

static void measure_buffers(struct objective *objective)
{
    for (int i = 0; i < objective->reward_count; i++)
        objective->buffer_bytes += 2 * tensor_bytes(objective, objective->scores[i]);
    for (int i = 0; i < objective->input_count; i++)
        objective->buffer_bytes += tensor_bytes(objective, objective->inputs[i].tensor);
}

static status create(struct objective *objective, const struct objective_settings *settings)
{
    TRY(model_open(objective->preset->model_path, &objective->model));
    TRY(create_chain(objective, settings));
    TRY(create_rewards(objective));
    if (objective->reward_count == 0)
        return status_error(STATUS_BAD_INPUT, "rewards: none given; tuning needs at least one");
    TRY(build_graph(objective));
    TRY(weight_source_check((struct weight_source){read_weight, objective}, objective->graph));
    chain_reserve(objective->chain, program_sizes(objective->program));
    measure_buffers(objective);
    objective->prompts = memory_take((size_t)settings->batch, sizeof *objective->prompts);
    return status_ok();
}

status objective_create(const struct preset *preset, struct backend *backend, const struct objective_settings *settings,
                        struct objective **objective)
{
    struct objective *created = memory_take(1, sizeof *created);
    created->preset = preset;
    created->backend = backend;
    status result = create(created, settings);
    if (result.code != STATUS_OK) {
        objective_destroy(created);
        return result;
    }
    *objective = created;
    return status_ok();
}

void objective_destroy(struct objective *objective)
{
    if (!objective) return;
    program_destroy(objective->program);
    graph_destroy(objective->graph);
    weight_set_destroy(objective->weights);
    if (objective->packed.base) objective->backend->interface->release(objective->backend, objective->packed.base);
    if (objective->buffers) objective->backend->interface->release(objective->backend, objective->buffers);
    for (int i = 0; i < objective->reward_count; i++) reward_destroy(objective->rewards[i]);
    reward_models_release(objective->reward_models);
    chain_destroy(objective->chain);
    model_close(objective->model);
    free(objective->prompts);
    free(objective);
}

static void *take(char **end, size_t bytes)
{
    void *memory = *end;
    *end += bytes;
    return memory;
}

static status bind_buffers(struct objective *objective)
{
    char *end = objective->buffers;
    TRY(program_bind(objective->program, objective->pictures, chain_pictures(objective->chain)));
    TRY(program_bind(objective->program, objective->picture_gradient, chain_picture_gradient(objective->chain)));
    for (int i = 0; i < objective->reward_count; i++) {
        objective->score_memory[i] = take(&end, tensor_bytes(objective, objective->scores[i]));
        objective->cotangent_memory[i] = take(&end, tensor_bytes(objective, objective->scores[i]));
        TRY(program_bind(objective->program, objective->scores[i], objective->score_memory[i]));
        TRY(program_bind(objective->program, objective->cotangents[i], objective->cotangent_memory[i]));
    }
    for (int i = 0; i < objective->input_count; i++) {
        struct prompt_input *input = &objective->inputs[i];
        input->memory = take(&end, tensor_bytes(objective, input->tensor));
        TRY(program_bind(objective->program, input->tensor, input->memory));
    }
    return status_ok();
}

status objective_allocate(struct objective *objective)
{
    struct backend *backend = objective->backend;
    TRY(chain_allocate(objective->chain));
    size_t packed = program_sizes(objective->program).packed_bytes;
    TRY(backend->interface->allocate(backend, packed + ARENA_ALIGNMENT, &objective->packed.base));
    objective->packed.bytes = packed;
    TRY(backend->interface->allocate(backend, objective->buffer_bytes + ARENA_ALIGNMENT, &objective->buffers));
    objective->weights = weight_set_create(backend, (struct weight_source){read_weight, objective});
    TRY(bind_buffers(objective));
    TRY(program_bind_weights(objective->program, objective->weights));
    return program_pack(objective->program, NULL, objective->packed, chain_work(objective->chain),
                        chain_scratch(objective->chain));
}

struct chain *objective_chain(const struct objective *objective)
{
    return objective->chain;
}

struct model *objective_model(const struct objective *objective)
{
    return objective->model;
}

int objective_reward_count(const struct objective *objective)
{
    return objective->reward_count;
}

struct reward *objective_reward(const struct objective *objective, int index)
{
    return objective->rewards[index];
}

size_t objective_reward_bytes(const struct objective *objective)
{
    struct program_sizes sizes = program_sizes(objective->program);
    return sizes.weight_bytes + sizes.packed_bytes + objective->buffer_bytes + 2 * (size_t)ARENA_ALIGNMENT;
}

double objective_reward_flops(const struct objective *objective, bool backward)
{
    return program_flops(objective->program, backward);
}

status objective_set_prompts(struct objective *objective, const char *const *prompts, const char *negative)
{
    TRY(chain_set_prompts(objective->chain, prompts, negative));
    int batch = chain_batch(objective->chain);
    for (int b = 0; b < batch; b++) objective->prompts[b] = prompts[b];
    return status_ok();
}

/* Values that are exact numbers or indices, as the input's type asks. */
static status fill_input(struct objective *objective, const struct prompt_input *input, int call)
{
    const struct tensor *tensor = graph_tensor(objective->graph, input->tensor);
    int64_t count = shape_elements(&tensor->shape);
    float *values = malloc((size_t)count * sizeof *values);
    if (!values) return status_error(STATUS_NO_MEMORY, "no memory for a reward's input");
    status result = reward_fill_input(objective->rewards[input->reward], objective->backend, input->index,
                                      objective->prompts + call * chain_decode_batch(objective->chain), values);
    if (result.code == STATUS_OK)
        result = transfer_write(objective->backend, tensor->type, input->memory, values, count);
    free(values);
    return result;
}

status objective_prepare_prompts(struct objective *objective, const char *const *prompts, int count)
{
    for (int i = 0; i < objective->reward_count; i++)
        TRY(reward_prepare_prompts(objective->rewards[i], objective->backend, prompts, count));
    return status_ok();
}

static status run(struct objective *objective, bool backward)
{
    struct memory_region saved = chain_saved_extra(objective->chain), work = chain_work(objective->chain);
    struct memory_region scratch = chain_scratch(objective->chain);
    return backward ? program_backward(objective->program, saved, work, scratch)
                    : program_forward(objective->program, saved, work, scratch);
}

status objective_score(struct objective *objective, int call, double *scores)
{
    for (int i = 0; i < objective->input_count; i++) TRY(fill_input(objective, &objective->inputs[i], call));
    TRY(run(objective, false));
    int pictures = chain_decode_batch(objective->chain);
    double *column = memory_take((size_t)pictures, sizeof *column);
    status result = status_ok();
    for (int i = 0; i < objective->reward_count && result.code == STATUS_OK; i++) {
        result = transfer_read_double(objective->backend, objective->backend->interface->accumulation_type,
                                      objective->score_memory[i], column, pictures);
        for (int p = 0; p < pictures; p++) scores[p * objective->reward_count + i] = column[p];
    }
    free(column);
    return result;
}

status objective_score_backward(struct objective *objective, const double *factors)
{
    int pictures = chain_decode_batch(objective->chain);
    double *column = memory_take((size_t)pictures, sizeof *column);
    status result = status_ok();
    for (int i = 0; i < objective->reward_count && result.code == STATUS_OK; i++) {
        for (int p = 0; p < pictures; p++) column[p] = factors[i];
        result = transfer_write_double(objective->backend, objective->backend->interface->accumulation_type,
                                       objective->cotangent_memory[i], column, pictures);
    }
    free(column);
    return result.code == STATUS_OK ? run(objective, true) : result;
}
