/* Operations by what bounds them and who would make them faster: the rows of a table of where time goes. */
#ifndef ALIGNPROP_KERNELS_PROFILE_KERNEL_CLASS_H
#define ALIGNPROP_KERNELS_PROFILE_KERNEL_CLASS_H

#include "kernels/operations.h"

/* Forward and backward (vector-Jacobian products) are apart where an operation's kind tells them apart. Sweeps back use
 * element-wise and layout operations of the forward kinds as well, so these are not. */
enum kernel_class {
    KERNEL_CONVOLUTION, /* by a frozen weight, over windows of more than one pixel: 3x3, and the patches of reward
                           models */
    KERNEL_CONVOLUTION_VJP,
    KERNEL_LINEAR, /* by a frozen weight: linear, and convolutions over one pixel */
    KERNEL_LINEAR_VJP,
    KERNEL_ADAPTER, /* products without a frozen weight, of which one side is thin: with an adapter's factors, and of
                       them with each other when they are merged; similarities of embeddings */
    KERNEL_ADAPTER_VJP,
    KERNEL_ATTENTION,
    KERNEL_ATTENTION_VJP,
    KERNEL_NORM, /* over groups, layers and vectors */
    KERNEL_NORM_VJP,
    KERNEL_ELEMENTWISE, /* functions, sums, sums over dimensions and their repetition; forward and backward */
    KERNEL_LAYOUT,      /* what only moves elements, and upsampling; forward and backward */
    KERNEL_OTHER,       /* resampling, look-ups, boxes; forward and backward */
    KERNEL_COPY,        /* no operation: copies and clearing within the device's memory */
    KERNEL_TRANSFER,    /* no operation: copies between host and device */
    KERNEL_CLASS_COUNT
};

/* The class of an operation: one of those above KERNEL_COPY. Every valid kind has one, which the compiler checks. */
enum kernel_class kernel_class_of(const struct operation *operation);

/* In words ("attention backward") and as a key of JSON ("attention_backward"); static. */
const char *kernel_class_name(enum kernel_class kernel_class);
const char *kernel_class_key(enum kernel_class kernel_class);

#endif
