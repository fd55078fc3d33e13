/* Builds, plans and runs a graph on a backend for the tests of graphs. */
#include "graph_runner.h"

#include "engine/graph/transfer.h"
#include "engine/sampling/noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void must(status result)
{
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
}

static struct memory_region region(struct backend *backend, size_t bytes)
{
    struct memory_region result = {NULL, bytes + ARENA_ALIGNMENT};
    must(backend->interface->allocate(backend, result.bytes, &result.base));
    must(backend->interface->clear(backend, result.base, result.bytes));
    return result;
}

int64_t graph_runner_elements(const struct graph_runner *runner, tensor_id tensor)
{
    return shape_elements(&graph_tensor(runner->graph, tensor)->shape);
}

static void random_values(uint64_t index, double *values, int64_t count)
{
    float *normals = malloc((size_t)count * sizeof *normals);
    noise_normals((struct noise_stream){7, NOISE_TEST, index}, normals, count);
    for (int64_t i = 0; i < count; i++) values[i] = 0.5 * normals[i];
    free(normals);
}

static void fill(struct graph_runner *runner, tensor_id id)
{
    const struct tensor *tensor = graph_tensor(runner->graph, id);
    int64_t count = graph_runner_elements(runner, id);
    double *values = calloc((size_t)count, sizeof *values);
    if (tensor->role != TENSOR_STATE && tensor->type != ELEMENT_I32) random_values((uint64_t)id, values, count);
    if (tensor->role == TENSOR_COMPUTED)
        for (int64_t i = 0; i < count; i++) values[i] = NAN;
    must(transfer_write_double(runner->backend, tensor->type, runner->memory[id], values, count));
    free(values);
}

/* The constants of which others are joined, with what they would hold alone. */
static void fill_parts(struct graph_runner *runner)
{
    for (int i = 0; i < graph_tensor_count(runner->graph); i++) {
        const struct tensor *tensor = graph_tensor(runner->graph, i);
        if (!tensor_is_weight(tensor) || tensor->storage == i) continue;
        size_t offset = (size_t)tensor->offset * element_size(tensor->type);
        runner->memory[i] = (char *)runner->memory[tensor->storage] + offset;
        fill(runner, i);
        runner->memory[i] = NULL;
    }
}

void graph_runner_create(struct graph_runner *runner, struct backend *backend, struct graph *graph)
{
    *runner = (struct graph_runner){.backend = backend, .graph = graph};
    must(program_create(backend, graph, NULL, &runner->program));
    struct program_sizes sizes = program_sizes(runner->program);
    runner->saved = region(backend, sizes.saved_bytes);
    runner->work = region(backend, sizes.work_bytes);
    runner->scratch = region(backend, sizes.scratch_bytes);
    runner->packed = region(backend, sizes.packed_bytes);
    runner->memory = calloc((size_t)graph_tensor_count(graph), sizeof *runner->memory);
    for (int i = 0; i < graph_tensor_count(graph); i++) {
        const struct tensor *tensor = graph_tensor(graph, i);
        if (tensor->storage != i || (tensor->role == TENSOR_COMPUTED && !tensor->output)) continue;
        size_t bytes = (size_t)graph_runner_elements(runner, i) * element_size(tensor->type);
        must(backend->interface->allocate(backend, bytes, &runner->memory[i]));
        fill(runner, i);
        must(program_bind(runner->program, i, runner->memory[i]));
    }
    fill_parts(runner);
    must(program_pack(runner->program, NULL, runner->packed, runner->work, runner->scratch));
}

void graph_runner_destroy(struct graph_runner *runner)
{
    struct backend *backend = runner->backend;
    for (int i = 0; i < graph_tensor_count(runner->graph); i++)
        if (runner->memory[i]) backend->interface->release(backend, runner->memory[i]);
    free(runner->memory);
    program_destroy(runner->program);
    struct memory_region *regions[] = {&runner->saved, &runner->work, &runner->scratch, &runner->packed};
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++)
        backend->interface->release(backend, regions[i]->base);
}

void graph_runner_write(struct graph_runner *runner, tensor_id tensor, const double *values)
{
    must(transfer_write_double(runner->backend, graph_tensor(runner->graph, tensor)->type, runner->memory[tensor],
                               values, graph_runner_elements(runner, tensor)));
}

