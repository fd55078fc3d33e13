/* One matrix product: by cuBLASLt, else by own kernels. */
#include "kernels/cuda/multiply.h"

#include <string.h>

enum { WORKSPACE_BYTES = 32 << 20, ALIGNMENT_BYTES = 16, MAXIMUM_GRID_DEPTH = 65535 };

static int library_type(enum element_type type)
{
    switch (type) {
    case ELEMENT_BF16: return LT_REAL_16BF;
    case ELEMENT_F16: return LT_REAL_16F;
    default: return LT_REAL_32F;
    }
}

/* What cuBLASLt computes: dense operands of one type, a result of that type or fp32, bias and residual of the result's
 * type. */
static bool library_can(const struct product *product)
{
    if (product->a.layout == OPERAND_WINDOWS || product->b.layout == OPERAND_WINDOWS || product->taps > 1 ||
        product->patches.size > 0)
        return false;
    if (product->a.array.type != product->b.array.type) return false;
    if (product->c.type != product->a.array.type && product->c.type != ELEMENT_F32) return false;
    if (product->residual.data && product->residual.type != product->c.type) return false;
    return !product->bias.data || product->bias.type == product->c.type;
}

/* cuBLASLt counts columns first, so a row-major matrix is its transpose there: the product is made as c^T = b a^T, b
 * in the first place. An operand in ROWS is [depth, rows] to cuBLASLt, in COLUMNS [rows, depth]. */
static int create_layout(const struct matrix_library *library, void **layout, enum element_type type, int64_t rows,
                         int64_t columns, int64_t leading, int64_t batch, int64_t step)
{
    int32_t count = (int32_t)batch;
    int failed = library->layout_create(layout, library_type(type), (uint64_t)rows, (uint64_t)columns, leading);
    if (failed || batch == 1) return failed;
    failed = library->layout_set(*layout, LT_LAYOUT_BATCH_COUNT, &count, sizeof count);
    return failed ? failed : library->layout_set(*layout, LT_LAYOUT_BATCH_OFFSET, &step, sizeof step);
}

static int create_operand(const struct matrix_library *library, void **layout, const struct product *product,
                          const struct operand_view *view, int64_t rows)
{
    bool by_rows = view->layout == OPERAND_ROWS;
    return create_layout(library, layout, view->array.type, by_rows ? product->k : rows, by_rows ? rows : product->k,
                         view->leading, product->batch, view->step);
}

static int describe(const struct matrix_library *library, struct multiplication *m)
{
    const struct product *p = &m->product;
    int32_t transpose_first = p->b.layout == OPERAND_ROWS ? LT_OPERATION_T : LT_OPERATION_N;
    int32_t transpose_second = p->a.layout == OPERAND_ROWS ? LT_OPERATION_N : LT_OPERATION_T;
    uint32_t epilogue = LT_EPILOGUE_BIAS;
    int32_t bias_type = library_type(p->bias.type);
    int failed = library->product_create(&m->description, LT_COMPUTE_32F, LT_REAL_32F) ||
                 library->product_set(m->description, LT_PRODUCT_TRANSPOSE_A, &transpose_first, sizeof(int32_t)) ||
                 library->product_set(m->description, LT_PRODUCT_TRANSPOSE_B, &transpose_second, sizeof(int32_t));
    if (!failed && p->bias.data)
        failed = library->product_set(m->description, LT_PRODUCT_EPILOGUE, &epilogue, sizeof epilogue) ||
                 library->product_set(m->description, LT_PRODUCT_BIAS_TYPE, &bias_type, sizeof bias_type);
    return failed || create_operand(library, &m->layout_b, p, &p->b, p->n) ||
           create_operand(library, &m->layout_a, p, &p->a, p->m) ||
           create_layout(library, &m->layout_c, p->c.type, p->n, p->m, p->c_step, p->batch, p->m * p->c_step);
}

static int choose(struct cuda_backend *backend, struct multiplication *m)
{
    const struct matrix_library *library = &backend->library;
    void *preference;
    uint64_t workspace = WORKSPACE_BYTES;
    uint32_t alignment = ALIGNMENT_BYTES, reduction = LT_REDUCTION_IN_COMPUTE_TYPE;
    int found = 0;
    if (library->preference_create(&preference)) return 1;
    int failed = library->preference_set(preference, LT_PREFERENCE_WORKSPACE, &workspace, sizeof workspace) ||
                 library->preference_set(preference, LT_PREFERENCE_REDUCTION, &reduction, sizeof reduction);
    for (int attribute = LT_PREFERENCE_ALIGNMENT_A; attribute <= LT_PREFERENCE_ALIGNMENT_D && !failed; attribute++)
        failed = library->preference_set(preference, attribute, &alignment, sizeof alignment);
    if (!failed)
        failed = library->heuristic(backend->library_handle, m->description, m->layout_b, m->layout_a, m->layout_c,
                                    m->layout_c, preference, 1, &m->choice, &found);
    (void)library->preference_destroy(preference);
    return failed || found < 1 || m->choice.state != 0;
}

