/* A planned graph on a backend: kernels prepared, weights packed, tensors bound, sweeps run. */
#include "engine/graph/program.h"

#include "engine/base/memory.h"
#include "engine/graph/internal.h"
#include "engine/graph/recording.h"

#include <stdlib.h>
#include <string.h>

struct prepared_node {
    struct kernel *kernel;
    int packing; /* entry of the packing plan; -1: reads the weight as it is */
    bool packs;  /* the first node of the program to use that entry */
    size_t work_end;
};

struct program {
    struct backend *backend;
    const struct graph *graph;
    struct placement *placements;
    struct prepared_node *nodes;
    void **bound;               /* by storage */
    bool *reads;                /* by storage, of constants: some operation reads the bytes as they are */
    struct weight_set *weights; /* where constants that are not bound are packed from; NULL until it is known */
    struct packing_plan *packing;
    bool owns_packing;
    void *packed_base;
    char *persistent;
    size_t sum_bytes; /* at the beginning of `persistent` */
    struct program_sizes sizes;
    size_t high_water;
    struct recordings recordings;
};

static bool is_bindable(const struct tensor *tensor)
{
    return tensor->role != TENSOR_COMPUTED || tensor->output;
}

static status place_packing(struct program *program, int index, const struct kernel_requirements *requirements)
{
    tensor_id weight = graph_storage(program->graph, graph_node(program->graph, index)->input[1]);
    struct prepared_node *node = &program->nodes[index];
    node->packing = packing_plan_place(program->packing, graph_tensor(program->graph, weight)->name, requirements);
    node->packs = true;
    for (int i = 0; i < index; i++)
        if (program->nodes[i].packing == node->packing) node->packs = false;
    return status_ok();
}

static size_t work_end_of(const struct program *program, const struct node *node)
{
    size_t end = 0;
    for (int i = 0; i < node->input_count + node->output_count; i++) {
        tensor_id id = i < node->input_count ? node->input[i] : node->output[i - node->input_count];
        if (id == NO_TENSOR) continue;
        const struct placement *placement = &program->placements[id];
        if (placement->region == PLACED_WORK && placement->offset + placement->bytes > end)
            end = placement->offset + placement->bytes;
    }
    return end;
}

static status prepare_nodes(struct program *program)
{
    for (int i = 0; i < graph_node_count(program->graph); i++) {
        const struct node *node = graph_node(program->graph, i);
        struct operation operation = graph_operation(program->graph, node);
        struct kernel_requirements requirements = {0};
        program->nodes[i].packing = -1;
        TRY(program->backend->interface->prepare(program->backend, &operation, &program->nodes[i].kernel,
                                                 &requirements));
        if (requirements.packed_bytes > 0) TRY(place_packing(program, i, &requirements));
        if (requirements.scratch_bytes > program->sizes.scratch_bytes)
            program->sizes.scratch_bytes = requirements.scratch_bytes;
        program->nodes[i].work_end = work_end_of(program, node);
    }
    program->sizes.scratch_bytes = align_up(program->sizes.scratch_bytes);
    return status_ok();
}

static void find_reads(struct program *program)
{
    const struct graph *graph = program->graph;
    for (int n = 0; n < graph_node_count(graph); n++) {
        const struct node *node = graph_node(graph, n);
        for (int i = 0; i < node->input_count; i++) {
            bool packed = i == 1 && program->nodes[n].packing >= 0;
            if (node->input[i] != NO_TENSOR && !packed) program->reads[graph_storage(graph, node->input[i])] = true;
        }
    }
}

/* What is read as it is has memory of its own; of the rest one after the other lies in the work region. */
static void measure_constants(struct program *program)
{
    const struct graph *graph = program->graph;
    for (int i = 0; i < graph_tensor_count(graph); i++) {
        const struct tensor *tensor = graph_tensor(graph, i);
        if (tensor->role != TENSOR_CONSTANT || tensor->storage != i) continue;
        size_t bytes = align_up((size_t)shape_elements(&tensor->shape) * element_size(tensor->type));
        if (program->reads[i])
            program->sizes.weight_bytes += bytes;
        else if (bytes > program->sizes.work_bytes)
            program->sizes.work_bytes = bytes;
    }
}

static void plan(struct program *program)
{
    struct region_sizes sizes;
    graph_plan(program->graph, program->placements, &sizes);
    program->sizes.saved_bytes = sizes.saved;
    program->sizes.work_bytes = sizes.work;
    program->sizes.persistent_bytes = sizes.persistent;
    program->sum_bytes = sizes.sums;
}