void graph_runner_write_index(struct graph_runner *runner, tensor_id tensor, const int32_t *values)
{
    must(runner->backend->interface->upload(runner->backend, runner->memory[tensor], values,
                                            (size_t)graph_runner_elements(runner, tensor) * sizeof *values));
}

void graph_runner_read(struct graph_runner *runner, tensor_id tensor, double *values)
{
    must(transfer_read_double(runner->backend, graph_tensor(runner->graph, tensor)->type, runner->memory[tensor],
                              values, graph_runner_elements(runner, tensor)));
}

void graph_runner_forward(struct graph_runner *runner)
{
    must(program_forward(runner->program, runner->saved, runner->work, runner->scratch));
    must(runner->backend->interface->synchronize(runner->backend));
}

void graph_runner_backward(struct graph_runner *runner)
{
    must(program_backward(runner->program, runner->saved, runner->work, runner->scratch));
    must(runner->backend->interface->synchronize(runner->backend));
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static double objective(struct graph_runner *runner, tensor_id output, tensor_id cotangent)
{
    int64_t count = graph_runner_elements(runner, output);
    double *values = malloc((size_t)count * sizeof *values), *weights = malloc((size_t)count * sizeof *weights);
    graph_runner_forward(runner);
    graph_runner_read(runner, output, values);
    graph_runner_read(runner, cotangent, weights);
    double result = dot(values, weights, count);
    free(values);
    free(weights);
    return result;
}

static void check_direction(struct graph_runner *runner, tensor_id output, tensor_id cotangent, tensor_id tensor,
                            tensor_id gradient, double tolerance)
{
    const double step = 1e-5;
    int64_t count = graph_runner_elements(runner, tensor);
    double *values = malloc((size_t)count * sizeof *values), *direction = malloc((size_t)count * sizeof *direction);
    double *moved = malloc((size_t)count * sizeof *moved), *product = malloc((size_t)count * sizeof *product);
    graph_runner_read(runner, tensor, values);
    graph_runner_read(runner, gradient, product);
    random_values((uint64_t)tensor + 1000, direction, count);
    for (int64_t i = 0; i < count; i++) moved[i] = values[i] + step * direction[i];
    graph_runner_write(runner, tensor, moved);
    double above = objective(runner, output, cotangent);
    for (int64_t i = 0; i < count; i++) moved[i] = values[i] - step * direction[i];
    graph_runner_write(runner, tensor, moved);
    double below = objective(runner, output, cotangent);
    graph_runner_write(runner, tensor, values);
    double numeric = (above - below) / (2.0 * step), analytic = dot(product, direction, count);
    double scale = fmax(fabs(numeric), sqrt(dot(product, product, count) * dot(direction, direction, count)) * 1e-2);
    if (!(fabs(numeric - analytic) <= tolerance * scale + 1e-12))
        fail_msg("gradient of tensor %d (%s): analytic %.12g, numeric %.12g", (int)tensor,
                 graph_tensor(runner->graph, tensor)->name, analytic, numeric);
    free(values);
    free(direction);
    free(moved);
    free(product);
}

void graph_runner_check_gradients(struct graph_runner *runner, tensor_id output, tensor_id cotangent,
                                  const tensor_id *wanted, const tensor_id *gradients, int wanted_count,
                                  double tolerance)
{
    graph_runner_forward(runner);
    graph_runner_backward(runner);
    for (int i = 0; i < wanted_count; i++)
        check_direction(runner, output, cotangent, wanted[i], gradients[i], tolerance);
    for (int i = 0; i < graph_tensor_count(runner->graph); i++) {
        const struct tensor *tensor = graph_tensor(runner->graph, i);
        if (tensor->role != TENSOR_PARAMETER || tensor->storage != i) continue;
        char name[200];
        snprintf(name, sizeof name, "gradient/%s", tensor->name);
        check_direction(runner, output, cotangent, i, graph_find(runner->graph, TENSOR_STATE, name), tolerance);
    }
}

void graph_runner_require_near(const double *found, const double *expected, int count)
{
    double size = 0.0;
    for (int i = 0; i < count; i++) size = fmax(size, fabs(expected[i]));
    assert_true(size > 1e-3);
    for (int i = 0; i < count; i++) assert_true(fabs(found[i] - expected[i]) <= 1e-13 * size);
}
