/* The whole program on the emulated device: one optimiser step of a small model, on the CPU engine and on the CUDA
 * engine in each precision; in bf16 forwards and backwards through threads and blocks, with the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "engine/base/files.h"

static const char *program, *emulated, *model;
static char folder[] = "/tmp/alignprop-cuda-XXXXXX";

struct outcome {
    double reward, gradient_norm, adapter_norm;
};

static void write_preset(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"schema\": 1, \"name\": \"one-step\", \"model\": \"%s\", \"prompts\": {\"train\": [\"a b\"]},"
            "\"rewards\": [{\"name\": \"brightness\"}], \"lora\": {\"rank\": 3},"
            "\"sampler\": {\"steps\": 3, \"guidance\": 4}, \"backprop\": {\"method\": \"last-k\", \"k\": 2},"
            "\"batch\": 1, \"steps\": 1, \"sample\": {\"every\": 0, \"count\": 1}}",
            model);
    assert_int_equal(fclose(file), 0);
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item)) fail_msg("the metrics lack %s", key);
    return item->valuedouble;
}

static struct outcome tune(const char *binary, const char *arguments, const char *environment, int run)
{
    char command[1000], line[8192] = "";
    snprintf(command, sizeof command, "%s '%s' tune '%s/preset.json' %s --json --quiet --run '%s/run-%d'", environment,
             binary, folder, arguments, folder, run);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    bool read = fgets(line, sizeof line, output) != NULL;
    int exit_status = pclose(output);
    if (!read || exit_status != 0) fail_msg("%s: exit status %d", command, exit_status);
    cJSON *metrics = cJSON_Parse(line);
    struct outcome outcome = {number(cJSON_GetObjectItemCaseSensitive(metrics, "reward"), "total"),
                              number(metrics, "grad_norm"), number(metrics, "adapter_norm")};
    cJSON_Delete(metrics);
    return outcome;
}

static void require_near(const char *what, double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance * fabs(expected)))
        fail_msg("%s is %.9g instead of %.9g", what, found, expected);
}

static void test_one_step(void **unused)
{
    (void)unused;
    char path[100];
    snprintf(path, sizeof path, "%s/preset.json", folder);
    write_preset(path);
    struct outcome cpu = tune(program, "--device cpu --threads 1", "", 0);
    assert_true(cpu.gradient_norm > 0);
    struct outcome fp32 = tune(emulated, "--device cuda --set precision=fp32", "", 1);
    require_near("the reward in fp32", fp32.reward, cpu.reward, 1e-5);
    require_near("the gradient in fp32", fp32.gradient_norm, cpu.gradient_norm, 1e-3);
    require_near("the adapter in fp32", fp32.adapter_norm, cpu.adapter_norm, 1e-3);
    struct outcome bf16 = tune(emulated, "--device cuda --set precision=bf16", "", 2);
    require_near("the reward in bf16", bf16.reward, cpu.reward, 2e-3);
    require_near("the gradient in bf16", bf16.gradient_norm, cpu.gradient_norm, 0.05);
    struct outcome reversed = tune(emulated, "--device cuda --set precision=bf16", "ALIGNPROP_EMULATION_REVERSED=1", 3);
    assert_memory_equal(&reversed, &bf16, sizeof bf16);
}

static int create(void **unused)
{
    (void)unused;
    return mkdtemp(folder) ? 0 : 1;
}

static int destroy(void **unused)
{
    (void)unused;
    return directory_remove(folder).code;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 4) return 2;
    program = arguments[1];
    emulated = arguments[2];
    model = arguments[3];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_step)};
    return cmocka_run_group_tests(tests, create, destroy);
}
