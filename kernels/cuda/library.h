/* cuBLASLt, loaded when first needed: the little of its interface that matrix products use, so that neither its header
 * nor its library is needed to build or to start the program.
 *
 * The declarations follow cublasLt.h of CUDA 12 and 13 (documentation: docs.nvidia.com/cuda/cublas); library.c checks
 * them against the header where the build machine has it. */
#ifndef ALIGNPROP_KERNELS_CUDA_LIBRARY_H
#define ALIGNPROP_KERNELS_CUDA_LIBRARY_H

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LT_REAL_32F = 0, LT_REAL_16F = 2, LT_REAL_16BF = 14 };   /* cudaDataType */
enum { LT_COMPUTE_32F = 68 };                                   /* cublasComputeType_t */
enum { LT_OPERATION_N = 0, LT_OPERATION_T = 1 };                /* cublasOperation_t */
enum { LT_EPILOGUE_BIAS = 4 };                                  /* cublasLtEpilogue_t */
enum { LT_REDUCTION_IN_COMPUTE_TYPE = 2 };                      /* cublasLtReductionScheme_t */
enum { LT_LAYOUT_BATCH_COUNT = 5, LT_LAYOUT_BATCH_OFFSET = 6 }; /* cublasLtMatrixLayoutAttribute_t */
enum {                                                          /* cublasLtMatmulDescAttributes_t */
       LT_PRODUCT_TRANSPOSE_A = 3,
       LT_PRODUCT_TRANSPOSE_B = 4,
       LT_PRODUCT_EPILOGUE = 7,
       LT_PRODUCT_BIAS_POINTER = 8,
       LT_PRODUCT_BIAS_TYPE = 26
};
enum { /* cublasLtMatmulPreferenceAttributes_t */
       LT_PREFERENCE_WORKSPACE = 1,
       LT_PREFERENCE_REDUCTION = 3,
       LT_PREFERENCE_ALIGNMENT_A = 5,
       LT_PREFERENCE_ALIGNMENT_B = 6,
       LT_PREFERENCE_ALIGNMENT_C = 7,
       LT_PREFERENCE_ALIGNMENT_D = 8
};

struct lt_algorithm {
    uint64_t data[8];
};
struct lt_heuristic {
    struct lt_algorithm algorithm;
    size_t workspace_bytes;
    int state; /* 0: usable */
    float waves;
    int reserved[4];
};

/* Every function returns 0 for success. */
struct matrix_library {
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*product_create)(void **description, int compute_type, int scale_type);
    int (*product_destroy)(void *description);
    int (*product_set)(void *description, int attribute, const void *value, size_t bytes);
    int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading_dimension);
    int (*layout_destroy)(void *layout);
    int (*layout_set)(void *layout, int attribute, const void *value, size_t bytes);
    int (*preference_create)(void **preference);
    int (*preference_destroy)(void *preference);
    int (*preference_set)(void *preference, int attribute, const void *value, size_t bytes);
    int (*heuristic)(void *handle, void *description, void *a, void *b, void *c, void *d, void *preference, int wanted,
                     struct lt_heuristic *results, int *found);
    int (*product)(void *handle, void *description, const void *alpha, const void *a, void *a_layout, const void *b,
                   void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                   const struct lt_algorithm *algorithm, void *workspace, size_t workspace_bytes, cudaStream_t stream);
    void *shared_object;
};

/* Loads the library; false when it is not installed or lacks a function. The environment variable
 * ALIGNPROP_CUBLASLT names another file, or none with the value "none". */
bool matrix_library_load(struct matrix_library *library);
void matrix_library_unload(struct matrix_library *library);
/* Whether it would load. */
bool matrix_library_present(void);

#endif
