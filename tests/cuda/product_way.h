/* How products are computed: by cuBLASLt where it can; else by warpgroups where there are any, which copy their
 * operands themselves or leave it to another; else by warps. */
#ifndef ALIGNPROP_TESTS_CUDA_PRODUCT_WAY_H
#define ALIGNPROP_TESTS_CUDA_PRODUCT_WAY_H

#include "kernels/backend.h"

enum product_way {
    BY_LIBRARY,
    BY_WARPGROUPS,
    BY_DIVIDED_WARPGROUPS,
    BY_WARPS,
    PRODUCT_WAY_COUNT,
    /* Of the emulation alone: by warpgroups, as if there were an H200's 132 multiprocessors, which divide even small
     * products into many parts. */
    FOR_MANY_MULTIPROCESSORS = PRODUCT_WAY_COUNT
};

/* "cuBLASLt", "warpgroups", "divided warpgroups", "warps", "132 multiprocessors" */
const char *product_way_name(enum product_way way);

/* A backend on the first device that computes its products in this way, to be destroyed by the caller. Changes the
 * environment variables that choose the way. A machine without cuBLASLt or warpgroups takes the next way. */
status product_way_open(enum product_way way, enum cuda_precision precision, struct backend **backend);

#endif