void multiplication_discard(struct cuda_backend *backend, struct multiplication *m)
{
    const struct matrix_library *library = &backend->library;
    if (m->layout_a) (void)library->layout_destroy(m->layout_a);
    if (m->layout_b) (void)library->layout_destroy(m->layout_b);
    if (m->layout_c) (void)library->layout_destroy(m->layout_c);
    if (m->description) (void)library->product_destroy(m->description);
    m->layout_a = m->layout_b = m->layout_c = m->description = NULL;
}

status multiplication_prepare(struct cuda_backend *backend, const struct product *product,
                              struct multiplication *multiplication, size_t *scratch_bytes)
{
    memset(multiplication, 0, sizeof *multiplication);
    multiplication->product = *product;
    plan_product(&multiplication->product, &backend->product_device);
    *scratch_bytes = product_scratch(&multiplication->product);
    if (!library_can(product) || !cuda_matrix_library(backend)) return status_ok();
    if (describe(&backend->library, multiplication) || choose(backend, multiplication))
        multiplication_discard(backend, multiplication);
    else
        *scratch_bytes = multiplication->choice.workspace_bytes;
    return status_ok();
}

void set_residual(const struct operation *operation, struct product *product)
{
    const struct operand *residual = operation_residual(operation);
    if (!residual) return;
    product->residual = (struct array){(void *)1, residual->type};
    product->alpha = (float)operation->attributes.alpha;
}

const void *residual_of(const struct kernel *kernel, const struct call *call)
{
    int index = operation_facts(kernel->operation.kind)->residual_input;
    return index < 0 ? NULL : input_array(kernel, call, index).data;
}

static status run_library(struct cuda_backend *backend, const struct multiplication *m, struct factors factors,
                          void *scratch)
{
    const struct matrix_library *library = &backend->library;
    const void *added = factors.residual ? factors.residual : factors.c;
    float alpha = m->product.alpha, beta = factors.residual || m->product.accumulate ? 1.0f : 0.0f;
    if (m->product.bias.data &&
        library->product_set(m->description, LT_PRODUCT_BIAS_POINTER, &factors.bias, sizeof factors.bias))
        return status_error(STATUS_FAILED, "cuBLASLt refused a bias");
    int failed = library->product(backend->library_handle, m->description, &alpha, factors.b, m->layout_b, factors.a,
                                  m->layout_a, &beta, added, m->layout_c, factors.c, m->layout_c, &m->choice.algorithm,
                                  scratch, m->choice.workspace_bytes, backend->queue.stream);
    if (failed) return status_error(STATUS_FAILED, "cuBLASLt failed with status %d", failed);
    return status_ok();
}

/* A place some elements after another one. */
static void *advanced(const void *place, enum element_type type, int64_t elements)
{
    if (!place) return NULL;
    return (char *)(uintptr_t)place + elements * (int64_t)element_size(type);
}

/* A grid is at most 65535 deep, so many small products go in several launches. */
static void run_own(struct cuda_backend *backend, const struct multiplication *m, struct factors factors, void *scratch)
{
    struct product product = m->product;
    int64_t most = MAXIMUM_GRID_DEPTH / product.splits, items = m->product.batch;
    for (int64_t item = 0; item < items; item += most) {
        product.batch = items - item < most ? items - item : most;
        product.a.array.data = advanced(factors.a, product.a.array.type, item * product.a.step);
        product.b.array.data = advanced(factors.b, product.b.array.type, item * product.b.step);
        product.c.data = advanced(factors.c, product.c.type, item * product.m * product.c_step);
        product.residual.data = advanced(factors.residual, product.residual.type, item * product.m * product.c_step);
        product.bias.data = (void *)(uintptr_t)factors.bias;
        launch_product(backend->queue, &product, scratch);
    }
}

status multiplication_run(struct cuda_backend *backend, const struct multiplication *multiplication,
                          struct factors factors, void *scratch)
{
    if (multiplication->description) return run_library(backend, multiplication, factors, scratch);
    run_own(backend, multiplication, factors, scratch);
    return status_ok();
}
