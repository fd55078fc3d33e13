/* Scores and gradients of every reward against PyTorch, torchvision and transformers (tests/oracle/
 * make_reward_goldens.py), on the reference, the CPU and the CUDA backend. */
#include "engine/model/safetensors.h"
#include "kernels/backend.h"
#include "reward_fixture.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAXIMUM_BATCH = 8 };

static const struct safetensors_entry *find(struct safetensors *file, const char *key, const char *part)
{
    char name[200];
    snprintf(name, sizeof name, "%s.%s", key, part);
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (entry == NULL) fail_msg("the goldens lack %s", name);
    return entry;
}

static double *load(struct safetensors *file, const char *key, const char *part, double scale)
{
    const struct safetensors_entry *entry = find(file, key, part);
    size_t count = (size_t)entry->elements;
    float *values = malloc(count * sizeof *values);
    double *exact = malloc(count * sizeof *exact);
    assert_non_null(values);
    assert_non_null(exact);
    assert_success(safetensors_convert(entry, values));
    for (size_t i = 0; i < count; i++) exact[i] = values[i] * scale;
    free(values);
    return exact;
}

static struct reward *reward_of_entry(const cJSON *entry)
{
    char *params = cJSON_PrintUnformatted(cJSON_GetObjectItem(entry, "params"));
    struct reward *reward = make_reward(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "reward")), params);
    free(params);
    return reward;
}

/* Files written here and by Pillow are equally long. */
static void check_real_sizes(const struct reward *reward, const cJSON *sizes, const double *pixels, int height,
                             int width)
{
    int samples = height * width * 3;
    float *picture = malloc((size_t)samples * sizeof *picture);
    assert_non_null(picture);
    for (int b = 0; b < cJSON_GetArraySize(sizes); b++) {
        const char *name;
        double kilobytes;
        for (int i = 0; i < samples; i++) picture[i] = (float)pixels[b * samples + i];
        assert_true(reward_side_figure(reward, picture, height, width, &name, &kilobytes));
        assert_int_equal(lround(1000.0 * kilobytes), cJSON_GetArrayItem(sizes, b)->valueint);
    }
    free(picture);
}

static bool check_entry(struct backend *backend, double limit, struct safetensors *file, const char *key,
                        const char *text)
{
    cJSON *entry = cJSON_Parse(text);
    struct reward *reward = reward_of_entry(entry);
    const char *prompts[MAXIMUM_BATCH] = {NULL};
    const cJSON *list = cJSON_GetObjectItem(entry, "prompts");
    for (int i = 0; i < cJSON_GetArraySize(list); i++) prompts[i] = cJSON_GetArrayItem(list, i)->valuestring;
    const struct safetensors_entry *pictures = find(file, key, "pictures");
    size_t pixel_count = (size_t)pictures->elements;
    int batch = (int)pictures->dimension[0];
    double *pixels = load(file, key, "pictures", 1.0 / 255.0), *scores = load(file, key, "scores", 1.0);
    double *gradient = load(file, key, "gradient", 1.0), *found = malloc(pixel_count * sizeof *found);
    double found_scores[MAXIMUM_BATCH];
    assert_success(reward_score_exactly(reward, backend, pixels, batch, (int)pictures->dimension[1],
                                        (int)pictures->dimension[2], list != NULL ? prompts : NULL, found_scores,
                                        found));
    double value_error = relative_difference(found_scores, scores, (size_t)batch);
    double gradient_error = relative_difference(found, gradient, pixel_count);
    print_message("%-36s score %.1e gradient %.1e\n", key, value_error, gradient_error);
    bool right = value_error <= limit && gradient_error <= limit;
    if (!right)
        print_error("%s: score off by %g, gradient by %g (limit %g)\n", key, value_error, gradient_error, limit);
    check_real_sizes(reward, cJSON_GetObjectItem(entry, "jpeg_bytes"), pixels, (int)pictures->dimension[1],
                     (int)pictures->dimension[2]);
    free(found);
    free(gradient);
    free(scores);
    free(pixels);
    reward_destroy(reward);
    cJSON_Delete(entry);
    return right;
}

static void check_all(struct backend *backend, double limit)
{
    char path[4200];
    struct safetensors *file;
    snprintf(path, sizeof path, "%s/goldens.safetensors", golden_folder());
    assert_success(safetensors_open(path, &file));
    assert_true(safetensors_metadata_count(file) >= 20);
    int wrong = 0;
    for (size_t i = 0; i < safetensors_metadata_count(file); i++) {
        const char *key, *value;
        safetensors_metadata_at(file, i, &key, &value);
        wrong += !check_entry(backend, limit, file, key, value);
    }
    assert_int_equal(wrong, 0);
    safetensors_close(file);
    backend->interface->destroy(backend);
}

static void test_reference(void **state)
{
    (void)state;
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    check_all(backend, 2e-6); /* the goldens are stored in single precision */
}

static void test_cpu(void **state)
{
    (void)state;
    struct backend *backend;
    assert_success(backend_cpu_create(1, &backend));
    check_all(backend, 2e-5);
}

/* In single precision, where there is a device. */
static void test_cuda(void **state)
{
    (void)state;
    struct backend *backend;
    if (backend_cuda_create(0, CUDA_PRECISION_F32, &backend).code != STATUS_OK) skip();
    check_all(backend, 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference), cmocka_unit_test(test_cpu),
                                       cmocka_unit_test(test_cuda)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
