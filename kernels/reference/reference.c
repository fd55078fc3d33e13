#include "kernels/reference/reference.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"
#include "kernels/host_memory.h"
#include "kernels/operation_check.h"

struct kernel {
    struct operation operation;
    reference_function function;
};

static const reference_function table[OPERATION_KIND_COUNT] = {
    [OPERATION_LINEAR] = reference_linear,
    [OPERATION_LINEAR_VJP_INPUT] = reference_linear_vjp_input,
    [OPERATION_LINEAR_VJP_WEIGHT] = reference_linear_vjp_weight,
    [OPERATION_CONVOLUTION] = reference_convolution,
    [OPERATION_CONVOLUTION_VJP_INPUT] = reference_convolution_vjp_input,
    [OPERATION_CONVOLUTION_VJP_WEIGHT] = reference_convolution_vjp_weight,
    [OPERATION_MATMUL] = reference_matmul,
    [OPERATION_GROUP_NORM] = reference_group_norm,
    [OPERATION_GROUP_NORM_VJP] = reference_group_norm_vjp,
    [OPERATION_LAYER_NORM] = reference_layer_norm,
    [OPERATION_LAYER_NORM_VJP] = reference_layer_norm_vjp,
    [OPERATION_ATTENTION] = reference_attention,
    [OPERATION_ATTENTION_VJP] = reference_attention_vjp,
    [OPERATION_UNARY] = reference_unary,
    [OPERATION_UNARY_VJP] = reference_unary_vjp,
    [OPERATION_GEGLU] = reference_geglu,
    [OPERATION_GEGLU_VJP] = reference_geglu_vjp,
    [OPERATION_BINARY] = reference_binary,
    [OPERATION_REDUCE] = reference_reduce,
    [OPERATION_BROADCAST] = reference_broadcast,
    [OPERATION_CONCATENATE] = reference_concatenate,
    [OPERATION_SLICE] = reference_slice,
    [OPERATION_PLACE] = reference_place,
    [OPERATION_UPSAMPLE] = reference_upsample,
    [OPERATION_UPSAMPLE_VJP] = reference_upsample_vjp,
    [OPERATION_RESIZE] = reference_resize,
    [OPERATION_RESIZE_VJP] = reference_resize_vjp,
    [OPERATION_EMBEDDING] = reference_embedding,
    [OPERATION_GATHER] = reference_gather,
    [OPERATION_GATHER_VJP] = reference_gather_vjp,
    [OPERATION_NORMALIZE] = reference_normalize,
    [OPERATION_NORMALIZE_VJP] = reference_normalize_vjp,
    [OPERATION_TRANSPOSE] = reference_transpose,
    [OPERATION_SELECT_BOXES] = reference_select_boxes,
};

static status allocate(struct backend *backend, size_t bytes, void **memory)
{
    (void)backend;
    return host_memory_allocate(bytes, memory);
}

static void release(struct backend *backend, void *memory)
{
    (void)backend;
    free(memory);
}

static status memory_free(struct backend *backend, size_t *free_bytes, size_t *total_bytes)
{
    (void)backend;
    return host_memory_free(free_bytes, total_bytes);
}

static status copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    (void)backend;
    memmove(to, from, bytes);
    return status_ok();
}

static status clear(struct backend *backend, void *memory, size_t bytes)
{
    (void)backend;
    memset(memory, 0, bytes);
    return status_ok();
}

static bool has_expected_types(const struct operand *operand, int count)
{
    for (int i = 0; i < count; i++)
        if (operand[i].present && operand[i].type != ELEMENT_F64 && operand[i].type != ELEMENT_I32) return false;
    return true;
}

static status prepare(struct backend *backend, const struct operation *operation, struct kernel **kernel,
                      struct kernel_requirements *requirements)
{
    (void)backend;
    TRY(operation_check(operation));
    if (!has_expected_types(operation->input, operation->input_count) ||
        !has_expected_types(operation->output, operation->output_count))
        return operation_error(operation, "the reference backend computes in float64 alone");
    *kernel = malloc(sizeof **kernel);
    if (!*kernel) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    **kernel = (struct kernel){*operation, table[operation->kind]};
    *requirements = (struct kernel_requirements){0};
    return status_ok();
}

static void discard(struct backend *backend, struct kernel *kernel)
{
    (void)backend;
    free(kernel);
}

/* Never asked for: this backend reads weights as they are. */
static status pack(struct backend *backend, struct kernel *kernel, const void *weight, void *packed, void *scratch)
{
    (void)backend, (void)kernel, (void)weight, (void)packed, (void)scratch;
    return status_ok();
}

static status run(struct backend *backend, struct kernel *kernel, const void *const *inputs, void *const *outputs,
                  const void *packed, void *scratch)
{
    (void)backend, (void)packed, (void)scratch;
    const struct operation *operation = &kernel->operation;
    const void *all_inputs[MAXIMUM_INPUTS] = {NULL};
    void *all_outputs[MAXIMUM_OUTPUTS] = {NULL};
    for (int i = 0; i < operation->input_count; i++) all_inputs[i] = operation->input[i].present ? inputs[i] : NULL;
    for (int i = 0; i < operation->output_count; i++) all_outputs[i] = operation->output[i].present ? outputs[i] : NULL;
    return kernel->function(&(struct call){operation, all_inputs, all_outputs});
}

static status synchronize(struct backend *backend)
{
    (void)backend;
    return status_ok();
}

static void destroy(struct backend *backend)
{
    free(backend);
}

static const struct backend_interface interface = {
    .name = "reference",
    .compute_type = ELEMENT_F64,
    .exact_type = ELEMENT_F64,
    .pixels_at_once = 2 * 128 * 128,
    .allocate = allocate,
    .release = release,
    .memory_free = memory_free,
    .upload = copy,
    .download = copy,
    .copy = copy,
    .clear = clear,
    .prepare = prepare,
    .discard = discard,
    .pack = pack,
    .run = run,
    .synchronize = synchronize,
    .destroy = destroy,
};

status backend_reference_create(struct backend **backend)
{
    *backend = malloc(sizeof **backend);
    if (!*backend) return status_error(STATUS_NO_MEMORY, "no memory for the reference backend");
    (*backend)->interface = &interface;
    return status_ok();
}
