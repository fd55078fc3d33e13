/* Packed copies of a weight: kernels share one when their keys agree, so kernels that would write different bytes must
 * have different keys. */
#include "kernels/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 40, SIDE = 48 };

struct packed_weight {
    struct kernel_requirements requirements;
    unsigned char *bytes;
};

static struct operand matrix(int64_t rows, int64_t columns, bool constant)
{
    return (struct operand){
        .shape = {.rank = 2, .dimension = {rows, columns}}, .type = ELEMENT_F32, .present = true, .constant = constant};
}

static struct packed_weight pack(struct backend *backend, enum operation_kind kind, const float *weight)
{
    const struct operation operation = {.kind = kind,
                                        .input_count = 2,
                                        .output_count = 1,
                                        .input = {matrix(ROWS, SIDE, false), matrix(SIDE, SIDE, true)},
                                        .output = {matrix(ROWS, SIDE, false)}};
    struct packed_weight result = {0};
    struct kernel *kernel;
    assert_int_equal(backend->interface->prepare(backend, &operation, &kernel, &result.requirements).code, STATUS_OK);
    if (result.requirements.packed_bytes > 0) {
        void *packed, *scratch;
        result.bytes = malloc(result.requirements.packed_bytes);
        assert_non_null(result.bytes);
        assert_int_equal(backend->interface->allocate(backend, result.requirements.packed_bytes, &packed).code, 0);
        assert_int_equal(backend->interface->allocate(backend, result.requirements.scratch_bytes + 256, &scratch).code,
                         0);
        assert_int_equal(backend->interface->clear(backend, packed, result.requirements.packed_bytes).code, 0);
        assert_int_equal(backend->interface->pack(backend, kernel, weight, packed, scratch).code, 0);
        assert_int_equal(
            backend->interface->download(backend, result.bytes, packed, result.requirements.packed_bytes).code, 0);
        backend->interface->release(backend, scratch);
        backend->interface->release(backend, packed);
    }
    backend->interface->discard(backend, kernel);
    return result;
}

/* The backward product of a square matrix reads its transpose. */
static void test_square_matrix_and_its_transpose(void **state)
{
    (void)state;
    struct backend *backend;
    assert_int_equal(backend_cpu_create(1, &backend).code, STATUS_OK);
    void *weight;
    float values[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) values[i] = (float)i;
    assert_int_equal(backend->interface->allocate(backend, sizeof values, &weight).code, STATUS_OK);
    assert_int_equal(backend->interface->upload(backend, weight, values, sizeof values).code, STATUS_OK);
    struct packed_weight forward = pack(backend, OPERATION_LINEAR, weight);
    struct packed_weight backward = pack(backend, OPERATION_LINEAR_VJP_INPUT, weight);
    bool shared = forward.bytes != NULL && backward.bytes != NULL &&
                  forward.requirements.packed_bytes == backward.requirements.packed_bytes &&
                  forward.requirements.packing_key == backward.requirements.packing_key;
    if (shared) assert_memory_equal(forward.bytes, backward.bytes, forward.requirements.packed_bytes);
    free(forward.bytes);
    free(backward.bytes);
    backend->interface->release(backend, weight);
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_square_matrix_and_its_transpose)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
