/* The default model's reward models compute what transformers computes from their files (tests/golden/README.md,
 * emoji-rewards.safetensors). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/files.h"
#include "engine/model/aesthetic_head.h"
#include "engine/model/clip_model.h"
#include "engine/model/owlvit_model.h"
#include "model_runner.h"

enum { PICTURES = 2 };
static const double tolerance = 1e-5;
static const char *golden_path, *rewards_folder;
static struct backend *backend;
static struct safetensors *golden;

static int begin(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    assert_success(path_format(path, "%s/emoji-rewards.safetensors", golden_path));
    assert_success(safetensors_open(path, &golden));
    assert_success(backend_cpu_create(2, &backend));
    return 0;
}

static int end(void **state)
{
    (void)state;
    backend->interface->destroy(backend);
    safetensors_close(golden);
    return 0;
}

static struct graph *new_graph(void)
{
    struct graph *graph = graph_create(backend->interface->compute_type, backend->interface->accumulation_type);
    return graph;
}

static void folder_of(const char *reward_model, char path[PATH_SIZE])
{
    assert_success(path_format(path, "%s/%s", rewards_folder, reward_model));
}

/* The golden's pictures [B, C, H, W] as [B, H, W, C], an input of the graph; the caller frees the values. */
static struct run_input pictures_input(struct graph *graph)
{
    struct shape file;
    float *planes = golden_values(golden, "images", &file);
    int64_t batch = file.dimension[0], channels = file.dimension[1], positions = file.dimension[2] * file.dimension[3];
    float *values = malloc((size_t)shape_elements(&file) * sizeof values[0]);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < positions; p++)
                values[(b * positions + p) * channels + c] = planes[(b * channels + c) * positions + p];
    free(planes);
    struct shape shape = SHAPE4(batch, file.dimension[2], file.dimension[3], channels);
    return (struct run_input){graph_input(graph, "pictures", shape, graph_accumulation_type(graph)), values};
}

static void normalise_rows(float *values, int rows, int64_t width)
{
    for (float *row = values; row < values + rows * width; row += width) {
        double squares = 0.0;
        for (int64_t i = 0; i < width; i++) squares += (double)row[i] * row[i];
        for (int64_t i = 0; i < width; i++) row[i] = (float)(row[i] / sqrt(squares));
    }
}

static void assert_same_ids(const int32_t *found, const char *name, int count)
{
    float *expected = golden_values(golden, name, NULL);
    for (int i = 0; i < count; i++) assert_int_equal(found[i], (int32_t)expected[i]);
    free(expected);
}

static float *clip_picture_embeddings(void)
{
    char path[PATH_SIZE];
    struct clip_model *clip;
    folder_of("clip", path);
    assert_success(clip_model_open(path, &clip));
    struct graph *graph = new_graph();
    struct run_input input = pictures_input(graph);
    float *embeddings = run_graph(backend, graph, clip_model_weights(clip), &input, 1,
                                  clip_model_build_pictures(clip, graph, input.tensor, ""));
    normalise_rows(embeddings, PICTURES, clip_model_projection(clip));
    free((void *)input.values);
    clip_model_close(clip);
    return embeddings;
}

static void test_clip_pictures(void **state)
{
    (void)state;
    assert_golden("clip", clip_picture_embeddings(), golden, "clip.image_embeds", tolerance);
}

static void test_clip_texts(void **state)
{
    (void)state;
    static const char *const captions[] = {"three cats on a blue background", "a dog and two pizzas",
                                           "Rockets, pink background!", ""};
    enum { CAPTIONS = 4 };
    char path[PATH_SIZE];
    struct clip_model *clip;
    folder_of("clip", path);
    assert_success(clip_model_open(path, &clip));
    int context = clip_model_context(clip);
    int32_t *ids = malloc((size_t)(CAPTIONS * context) * sizeof ids[0]), ends[CAPTIONS];
    for (int i = 0; i < CAPTIONS; i++)
        assert_success(clip_model_tokenize(clip, captions[i], ids + (ptrdiff_t)i * context, &ends[i]));
    assert_same_ids(ids, "clip.input_ids", CAPTIONS * context);
    struct graph *graph = new_graph();
    struct run_input inputs[2] = {
        {graph_input(graph, "ids", SHAPE2((int64_t)CAPTIONS, (int64_t)context), ELEMENT_I32), ids},
        {graph_input(graph, "ends", SHAPE2((int64_t)CAPTIONS, (int64_t)1), ELEMENT_I32), ends}};
    float *embeddings = run_graph(backend, graph, clip_model_weights(clip), inputs, 2,
                                  clip_model_build_texts(clip, graph, inputs[0].tensor, inputs[1].tensor, ""));
    normalise_rows(embeddings, CAPTIONS, clip_model_projection(clip));
    assert_golden("clip", embeddings, golden, "clip.text_embeds", tolerance);
    free(ids);
    clip_model_close(clip);
}

