/* Models of configurations that the default model does not use compute what diffusers and transformers compute
 * (tests/oracle/make_config_goldens.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/files.h"
#include "engine/model/config.h"
#include "model_runner.h"
#include "single_file_writer.h"

enum { TEXT_LENGTH_LIMIT = 128 };

static const double tolerance = 1e-5, schedule_tolerance = 2e-6;

static char golden_folder[PATH_SIZE];

struct fixture {
    char path[PATH_SIZE]; /* of the golden folder */
    struct model *model;
    struct safetensors *golden;
};

static void open_golden(struct fixture *fixture, const char *name)
{
    char file[PATH_SIZE];
    assert_success(path_format(fixture->path, "%s/%s", golden_folder, name));
    assert_success(path_format(file, "%s/golden.safetensors", fixture->path));
    assert_success(safetensors_open(file, &fixture->golden));
}

static void close_fixture(struct fixture *fixture)
{
    model_close(fixture->model);
    safetensors_close(fixture->golden);
}

static void check_tokens(const struct fixture *fixture)
{
    char file[PATH_SIZE];
    struct config texts;
    int length = model_facts(fixture->model)->context_length, row = 0;
    int32_t ids[TEXT_LENGTH_LIMIT];
    float *expected = golden_values(fixture->golden, "ids", NULL);
    assert_success(path_format(file, "%s/texts.json", fixture->path));
    assert_success(config_open(file, &texts));
    assert_true(length <= TEXT_LENGTH_LIMIT);
    const cJSON *text;
    cJSON_ArrayForEach(text, config_find(&texts, "texts"))
    {
        assert_success(model_tokenize(fixture->model, text->valuestring, ids, NULL));
        for (int i = 0; i < length; i++)
            if (ids[i] != (int32_t)expected[row * length + i])
                fail_msg("%s: token %d of \"%s\" is %d; expected %g", fixture->path, i, text->valuestring, ids[i],
                         (double)expected[row * length + i]);
        row++;
    }
    config_close(&texts);
    free(expected);
}

static void check_schedule(const struct fixture *fixture)
{
    const struct noise_schedule *schedule = &model_facts(fixture->model)->schedule;
    struct shape shape;
    float *expected = golden_values(fixture->golden, "alpha_bar", &shape);
    assert_int_equal(schedule->train_timesteps, shape.dimension[0]);
    for (int i = 0; i < schedule->train_timesteps; i++)
        if (fabs(schedule->alpha_bar[i] - (double)expected[i]) > schedule_tolerance)
            fail_msg("%s: alpha_bar[%d] is %.9g; expected %.9g", fixture->path, i, schedule->alpha_bar[i],
                     (double)expected[i]);
    free(expected);
}

static void check_time_features(const struct fixture *fixture, double timestep)
{
    int count = model_facts(fixture->model)->time_features;
    float *features = malloc((size_t)count * sizeof features[0]);
    model_time_features(fixture->model, timestep, features);
    assert_golden("timestep", features, fixture->golden, "time_features", 1e-6);
}

static void check_networks(const struct fixture *fixture, struct backend *backend)
{
    const char *name = backend->interface->name;
    const struct safetensors *golden = fixture->golden;
    struct shape shape;
    float *timestep = golden_values(golden, "timestep", NULL), *ids = golden_values(golden, "ids", &shape);
    int32_t *id_values = malloc((size_t)shape_elements(&shape) * sizeof id_values[0]);
    for (int64_t i = 0; i < shape_elements(&shape); i++) id_values[i] = (int32_t)ids[i];
    assert_golden(name, run_text_encoder(backend, fixture->model, shape.dimension[0], id_values), golden, "text_states",
                  tolerance);
    check_time_features(fixture, (double)*timestep);

    float *latents = golden_values(golden, "latents", &shape), *context = golden_values(golden, "context", NULL);
    assert_golden(name, run_unet(backend, fixture->model, &shape, latents, (double)*timestep, context), golden,
                  "prediction", tolerance);
    free(latents);
    latents = golden_values(golden, "decoder_latents", &shape);
    assert_golden(name, run_decoder(backend, fixture->model, &shape, latents), golden, "picture", tolerance);
    free(latents);
    free(context);
    free(timestep);
    free(ids);
    free(id_values);
}

static void check_everything(const struct fixture *fixture)
{
    struct backend *backend;
    check_tokens(fixture);
    check_schedule(fixture);
    assert_success(backend_reference_create(&backend));
    check_networks(fixture, backend);
    backend->interface->destroy(backend);
    assert_success(backend_cpu_create(2, &backend));
    check_networks(fixture, backend);
    backend->interface->destroy(backend);
}

static void check_folder(const char *name, enum prediction_type prediction)
{
    struct fixture fixture;
    open_golden(&fixture, name);
    printf("%s\n", name);
    assert_success(model_open(fixture.path, &fixture.model));
    assert_int_equal(model_facts(fixture.model)->schedule.prediction, prediction);
    assert_string_equal(model_facts(fixture.model)->name, name);
    check_everything(&fixture);
    close_fixture(&fixture);
}

static void test_linear_v_prediction(void **state)
{
    (void)state;
    check_folder("linear-v-prediction", PREDICTION_V);
}

static void test_deep_sharded(void **state)
{
    (void)state;
    check_folder("deep-sharded", PREDICTION_EPSILON);
}

static void test_plain_decoder(void **state)
{
    (void)state;
    check_folder("plain-decoder", PREDICTION_EPSILON);
}

/* ---- the single file, whose weights follow from its tensors' names ---- */

static void test_single_file(void **state)
{
    (void)state;
    struct fixture fixture;
    char folder[] = "/tmp/single-file-test-XXXXXX", layout[PATH_SIZE], path[PATH_SIZE], tokenizer[PATH_SIZE],
         link[PATH_SIZE];
    open_golden(&fixture, "single-file");
    assert_non_null(mkdtemp(folder));
    assert_success(path_format(layout, "%s/layout.json", fixture.path));
    assert_success(path_format(path, "%s/model.safetensors", folder));
    assert_success(path_format(tokenizer, "%s/tokenizer", fixture.path));
    assert_success(path_format(link, "%s/tokenizer", folder));
    assert_int_equal(symlink(tokenizer, link), 0);
    write_single_file(layout, path, NULL);
    printf("single-file\n");
    assert_success(model_open(path, &fixture.model));
    assert_int_equal(model_facts(fixture.model)->default_size.width, 64 * 2);
    assert_int_equal(model_facts(fixture.model)->default_size.height, 64 * 2);
    assert_true(model_facts(fixture.model)->scaling_factor == 0.18215);
    check_everything(&fixture);
    close_fixture(&fixture);
    assert_success(directory_remove(folder));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_v_prediction),
        cmocka_unit_test(test_deep_sharded),
        cmocka_unit_test(test_plain_decoder),
        cmocka_unit_test(test_single_file),
    };
    if (argc != 2 || !realpath(argv[1], golden_folder)) {
        fprintf(stderr, "usage: %s GOLDEN_FOLDER\n", argv[0]);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
