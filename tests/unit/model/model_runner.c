/* Runs a model's networks on golden inputs and compares with what diffusers computed. */
#include "model_runner.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/graph/program.h"
#include "engine/graph/transfer.h"

void assert_success(status result)
{
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
}

static struct memory_region region(struct backend *backend, size_t bytes)
{
    struct memory_region result = {NULL, bytes + 256};
    assert_success(backend->interface->allocate(backend, result.bytes, &result.base));
    return result;
}

static void *bind(struct backend *backend, struct program *program, const struct graph *graph, tensor_id id)
{
    const struct tensor *tensor = graph_tensor(graph, id);
    void *memory;
    assert_success(backend->interface->allocate(
        backend, (size_t)shape_elements(&tensor->shape) * element_size(tensor->type), &memory));
    assert_success(program_bind(program, id, memory));
    return memory;
}

static void write_input(struct backend *backend, const struct graph *graph, const struct run_input *input, void *memory)
{
    const struct tensor *tensor = graph_tensor(graph, input->tensor);
    int64_t count = shape_elements(&tensor->shape);
    if (tensor->type == ELEMENT_I32)
        assert_success(backend->interface->upload(backend, memory, input->values, (size_t)count * sizeof(int32_t)));
    else
        assert_success(transfer_write(backend, tensor->type, memory, input->values, count));
}

float *run_graph(struct backend *backend, struct graph *graph, struct weight_source weights,
                 const struct run_input *inputs, int input_count, tensor_id output)
{
    enum { REGIONS = 4 };
    struct program *program;
    struct weight_set *set;
    void **memory = calloc((size_t)input_count, sizeof memory[0]);
    output = graph_output(graph, output, "output");
    assert_success(graph_state(graph));
    assert_success(program_create(backend, graph, NULL, &program));
    set = weight_set_create(backend, weights);
    assert_success(program_bind_weights(program, set));
    struct program_sizes sizes = program_sizes(program);
    struct memory_region regions[REGIONS] = {region(backend, sizes.saved_bytes), region(backend, sizes.work_bytes),
                                             region(backend, sizes.scratch_bytes), region(backend, sizes.packed_bytes)};
    for (int i = 0; i < input_count; i++) {
        memory[i] = bind(backend, program, graph, inputs[i].tensor);
        write_input(backend, graph, &inputs[i], memory[i]);
    }
    void *result = bind(backend, program, graph, output);
    assert_success(program_pack(program, NULL, regions[3], regions[1], regions[2]));
    assert_success(program_forward(program, regions[0], regions[1], regions[2]));
    assert_success(backend->interface->synchronize(backend));
    const struct tensor *tensor = graph_tensor(graph, output);
    int64_t count = shape_elements(&tensor->shape);
    float *values = malloc((size_t)count * sizeof values[0]);
    assert_success(transfer_read(backend, tensor->type, result, values, count));
    backend->interface->release(backend, result);
    for (int i = 0; i < input_count; i++) backend->interface->release(backend, memory[i]);
    for (int i = 0; i < REGIONS; i++) backend->interface->release(backend, regions[i].base);
    free(memory);
    program_destroy(program);
    weight_set_destroy(set);
    graph_destroy(graph);
    return values;
}

static struct graph *new_graph(struct backend *backend)
{
    struct graph *graph = graph_create(backend->interface->compute_type, backend->interface->accumulation_type);
    return graph;
}

float *run_text_encoder(struct backend *backend, struct model *model, int64_t batch, const int32_t *ids)
{
    struct graph *graph = new_graph(backend);
    int64_t length = model_facts(model)->context_length;
    struct run_input input = {graph_input(graph, "ids", SHAPE2(batch, length), ELEMENT_I32), ids};
    return run_graph(backend, graph, model_text_weights(model), &input, 1,
                     model_build_text_encoder(model, graph, input.tensor));
}

float *run_unet(struct backend *backend, struct model *model, const struct shape *latents_shape, const float *latents,
                double timestep, const float *context)
{
    struct graph *graph = new_graph(backend);
    const struct model_facts *facts = model_facts(model);
    enum element_type compute = backend->interface->compute_type;
    float *features = malloc((size_t)facts->time_features * sizeof features[0]);
    model_time_features(model, timestep, features);
    struct run_input inputs[3] = {
        {graph_input(graph, "latents", *latents_shape, compute), latents},
        {graph_input(graph, "time", SHAPE2((int64_t)1, (int64_t)facts->time_features), compute), features},
        {graph_input(graph, "context",
                     SHAPE3(latents_shape->dimension[0], (int64_t)facts->context_length, (int64_t)facts->context_width),
                     compute),
         context},
    };
    tensor_id prediction = model_build_unet(model, graph, inputs[0].tensor, inputs[1].tensor, inputs[2].tensor, NULL);
    float *result = run_graph(backend, graph, model_unet_weights(model), inputs, 3, prediction);
    free(features);
    return result;
}

float *run_decoder(struct backend *backend, struct model *model, const struct shape *latents_shape,
                   const float *latents)
{
    struct graph *graph = new_graph(backend);
    struct run_input input = {graph_input(graph, "latents", *latents_shape, backend->interface->compute_type), latents};
    return run_graph(backend, graph, model_decoder_weights(model), &input, 1,
                     model_build_decoder(model, graph, input.tensor));
}

float *golden_values(const struct safetensors *golden, const char *name, struct shape *shape)
{
    const struct safetensors_entry *entry = safetensors_find(golden, name);
    if (!entry) fail_msg("%s has no %s", safetensors_path(golden), name);
    float *values = malloc((size_t)entry->elements * sizeof values[0]);
    assert_success(safetensors_convert(entry, values));
    if (shape) {
        shape->rank = entry->rank;
        memcpy(shape->dimension, entry->dimension, sizeof shape->dimension);
    }
    return values;
}

double relative_error(const float *found, const float *expected, int64_t count)
{
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)found[i] - expected[i]) * ((double)found[i] - expected[i]);
        norm += (double)expected[i] * expected[i];
    }
    return sqrt(difference / norm);
}

void assert_golden(const char *label, float *found, const struct safetensors *golden, const char *name,
                   double tolerance)
{
    struct shape shape;
    float *expected = golden_values(golden, name, &shape);
    double error = relative_error(found, expected, shape_elements(&shape));
    printf("  %-24s %-16s relative error %.2e\n", label, name, error);
    free(expected);
    free(found);
    if (!(error <= tolerance)) fail_msg("%s: %s: relative error %g, tolerance %g", label, name, error, tolerance);
}
