/* The class of kernel that an operation is counted as. */
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

static const enum kernel_class table[OPERATION_KIND_COUNT] = {
#define OPERATION(kind, name, minimum, maximum, outputs, in_place, residual, class, cpu)                               \
    [OPERATION_##kind] = KERNEL_##class,
#include "kernels/operations.def"
#undef OPERATION
};

/* weight: [out, in, kernel height, kernel width] */
static bool is_over_one_pixel(const struct operand *weight)
{
    return weight->shape.dimension[2] == 1 && weight->shape.dimension[3] == 1;
}

/* A product whose weight is not frozen is one by an adapter's factor. */
enum kernel_class kernel_class_of(const struct operation *operation)
{
    const struct operand *weight = &operation->input[1];
    switch (table[operation->kind]) {
    case KERNEL_LINEAR: return weight->constant ? KERNEL_LINEAR : KERNEL_ADAPTER;
    case KERNEL_LINEAR_VJP: return weight->constant ? KERNEL_LINEAR_VJP : KERNEL_ADAPTER_VJP;
    case KERNEL_CONVOLUTION:
        if (!weight->constant) return KERNEL_ADAPTER;
        return is_over_one_pixel(weight) ? KERNEL_LINEAR : KERNEL_CONVOLUTION;
    case KERNEL_CONVOLUTION_VJP:
        if (!weight->constant) return KERNEL_ADAPTER_VJP;
        return is_over_one_pixel(weight) ? KERNEL_LINEAR_VJP : KERNEL_CONVOLUTION_VJP;
    default: return table[operation->kind];
    }
}

const char *kernel_class_name(enum kernel_class kernel_class)
{
    return names[kernel_class].name;
}

const char *kernel_class_key(enum kernel_class kernel_class)
{
    return names[kernel_class].key;
}
