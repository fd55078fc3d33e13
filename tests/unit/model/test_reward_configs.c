/* The files of reward models: picture processors make what transformers' make (tests/oracle/make_processor_goldens.py),
 * and the sections of a joint config are taken in transformers' order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/model/check.h"
#include "engine/model/config.h"
#include "engine/model/picture_processor.h"
#include "model_runner.h"

static struct config golden;
static const char *reward_folder; /* tests/golden/reward */
static char work_folder[] = "/tmp/reward-config-test-XXXXXX";

static int make_work_folder(void **state)
{
    (void)state;
    return mkdtemp(work_folder) ? 0 : -1;
}

static int remove_work_folder(void **state)
{
    (void)state;
    return directory_remove(work_folder).code;
}

static const char *in_work(const char *name)
{
    static char path[PATH_SIZE];
    assert_success(path_format(path, "%s/%s", work_folder, name));
    return path;
}

static void write_file(const char *name, const char *text)
{
    assert_success(file_write_atomic(in_work(name), text, strlen(text)));
}

/* ---- picture processors ---- */

static double number(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key)->valuedouble;
}

/* The golden picture as values in [0,1]; the caller frees them. */
static float *picture_values(void)
{
    const cJSON *list = config_find(&golden, "picture"), *value;
    float *values = malloc((size_t)cJSON_GetArraySize(list) * sizeof values[0]);
    int count = 0;
    cJSON_ArrayForEach(value, list) values[count++] = (float)(value->valuedouble / 255.0);
    return values;
}

static status open_processor(const cJSON *entry, struct remarks *remarks, struct picture_processor *processor)
{
    bool square = strcmp(cJSON_GetObjectItemCaseSensitive(entry, "class")->valuestring, "owlvit") == 0;
    write_file("preprocessor_config.json", cJSON_GetObjectItemCaseSensitive(entry, "file")->valuestring);
    return picture_processor_open(work_folder, square, square ? 768 : 224, remarks, processor);
}

static void check_values(const cJSON *entry, const float *found, const struct shape *shape)
{
    const cJSON *value, *sides = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    for (int i = 0; i < 3; i++) assert_int_equal(shape->dimension[i + 1], cJSON_GetArrayItem(sides, i)->valuedouble);
    int i = 0;
    cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(entry, "values"))
    {
        double difference = (double)found[i] - value->valuedouble,
               size = 1.0 + (value->valuedouble > 0 ? value->valuedouble : -value->valuedouble);
        if (difference > 2e-6 * size || difference < -2e-6 * size)
            fail_msg("%s: value %d is %.8g; expected %.8g",
                     cJSON_GetObjectItemCaseSensitive(entry, "file")->valuestring, i, (double)found[i],
                     value->valuedouble);
        i++;
    }
    assert_int_equal(i, shape_elements(shape));
}

static void test_processors(void **state)
{
    (void)state;
    struct backend *backend;
    const cJSON *entry;
    int count = 0;
    float *values = picture_values();
    const struct shape shape =
        SHAPE4((int64_t)1, (int64_t)number(golden.root, "height"), (int64_t)number(golden.root, "width"), (int64_t)3);
    assert_success(backend_cpu_create(1, &backend));
    cJSON_ArrayForEach(entry, config_find(&golden, "cases"))
    {
        struct picture_processor processor;
        struct remarks remarks = {0};
        struct graph *graph;
        assert_success(open_processor(entry, &remarks, &processor));
        assert_int_equal(remarks.count, 0);
        graph = graph_create(ELEMENT_F32, ELEMENT_F32);
        const struct run_input input = {graph_input(graph, "pictures", shape, graph_accumulation_type(graph)), values};
        tensor_id output = picture_processor_build(&processor, graph, input.tensor);
        struct shape made = graph_tensor(graph, output)->shape;
        float *found = run_graph(backend, graph, (struct weight_source){0}, &input, 1, output);
        check_values(entry, found, &made);
        free(found);
        count++;
    }
    assert_int_equal(count, 18);
    backend->interface->destroy(backend);
    free(values);
}

