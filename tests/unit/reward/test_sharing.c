/* Rewards that use one model: it is opened once, its features of the pictures are computed once, and scores and
 * gradients are those that each reward has alone. */
#include "engine/reward/host_program.h"
#include "engine/reward/reward_models.h"
#include "reward_fixture.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCH = 2, SIDE = 20, SAMPLES = BATCH * SIDE * SIDE * 3, PAIR = 2 };

static const char *const prompts[BATCH] = {"a cat", "two dogs"};

struct asked_reward {
    const char *name, *params;
};

/* Two rewards in one graph. */
struct pair {
    struct reward *rewards[PAIR];
    struct graph *graph;
    struct host_program *program;
    tensor_id pictures, scores[PAIR], cotangents[PAIR], gradient;
};

static struct reward *create(struct reward_models *models, const struct asked_reward *asked)
{
    struct reward *reward;
    cJSON *params = cJSON_Parse(asked->params);
    assert_non_null(params);
    const struct reward_request request = {.id = asked->name, .params = params, .models = models};
    assert_success(reward_create(asked->name, &request, &reward));
    cJSON_Delete(params);
    return reward;
}

static status read_weight(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct pair *pair = context;
    for (int i = 0; i < PAIR; i++) {
        const char *id = reward_kind_of(pair->rewards[i])->name;
        struct weight_source source = reward_weights(pair->rewards[i]);
        if (strncmp(name, id, strlen(id)) == 0 && name[strlen(id)] == '/')
            return source.read(source.context, name, shape, sink);
    }
    return status_error(STATUS_FAILED, "nobody has %s", name);
}

static void build_pair(struct pair *pair, struct backend *backend, const struct asked_reward asked[PAIR])
{
    const char *const folders[] = {golden_folder(), NULL};
    struct reward_models *models;
    struct shared_features shared = {0};
    assert_int_equal(chdir(golden_folder()), 0);
    models = reward_models_create(NULL, folders);
    pair->graph = graph_create(ELEMENT_F64, ELEMENT_F64);
    pair->pictures = graph_input(pair->graph, "pictures",
                                 SHAPE4((int64_t)BATCH, (int64_t)SIDE, (int64_t)SIDE, (int64_t)3), ELEMENT_F64);
    for (int i = 0; i < PAIR; i++) {
        pair->rewards[i] = create(models, &asked[i]);
        tensor_id scores = reward_build(pair->rewards[i], pair->graph, pair->pictures, &shared);
        pair->scores[i] = graph_output(pair->graph, scores, asked[i].name);
    }
    reward_models_release(models);
    assert_int_equal(shared.count, 1);
    const struct differentiation request = {.output_count = PAIR,
                                            .outputs = pair->scores,
                                            .cotangents = pair->cotangents,
                                            .wanted_count = 1,
                                            .wanted = &pair->pictures,
                                            .gradients = &pair->gradient};
    assert_success(graph_differentiate(pair->graph, &request));
    assert_success(graph_fold_additions(pair->graph)); /* as the rewards do on the reference backend */
    assert_success(
        host_program_create(backend, pair->graph, (struct weight_source){read_weight, pair}, &pair->program));
}

static void fill_inputs(struct pair *pair, struct backend *backend, struct reward *reward)
{
    for (int i = 0; i < reward_input_count(reward); i++) {
        tensor_id input = reward_input(reward, i);
        size_t count = (size_t)shape_elements(&graph_tensor(pair->graph, input)->shape);
        float *values = calloc(count, sizeof *values);
        double *exact = calloc(count, sizeof *exact);
        assert_non_null(values);
        assert_non_null(exact);
        assert_success(reward_fill_input(reward, backend, i, prompts, values));
        for (size_t k = 0; k < count; k++) exact[k] = values[k];
        assert_success(host_program_write(pair->program, input, exact));
        free(values);
        free(exact);
    }
}

static void run_pair(struct pair *pair, struct backend *backend, const double *pixels, double scores[PAIR][BATCH],
                     double *gradient)
{
    const double ones[BATCH] = {1.0, 1.0};
    assert_success(host_program_write(pair->program, pair->pictures, pixels));
    for (int i = 0; i < PAIR; i++) {
        fill_inputs(pair, backend, pair->rewards[i]);
        assert_success(host_program_write(pair->program, pair->cotangents[i], ones));
    }
    assert_success(host_program_forward(pair->program));
    assert_success(host_program_backward(pair->program));
    for (int i = 0; i < PAIR; i++) assert_success(host_program_read(pair->program, pair->scores[i], scores[i]));
    assert_success(host_program_read(pair->program, pair->gradient, gradient));
}

/* Constants of the graph whose name ends in `ending`. */
static int count_constants(const struct graph *graph, const char *ending)
{
    int count = 0;
    for (int i = 0; i < graph_tensor_count(graph); i++) {
        const struct tensor *tensor = graph_tensor(graph, i);
        size_t length = strlen(tensor->name);
        if (tensor->role == TENSOR_CONSTANT && length >= strlen(ending) &&
            strcmp(tensor->name + length - strlen(ending), ending) == 0)
            count++;
    }
    return count;
}

static void check_pair(const struct asked_reward asked[PAIR], const char *tower_weight)
{
    struct backend *backend;
    struct pair pair = {0};
    double *pixels = malloc(3 * SAMPLES * sizeof *pixels), *together = pixels + SAMPLES, *alone = together + SAMPLES;
    double scores[PAIR][BATCH], own_scores[BATCH], sum[SAMPLES] = {0};
    uint64_t random = 5;
    assert_non_null(pixels);
    for (int i = 0; i < SAMPLES; i++) pixels[i] = random_unit(&random);
    assert_success(backend_reference_create(&backend));
    build_pair(&pair, backend, asked);
    assert_int_equal(count_constants(pair.graph, tower_weight), 1);
    run_pair(&pair, backend, pixels, scores, together);
    for (int i = 0; i < PAIR; i++) {
        struct reward *reward = make_reward(asked[i].name, asked[i].params);
        assert_success(reward_score_exactly(reward, backend, pixels, BATCH, SIDE, SIDE, prompts, own_scores, alone));
        reward_destroy(reward);
        assert_memory_equal(scores[i], own_scores, sizeof own_scores);
        for (int k = 0; k < SAMPLES; k++) sum[k] += alone[k];
    }
    assert_true(relative_difference(together, sum, SAMPLES) < 1e-12);
    host_program_destroy(pair.program);
    graph_destroy(pair.graph);
    for (int i = 0; i < PAIR; i++) reward_destroy(pair.rewards[i]);
    backend->interface->destroy(backend);
    free(pixels);
}

static void test_clip_and_aesthetic(void **state)
{
    (void)state;
    static const struct asked_reward asked[PAIR] = {
        {"clip", "{\"model\": \"clip-quick-gelu\"}"},
        {"aesthetic", "{\"model\": \"aesthetic/head.pth\", \"clip\": \"clip-quick-gelu\"}"}};
    check_pair(asked, "visual_projection.weight");
}

static void test_count_and_remove(void **state)
{
    (void)state;
    static const struct asked_reward asked[PAIR] = {
        {"count", "{\"object\": \"cat\", \"target\": 2, \"model\": \"detector-gelu\"}"},
        {"remove", "{\"object\": \"dog\", \"model\": \"detector-gelu\"}"}};
    check_pair(asked, "vision_model.post_layernorm.weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clip_and_aesthetic),
                                       cmocka_unit_test(test_count_and_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
