/* Adapters merged into the default model: latents of a guided chain as diffusers makes them with the same adapter in
 * U-Net and text encoder, and the base model given back afterwards. Usage: test_adapters MODEL GOLDENS */
#include "engine/model/safetensors.h"
#include "engine/server/adapter_mix.h"
#include "kernels/backend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 4, SIDE = 16, CHANNELS = 4, LATENTS = SIDE * SIDE * CHANNELS };

static const char *model_path, *golden_path;

struct case_of {
    struct backend *backend;
    struct model *model;
    struct chain *chain;
    float initial[LATENTS];
};

static void must(status result)
{
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
}

/* A golden latent [1, channels, side, side] as [side, side, channels]. */
static void read_latents(const char *name, float *values)
{
    char path[4096];
    struct safetensors *golden;
    float raw[LATENTS];
    struct shape shape = SHAPE4(1, CHANNELS, SIDE, SIDE);
    snprintf(path, sizeof path, "%s/adapters/chain.safetensors", golden_path);
    must(safetensors_open(path, &golden));
    must(safetensors_read(golden, name, &shape, raw));
    safetensors_close(golden);
    for (int pixel = 0; pixel < SIDE * SIDE; pixel++)
        for (int c = 0; c < CHANNELS; c++) values[pixel * CHANNELS + c] = raw[c * SIDE * SIDE + pixel];
}

static void begin(struct case_of *test)
{
    struct chain_settings settings = {.sampler = "ddim",
                                      .steps = STEPS,
                                      .width = 128,
                                      .height = 128,
                                      .guidance = 4,
                                      .batch = 1,
                                      .rank = 1,
                                      .alpha = 1,
                                      .targets = ADAPTER_TARGET_ALL};
    must(backend_cpu_create(2, &test->backend));
    must(model_open(model_path, &test->model));
    must(chain_create(test->model, test->backend, &settings, &test->chain));
    must(chain_allocate(test->chain));
    read_latents("initial", test->initial);
}

static void end(struct case_of *test)
{
    chain_destroy(test->chain);
    model_close(test->model);
    test->backend->interface->destroy(test->backend);
}

static void run(struct case_of *test, float *latents)
{
    const char *prompt = "three cats on a blue background";
    must(chain_set_prompts(test->chain, &prompt, ""));
    must(chain_write_latents(test->chain, 0, test->initial));
    for (int i = 0; i < STEPS; i++) must(chain_step(test->chain, i, false, -1));
    must(chain_read_latents(test->chain, STEPS, latents));
}

static double relative_error(const float *found, const float *expected)
{
    double error = 0, size = 0;
    for (int i = 0; i < LATENTS; i++) {
        error += ((double)found[i] - expected[i]) * ((double)found[i] - expected[i]);
        size += (double)expected[i] * expected[i];
    }
    return sqrt(error / size);
}

static void read_adapter(const char *name, struct adapter_set *set)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/adapters/%s.safetensors", golden_path, name);
    must(adapter_file_read(path, set));
}

static status mix(struct case_of *test, const struct mixed_adapter *adapters, int count,
                  struct adapter_warnings *warnings)
{
    *warnings = (struct adapter_warnings){.count = 0};
    return adapter_mix(test->model, test->chain, adapters, count, warnings);
}

static void a_whole_adapter_gives_the_latents_of_diffusers(void **state)
{
    (void)state;
    struct case_of test;
    struct adapter_set set;
    struct adapter_warnings warnings;
    float base[LATENTS], latents[LATENTS], expected[LATENTS];
    begin(&test);
    read_latents("final", expected);
    run(&test, base);
    read_adapter("kohya", &set);
    struct mixed_adapter adapter = {.set = &set, .scale = 1, .name = "kohya"};
    must(mix(&test, &adapter, 1, &warnings));
    assert_int_equal(warnings.count, 0);
    run(&test, latents);
    double error = relative_error(latents, expected), change = relative_error(base, expected);
    print_message("relative L2 %.2e, of a change of %.2f\n", error, change);
    assert_true(error < 1e-4 && change > 0.1);

    /* Linear in the scale: two halves are the whole. */
    struct mixed_adapter halves[2] = {{&set, 0.25, "a"}, {&set, 0.75, "b"}};
    must(mix(&test, halves, 2, &warnings));
    run(&test, latents);
    assert_true(relative_error(latents, expected) < 1e-4);

    must(mix(&test, NULL, 0, &warnings));
    run(&test, latents);
    assert_memory_equal(latents, base, sizeof base);
    adapter_set_clear(&set);
    end(&test);
}

