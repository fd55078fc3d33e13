/* A program whose inputs and outputs each have device memory and are converted from and to host arrays. */
#include "engine/reward/host_program.h"

#include "engine/base/format.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { PIECE = 16384 }; /* elements that are converted and sent at once */

struct host_program {
    struct backend *backend;
    const struct graph *graph;
    struct program *program;
    struct weight_set *weights;
    struct memory_region saved, work, scratch, packed;
    int tensor_count;
    void **memory; /* of each tensor that the caller of a program binds; NULL elsewhere */
};

static bool is_bound(const struct tensor *tensor)
{
    return tensor->output || tensor->role == TENSOR_INPUT || tensor->role == TENSOR_STATE ||
           tensor->role == TENSOR_PARAMETER;
}

static size_t tensor_bytes(const struct tensor *tensor)
{
    return (size_t)shape_elements(&tensor->shape) * element_size(tensor->type);
}

static status allocate_region(struct backend *backend, size_t bytes, struct memory_region *region)
{
    region->bytes = bytes;
    return bytes == 0 ? status_ok() : backend->interface->allocate(backend, bytes, &region->base);
}

static status bind_tensors(struct host_program *run)
{
    struct backend *backend = run->backend;
    for (tensor_id id = 0; id < run->tensor_count; id++) {
        const struct tensor *tensor = graph_tensor(run->graph, id);
        if (!is_bound(tensor) || tensor->storage != id) continue;
        size_t bytes = tensor_bytes(tensor);
        TRY(backend->interface->allocate(backend, bytes, &run->memory[id]));
        TRY(backend->interface->clear(backend, run->memory[id], bytes));
        TRY(program_bind(run->program, id, run->memory[id]));
    }
    return status_ok();
}

static status no_weights(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    (void)context, (void)shape, (void)sink;
    return status_error(STATUS_FAILED, "there is no weight %s", name);
}

/* Before anything is taken, so that what does not fit says so instead of being killed half way. */
static status check_memory(const struct host_program *run, const struct program_sizes *sizes)
{
    size_t needed = sizes->saved_bytes + sizes->work_bytes + sizes->scratch_bytes + sizes->packed_bytes, available;
    for (tensor_id id = 0; id < run->tensor_count; id++) {
        const struct tensor *tensor = graph_tensor(run->graph, id);
        if (is_bound(tensor) && tensor->storage == id) needed += tensor_bytes(tensor);
    }
    TRY(run->backend->interface->memory_free(run->backend, &available, NULL));
    if (needed <= available) return status_ok();
    char message[2][FORMAT_SIZE];
    return status_error(STATUS_NO_MEMORY, "needs %s of memory, %s are free",
                        format_bytes_closely(message[0], sizeof message[0], (double)needed),
                        format_bytes_closely(message[1], sizeof message[1], (double)available));
}

static status set_up(struct host_program *run, struct weight_source weights)
{
    if (weights.read == NULL) weights.read = no_weights;
    TRY(program_create(run->backend, run->graph, NULL, &run->program));
    run->weights = weight_set_create(run->backend, weights);
    TRY(program_bind_weights(run->program, run->weights));
    struct program_sizes sizes = program_sizes(run->program);
    TRY(check_memory(run, &sizes));
    TRY(allocate_region(run->backend, sizes.saved_bytes, &run->saved));
    TRY(allocate_region(run->backend, sizes.work_bytes, &run->work));
    TRY(allocate_region(run->backend, sizes.scratch_bytes, &run->scratch));
    TRY(allocate_region(run->backend, sizes.packed_bytes, &run->packed));
    TRY(bind_tensors(run));
    return program_pack(run->program, NULL, run->packed, run->work, run->scratch);
}

status host_program_create(struct backend *backend, const struct graph *graph, struct weight_source weights,
                           struct host_program **program)
{
    *program = NULL;
    struct host_program *run = memory_take(1, sizeof *run);
    run->backend = backend;
    run->graph = graph;
    run->tensor_count = graph_tensor_count(graph);
    run->memory = memory_take((size_t)run->tensor_count, sizeof *run->memory);
    status result = set_up(run, weights);
    if (result.code != STATUS_OK) {
        host_program_destroy(run);
        return result;
    }
    *program = run;
    return status_ok();
}