static void test_aesthetic_head(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct aesthetic_head head;
    folder_of("aesthetic", path);
    assert_success(aesthetic_head_open(path, &head));
    float *embeddings = clip_picture_embeddings(), *scores = malloc(PICTURES * sizeof scores[0]);
    for (int picture = 0; picture < PICTURES; picture++) {
        double score = head.bias;
        for (int64_t i = 0; i < head.width; i++) score += (double)head.weight[i] * embeddings[picture * head.width + i];
        scores[picture] = (float)score;
    }
    assert_golden("aesthetic", scores, golden, "aesthetic.scores", tolerance);
    free(embeddings);
    aesthetic_head_clear(&head);
}

enum { QUERIES = 3 };

/* Unit embeddings of the golden's queries [QUERIES, projection]; the caller frees them. */
static float *query_embeddings(struct owlvit_model *detector)
{
    static const char *const texts[QUERIES] = {"cat", "a dog", "rockets"};
    int context = owlvit_model_context(detector);
    int32_t *ids = malloc((size_t)(QUERIES * context) * sizeof ids[0]), ends[QUERIES];
    for (int i = 0; i < QUERIES; i++)
        assert_success(owlvit_model_tokenize(detector, texts[i], ids + (ptrdiff_t)i * context, &ends[i]));
    assert_same_ids(ids, "detector.input_ids", QUERIES * context);
    struct graph *graph = new_graph();
    struct run_input inputs[2] = {
        {graph_input(graph, "ids", SHAPE2((int64_t)QUERIES, (int64_t)context), ELEMENT_I32), ids},
        {graph_input(graph, "ends", SHAPE2((int64_t)QUERIES, (int64_t)1), ELEMENT_I32), ends}};
    float *embeddings = run_graph(backend, graph, owlvit_model_weights(detector), inputs, 2,
                                  owlvit_model_build_texts(detector, graph, inputs[0].tensor, inputs[1].tensor, ""));
    normalise_rows(embeddings, QUERIES, owlvit_model_projection(detector));
    free(ids);
    return embeddings;
}

/* The same queries for each picture. */
static float *repeated(const float *values, int64_t count)
{
    float *copies = malloc((size_t)(PICTURES * count) * sizeof copies[0]);
    for (int64_t i = 0; i < PICTURES * count; i++) copies[i] = values[i % count];
    return copies;
}

/* Logits or boxes of the golden's pictures and queries. */
static float *detect(bool boxes)
{
    char path[PATH_SIZE];
    struct owlvit_model *detector;
    folder_of("detector", path);
    assert_success(owlvit_model_open(path, &detector));
    int64_t width = owlvit_model_projection(detector);
    float *once = query_embeddings(detector), *queries = repeated(once, QUERIES * width);
    struct graph *graph = new_graph();
    struct run_input inputs[2] = {pictures_input(graph),
                                  {graph_input(graph, "queries", SHAPE3((int64_t)PICTURES, (int64_t)QUERIES, width),
                                               graph_accumulation_type(graph)),
                                   queries}};
    tensor_id features = owlvit_model_build_features(detector, graph, inputs[0].tensor, "");
    struct owlvit_detections found = owlvit_model_build_detections(detector, graph, features, inputs[1].tensor, "");
    float *result =
        run_graph(backend, graph, owlvit_model_weights(detector), inputs, 2, boxes ? found.boxes : found.logits);
    free((void *)inputs[0].values);
    free(queries);
    free(once);
    owlvit_model_close(detector);
    return result;
}

static void test_detector_logits(void **state)
{
    (void)state;
    assert_golden("detector", detect(false), golden, "detector.logits", tolerance);
}

static void test_detector_boxes(void **state)
{
    (void)state;
    assert_golden("detector", detect(true), golden, "detector.boxes", tolerance);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip_pictures),  cmocka_unit_test(test_clip_texts),
        cmocka_unit_test(test_aesthetic_head), cmocka_unit_test(test_detector_logits),
        cmocka_unit_test(test_detector_boxes),
    };
    if (argc != 3) {
        fprintf(stderr, "usage: %s GOLDEN_FOLDER REWARDS_FOLDER\n", argv[0]);
        return 2;
    }
    golden_path = argv[1];
    rewards_folder = argv[2];
    return cmocka_run_group_tests(tests, begin, end);
}