status program_rewrite(const struct backend *backend, struct graph *graph)
{
    if (backend->interface->adds_residual) TRY(graph_fold_additions(graph));
    return backend->interface->takes_columns ? graph_join_projections(graph) : status_ok();
}

status program_create(struct backend *backend, const struct graph *graph, struct packing_plan *packing,
                      struct program **program)
{
    TRY(graph_state(graph));
    size_t tensors = (size_t)graph_tensor_count(graph), nodes = (size_t)graph_node_count(graph);
    struct program *created = memory_take(1, sizeof *created);
    created->backend = backend;
    created->graph = graph;
    created->placements = memory_take(tensors + 1, sizeof *created->placements);
    created->nodes = memory_take(nodes + 1, sizeof *created->nodes);
    created->bound = memory_take(tensors + 1, sizeof *created->bound);
    created->reads = memory_take(tensors + 1, sizeof *created->reads);
    created->packing = packing ? packing : packing_plan_create();
    created->owns_packing = !packing;
    plan(created);
    status result = prepare_nodes(created);
    if (result.code != STATUS_OK) {
        program_destroy(created);
        return result;
    }
    find_reads(created);
    measure_constants(created);
    created->sizes.packed_bytes = packing_plan_bytes(created->packing);
    *program = created;
    return status_ok();
}

void program_destroy(struct program *program)
{
    if (!program) return;
    recordings_forget(&program->recordings, program->backend);
    for (int i = 0; i < graph_node_count(program->graph); i++)
        if (program->nodes[i].kernel) program->backend->interface->discard(program->backend, program->nodes[i].kernel);
    free(program->placements);
    free(program->nodes);
    free(program->bound);
    free(program->reads);
    if (program->owns_packing) packing_plan_destroy(program->packing);
    free(program);
}

struct program_sizes program_sizes(const struct program *program)
{
    return program->sizes;
}

double program_flops(const struct program *program, bool backward)
{
    const struct graph *graph = program->graph;
    int first = backward ? graph_forward_nodes(graph) : graph_prologue_nodes(graph);
    int past = backward ? graph_epilogue_first(graph) : graph_forward_nodes(graph);
    double flops = 0.0;
    for (int i = first; i < past; i++) {
        struct operation operation = graph_operation(graph, graph_node(graph, i));
        flops += operation_flops(&operation);
    }
    return flops;
}

/* Memory of a constant that is joined of others. */
static status find_joined(const struct graph *graph, struct weight_set *weights, tensor_id joined, void **memory)
{
    const struct tensor *parts[MAXIMUM_JOINED];
    const char *names[MAXIMUM_JOINED];
    int count = 0;
    for (int i = 0; i < graph_tensor_count(graph); i++) {
        const struct tensor *tensor = graph_tensor(graph, i);
        if (tensor->storage != joined || !tensor_is_weight(tensor)) continue;
        int64_t place = tensor->offset / shape_elements(&tensor->shape);
        parts[place] = tensor;
        names[place] = tensor->name;
        count++;
    }
    return weight_set_get_joined(weights, names, count, &parts[0]->shape, parts[0]->type, memory);
}

static status find_constant(const struct graph *graph, struct weight_set *weights, tensor_id id, void **memory)
{
    const struct tensor *tensor = graph_tensor(graph, id);
    if (!tensor_is_weight(tensor)) return find_joined(graph, weights, id, memory);
    return weight_set_get(weights, tensor->name, &tensor->shape, tensor->type, memory);
}

status program_bind_weights(struct program *program, struct weight_set *weights)
{
    const struct graph *graph = program->graph;
    recordings_forget(&program->recordings, program->backend);
    program->weights = weights;
    for (int i = 0; i < graph_tensor_count(graph); i++) {
        const struct tensor *tensor = graph_tensor(graph, i);
        if (tensor->role != TENSOR_CONSTANT || tensor->storage != i || program->bound[i] || !program->reads[i])
            continue;
        TRY(find_constant(graph, weights, i, &program->bound[i]));
    }
    return status_ok();
}

status program_bind(struct program *program, tensor_id id, void *memory)
{
    if (id < 0 || id >= graph_tensor_count(program->graph))
        return status_error(STATUS_FAILED, "program: no tensor %d to bind", (int)id);
    const struct tensor *tensor = graph_tensor(program->graph, id);
    tensor_id storage = tensor->storage;
    if (!is_bindable(graph_tensor(program->graph, storage)))
        return status_error(STATUS_FAILED, "program: tensor %d is placed by the planner", (int)id);
    void *begin = (char *)memory - tensor->offset * (int64_t)element_size(tensor->type);
    if (program->bound[storage] != begin) {
        if (program->bound[storage] && tensor->offset > 0)
            return status_error(STATUS_FAILED, "program: %s is bound apart from what it is joined with", tensor->name);
        recordings_forget(&program->recordings, program->backend);
    }
    program->bound[storage] = begin;
    return status_ok();
}

