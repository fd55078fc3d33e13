/* cuBLASLt, loaded when it is first needed. */
#include "kernels/cuda/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_include)
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#define SAME(own, official) _Static_assert((int)(own) == (int)(official), #own " is not " #official)
SAME(LT_REAL_32F, CUDA_R_32F);
SAME(LT_REAL_16F, CUDA_R_16F);
SAME(LT_REAL_16BF, CUDA_R_16BF);
SAME(LT_COMPUTE_32F, CUBLAS_COMPUTE_32F);
SAME(LT_OPERATION_N, CUBLAS_OP_N);
SAME(LT_OPERATION_T, CUBLAS_OP_T);
SAME(LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS);
SAME(LT_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
SAME(LT_LAYOUT_BATCH_OFFSET, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
SAME(LT_PRODUCT_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(LT_PRODUCT_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB);
SAME(LT_PRODUCT_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME(LT_PRODUCT_BIAS_POINTER, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME(LT_PRODUCT_BIAS_TYPE, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
SAME(LT_REDUCTION_IN_COMPUTE_TYPE, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
SAME(LT_PREFERENCE_REDUCTION, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
SAME(LT_PREFERENCE_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(LT_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME(LT_PREFERENCE_ALIGNMENT_B, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
SAME(LT_PREFERENCE_ALIGNMENT_C, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
SAME(LT_PREFERENCE_ALIGNMENT_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME(sizeof(struct lt_heuristic), sizeof(cublasLtMatmulHeuristicResult_t));
SAME(sizeof(struct lt_algorithm), sizeof(cublasLtMatmulAlgo_t));
#endif
#endif

/* The library's name of the major version this program is built for, then where the toolkit is usually installed. */
static void *open_library(void)
{
    const char *chosen = getenv("ALIGNPROP_CUBLASLT");
    if (chosen) return strcmp(chosen, "none") == 0 ? NULL : dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
    static const char *const folders[] = {"", "/usr/local/cuda/lib64/"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[200];
        snprintf(path, sizeof path, "%slibcublasLt.so.%d", folders[i], CUDART_VERSION / 1000);
        void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (object) return object;
    }
    return NULL;
}

/* A function pointer from dlsym without the conversion that ISO C forbids. */
static bool find(void *object, const char *name, void *function)
{
    void *address = dlsym(object, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

bool matrix_library_load(struct matrix_library *library)
{
    memset(library, 0, sizeof *library);
    void *object = open_library();
    if (!object) return false;
    library->shared_object = object;
    if (find(object, "cublasLtCreate", &library->create) && find(object, "cublasLtDestroy", &library->destroy) &&
        find(object, "cublasLtMatmulDescCreate", &library->product_create) &&
        find(object, "cublasLtMatmulDescDestroy", &library->product_destroy) &&
        find(object, "cublasLtMatmulDescSetAttribute", &library->product_set) &&
        find(object, "cublasLtMatrixLayoutCreate", &library->layout_create) &&
        find(object, "cublasLtMatrixLayoutDestroy", &library->layout_destroy) &&
        find(object, "cublasLtMatrixLayoutSetAttribute", &library->layout_set) &&
        find(object, "cublasLtMatmulPreferenceCreate", &library->preference_create) &&
        find(object, "cublasLtMatmulPreferenceDestroy", &library->preference_destroy) &&
        find(object, "cublasLtMatmulPreferenceSetAttribute", &library->preference_set) &&
        find(object, "cublasLtMatmulAlgoGetHeuristic", &library->heuristic) &&
        find(object, "cublasLtMatmul", &library->product))
        return true;
    matrix_library_unload(library);
    return false;
}

void matrix_library_unload(struct matrix_library *library)
{
    if (library->shared_object) dlclose(library->shared_object);
    memset(library, 0, sizeof *library);
}

bool matrix_library_present(void)
{
    struct matrix_library library;
    bool present = matrix_library_load(&library);
    if (present) matrix_library_unload(&library);
    return present;
}
