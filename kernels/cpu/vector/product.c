/* Matrix products and convolutions: by oneDNN where the program is built with it and oneDNN has fast loops for one,
 * else by own loops. */
#include <stdlib.h>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/own_product.h"
#include "kernels/cpu/vector/skinny.h"

/* A 1x1 convolution with stride 1 is a linear layer over the positions. */
static bool is_pointwise(const struct operation *o)
{
    const struct operation_attributes *a = &o->attributes;
    const struct operand *weight;
    switch (o->kind) {
    case OPERATION_CONVOLUTION:
    case OPERATION_CONVOLUTION_VJP_INPUT: weight = &o->input[1]; break;
    case OPERATION_CONVOLUTION_VJP_WEIGHT: weight = &o->output[0]; break;
    default: return false;
    }
    return weight->shape.dimension[2] == 1 && weight->shape.dimension[3] == 1 && a->stride == 1 &&
           a->padding_top == 0 && a->padding_left == 0 && a->padding_bottom == 0 && a->padding_right == 0;
}

static void flatten_weight(struct operand *weight)
{
    weight->shape.rank = 2;
}

static struct operation simplify(const struct operation *operation)
{
    struct operation result = *operation;
    if (!is_pointwise(operation)) return result;
    switch (operation->kind) {
    case OPERATION_CONVOLUTION:
        result.kind = OPERATION_LINEAR;
        flatten_weight(&result.input[1]);
        break;
    case OPERATION_CONVOLUTION_VJP_INPUT:
        result.kind = OPERATION_LINEAR_VJP_INPUT;
        flatten_weight(&result.input[1]);
        break;
    default:
        result.kind = OPERATION_LINEAR_VJP_WEIGHT;
        flatten_weight(&result.output[0]);
        break;
    }
    return result;
}

static status prepare_product(struct kernel *kernel, struct kernel_requirements *requirements)
{
    struct onednn_product *product = NULL;
    kernel->operation = simplify(&kernel->operation);
    const struct cpu_kind *skinny = NAME(skinny_kind)(&kernel->operation);
    if (skinny) {
        kernel->kind = skinny;
        return skinny->prepare(kernel, requirements);
    }
    if (kernel->onednn) TRY(onednn_prepare(kernel->onednn, &kernel->operation, &product, requirements));
    kernel->state = product;
    return product ? status_ok() : NAME(own_product_prepare)(kernel, requirements);
}

static void discard_product(struct kernel *kernel)
{
    onednn_discard(kernel->state);
}

static status pack_product(const struct kernel *kernel, const void *weight, void *packed, void *scratch)
{
    return onednn_pack(kernel->state, weight, packed, scratch);
}

static status run_product(const struct call *call)
{
    if (!call->kernel->state) return NAME(own_product_run)(call);
    return onednn_run(call->kernel->state, call->inputs[0], call->inputs[1], call->inputs[2], call->outputs[0],
                      call->packed, call->scratch);
}

const struct cpu_kind NAME(cpu_product) = {
    .prepare = prepare_product,
    .discard = discard_product,
    .pack = pack_product,
    .run = run_product,
};
