/* Compares a full-size Stable Diffusion 1.5 in both layouts with what diffusers computes: see sd15.sh. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/graph/program.h"
#include "engine/graph/transfer.h"
#include "engine/model/model.h"
#include "engine/model/safetensors.h"

struct call {
    struct model *model;
    struct backend *backend;
    struct graph *graph;
    struct program *program;
    struct weight_set *weights;
    tensor_id inputs[3], output;
};

static status allocate(struct backend *backend, size_t bytes, struct memory_region *region)
{
    region->bytes = bytes + 256;
    return backend->interface->allocate(backend, region->bytes, &region->base);
}

static status read_golden(const struct safetensors *golden, const char *name, float **values, int64_t *count)
{
    const struct safetensors_entry *entry = safetensors_find(golden, name);
    if (!entry) return status_error(STATUS_BAD_INPUT, "%s: has no %s", safetensors_path(golden), name);
    *count = entry->elements;
    *values = malloc((size_t)entry->elements * sizeof **values);
    return *values ? safetensors_convert(entry, *values) : status_error(STATUS_NO_MEMORY, "no memory for %s", name);
}

static status build(struct call *call)
{
    const struct model_facts *facts = model_facts(call->model);
    call->graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    call->inputs[0] =
        graph_input(call->graph, "latents", SHAPE4((int64_t)1, (int64_t)8, (int64_t)8, (int64_t)4), ELEMENT_F32);
    call->inputs[1] = graph_input(call->graph, "time", SHAPE2((int64_t)1, (int64_t)facts->time_features), ELEMENT_F32);
    call->inputs[2] =
        graph_input(call->graph, "context",
                    SHAPE3((int64_t)1, (int64_t)facts->context_length, (int64_t)facts->context_width), ELEMENT_F32);
    tensor_id prediction =
        model_build_unet(call->model, call->graph, call->inputs[0], call->inputs[1], call->inputs[2], NULL);
    call->output = graph_output(call->graph, prediction, "prediction");
    TRY(graph_state(call->graph));
    TRY(program_create(call->backend, call->graph, NULL, &call->program));
    call->weights = weight_set_create(call->backend, model_unet_weights(call->model));
    return program_bind_weights(call->program, call->weights);
}

static status bind(struct call *call, tensor_id tensor, const float *values, struct memory_region *region)
{
    int64_t count = shape_elements(&graph_tensor(call->graph, tensor)->shape);
    TRY(allocate(call->backend, (size_t)count * sizeof(float), region));
    TRY(program_bind(call->program, tensor, region->base));
    return values ? transfer_write(call->backend, ELEMENT_F32, region->base, values, count) : status_ok();
}

static status run(struct call *call, const struct safetensors *golden, double *error)
{
    struct memory_region regions[4], bound[4];
    float *values[3] = {NULL}, *timestep, *expected;
    int64_t count;
    struct program_sizes sizes = program_sizes(call->program);
    const size_t bytes[4] = {sizes.saved_bytes, sizes.work_bytes, sizes.scratch_bytes, sizes.packed_bytes};
    for (int i = 0; i < 4; i++) TRY(allocate(call->backend, bytes[i], &regions[i]));
    TRY(read_golden(golden, "latents", &values[0], &count));
    TRY(read_golden(golden, "timestep", &timestep, &count));
    values[1] = malloc((size_t)model_facts(call->model)->time_features * sizeof(float));
    if (!values[1]) return status_error(STATUS_NO_MEMORY, "no memory for the timestep");
    model_time_features(call->model, (double)*timestep, values[1]);
    TRY(read_golden(golden, "context", &values[2], &count));
    for (int i = 0; i < 3; i++) TRY(bind(call, call->inputs[i], values[i], &bound[i]));
    TRY(bind(call, call->output, NULL, &bound[3]));
    TRY(program_pack(call->program, NULL, regions[3], regions[1], regions[2]));
    TRY(program_forward(call->program, regions[0], regions[1], regions[2]));
    TRY(call->backend->interface->synchronize(call->backend));
    TRY(read_golden(golden, "prediction", &expected, &count));
    float *found = malloc((size_t)count * sizeof found[0]);
    if (!found) return status_error(STATUS_NO_MEMORY, "no memory for the prediction");
    TRY(transfer_read(call->backend, ELEMENT_F32, bound[3].base, found, count));
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < count; i++) {
        difference += pow((double)found[i] - (double)expected[i], 2);
        norm += pow((double)expected[i], 2);
    }
    *error = sqrt(difference / norm);
    for (int i = 0; i < 4; i++) call->backend->interface->release(call->backend, regions[i].base);
    for (int i = 0; i < 4; i++) call->backend->interface->release(call->backend, bound[i].base);
    for (int i = 0; i < 3; i++) free(values[i]);
    free(timestep);
    free(expected);
    free(found);
    return status_ok();
}

static status compare(const char *path, const char *golden_path, double *error)
{
    struct call call = {0};
    struct safetensors *golden;
    TRY(safetensors_open(golden_path, &golden));
    TRY(model_open(path, &call.model));
    TRY(backend_cpu_create(0, &call.backend));
    TRY(build(&call));
    TRY(run(&call, golden, error));
    program_destroy(call.program);
    weight_set_destroy(call.weights);
    graph_destroy(call.graph);
    call.backend->interface->destroy(call.backend);
    model_close(call.model);
    safetensors_close(golden);
    return status_ok();
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s GOLDEN MODEL...\n", argv[0]);
        return 2;
    }
    int failures = 0;
    for (int i = 2; i < argc; i++) {
        double error = 1.0;
        status result = compare(argv[i], argv[1], &error);
        if (result.code != STATUS_OK)
            printf("%s: %s\n", argv[i], result.message);
        else
            printf("%s: relative error %.2e\n", argv[i], error);
        failures += result.code != STATUS_OK || !(error < 1e-4);
    }
    return failures > 0;
}
