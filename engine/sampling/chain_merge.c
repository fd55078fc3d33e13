/* The no_grad step's weights with adapters merged in. */
#include "engine/base/memory.h"
#include "engine/graph/transfer.h"
#include "engine/sampling/chain_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *chain_merged_at(const struct chain *chain, int module)
{
    return chain_at(chain, chain->layout.merged + chain->merged_offset[module]);
}

/* Modules that the merge leaves out have no tensor there. */
static status bind_if_there(struct part *part, tensor_id tensor, void *memory)
{
    return tensor == NO_TENSOR ? status_ok() : program_bind(part->program, tensor, memory);
}

status chain_bind_merge(struct chain *chain, struct part *part, void *scale)
{
    char name[200];
    TRY(program_bind(part->program, graph_find(part->graph, TENSOR_INPUT, "scale"), scale));
    for (int i = 0; i < chain->modules.module_count; i++) {
        snprintf(name, sizeof name, "merged/%d", i);
        TRY(bind_if_there(part, graph_find(part->graph, TENSOR_COMPUTED, name), chain_merged_at(chain, i)));
    }
    return program_bind_weights(part->program, chain->unet_weights);
}

status chain_bind_factor(struct part *part, int module, bool up, void *memory)
{
    char name[32];
    snprintf(name, sizeof name, "%s/%d", up ? "up" : "down", module);
    return program_bind(part->program, graph_find(part->graph, TENSOR_INPUT, name), memory);
}

static status copy_base(struct chain *chain, int index)
{
    const struct adapter_module *module = &chain->modules.modules[index];
    int64_t rows, columns;
    module_matrix(module, &rows, &columns);
    struct shape shape =
        module->kernel ? SHAPE4(rows, module->inputs, module->kernel, module->kernel) : SHAPE2(rows, columns);
    char name[200];
    void *base;
    module_weight_name(module, false, name, sizeof name);
    TRY(weight_set_get(chain->unet_weights, name, &shape, chain_compute(chain), &base));
    return chain->backend->interface->copy(chain->backend, chain_merged_at(chain, index), base,
                                           (size_t)shape_elements(&shape) * element_size(chain_compute(chain)));
}

status chain_merge_nothing(struct chain *chain)
{
    for (int i = 0; i < chain->modules.module_count; i++) TRY(copy_base(chain, i));
    return status_ok();
}

static status pack_merged(struct chain *chain)
{
    TRY(chain_close_step(chain));
    for (int i = 0; i < chain->modules.module_count; i++) {
        char name[200];
        module_weight_name(&chain->modules.modules[i], true, name, sizeof name);
        TRY(program_pack(chain->no_grad.program, name, chain_packed(chain, &chain->no_grad), chain_work(chain),
                         chain_scratch(chain)));
    }
    return status_ok();
}

status chain_merge_parameters(struct chain *chain, double scale)
{
    double scaled = scale * chain->settings.alpha / chain->settings.rank;
    TRY(transfer_write_double(chain->backend, chain_exact(chain), chain_at(chain, chain->layout.merge_scale), &scaled,
                              1));
    TRY(program_forward(chain->merge.program, (struct memory_region){NULL, 0}, chain_work(chain),
                        chain_scratch(chain)));
    return pack_merged(chain);
}

/* ---- any updates ---- */

/* The updates of a call, and for each module the rank of all of its own side by side. */
struct joint {
    const struct low_rank_update *updates;
    int count;
    int64_t *ranks;
};

static void join_ranks(const struct chain *chain, struct joint *joint)
{
    joint->ranks = memory_take((size_t)chain->modules.module_count, sizeof *joint->ranks);
    for (int i = 0; i < joint->count; i++) joint->ranks[joint->updates[i].module] += joint->updates[i].rank;
}

/* A module's updates as one of the joint rank: factors side by side, each up factor times its scale. */
struct joined {
    float *down, *up;
};

static status join(const struct chain *chain, const struct joint *joint, int module, struct joined *joined)
{
    int64_t rows, columns, rank = joint->ranks[module], first = 0;
    module_matrix(&chain->modules.modules[module], &rows, &columns);
    joined->down = malloc((size_t)(rank * columns) * sizeof(float));
    joined->up = malloc((size_t)(rank * rows) * sizeof(float));
    if (!joined->down || !joined->up) return status_error(STATUS_NO_MEMORY, "no memory to merge adapters");
    for (int u = 0; u < joint->count; u++) {
        const struct low_rank_update *update = &joint->updates[u];
        if (update->module != module) continue;
        memcpy(joined->down + first * columns, update->down, (size_t)(update->rank * columns) * sizeof(float));
        for (int64_t row = 0; row < rows; row++)
            for (int64_t r = 0; r < update->rank; r++)
                joined->up[row * rank + first + r] = (float)(update->scale * update->up[row * update->rank + r]);
        first += update->rank;
    }
    return status_ok();
}