void host_program_destroy(struct host_program *run)
{
    if (run == NULL) return;
    struct backend *backend = run->backend;
    program_destroy(run->program);
    weight_set_destroy(run->weights);
    struct memory_region *regions[] = {&run->saved, &run->work, &run->scratch, &run->packed};
    for (int i = 0; i < 4; i++)
        if (regions[i]->base != NULL) backend->interface->release(backend, regions[i]->base);
    for (int i = 0; i < run->tensor_count; i++)
        if (run->memory[i] != NULL) backend->interface->release(backend, run->memory[i]);
    free(run->memory);
    free(run);
}

static status bound_tensor(const struct host_program *run, tensor_id id, const struct tensor **tensor)
{
    *tensor = graph_tensor(run->graph, id);
    if (*tensor == NULL || run->memory[id] == NULL)
        return status_error(STATUS_FAILED, "tensor %d is neither an input nor an output", (int)id);
    return status_ok();
}

static status to_elements(const double *values, int64_t count, enum element_type type, void *elements)
{
    for (int64_t i = 0; i < count; i++) switch (type) {
        case ELEMENT_F32: ((float *)elements)[i] = (float)values[i]; break;
        case ELEMENT_F64: ((double *)elements)[i] = values[i]; break;
        case ELEMENT_I32: ((int32_t *)elements)[i] = (int32_t)lrint(values[i]); break;
        default: return status_error(STATUS_FAILED, "an input of half precision cannot be written from the host");
        }
    return status_ok();
}

static status from_elements(const void *elements, int64_t count, enum element_type type, double *values)
{
    for (int64_t i = 0; i < count; i++) switch (type) {
        case ELEMENT_F32: values[i] = ((const float *)elements)[i]; break;
        case ELEMENT_F64: values[i] = ((const double *)elements)[i]; break;
        default: return status_error(STATUS_FAILED, "only outputs in fp32 or fp64 can be read by the host");
        }
    return status_ok();
}

status host_program_write(struct host_program *run, tensor_id input, const double *values)
{
    const struct tensor *tensor;
    TRY(bound_tensor(run, input, &tensor));
    void *elements = malloc(tensor_bytes(tensor));
    if (elements == NULL) return status_error(STATUS_NO_MEMORY, "no memory to write %s", tensor->name);
    status result = to_elements(values, shape_elements(&tensor->shape), tensor->type, elements);
    if (result.code == STATUS_OK)
        result = run->backend->interface->upload(run->backend, run->memory[input], elements, tensor_bytes(tensor));
    free(elements);
    return result;
}

static status write_piece(struct host_program *run, tensor_id input, enum element_type type, size_t at,
                          const double *values, size_t count)
{
    double elements[PIECE];
    TRY(to_elements(values, (int64_t)count, type, elements));
    char *target = (char *)run->memory[input] + at * element_size(type);
    return run->backend->interface->upload(run->backend, target, elements, count * element_size(type));
}

status host_program_write_bytes(struct host_program *run, tensor_id input, const unsigned char *values, double whole)
{
    const struct tensor *tensor;
    TRY(bound_tensor(run, input, &tensor));
    if (tensor->type != ELEMENT_F32 && tensor->type != ELEMENT_F64)
        return status_error(STATUS_FAILED, "%s takes neither fp32 nor fp64 from the host", tensor->name);
    size_t length = (size_t)shape_elements(&tensor->shape);
    double piece[PIECE];
    for (size_t at = 0; at < length; at += PIECE) {
        size_t count = length - at < PIECE ? length - at : PIECE;
        for (size_t i = 0; i < count; i++) piece[i] = values[at + i] / whole;
        TRY(write_piece(run, input, tensor->type, at, piece, count));
    }
    return status_ok();
}

status host_program_read(struct host_program *run, tensor_id output, double *values)
{
    const struct tensor *tensor;
    TRY(bound_tensor(run, output, &tensor));
    void *elements = malloc(tensor_bytes(tensor));
    if (elements == NULL) return status_error(STATUS_NO_MEMORY, "no memory to read %s", tensor->name);
    status result =
        run->backend->interface->download(run->backend, elements, run->memory[output], tensor_bytes(tensor));
    if (result.code == STATUS_OK)
        result = from_elements(elements, shape_elements(&tensor->shape), tensor->type, values);
    free(elements);
    return result;
}

status host_program_forward(struct host_program *run)
{
    TRY(program_forward(run->program, run->saved, run->work, run->scratch));
    return run->backend->interface->synchronize(run->backend);
}

status host_program_backward(struct host_program *run)
{
    TRY(program_backward(run->program, run->saved, run->work, run->scratch));
    return run->backend->interface->synchronize(run->backend);
}
