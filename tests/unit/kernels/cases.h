/* The operations that the tests of every backend run: all kinds, all variants of their attributes, odd sizes. */
#ifndef ALIGNPROP_TESTS_UNIT_KERNELS_CASES_H
#define ALIGNPROP_TESTS_UNIT_KERNELS_CASES_H

#include "kernels/operations.h"

struct kernel_case {
    const char *name;
    struct operation operation;
    bool large; /* model-like sizes: too slow for finite differences */
};

extern const struct kernel_case kernel_cases[];
extern const int kernel_case_count;

#endif
