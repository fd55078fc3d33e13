/* The reference backend's interface. */
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
#define OPERATION(kind, name, ...) [OPERATION_##kind] = reference_##name,
#include "kernels/operations.def"
#undef OPERATION
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
    .accumulation_type = ELEMENT_F64,
    .folds_upsampling = true,
    .adds_residual = true,
    .takes_columns = true,
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
