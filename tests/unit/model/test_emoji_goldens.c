/* The default model computes what diffusers and transformers compute from its files (tests/golden/README.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/files.h"
#include "model_runner.h"

static const double tolerance = 1e-5;
static const char *golden_folder, *model_folder;
static struct model *model;
static struct backend *backend;

static int open_model(void **state)
{
    (void)state;
    assert_success(model_open(model_folder, &model));
    assert_success(backend_cpu_create(2, &backend));
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    backend->interface->destroy(backend);
    model_close(model);
    return 0;
}

static struct safetensors *open_golden(const char *name)
{
    char path[PATH_SIZE];
    struct safetensors *golden;
    assert_success(path_format(path, "%s/emoji-%s.safetensors", golden_folder, name));
    assert_success(safetensors_open(path, &golden));
    return golden;
}

/* A tensor of the file, [B, C, H, W], as [B, H, W, C]; the caller frees it. */
static float *channels_last(const struct safetensors *golden, const char *name, struct shape *shape)
{
    struct shape file;
    float *values = golden_values(golden, name, &file);
    int64_t batch = file.dimension[0], channels = file.dimension[1], positions = file.dimension[2] * file.dimension[3];
    float *turned = malloc((size_t)shape_elements(&file) * sizeof turned[0]);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < positions; p++)
                turned[(b * positions + p) * channels + c] = values[(b * channels + c) * positions + p];
    free(values);
    *shape = SHAPE4(batch, file.dimension[2], file.dimension[3], channels);
    return turned;
}

/* Compares with a map of the file and frees `found`. */
static void assert_map(float *found, const struct safetensors *golden, const char *name)
{
    struct shape shape;
    float *expected = channels_last(golden, name, &shape);
    double error = relative_error(found, expected, shape_elements(&shape));
    printf("  %-12s relative error %.2e\n", name, error);
    free(expected);
    free(found);
    if (!(error <= tolerance)) fail_msg("%s: relative error %g, tolerance %g", name, error, tolerance);
}

static void test_text_encoder(void **state)
{
    (void)state;
    static const char *const captions[] = {"three cats on a blue background", "a dog and two pizzas",
                                           "Rockets, pink background!", ""};
    enum { CAPTIONS = 4 };
    struct safetensors *golden = open_golden("text-encoder");
    int length = model_facts(model)->context_length;
    int32_t *ids = malloc((size_t)(CAPTIONS * length) * sizeof ids[0]);
    float *expected = golden_values(golden, "input_ids", NULL);
    for (int i = 0; i < CAPTIONS; i++) assert_success(model_tokenize(model, captions[i], ids + i * length, NULL));
    for (int i = 0; i < CAPTIONS * length; i++) assert_int_equal(ids[i], (int32_t)expected[i]);
    assert_golden("emoji", run_text_encoder(backend, model, CAPTIONS, ids), golden, "last_hidden_state", tolerance);
    free(expected);
    free(ids);
    safetensors_close(golden);
}

static void test_unet(void **state)
{
    (void)state;
    static const struct {
        double timestep;
        const char *name;
    } calls[] = {{1, "output.1"}, {401, "output.401"}, {951, "output.951"}};
    struct safetensors *golden = open_golden("unet");
    struct shape shape;
    float *latents = channels_last(golden, "latents", &shape), *context = golden_values(golden, "text_states", NULL);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        assert_map(run_unet(backend, model, &shape, latents, calls[i].timestep, context), golden, calls[i].name);
    free(latents);
    free(context);
    safetensors_close(golden);
}

static void test_decoder(void **state)
{
    (void)state;
    struct safetensors *golden = open_golden("vae");
    struct shape shape;
    float *latents = channels_last(golden, "latents", &shape);
    assert_map(run_decoder(backend, model, &shape, latents), golden, "picture");
    free(latents);
    safetensors_close(golden);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_encoder),
        cmocka_unit_test(test_unet),
        cmocka_unit_test(test_decoder),
    };
    if (argc != 3) {
        fprintf(stderr, "usage: %s GOLDEN_FOLDER MODEL_FOLDER\n", argv[0]);
        return 2;
    }
    golden_folder = argv[1];
    model_folder = argv[2];
    return cmocka_run_group_tests(tests, open_model, close_model);
}
