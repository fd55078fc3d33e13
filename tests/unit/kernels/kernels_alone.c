/* The kernels without the engine: y = x W^T on the CPU, and the gradient of <dy, y> by x, which is dy W. */
#include "kernels/backend.h"

#include <stdio.h>

static struct operand matrix(int64_t rows, int64_t columns)
{
    return (struct operand){.shape = {.rank = 2, .dimension = {rows, columns}}, .type = ELEMENT_F32, .present = true};
}

/* One call of `operation` with inputs a and b; the CPU's memory is this machine's, so arrays are passed as they are. */
static status compute(struct backend *backend, const struct operation *operation, const float *a, const float *b,
                      float *result)
{
    struct kernel *kernel;
    struct kernel_requirements needs;
    void *scratch = NULL, *packed = NULL;
    TRY(backend->interface->prepare(backend, operation, &kernel, &needs));
    TRY(backend->interface->allocate(backend, needs.scratch_bytes, &scratch));
    TRY(backend->interface->allocate(backend, needs.packed_bytes, &packed));
    if (needs.packed_bytes > 0) TRY(backend->interface->pack(backend, kernel, b, packed, scratch));
    TRY(backend->interface->run(backend, kernel, (const void *[]){a, b}, (void *[]){result}, packed, scratch));
    TRY(backend->interface->synchronize(backend));
    backend->interface->release(backend, packed);
    backend->interface->release(backend, scratch);
    backend->interface->discard(backend, kernel);
    return status_ok();
}

int main(void)
{
    const float x[2 * 3] = {1, 2, 3, 4, 5, 6}, weight[2 * 3] = {1, 0, -1, 2, 1, 0}, dy[2 * 2] = {1, 2, 0, -1};
    const float expected_y[2 * 2] = {-2, 4, -2, 13}, expected_dx[2 * 3] = {5, 2, -1, -2, -1, 0};
    struct operation product = {.kind = OPERATION_LINEAR,
                                .input_count = 2,
                                .output_count = 1,
                                .input = {matrix(2, 3), matrix(2, 3)},
                                .output = {matrix(2, 2)}};
    struct operation gradient = {.kind = OPERATION_LINEAR_VJP_INPUT,
                                 .input_count = 2,
                                 .output_count = 1,
                                 .input = {matrix(2, 2), matrix(2, 3)},
                                 .output = {matrix(2, 3)}};
    float y[2 * 2] = {0}, dx[2 * 3] = {0};
    struct backend *backend;
    status result = backend_cpu_create(1, &backend);
    if (result.code == STATUS_OK) result = compute(backend, &product, x, weight, y);
    if (result.code == STATUS_OK) result = compute(backend, &gradient, dy, weight, dx);
    if (result.code != STATUS_OK) return fprintf(stderr, "%s\n", result.message), 1;
    backend->interface->destroy(backend);
    int wrong = 0;
    for (int i = 0; i < 4; i++) wrong += y[i] != expected_y[i];
    for (int i = 0; i < 6; i++) wrong += dx[i] != expected_dx[i];
    if (wrong > 0) fprintf(stderr, "%d of 10 numbers are wrong\n", wrong);
    return wrong > 0;
}
