#include "kernels/reference/reference.h"

#include <stdlib.h>

#include "kernels/backend.h"
#include "kernels/host_backend.h"
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

static status prepare(struct backend *backend, const struct operation *operation, struct kernel **kernel,
                      struct kernel_requirements *requirements)
{
    (void)backend;
    TRY(operation_check(operation));
    if (!operation_numbers_are(operation, ELEMENT_F64))
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

static void destroy(struct backend *backend)
{
    free(backend);
}

static const struct backend_interface interface = {
    .name = "reference",
    .compute_type = ELEMENT_F64,
    .exact_type = ELEMENT_F64,
    .folds_upsampling = true,
    .adds_residual = true,
    .pixels_at_once = 2 * 128 * 128,
    .allocate = host_backend_allocate,
    .release = host_backend_release,
    .memory_free = host_backend_memory_free,
    .upload = host_backend_copy,
    .download = host_backend_copy,
    .copy = host_backend_copy,
    .clear = host_backend_clear,
    .prepare = prepare,
    .discard = discard,
    .pack = pack,
    .run = run,
    .synchronize = host_backend_synchronize,
    .destroy = destroy,
};

status backend_reference_create(struct backend **backend)
{
    *backend = malloc(sizeof **backend);
    if (!*backend) return status_error(STATUS_NO_MEMORY, "no memory for the reference backend");
    (*backend)->interface = &interface;
    return status_ok();
}