/* ---- parts that the model has not ---- */

static const float ones[768] = {1};

static void write_file(const char *path, const char *module, int64_t inputs, int64_t outputs)
{
    char down[200], up[200];
    snprintf(down, sizeof down, "%s.lora_A.weight", module);
    snprintf(up, sizeof up, "%s.lora_B.weight", module);
    struct safetensors_item items[] = {
        {"unet.conv_in.lora_A.weight", SAFETENSORS_F32, 4, {1, 4, 3, 3}, ones},
        {"unet.conv_in.lora_B.weight", SAFETENSORS_F32, 4, {48, 1, 1, 1}, ones},
        {down, SAFETENSORS_F32, 2, {1, inputs}, ones},
        {up, SAFETENSORS_F32, 2, {outputs, 1}, ones},
    };
    must(safetensors_write(path, items, 4, NULL, 0));
}

static void parts_that_cannot_be_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *module;
        int64_t inputs, outputs;
        enum status_code code;
        const char *name;
    } cases[] = {
        {"unet.down_blocks.7.resnets.0.time_emb_proj", 192, 48, STATUS_OK,
         "the model has no down_blocks.7.resnets.0.time_emb_proj: this part of the adapter is left out"},
        {"text_encoder_2.text_model.encoder.layers.0.mlp.fc1", 128, 512, STATUS_OK,
         "the model has no text_encoder_2.text_model.encoder.layers.0.mlp.fc1"},
        {"text_encoder.text_model.encoder.layers.0.mlp.fc1", 768, 512, STATUS_OK,
         "mlp.fc1 has 768 inputs, 512 outputs and a window of 1; the model's has 128, 512 and 1: the adapter's text "
         "encoder part is left out"},
        {"unet.input_blocks.0.0", 4, 48, STATUS_BAD_INPUT, "are the same module of the model"},
        {"unet.time_embedding.linear_1", 48, 191, STATUS_BAD_INPUT,
         "time_embedding.linear_1 has 48 inputs, 191 outputs"},
    };
    char path[] = "/tmp/alignprop-mix-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    struct case_of test;
    begin(&test);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct adapter_set set;
        struct adapter_warnings warnings;
        write_file(path, cases[i].module, cases[i].inputs, cases[i].outputs);
        must(adapter_file_read(path, &set));
        struct mixed_adapter adapter = {.set = &set, .scale = 1, .name = path};
        status result = mix(&test, &adapter, 1, &warnings);
        assert_int_equal(result.code, cases[i].code);
        assert_int_equal(warnings.count, cases[i].code == STATUS_OK);
        const char *said = result.code == STATUS_OK ? warnings.lines[0] : result.message;
        if (!strstr(said, cases[i].name)) fail_msg("expected \"%s\" in: %s", cases[i].name, said);
        adapter_set_clear(&set);
    }
    unlink(path);
    end(&test);
}

/* Finite factors whose product is none. */
static void an_update_beyond_all_numbers_is_refused(void **state)
{
    (void)state;
    struct case_of test;
    struct adapter_set set;
    struct adapter_warnings warnings;
    begin(&test);
    read_adapter("lora-down", &set);
    struct mixed_adapter adapter = {.set = &set, .scale = 1e39, .name = "lora-down"};
    status result = mix(&test, &adapter, 1, &warnings);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "the update may reach"));
    adapter_set_clear(&set);
    end(&test);
}

int main(int count, char **arguments)
{
    if (count != 3) return 2;
    model_path = arguments[1];
    golden_path = arguments[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_adapter_gives_the_latents_of_diffusers),
        cmocka_unit_test(parts_that_cannot_be_are_named),
        cmocka_unit_test(an_update_beyond_all_numbers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