bool program_reads(const struct program *program, tensor_id constant)
{
    return program->reads[graph_storage(program->graph, constant)];
}

/* Whether node `index` is to pack the weight: its first user, and named, or else not packed yet. */
static bool is_to_pack(const struct program *program, int index, const char *name)
{
    const struct prepared_node *node = &program->nodes[index];
    if (node->packing < 0 || !node->packs) return false;
    tensor_id weight = graph_storage(program->graph, graph_node(program->graph, index)->input[1]);
    return name ? strcmp(graph_tensor(program->graph, weight)->name, name) == 0
                : !packing_plan_done(program->packing, node->packing);
}

/* The weight's bytes, where they are bound or read to `work`. */
static status find_weight(struct program *program, tensor_id weight, struct memory_region work, void **bytes)
{
    const struct tensor *tensor = graph_tensor(program->graph, weight);
    *bytes = program->bound[weight];
    if (*bytes) return status_ok();
    if (!program->weights) return status_error(STATUS_FAILED, "program: weight %s is not bound", tensor->name);
    size_t size = align_up((size_t)shape_elements(&tensor->shape) * element_size(tensor->type));
    if (size > work.bytes)
        return status_error(STATUS_FAILED, "program: %zu bytes of work to pack %s, which has %zu", work.bytes,
                            tensor->name, size);
    if (size > program->high_water) program->high_water = size;
    *bytes = work.base;
    return weight_set_read(program->weights, tensor->name, &tensor->shape, tensor->type, work.base);
}

/* All layouts of the weight of node `first` that are still to be packed, so that it is read once. */
static status pack_weight(struct program *program, int first, const char *name, struct memory_region packed,
                          struct memory_region work, struct memory_region scratch)
{
    const struct graph *graph = program->graph;
    tensor_id weight = graph_storage(graph, graph_node(graph, first)->input[1]);
    void *bytes;
    TRY(find_weight(program, weight, work, &bytes));
    for (int i = first; i < graph_node_count(graph); i++) {
        if (!is_to_pack(program, i, name) || graph_storage(graph, graph_node(graph, i)->input[1]) != weight) continue;
        const struct prepared_node *node = &program->nodes[i];
        void *place = (char *)packed.base + packing_plan_offset(program->packing, node->packing);
        TRY(program->backend->interface->pack(program->backend, node->kernel, bytes, place, scratch.base));
        packing_plan_mark(program->packing, node->packing);
    }
    return status_ok();
}

status program_pack(struct program *program, const char *name, struct memory_region packed, struct memory_region work,
                    struct memory_region scratch)
{
    if (packed.bytes < packing_plan_bytes(program->packing) || scratch.bytes < program->sizes.scratch_bytes)
        return status_error(STATUS_FAILED, "program: %zu bytes for packed weights where %zu are needed", packed.bytes,
                            packing_plan_bytes(program->packing));
    if (program->packed_base != packed.base) recordings_forget(&program->recordings, program->backend);
    program->packed_base = packed.base;
    tensor_id last = NO_TENSOR;
    for (int i = 0; i < graph_node_count(program->graph); i++) {
        if (!is_to_pack(program, i, name)) continue;
        tensor_id weight = graph_storage(program->graph, graph_node(program->graph, i)->input[1]);
        if (name && weight == last) continue; /* all its layouts were packed with the first */
        TRY(pack_weight(program, i, name, packed, work, scratch));
        last = weight;
    }
    return status_ok();
}

void program_bind_persistent(struct program *program, void *persistent)
{
    if (program->persistent != persistent) recordings_forget(&program->recordings, program->backend);
    program->persistent = persistent;
}

/* Where the tensor's storage lies. */
static char *storage_of(const struct program *program, tensor_id id, char *saved, char *work)
{
    const struct placement *placement = &program->placements[id];
    switch (placement->region) {
    case PLACED_PERSISTENT: return program->persistent ? program->persistent + placement->offset : NULL;
    case PLACED_SAVED: return saved + placement->offset;
    case PLACED_WORK: return work + placement->offset;
    case PLACED_NOWHERE: break;
    }
    return program->bound[graph_tensor(program->graph, id)->storage];
}