static void test_processor_settings(void **state)
{
    (void)state;
    static const struct {
        const char *file, *message;
    } rows[] = {
        {"{\"do_pad\": true}", "do_pad is true"},
        {"{\"use_square_size\": true}", "use_square_size is true"},
        {"{\"size\": {\"shortest_edge\": 9, \"longest_edge\": 12}}", "longest_edge is 12"},
        {"{\"size\": {\"height\": 9}}", "width is missing"},
        {"{\"rescale_factor\": 0}", "rescale_factor is 0"},
        {"{\"rescale_factor\": NaN}", "rescale_factor is \"NaN\""},
        {"{\"do_rescale\": 1}", "do_rescale is 1"},
        {"{\"image_std\": 0}", "image_std is 0"},
        {"{\"image_mean\": [0.5, 0.5]}", "image_mean is [0.5,0.5]"},
        {"{\"resample\": 1}", "resample is 1"},
        {"{\"crop_size\": 0}", "crop_size is 0"},
    };
    struct picture_processor processor;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_file("preprocessor_config.json", rows[i].file);
        status result = picture_processor_open(work_folder, false, 224, NULL, &processor);
        if (result.code != STATUS_BAD_INPUT || !strstr(result.message, rows[i].message))
            fail_msg("%s: code %d, \"%s\"; expected \"%s\"", rows[i].file, result.code, result.message,
                     rows[i].message);
    }
    write_file("preprocessor_config.json", "{}"); /* all by default */
    assert_success(picture_processor_open(work_folder, false, 224, NULL, &processor));
    assert_int_equal(processor.shortest_edge, 224);
    assert_int_equal(processor.crop_height, 224);
    assert_int_equal(processor.filter, RESIZE_BICUBIC);
    assert_success(picture_processor_open(work_folder, true, 768, NULL, &processor));
    assert_int_equal(processor.width, 768);
    assert_false(processor.crop);
    write_file("preprocessor_config.json", "{\"size\": 24, \"default_to_square\": true}");
    assert_success(picture_processor_open(work_folder, false, 224, NULL, &processor));
    assert_int_equal(processor.shortest_edge, 0);
    assert_int_equal(processor.height, 24);
}

/* ---- sections ---- */

/* A folder with the files of a golden model but its config. */
static void link_model(const char *name)
{
    static const char *const files[] = {"merges.txt",
                                        "model.safetensors",
                                        "preprocessor_config.json",
                                        "special_tokens_map.json",
                                        "tokenizer_config.json",
                                        "vocab.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char target[PATH_SIZE];
        assert_success(path_format(target, "%s/%s/%s", reward_folder, name, files[i]));
        unlink(in_work(files[i]));
        assert_int_equal(symlink(target, in_work(files[i])), 0);
    }
}

/* Renames the section to `older` and puts a wrong one in its place. */
static void write_config(const char *name, const char *section, const char *older)
{
    struct config config;
    char path[PATH_SIZE];
    assert_success(path_format(path, "%s/%s/config.json", reward_folder, name));
    assert_success(config_open(path, &config));
    cJSON *right = cJSON_DetachItemFromObjectCaseSensitive(config.root, section);
    cJSON *wrong = cJSON_Duplicate(right, true);
    cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(wrong, "intermediate_size"), 20);
    cJSON_AddItemToObject(config.root, older, right);
    cJSON_AddItemToObject(config.root, section, wrong);
    char *text = cJSON_PrintUnformatted(config.root);
    write_file("config.json", text);
    free(text);
    config_close(&config);
}

static int problems_with(const char *name, const char *section, const char *older)
{
    struct model_report report;
    link_model(name);
    write_config(name, section, older);
    assert_success(model_check(work_folder, &report));
    assert_true(report.recognised);
    int count = report.problem_count;
    model_report_clear(&report);
    return count;
}

/* CLIP's older sections replace the others; OWL-ViT's config knows none. */
static void test_older_sections(void **state)
{
    (void)state;
    assert_int_equal(problems_with("clip-gelu", "text_config", "text_config_dict"), 0);
    assert_int_equal(problems_with("clip-gelu", "vision_config", "vision_config_dict"), 0);
    assert_true(problems_with("clip-gelu", "vision_config", "vision_dict") > 0);
    assert_true(problems_with("detector-gelu", "text_config", "text_config_dict") > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_processor_settings),
        cmocka_unit_test(test_older_sections),
    };
    if (argc != 3 || config_open(argv[1], &golden).code != STATUS_OK) {
        fprintf(stderr, "usage: %s GOLDEN_FILE REWARD_FOLDER\n", argv[0]);
        return 2;
    }
    reward_folder = argv[2];
    int failures = cmocka_run_group_tests(tests, make_work_folder, remove_work_folder);
    config_close(&golden);
    return failures;
}
