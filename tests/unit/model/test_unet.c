/* The U-Net's structure, and its adapters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/config.h"
#include "engine/model/unet.h"
#include "model_runner.h"

static const char *golden_folder;

static const char stable_diffusion_15[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"act_fn\": \"silu\", \"attention_head_dim\": 8,"
    " \"block_out_channels\": [320, 640, 1280, 1280], \"center_input_sample\": false, \"cross_attention_dim\": 768,"
    " \"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\","
    " \"DownBlock2D\"], \"downsample_padding\": 1, \"flip_sin_to_cos\": true, \"freq_shift\": 0, \"in_channels\": 4,"
    " \"layers_per_block\": 2, \"mid_block_scale_factor\": 1, \"norm_eps\": 1e-05, \"norm_num_groups\": 32,"
    " \"out_channels\": 4, \"sample_size\": 64, \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\","
    " \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"]}";

static struct graph *build_15(struct adapter_plan *plan)
{
    struct config config;
    struct unet_config unet;
    struct graph *graph;
    assert_success(config_parse(stable_diffusion_15, strlen(stable_diffusion_15), "CONFIG", &config));
    assert_success(unet_config_read(&config, &unet));
    config_close(&config);
    graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    unet_build(graph, &unet,
               graph_input(graph, "latents", SHAPE4((int64_t)2, (int64_t)64, (int64_t)64, (int64_t)4), ELEMENT_F32),
               graph_input(graph, "time", SHAPE2((int64_t)1, (int64_t)320), ELEMENT_F32),
               graph_input(graph, "context", SHAPE3((int64_t)2, (int64_t)77, (int64_t)768), ELEMENT_F32), plan);
    assert_success(graph_state(graph));
    return graph;
}

static void test_stable_diffusion_15_has_its_tensors(void **state)
{
    (void)state;
    char path[PATH_SIZE], *text;
    size_t length;
    int listed = 0, built = 0;
    int64_t parameters = 0;
    struct graph *graph = build_15(NULL);
    assert_success(path_format(path, "%s/sd15_unet_tensors.json", golden_folder));
    assert_success(file_read(path, 1 << 20, &text, &length));
    cJSON *list = cJSON_Parse(text);
    const cJSON *row, *dimension;
    cJSON_ArrayForEach(row, list)
    {
        const struct tensor *tensor = graph_tensor(graph, graph_find(graph, TENSOR_CONSTANT, row->child->valuestring));
        if (!tensor) fail_msg("the U-Net has no %s", row->child->valuestring);
        int i = 0;
        assert_int_equal(cJSON_GetArraySize(row->child->next), tensor->shape.rank);
        cJSON_ArrayForEach(dimension, row->child->next)
            assert_int_equal((int64_t)dimension->valuedouble, tensor->shape.dimension[i++]);
        parameters += shape_elements(&tensor->shape);
        listed++;
    }
    for (tensor_id id = 0; id < graph_tensor_count(graph); id++)
        built += graph_tensor(graph, id)->role == TENSOR_CONSTANT && graph_tensor(graph, id)->storage == id;
    assert_int_equal(listed, 686);
    assert_int_equal(built, 686);
    assert_int_equal(parameters, 859520964);
    cJSON_Delete(list);
    free(text);
    graph_destroy(graph);
}

/* Numbers in the factors of all listed modules. */
static int64_t factor_elements(const struct adapter_plan *plan)
{
    int64_t count = 0;
    for (int i = 0; i < plan->module_count; i++) {
        const struct adapter_module *module = &plan->modules[i];
        int64_t window = module->kernel ? (int64_t)module->kernel * module->kernel : 1;
        count += plan->rank * (module->inputs * window + module->outputs);
    }
    return count;
}

static void test_adapter_modules_of_stable_diffusion_15(void **state)
{
    (void)state;
    struct adapter_plan plan = {.rank = 4, .alpha = 4, .targets = ADAPTER_TARGET_ATTENTION};
    for (int repeat = 0; repeat < 2; repeat++) { /* building again lists the same, not twice as many */
        graph_destroy(build_15(&plan));
        assert_int_equal(plan.module_count, 128);
        assert_int_equal(factor_elements(&plan), 797184);
    }
    plan.targets = ADAPTER_TARGET_FEED_FORWARD;
    graph_destroy(build_15(&plan));
    assert_int_equal(plan.module_count, 32);
    plan.targets = ADAPTER_TARGET_CONVOLUTION;
    graph_destroy(build_15(&plan));
    /* 22 residual blocks of two, 14 of them with a shortcut, 3 downsamplers, 3 upsamplers, 16 transformers' in and
     * out. */
    assert_int_equal(plan.module_count, 2 * 22 + 14 + 3 + 3 + 2 * 16);
    adapter_plan_clear(&plan);
}

