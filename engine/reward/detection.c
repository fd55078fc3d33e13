/* Logits of the detector's strongest boxes for a text, suppressed, and their log-likelihood. */
#include "engine/reward/detection.h"

#include "engine/base/memory.h"
#include "engine/reward/reward_models.h"
#include "engine/reward/text_encoder.h"

#include <stdlib.h>
#include <string.h>

struct detection_reward {
    struct reward reward;
    struct owlvit_model *model; /* of reward.models */
    struct text_tower tower;
    struct text_embeddings queries;
    char *object;
    int wanted, unwanted;
    double overlap;
};

/* The logits of the boxes that count, in falling order: [B, wanted + unwanted, 1], exact. */
static tensor_id chosen_logits(const struct detection_reward *detection, struct graph *graph,
                               struct owlvit_detections found, int64_t batch)
{
    int64_t boxes = owlvit_model_boxes(detection->model);
    tensor_id flat = graph_reshape(graph, found.logits, SHAPE2(batch, boxes));
    tensor_id ids =
        graph_select_boxes(graph, flat, found.boxes, detection->wanted + detection->unwanted, detection->overlap);
    return graph_convert(graph, graph_gather(graph, found.logits, ids), graph_accumulation_type(graph));
}

/* sum of log sigmoid(sign * logits[start : start+length]) / all of them: [B, 1, 1]. */
static tensor_id log_likelihood(struct graph *graph, tensor_id logits, int start, int length, double sign, int all,
                                int64_t batch)
{
    tensor_id part = graph_affine(graph, graph_slice(graph, logits, 1, start, length), sign, 0.0);
    return graph_reduce(graph, graph_unary(graph, UNARY_LOG_SIGMOID, part), SHAPE3(batch, 1, 1), 1.0 / all);
}

/* Of the pictures' patches; computed once for all rewards of the graph that use the model. */
static tensor_id build_features(const struct owlvit_model *model, struct reward *reward, struct graph *graph,
                                tensor_id pictures, const char *prefix)
{
    tensor_id shared = reward_shared_features(reward, model, pictures);
    if (shared != NO_TENSOR) return shared;
    tensor_id features = owlvit_model_build_features(model, graph, pictures, prefix);
    return reward_share_features(reward, model, pictures, features);
}

static tensor_id build(struct reward *reward, struct graph *graph, tensor_id pictures)
{
    struct detection_reward *detection = (struct detection_reward *)reward;
    int64_t batch = reward->batch;
    tensor_id query = reward_add_input(reward, graph, "query", SHAPE3(batch, 1, detection->tower.width));
    char prefix[160];
    reward_prefixed(reward, "", prefix);
    tensor_id features = build_features(detection->model, reward, graph, pictures, prefix);
    struct owlvit_detections found = owlvit_model_build_detections(detection->model, graph, features, query, prefix);
    tensor_id logits = chosen_logits(detection, graph, found, batch);
    int wanted = detection->wanted, unwanted = detection->unwanted, all = wanted + unwanted;
    tensor_id score = log_likelihood(graph, logits, wanted, unwanted, -1.0, all, batch);
    if (wanted > 0) score = graph_add(graph, score, log_likelihood(graph, logits, 0, wanted, 1.0, all, batch));
    return graph_reshape(graph, score, SHAPE2(batch, 1));
}

static status prepare_prompts(struct reward *reward, struct backend *backend, const char *const *prompts, int count)
{
    (void)prompts, (void)count;
    struct detection_reward *detection = (struct detection_reward *)reward;
    const char *object = detection->object;
    return text_embeddings_add(&detection->queries, &detection->tower, backend, &object, 1);
}

static status fill_input(struct reward *reward, struct backend *backend, int index, const char *const *prompts,
                         int count, float *values)
{
    (void)index;
    struct detection_reward *detection = (struct detection_reward *)reward;
    TRY(prepare_prompts(reward, backend, prompts, count));
    size_t width = (size_t)detection->tower.width;
    const float *query = text_embeddings_find(&detection->queries, &detection->tower, detection->object);
    for (int i = 0; i < count; i++) memcpy(values + (size_t)i * width, query, width * sizeof *values);
    return status_ok();
}

static void release(struct reward *reward)
{
    struct detection_reward *detection = (struct detection_reward *)reward;
    text_embeddings_clear(&detection->queries);
    free(detection->object);
}

static status tokenize(const void *model, const char *text, int32_t *ids, int32_t *end)
{
    return owlvit_model_tokenize(model, text, ids, end);
}

static tensor_id build_texts(const void *model, struct graph *graph, tensor_id ids, tensor_id ends)
{
    return owlvit_model_build_texts(model, graph, ids, ends, "");
}

static status fill_in(struct detection_reward *detection, const struct reward_request *request)
{
    const struct reward_kind *kind = detection->reward.kind;
    char path[PATH_SIZE];
    TRY(reward_models_open_detector(request->models, reward_text(kind, request, "model"), path, &detection->model));
    int all = detection->wanted + detection->unwanted;
    if (owlvit_model_boxes(detection->model) < all)
        return status_error(STATUS_BAD_INPUT, "%.250s: the detector has %lld boxes, but %d are looked at", path,
                            (long long)owlvit_model_boxes(detection->model), all);
    detection->object = memory_copy_text(reward_text(kind, request, "object"));
    detection->overlap = reward_number(kind, request, "overlap");
    detection->reward.model_weights = owlvit_model_weights(detection->model);
    detection->tower = (struct text_tower){.model = detection->model,
                                           .weights = owlvit_model_weights(detection->model),
                                           .context = owlvit_model_context(detection->model),
                                           .width = owlvit_model_projection(detection->model),
                                           .tokenize = tokenize,
                                           .build = build_texts};
    return text_tower_check(&detection->tower);
}

status detection_reward_create(const struct reward_kind *kind, const struct reward_request *request, int wanted,
                               int unwanted, struct reward **reward)
{
    *reward = reward_allocate(kind, request, sizeof(struct detection_reward));
    struct detection_reward *detection = (struct detection_reward *)*reward;
    detection->wanted = wanted;
    detection->unwanted = unwanted;
    detection->reward.build = build;
    detection->reward.fill_input = fill_input;
    detection->reward.prepare_prompts = prepare_prompts;
    detection->reward.release = release;
    status result = fill_in(detection, request);
    if (result.code != STATUS_OK) {
        reward_destroy(*reward);
        *reward = NULL;
    }
    return result;
}
