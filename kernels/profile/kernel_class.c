#include "kernels/profile/kernel_class.h"

static const struct {
    const char *name, *key;
} names[] = {
    [KERNEL_CONVOLUTION] = {"3x3 convolutions", "convolution"},
    [KERNEL_CONVOLUTION_VJP] = {"3x3 convolutions backward", "convolution_backward"},
    [KERNEL_LINEAR] = {"linear and 1x1", "linear"},
    [KERNEL_LINEAR_VJP] = {"linear and 1x1 backward", "linear_backward"},
    [KERNEL_ADAPTER] = {"adapters", "adapter"},
    [KERNEL_ADAPTER_VJP] = {"adapters backward", "adapter_backward"},
    [KERNEL_ATTENTION] = {"attention", "attention"},
    [KERNEL_ATTENTION_VJP] = {"attention backward", "attention_backward"},
    [KERNEL_NORM] = {"normalisation", "norm"},
    [KERNEL_NORM_VJP] = {"normalisation backward", "norm_backward"},
    [KERNEL_ELEMENTWISE] = {"element-wise", "elementwise"},
    [KERNEL_LAYOUT] = {"layout", "layout"},
    [KERNEL_OTHER] = {"other operations", "other"},
    [KERNEL_COPY] = {"copies", "copy"},
    [KERNEL_TRANSFER] = {"transfers", "transfer"},
};
_Static_assert(sizeof names / sizeof *names == KERNEL_CLASS_COUNT, "every class has its names");

/* A product by `weight`, which is frozen or an adapter's factor. */
static enum kernel_class product(const struct operand *weight, enum kernel_class of_frozen, enum kernel_class of_factor)
{
    return weight->constant ? of_frozen : of_factor;
}

/* weight: [out, in, kernel height, kernel width] */
static bool is_over_one_pixel(const struct operand *weight)
{
    return weight->shape.dimension[2] == 1 && weight->shape.dimension[3] == 1;
}

/* Without a default, so that a kind without a class is an error where this is compiled. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"
enum kernel_class kernel_class_of(const struct operation *operation)
{
    const struct operand *weight = &operation->input[1];
    switch (operation->kind) {
    case OPERATION_LINEAR: return product(weight, KERNEL_LINEAR, KERNEL_ADAPTER);
    case OPERATION_LINEAR_VJP_INPUT: return product(weight, KERNEL_LINEAR_VJP, KERNEL_ADAPTER_VJP);
    case OPERATION_CONVOLUTION:
        return product(weight, is_over_one_pixel(weight) ? KERNEL_LINEAR : KERNEL_CONVOLUTION, KERNEL_ADAPTER);
    case OPERATION_CONVOLUTION_VJP_INPUT:
        return product(weight, is_over_one_pixel(weight) ? KERNEL_LINEAR_VJP : KERNEL_CONVOLUTION_VJP,
                       KERNEL_ADAPTER_VJP);
    case OPERATION_LINEAR_VJP_WEIGHT:
    case OPERATION_CONVOLUTION_VJP_WEIGHT: return KERNEL_ADAPTER_VJP; /* frozen weights have no gradient */
    case OPERATION_MATMUL: return KERNEL_ADAPTER;
    case OPERATION_GROUP_NORM:
    case OPERATION_LAYER_NORM:
    case OPERATION_NORMALIZE: return KERNEL_NORM;
    case OPERATION_GROUP_NORM_VJP:
    case OPERATION_LAYER_NORM_VJP:
    case OPERATION_NORMALIZE_VJP: return KERNEL_NORM_VJP;
    case OPERATION_ATTENTION: return KERNEL_ATTENTION;
    case OPERATION_ATTENTION_VJP: return KERNEL_ATTENTION_VJP;
    case OPERATION_UNARY:
    case OPERATION_UNARY_VJP:
    case OPERATION_GEGLU:
    case OPERATION_GEGLU_VJP:
    case OPERATION_BINARY:
    case OPERATION_REDUCE:
    case OPERATION_BROADCAST: return KERNEL_ELEMENTWISE;
    case OPERATION_CONCATENATE:
    case OPERATION_SLICE:
    case OPERATION_PLACE:
    case OPERATION_TRANSPOSE:
    case OPERATION_UPSAMPLE:
    case OPERATION_UPSAMPLE_VJP: return KERNEL_LAYOUT;
    case OPERATION_RESIZE:
    case OPERATION_RESIZE_VJP:
    case OPERATION_EMBEDDING:
    case OPERATION_GATHER:
    case OPERATION_GATHER_VJP:
    case OPERATION_SELECT_BOXES:
    case OPERATION_KIND_COUNT: break;
    }
    return KERNEL_OTHER;
}
#pragma GCC diagnostic pop

const char *kernel_class_name(enum kernel_class kernel_class)
{
    return names[kernel_class].name;
}

const char *kernel_class_key(enum kernel_class kernel_class)
{
    return names[kernel_class].key;
}