static void test_adapter_targets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned targets;
    } cases[] = {
        {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", ADAPTER_TARGET_ATTENTION},
        {"mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0", ADAPTER_TARGET_ATTENTION},
        {"mid_block.attentions.0.transformer_blocks.0.attn2.to_k", ADAPTER_TARGET_ATTENTION | ADAPTER_TARGET_PROMPT},
        {"mid_block.attentions.0.transformer_blocks.0.attn1.to_k", ADAPTER_TARGET_ATTENTION},
        {"up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj", ADAPTER_TARGET_FEED_FORWARD},
        {"up_blocks.1.attentions.2.transformer_blocks.0.ff.net.2", ADAPTER_TARGET_FEED_FORWARD},
        {"up_blocks.1.resnets.2.conv_shortcut", ADAPTER_TARGET_CONVOLUTION},
        {"down_blocks.0.downsamplers.0.conv", ADAPTER_TARGET_CONVOLUTION},
        {"down_blocks.0.attentions.0.proj_out", ADAPTER_TARGET_CONVOLUTION},
        {"conv_in", ADAPTER_TARGET_REST},
        {"conv_out", ADAPTER_TARGET_REST},
        {"time_embedding.linear_1", ADAPTER_TARGET_REST},
        {"down_blocks.0.resnets.0.time_emb_proj", ADAPTER_TARGET_REST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(adapter_target_of(cases[i].name), cases[i].targets);
}

/* ---- an attached adapter is the weight W + (alpha / rank) up down ---- */

enum { RANK = 3 };
static const double alpha = 2.0;

/* Element `index` of factor `name`: any fixed numbers of about 0.3. */
static float factor_value(const char *name, int64_t index)
{
    double phase = 0.0;
    for (const char *c = name; *c; c++) phase = 1.7 * phase + *c;
    return (float)(0.3 * sin(fmod(phase, 100.0) + 1.3 * (double)index));
}

struct merging_source {
    struct weight_source base;
    const struct adapter_plan *plan;
};

static const struct adapter_module *module_of_weight(const struct adapter_plan *plan, const char *name)
{
    for (int i = 0; i < plan->module_count; i++) {
        char weight[200];
        snprintf(weight, sizeof weight, "%s.weight", plan->modules[i].name);
        if (strcmp(weight, name) == 0) return &plan->modules[i];
    }
    return NULL;
}

static void merge(const struct adapter_module *module, const struct shape *shape, float *values)
{
    char down[200], up[200];
    snprintf(down, sizeof down, "%s.lora_down", module->name);
    snprintf(up, sizeof up, "%s.lora_up", module->name);
    int64_t width = shape_elements(shape) / module->outputs;
    for (int64_t i = 0; i < module->outputs; i++)
        for (int64_t j = 0; j < width; j++) {
            double sum = 0.0;
            for (int64_t r = 0; r < RANK; r++)
                sum += (double)factor_value(up, i * RANK + r) * (double)factor_value(down, r * width + j);
            values[i * width + j] += (float)(alpha / RANK * sum);
        }
}

static status read_merged(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct merging_source *source = context;
    const struct adapter_module *module = module_of_weight(source->plan, name);
    if (!module) return source->base.read(source->base.context, name, shape, sink);
    float *values = malloc((size_t)shape_elements(shape) * sizeof *values);
    assert_non_null(values);
    status result = weight_source_read(source->base, name, shape, values);
    merge(module, shape, values);
    if (result.code == STATUS_OK) result = weight_sink_give(sink, ELEMENT_F32, values);
    free(values);
    return result;
}

struct unet_run {
    struct backend *backend;
    struct model *model;
    struct shape latents_shape;
    float *latents, *context, *features;
};

/* The prediction with the plan's adapters attached, or listed only. */
static float *predict(const struct unet_run *run, struct adapter_plan *plan, struct weight_source weights)
{
    enum { FIXED = 3 };
    struct graph *graph;
    const struct model_facts *facts = model_facts(run->model);
    enum element_type compute = run->backend->interface->compute_type;
    graph = graph_create(compute, run->backend->interface->accumulation_type);
    tensor_id latents = graph_input(graph, "latents", run->latents_shape, compute);
    tensor_id time = graph_input(graph, "time", SHAPE2((int64_t)1, (int64_t)facts->time_features), compute);
    tensor_id context = graph_input(
        graph, "context",
        SHAPE3(run->latents_shape.dimension[0], (int64_t)facts->context_length, (int64_t)facts->context_width),
        compute);
    tensor_id prediction = model_build_unet(run->model, graph, latents, time, context, plan);
    int count = FIXED, room = FIXED + 2 * plan->module_count;
    struct run_input *inputs = calloc((size_t)room, sizeof inputs[0]);
    inputs[0] = (struct run_input){latents, run->latents};
    inputs[1] = (struct run_input){time, run->features};
    inputs[2] = (struct run_input){context, run->context};
    for (tensor_id id = 0; id < graph_tensor_count(graph); id++) {
        const struct tensor *tensor = graph_tensor(graph, id);
        if (tensor->role != TENSOR_PARAMETER || tensor->storage != id) continue;
        int64_t elements = shape_elements(&tensor->shape);
        float *values = malloc((size_t)elements * sizeof values[0]);
        for (int64_t i = 0; i < elements; i++) values[i] = factor_value(tensor->name, i);
        assert_true(count < room);
        inputs[count++] = (struct run_input){id, values};
    }
    assert_int_equal(count, plan->attach ? room : FIXED);
    float *result = run_graph(run->backend, graph, weights, inputs, count, prediction);
    for (int i = FIXED; i < count; i++) free((void *)(uintptr_t)inputs[i].values);
    free(inputs);
    return result;
}

static void check_adapters(struct unet_run *run, unsigned targets)
{
    struct adapter_plan plan = {.rank = RANK, .alpha = alpha, .targets = targets, .attach = true};
    struct weight_source weights = model_unet_weights(run->model);
    float *attached = predict(run, &plan, weights);
    plan.attach = false;
    struct adapter_plan copy = plan; /* predict lists the modules anew */
    copy.modules = NULL;
    copy.module_count = 0;
    float *base = predict(run, &copy, weights);
    struct merging_source merging = {weights, &plan};
    float *merged = predict(run, &copy, (struct weight_source){.read = read_merged, .context = &merging});
    int64_t count = shape_elements(&run->latents_shape);
    double error = relative_error(attached, merged, count), effect = relative_error(attached, base, count);
    printf("  targets %u: %d modules, effect %.2e, error %.2e\n", targets, plan.module_count, effect, error);
    assert_true(effect > 0.05);
    assert_true(error < 1e-6);
    free(attached);
    free(base);
    free(merged);
    adapter_plan_clear(&plan);
    adapter_plan_clear(&copy);
}

static void check_model(const char *name)
{
    struct unet_run run;
    struct safetensors *golden;
    char path[PATH_SIZE];
    assert_success(path_format(path, "%s/config/%s/golden.safetensors", golden_folder, name));
    assert_success(safetensors_open(path, &golden));
    assert_success(path_format(path, "%s/config/%s", golden_folder, name));
    assert_success(model_open(path, &run.model));
    assert_success(backend_reference_create(&run.backend));
    run.latents = golden_values(golden, "latents", &run.latents_shape);
    run.context = golden_values(golden, "context", NULL);
    run.features = golden_values(golden, "time_features", NULL);
    printf("%s\n", name);
    check_adapters(&run, ADAPTER_TARGET_ATTENTION);
    check_adapters(&run, ADAPTER_TARGET_FEED_FORWARD);
    check_adapters(&run, ADAPTER_TARGET_CONVOLUTION);
    check_adapters(&run, ADAPTER_TARGET_ATTENTION | ADAPTER_TARGET_FEED_FORWARD | ADAPTER_TARGET_CONVOLUTION);
    free(run.latents);
    free(run.context);
    free(run.features);
    run.backend->interface->destroy(run.backend);
    model_close(run.model);
    safetensors_close(golden);
}

static void test_attached_adapters_equal_merged_weights(void **state)
{
    (void)state;
    check_model("linear-v-prediction");
    check_model("deep-sharded");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stable_diffusion_15_has_its_tensors),
        cmocka_unit_test(test_adapter_modules_of_stable_diffusion_15),
        cmocka_unit_test(test_adapter_targets),
        cmocka_unit_test(test_attached_adapters_equal_merged_weights),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s GOLDEN_FOLDER\n", argv[0]);
        return 2;
    }
    golden_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
