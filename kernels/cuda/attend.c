/* ATTENTION and its vector-Jacobian product. */
#include <stdlib.h>

#include "kernels/cuda/internal.h"
#include "kernels/operation_check.h"

static struct attention attention_of(const struct operation *operation)
{
    bool backward = operation->kind == OPERATION_ATTENTION_VJP;
    const struct operand *queries = &operation->input[backward ? 1 : 0], *keys = queries + 1;
    const int64_t *q = queries->shape.dimension;
    struct attention attention = {
        .batch = q[0],
        .queries = q[1],
        .keys = keys->shape.dimension[1],
        .heads = operation->attributes.heads,
        .width = (int)(q[2] / operation->attributes.heads),
        .scale = (float)operation->attributes.alpha,
        .causal = operation->attributes.causal,
        .query_step = (int)operand_row_step(queries),
        .key_step = (int)operand_row_step(keys),
        .result_step = (int)q[2],
    };
    if (!backward) return attention;
    const struct operand *gradient = operation->output;
    if (gradient[0].present) attention.query_gradient_step = (int)operand_row_step(&gradient[0]);
    for (int i = 1; i < operation->output_count; i++)
        if (gradient[i].present) attention.key_gradient_step = (int)operand_row_step(&gradient[i]);
    return attention;
}

/* The one type of all operands but lse; ELEMENT_F32 stands for a mix, which the plain kernels read as well. */
static enum element_type common_type(const struct operation *operation)
{
    bool backward = operation->kind == OPERATION_ATTENTION_VJP;
    enum element_type type = operation->input[0].type;
    for (int i = 0; i < (backward ? 5 : 3); i++)
        if (operation->input[i].type != type) return ELEMENT_F32;
    for (int i = 0; i < (backward ? operation->output_count : 1); i++)
        if (operation->output[i].present && operation->output[i].type != type) return ELEMENT_F32;
    return type;
}

static status prepare(struct cuda_backend *backend, struct kernel *kernel, struct kernel_requirements *requirements)
{
    (void)backend;
    const struct operation *operation = &kernel->operation;
    bool backward = operation->kind == OPERATION_ATTENTION_VJP;
    const struct operand *lse = backward ? &operation->input[5] : &operation->output[1];
    struct attention *attention = kernel->plan = malloc(sizeof *attention);
    if (!attention) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    *attention = attention_of(operation);
    if (attention->width > MAXIMUM_HEAD_WIDTH)
        return operation_error(operation, "the CUDA engine supports attention heads of at most 512 columns");
    if (lse->present && lse->type != ELEMENT_F32) return operation_error(operation, "lse must be float32");
    plan_attention(attention, common_type(operation));
    if (backward)
        requirements->scratch_bytes =
            (size_t)(attention->batch * attention->heads * attention->queries) * sizeof(float);
    return status_ok();
}

static status run(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    struct attention_arrays arrays = {
        .q = input_array(kernel, call, 0),
        .k = input_array(kernel, call, 1),
        .v = input_array(kernel, call, 2),
        .o = output_array(kernel, call, 0),
        .lse = output_array(kernel, call, 1).data,
    };
    launch_attention(backend->queue, kernel->plan, arrays);
    return status_ok();
}

static status run_vjp(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    struct attention_arrays arrays = {
        .cotangent = input_array(kernel, call, 0),
        .q = input_array(kernel, call, 1),
        .k = input_array(kernel, call, 2),
        .v = input_array(kernel, call, 3),
        .o = input_array(kernel, call, 4),
        .lse = input_array(kernel, call, 5).data,
        .dq = output_array(kernel, call, 0),
        .dk = output_array(kernel, call, 1),
        .dv = output_array(kernel, call, 2),
        .delta = call->scratch,
    };
    launch_attention_vjp(backend->queue, kernel->plan, arrays);
    return status_ok();
}

const struct family cuda_attention_family = {.prepare = prepare, .run = run};
const struct family cuda_attention_vjp_family = {.prepare = prepare, .run = run_vjp};
