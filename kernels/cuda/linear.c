/* LINEAR, its two vector-Jacobian products and MATMUL: each is one matrix product. */
#include <stdlib.h>

#include "kernels/cuda/multiply.h"

/* Operands in the order of the product's a, b and bias, of the operation's inputs; -1: none. */
struct order {
    int a, b, bias;
};

static struct order order_of(enum operation_kind kind)
{
    return kind == OPERATION_LINEAR ? (struct order){0, 1, 2} : (struct order){0, 1, -1};
}

static struct operand_view dense(const struct operand *operand, bool rows, int64_t leading, int64_t step)
{
    return (struct operand_view){.array = {NULL, operand->type},
                                 .layout = rows ? OPERAND_ROWS : OPERAND_COLUMNS,
                                 .leading = leading,
                                 .step = step};
}

static void set_linear(const struct operation *operation, struct product *product)
{
    const struct operand *x = &operation->input[0], *weight = &operation->input[1];
    product->m = row_count(&x->shape);
    product->k = last_dimension(&x->shape);
    product->n = last_dimension(&operation->output[0].shape);
    product->a = dense(x, true, operand_row_step(x), 0);
    product->c_step = operand_row_step(&operation->output[0]);
    bool backward = operation->kind == OPERATION_LINEAR_VJP_INPUT;
    product->b = dense(weight, !backward, backward ? product->n : product->k, 0);
}

/* dw[N, K] = dy[rows, N]^T x[rows, K] */
static void set_weight_gradient(const struct operation *operation, struct product *product)
{
    const struct operand *dy = &operation->input[0], *x = &operation->input[1];
    product->m = last_dimension(&dy->shape);
    product->n = last_dimension(&x->shape);
    product->k = row_count(&x->shape);
    product->a = dense(dy, false, operand_row_step(dy), 0);
    product->b = dense(x, false, product->n, 0);
    product->accumulate = operation->attributes.accumulate;
}

static void set_matmul(const struct operation *operation, struct product *product)
{
    const struct operation_attributes *attributes = &operation->attributes;
    const int64_t *y = operation->output[0].shape.dimension, *a = operation->input[0].shape.dimension;
    product->batch = y[0];
    product->m = y[1];
    product->n = y[2];
    product->k = attributes->transpose_a ? a[1] : a[2];
    product->a = dense(&operation->input[0], !attributes->transpose_a, a[2], product->m * product->k);
    product->b = dense(&operation->input[1], attributes->transpose_b, operation->input[1].shape.dimension[2],
                       product->n * product->k);
    product->alpha = (float)attributes->alpha;
}

static struct product product_of(const struct operation *operation)
{
    struct product product = {.batch = 1, .alpha = 1, .taps = 1};
    switch (operation->kind) {
    case OPERATION_LINEAR_VJP_WEIGHT: set_weight_gradient(operation, &product); break;
    case OPERATION_MATMUL: set_matmul(operation, &product); break;
    default: set_linear(operation, &product); break;
    }
    product.c.type = operation->output[0].type;
    int bias = order_of(operation->kind).bias;
    if (bias >= 0 && bias < operation->input_count && operation->input[bias].present)
        product.bias = (struct array){(void *)1, operation->input[bias].type};
    set_residual(operation, &product);
    return product;
}

static status prepare(struct cuda_backend *backend, struct kernel *kernel, struct kernel_requirements *requirements)
{
    struct multiplication *multiplication = kernel->plan = calloc(1, sizeof *multiplication);
    if (!multiplication) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    struct product product = product_of(&kernel->operation);
    return multiplication_prepare(backend, &product, multiplication, &requirements->scratch_bytes);
}

static status run(struct cuda_backend *backend, const struct kernel *kernel, const struct call *call)
{
    struct order order = order_of(kernel->operation.kind);
    struct factors factors = {.a = call->inputs[order.a],
                              .b = call->inputs[order.b],
                              .residual = residual_of(kernel, call),
                              .c = call->outputs[0]};
    if (order.bias >= 0) factors.bias = input_array(kernel, call, order.bias).data;
    return multiplication_run(backend, kernel->plan, factors, call->scratch);
}

static void discard(struct cuda_backend *backend, struct kernel *kernel)
{
    if (kernel->plan) multiplication_discard(backend, kernel->plan);
}

const struct family cuda_linear_family = {.prepare = prepare, .run = run, .discard = discard};