static void *pointer_of(const struct program *program, tensor_id id, char *saved, char *work)
{
    if (id == NO_TENSOR) return NULL;
    const struct tensor *tensor = graph_tensor(program->graph, id);
    char *storage = storage_of(program, id, saved, work);
    return storage ? storage + tensor->offset * (int64_t)element_size(tensor->type) : NULL;
}

static status not_bound(const struct program *program, tensor_id id)
{
    const struct tensor *tensor = graph_tensor(program->graph, id);
    return status_error(STATUS_FAILED, "program: tensor %s is not bound",
                        graph_tensor(program->graph, tensor->storage)->name);
}

static status run_node(struct program *program, int index, char *saved, char *work, void *scratch)
{
    const struct node *node = graph_node(program->graph, index);
    const struct prepared_node *prepared = &program->nodes[index];
    const void *inputs[MAXIMUM_INPUTS] = {0};
    void *outputs[MAXIMUM_OUTPUTS] = {0};
    for (int i = 0; i < node->input_count; i++) {
        inputs[i] = pointer_of(program, node->input[i], saved, work);
        bool packed_only = i == 1 && prepared->packing >= 0;
        if (!inputs[i] && node->input[i] != NO_TENSOR && !packed_only) return not_bound(program, node->input[i]);
    }
    for (int i = 0; i < node->output_count; i++) {
        outputs[i] = pointer_of(program, node->output[i], saved, work);
        if (!outputs[i] && node->output[i] != NO_TENSOR) return not_bound(program, node->output[i]);
    }
    const void *packed = NULL;
    if (prepared->packing >= 0) {
        if (!program->packed_base) return status_error(STATUS_FAILED, "program: run before its weights were packed");
        packed = (const char *)program->packed_base + packing_plan_offset(program->packing, prepared->packing);
    }
    if (prepared->work_end > program->high_water) program->high_water = prepared->work_end;
    return program->backend->interface->run(program->backend, prepared->kernel, inputs, outputs, packed, scratch);
}

static status queue_nodes(void *context, const struct sweep *sweep)
{
    struct program *program = context;
    for (int i = sweep->first; i < sweep->past; i++)
        TRY(run_node(program, i, sweep->saved, sweep->work, sweep->scratch));
    return status_ok();
}

static status run_range(struct program *program, int first, int past, struct memory_region saved,
                        struct memory_region work, struct memory_region scratch)
{
    /* The prologue and the epilogue save nothing. */
    bool saves = first == graph_prologue_nodes(program->graph) || first == graph_forward_nodes(program->graph);
    if (work.bytes < program->sizes.work_bytes || scratch.bytes < program->sizes.scratch_bytes ||
        (saves && saved.bytes < program->sizes.saved_bytes))
        return status_error(STATUS_FAILED,
                            "program: a region is smaller than the plan (saved %zu of %zu, work %zu of "
                            "%zu, scratch %zu of %zu bytes)",
                            saved.bytes, program->sizes.saved_bytes, work.bytes, program->sizes.work_bytes,
                            scratch.bytes, program->sizes.scratch_bytes);
    struct sweep sweep = {first, past, saved.base, work.base, scratch.base};
    return recordings_run(&program->recordings, program->backend, &sweep, queue_nodes, program);
}

status program_forward(struct program *program, struct memory_region saved, struct memory_region work,
                       struct memory_region scratch)
{
    const struct graph *graph = program->graph;
    return run_range(program, graph_prologue_nodes(graph), graph_forward_nodes(graph), saved, work, scratch);
}

status program_backward(struct program *program, struct memory_region saved, struct memory_region work,
                        struct memory_region scratch)
{
    const struct graph *graph = program->graph;
    return run_range(program, graph_forward_nodes(graph), graph_epilogue_first(graph), saved, work, scratch);
}

status program_clear_sums(struct program *program)
{
    if (program->sum_bytes == 0) return status_ok();
    return program->backend->interface->clear(program->backend, program->persistent, program->sum_bytes);
}

status program_open(struct program *program, struct memory_region work, struct memory_region scratch)
{
    if (graph_prologue_nodes(program->graph) == 0) return status_ok();
    TRY(run_range(program, 0, graph_prologue_nodes(program->graph), (struct memory_region){NULL, 0}, work, scratch));
    return program_clear_sums(program);
}

status program_close(struct program *program, struct memory_region work, struct memory_region scratch)
{
    const struct graph *graph = program->graph;
    if (graph_epilogue_first(graph) == graph_node_count(graph)) return status_ok();
    TRY(run_range(program, graph_epilogue_first(graph), graph_node_count(graph), (struct memory_region){NULL, 0}, work,
                  scratch));
    return program_clear_sums(program);
}

size_t program_high_water(const struct program *program)
{
    return program->high_water;
}
