/* cuBLASLt's calls as plain loops: takes the place of kernels/cuda/library.c. Matrices are column-major, as there. */
#include "kernels/cuda/library.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "values.h"

struct description {
    int32_t transpose_a, transpose_b, bias_type;
    uint32_t epilogue;
    const void *bias;
};

struct layout {
    int type;
    int64_t rows, columns, leading, step;
    int32_t batch;
};

static int create(void **handle)
{
    *handle = malloc(1);
    return *handle ? 0 : 1;
}

static int destroy(void *handle)
{
    free(handle);
    return 0;
}

static int product_create(void **description, int compute_type, int scale_type)
{
    if (compute_type != LT_COMPUTE_32F || scale_type != LT_REAL_32F) return 7;
    *description = calloc(1, sizeof(struct description));
    return *description ? 0 : 1;
}

static int product_set(void *description, int attribute, const void *value, size_t bytes)
{
    struct description *d = description;
    void *place = attribute == LT_PRODUCT_TRANSPOSE_A   ? (void *)&d->transpose_a
                  : attribute == LT_PRODUCT_TRANSPOSE_B ? (void *)&d->transpose_b
                  : attribute == LT_PRODUCT_EPILOGUE    ? (void *)&d->epilogue
                  : attribute == LT_PRODUCT_BIAS_TYPE   ? (void *)&d->bias_type
                                                        : (void *)&d->bias;
    size_t expected = attribute == LT_PRODUCT_BIAS_POINTER ? sizeof d->bias : 4;
    if (bytes != expected) return 7;
    memcpy(place, value, bytes);
    return 0;
}

static int layout_create(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading)
{
    if (leading < (int64_t)rows) return 7;
    struct layout *created = calloc(1, sizeof *created);
    if (!created) return 1;
    *created = (struct layout){type, (int64_t)rows, (int64_t)columns, leading, 0, 1};
    *layout = created;
    return 0;
}

static int layout_set(void *layout, int attribute, const void *value, size_t bytes)
{
    struct layout *l = layout;
    if (attribute == LT_LAYOUT_BATCH_COUNT && bytes == sizeof l->batch)
        memcpy(&l->batch, value, bytes);
    else if (attribute == LT_LAYOUT_BATCH_OFFSET && bytes == sizeof l->step)
        memcpy(&l->step, value, bytes);
    else
        return 7;
    return 0;
}

static int preference_set(void *preference, int attribute, const void *value, size_t bytes)
{
    (void)preference, (void)value;
    size_t expected = attribute == LT_PREFERENCE_WORKSPACE ? 8 : 4;
    return bytes == expected ? 0 : 7;
}

enum { WORKSPACE_BYTES = 256 };

static int heuristic(void *handle, void *description, void *a, void *b, void *c, void *d, void *preference, int wanted,
                     struct lt_heuristic *results, int *found)
{
    (void)handle, (void)description, (void)a, (void)b, (void)c, (void)d, (void)preference;
    if (wanted < 1) return 7;
    memset(results, 0, sizeof *results);
    results->workspace_bytes = WORKSPACE_BYTES;
    *found = 1;
    return 0;
}

static double element(const struct layout *layout, const void *data, int64_t item, int64_t row, int64_t column)
{
    return value_load(layout->type, data, item * layout->step + column * layout->leading + row);
}

struct work {
    struct description description;
    struct layout a, b, c, d;
    const void *a_data, *b_data, *c_data;
    void *d_data, *workspace;
    double alpha, beta;
};

static void multiply(void *context)
{
    struct work *w = context;
    bool ta = w->description.transpose_a, tb = w->description.transpose_b;
    int64_t depth = ta ? w->a.rows : w->a.columns;
    if (emulation_is_idle()) return;
    memset(w->workspace, 0xff, WORKSPACE_BYTES);
    for (int64_t item = 0; item < w->d.batch; item++)
        for (int64_t column = 0; column < w->d.columns; column++)
            for (int64_t row = 0; row < w->d.rows; row++) {
                double sum = 0;
                for (int64_t i = 0; i < depth; i++)
                    sum += element(&w->a, w->a_data, item, ta ? i : row, ta ? row : i) *
                           element(&w->b, w->b_data, item, tb ? column : i, tb ? i : column);
                sum *= w->alpha;
                if (w->beta != 0) sum += w->beta * element(&w->c, w->c_data, item, row, column);
                if (w->description.epilogue == LT_EPILOGUE_BIAS)
                    sum += value_load(w->description.bias_type, w->description.bias, row);
                value_store(w->d.type, w->d_data, item * w->d.step + column * w->d.leading + row, sum);
            }
}

/* As the library demands of c and d in one memory; here always. */
static bool same_layout(const struct layout *a, const struct layout *b)
{
    return a->type == b->type && a->rows == b->rows && a->columns == b->columns && a->leading == b->leading &&
           a->step == b->step && a->batch == b->batch;
}

static int product(void *handle, void *description, const void *alpha, const void *a, void *a_layout, const void *b,
                   void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                   const struct lt_algorithm *algorithm, void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    (void)handle, (void)algorithm;
    struct work work = {*(struct description *)description,
                        *(struct layout *)a_layout,
                        *(struct layout *)b_layout,
                        *(struct layout *)c_layout,
                        *(struct layout *)d_layout,
                        a,
                        b,
                        c,
                        d,
                        workspace,
                        *(const float *)alpha,
                        *(const float *)beta};
    int64_t m = work.description.transpose_a ? work.a.columns : work.a.rows;
    int64_t n = work.description.transpose_b ? work.b.rows : work.b.columns;
    int64_t k = work.description.transpose_a ? work.a.rows : work.a.columns;
    int64_t other_k = work.description.transpose_b ? work.b.columns : work.b.rows;
    if (workspace_bytes < WORKSPACE_BYTES || !same_layout(&work.c, &work.d)) return 7;
    if (m != work.d.rows || n != work.d.columns || k != other_k || work.a.batch != work.d.batch) return 7;
    emulation_queue(stream, multiply, &work, sizeof work);
    return 0;
}

bool matrix_library_load(struct matrix_library *library)
{
    memset(library, 0, sizeof *library);
    if (!emulation_present_machine().has_matrix_library) return false;
    *library = (struct matrix_library){.create = create,
                                       .destroy = destroy,
                                       .product_create = product_create,
                                       .product_destroy = destroy,
                                       .product_set = product_set,
                                       .layout_create = layout_create,
                                       .layout_destroy = destroy,
                                       .layout_set = layout_set,
                                       .preference_create = create,
                                       .preference_destroy = destroy,
                                       .preference_set = preference_set,
                                       .heuristic = heuristic,
                                       .product = product};
    return true;
}

void matrix_library_unload(struct matrix_library *library)
{
    memset(library, 0, sizeof *library);
}

bool matrix_library_present(void)
{
    return emulation_present_machine().has_matrix_library;
}
