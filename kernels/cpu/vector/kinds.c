#include "kernels/cpu/vector/kinds.h"

#define CPU_KINDS NAME(cpu_kinds)

static const struct cpu_kind *const table[OPERATION_KIND_COUNT] = {
    [OPERATION_LINEAR] = &NAME(cpu_product),
    [OPERATION_LINEAR_VJP_INPUT] = &NAME(cpu_product),
    [OPERATION_LINEAR_VJP_WEIGHT] = &NAME(cpu_product),
    [OPERATION_CONVOLUTION] = &NAME(cpu_product),
    [OPERATION_CONVOLUTION_VJP_INPUT] = &NAME(cpu_product),
    [OPERATION_CONVOLUTION_VJP_WEIGHT] = &NAME(cpu_product),
    [OPERATION_MATMUL] = &NAME(cpu_product),
    [OPERATION_GROUP_NORM] = &NAME(cpu_group_norm),
    [OPERATION_GROUP_NORM_VJP] = &NAME(cpu_group_norm_vjp),
    [OPERATION_LAYER_NORM] = &NAME(cpu_layer_norm),
    [OPERATION_LAYER_NORM_VJP] = &NAME(cpu_layer_norm_vjp),
    [OPERATION_ATTENTION] = &NAME(cpu_attention),
    [OPERATION_ATTENTION_VJP] = &NAME(cpu_attention_vjp),
    [OPERATION_UNARY] = &NAME(cpu_unary),
    [OPERATION_UNARY_VJP] = &NAME(cpu_unary_vjp),
    [OPERATION_GEGLU] = &NAME(cpu_geglu),
    [OPERATION_GEGLU_VJP] = &NAME(cpu_geglu_vjp),
    [OPERATION_BINARY] = &NAME(cpu_binary),
    [OPERATION_REDUCE] = &NAME(cpu_reduce),
    [OPERATION_BROADCAST] = &NAME(cpu_broadcast),
    [OPERATION_CONCATENATE] = &NAME(cpu_concatenate),
    [OPERATION_SLICE] = &NAME(cpu_slice),
    [OPERATION_PLACE] = &NAME(cpu_place),
    [OPERATION_UPSAMPLE] = &NAME(cpu_upsample),
    [OPERATION_UPSAMPLE_VJP] = &NAME(cpu_upsample_vjp),
    [OPERATION_RESIZE] = &NAME(cpu_resize),
    [OPERATION_RESIZE_VJP] = &NAME(cpu_resize_vjp),
    [OPERATION_EMBEDDING] = &NAME(cpu_embedding),
    [OPERATION_GATHER] = &NAME(cpu_gather),
    [OPERATION_GATHER_VJP] = &NAME(cpu_gather_vjp),
    [OPERATION_NORMALIZE] = &NAME(cpu_normalize),
    [OPERATION_NORMALIZE_VJP] = &NAME(cpu_normalize_vjp),
    [OPERATION_TRANSPOSE] = &NAME(cpu_transpose),
    [OPERATION_SELECT_BOXES] = &NAME(cpu_select_boxes),
};

const struct cpu_kind *CPU_KINDS(enum operation_kind kind)
{
    return table[kind];
}