static status write_module(struct chain *chain, struct part *part, const struct joint *joint, int module, char *down,
                           char *up)
{
    struct joined joined = {0};
    int64_t rows, columns, rank = joint->ranks[module];
    enum element_type exact = chain_exact(chain);
    module_matrix(&chain->modules.modules[module], &rows, &columns);
    status result = join(chain, joint, module, &joined);
    if (result.code == STATUS_OK) result = transfer_write(chain->backend, exact, down, joined.down, rank * columns);
    if (result.code == STATUS_OK) result = transfer_write(chain->backend, exact, up, joined.up, rank * rows);
    if (result.code == STATUS_OK) result = chain_bind_factor(part, module, false, down);
    if (result.code == STATUS_OK) result = chain_bind_factor(part, module, true, up);
    free(joined.down);
    free(joined.up);
    return result;
}

static size_t down_bytes(const struct chain *chain, const struct joint *joint, int module)
{
    int64_t rows, columns;
    module_matrix(&chain->modules.modules[module], &rows, &columns);
    return align_up((size_t)(joint->ranks[module] * columns) * element_size(chain_exact(chain)));
}

static size_t up_bytes(const struct chain *chain, const struct joint *joint, int module)
{
    int64_t rows, columns;
    module_matrix(&chain->modules.modules[module], &rows, &columns);
    return align_up((size_t)(joint->ranks[module] * rows) * element_size(chain_exact(chain)));
}

static status write_joint(struct chain *chain, struct part *part, const struct joint *joint, char *memory)
{
    for (int i = 0; i < chain->modules.module_count; i++) {
        if (joint->ranks[i] == 0) {
            TRY(copy_base(chain, i));
            continue;
        }
        char *up = memory + down_bytes(chain, joint, i);
        TRY(write_module(chain, part, joint, i, memory, up));
        memory = up + up_bytes(chain, joint, i);
    }
    return status_ok();
}

static size_t joint_bytes(const struct chain *chain, const struct joint *joint)
{
    size_t bytes = 0;
    for (int i = 0; i < chain->modules.module_count; i++)
        bytes += down_bytes(chain, joint, i) + up_bytes(chain, joint, i);
    return bytes;
}

static status run_joint(struct chain *chain, struct part *part, const struct joint *joint, char *memory)
{
    struct program_sizes sizes = program_sizes(part->program);
    void *scale = memory + joint_bytes(chain, joint);
    struct memory_region packed = {(char *)scale + ARENA_ALIGNMENT, sizes.packed_bytes};
    struct memory_region work = {(char *)packed.base + align_up(sizes.packed_bytes), sizes.work_bytes};
    struct memory_region scratch = {(char *)work.base + align_up(sizes.work_bytes), sizes.scratch_bytes};
    double one = 1.0;
    TRY(transfer_write_double(chain->backend, chain_exact(chain), scale, &one, 1));
    TRY(write_joint(chain, part, joint, memory));
    TRY(chain_bind_merge(chain, part, scale));
    TRY(program_pack(part->program, NULL, packed, work, scratch));
    TRY(program_forward(part->program, (struct memory_region){NULL, 0}, work, scratch));
    return chain->backend->interface->synchronize(chain->backend);
}

static status merge_joint(struct chain *chain, const struct joint *joint)
{
    struct part part = {0};
    void *memory = NULL;
    status result = chain_build_merge(chain, joint->ranks, &part);
    if (result.code == STATUS_OK) {
        struct program_sizes sizes = program_sizes(part.program);
        size_t bytes = joint_bytes(chain, joint) + ARENA_ALIGNMENT + align_up(sizes.packed_bytes) +
                       align_up(sizes.work_bytes) + align_up(sizes.scratch_bytes) + ARENA_ALIGNMENT;
        result = chain->backend->interface->allocate(chain->backend, bytes, &memory);
    }
    if (result.code == STATUS_OK) result = run_joint(chain, &part, joint, memory);
    if (memory) chain->backend->interface->release(chain->backend, memory);
    chain_discard_part(&part);
    return result;
}

status chain_merge(struct chain *chain, const struct low_rank_update *updates, int count)
{
    struct joint joint = {.updates = updates, .count = count};
    join_ranks(chain, &joint);
    status result = count > 0 ? merge_joint(chain, &joint) : chain_merge_nothing(chain);
    free(joint.ranks);
    return result.code == STATUS_OK ? pack_merged(chain) : result;
}
