/* Products that are cut over threads: the parts are maps that oneDNN's fast loops take, as they take the whole. */
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/onednn_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIDE = 24, CHANNELS = 48, KERNEL = 3 };

static struct operand operand_of(int64_t a, int64_t b, int64_t c, int64_t d, bool constant)
{
    return (struct operand){
        .shape = {.rank = 4, .dimension = {a, b, c, d}}, .type = ELEMENT_F32, .present = true, .constant = constant};
}

static struct operation convolution(enum operation_kind kind, int64_t batch)
{
    struct operand map = operand_of(batch, SIDE, SIDE, CHANNELS, false);
    return (struct operation){
        .kind = kind,
        .attributes = {.stride = 1, .padding_top = 1, .padding_left = 1, .padding_bottom = 1, .padding_right = 1},
        .input_count = 2,
        .output_count = 1,
        .input = {map, operand_of(CHANNELS, CHANNELS, KERNEL, KERNEL, true)},
        .output = {map}};
}

static const enum operation_kind kinds[] = {OPERATION_CONVOLUTION, OPERATION_CONVOLUTION_VJP_INPUT};

/* oneDNN calls a map dense by its steps, that between the items included. */
static void test_rows_of_an_item_are_a_dense_map(void **state)
{
    (void)state;
    for (int64_t batch = 1; batch <= 3; batch += 2)
        for (int kind = 0; kind < 2; kind++)
            for (int part = 0; part < 2; part++) {
                const struct operation operation = convolution(kinds[kind], batch);
                const struct product whole = product_of(&operation), p = product_part(&whole, part, 2);
                assert_int_equal(p.repeats, batch);
                for (int i = 0; i < 2; i++) {
                    const struct view *map = &p.view[i ? OUTPUT : FIRST];
                    assert_int_equal(map->size[0], 1);
                    assert_true(map->size[2] < SIDE);
                    assert_int_equal(map->step[0], map->size[1] * map->size[2] * map->size[3]);
                }
                assert_int_equal(p.repeat_step[FIRST], SIDE * SIDE * CHANNELS);
            }
}

/* Whether oneDNN has more than its reference loops for it, on so many threads. */
static bool is_fast(const struct operation *operation, int threads, bool *has_onednn)
{
    struct parallel *parallel;
    struct onednn *onednn;
    struct onednn_product *product = NULL;
    struct kernel_requirements requirements = {0};
    assert_int_equal(parallel_create(threads, &parallel).code, STATUS_OK);
    assert_int_equal(onednn_create(parallel, &onednn).code, STATUS_OK);
    *has_onednn = onednn != NULL;
    if (onednn) assert_int_equal(onednn_prepare(onednn, operation, &product, &requirements).code, STATUS_OK);
    bool fast = product != NULL;
    if (!fast) assert_int_equal(requirements.packed_bytes + requirements.scratch_bytes, 0);
    onednn_discard(product);
    onednn_destroy(onednn);
    parallel_destroy(parallel);
    return fast;
}

static void test_a_part_is_as_fast_as_the_whole(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        bool has_onednn;
        const struct operation operation = convolution(kinds[kind], 1);
        bool whole = is_fast(&operation, 1, &has_onednn);
        if (!has_onednn) skip();
        assert_int_equal(is_fast(&operation, 2, &has_onednn), whole);
        assert_int_equal(is_fast(&operation, 3, &has_onednn), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_an_item_are_a_dense_map),
        cmocka_unit_test(test_a_part_is_as_fast_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
