/* Weights on their way from a source to a backend's memory. */
#include "engine/graph/weights.h"
#include "kernels/convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* More than several threads convert at a time, and no whole number of chunks. */
enum { LARGE = 3000017 };

struct stored {
    enum element_type type;
    unsigned char *bytes; /* off every boundary, as in a file */
    int64_t count;
    int reads;
};

static status give(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    struct stored *stored = context;
    if (strcmp(name, "weight") != 0) return status_error(STATUS_BAD_INPUT, "no tensor %s", name);
    assert_int_equal(shape_elements(shape), stored->count);
    stored->reads++;
    return weight_sink_give(sink, stored->type, stored->bytes);
}

static double value_of(int64_t index)
{
    return (double)(index * 7919 % 20011 - 10000) / 4096.0;
}

static struct stored store(enum element_type type, int64_t count)
{
    size_t size = element_size(type);
    struct stored stored = {type, malloc((size_t)count * size + 1), count, 0};
    assert_non_null(stored.bytes);
    stored.bytes++;
    for (int64_t i = 0; i < count; i++) {
        double value = value_of(i);
        unsigned char element[8];
        convert_from_double(type, element, &value, 1);
        memcpy(stored.bytes + (size_t)i * size, element, size);
    }
    return stored;
}

static void check(struct backend *backend, enum element_type from, enum element_type to, int64_t count)
{
    struct stored stored = store(from, count);
    struct weight_set *set;
    struct shape shape = {1, {count}};
    void *memory, *again;
    size_t size = element_size(to);
    set = weight_set_create(backend, (struct weight_source){give, &stored});
    assert_int_equal(weight_set_get(set, "weight", &shape, to, &memory).code, STATUS_OK);
    unsigned char *found = malloc((size_t)count * size);
    assert_non_null(found);
    assert_int_equal(backend->interface->download(backend, found, memory, (size_t)count * size).code, STATUS_OK);
    for (int64_t i = 0; i < count; i++) {
        double value = value_of(i), rounded;
        unsigned char stored_once[8], expected[8];
        convert_from_double(from, stored_once, &value, 1);
        convert_to_double(from, &rounded, stored_once, 1);
        convert_from_double(to, expected, &rounded, 1);
        if (memcmp(found + (size_t)i * size, expected, size) != 0)
            fail_msg("element %lld of %lld, from type %d to %d", (long long)i, (long long)count, from, to);
    }
    assert_int_equal(weight_set_get(set, "weight", &shape, to, &again).code, STATUS_OK);
    assert_ptr_equal(again, memory);
    assert_int_equal(stored.reads, 1);
    assert_int_equal(weight_set_bytes(set), (size_t)count * size);
    assert_int_equal(weight_set_get(set, "other", &shape, to, &again).code, STATUS_BAD_INPUT);
    weight_set_destroy(set);
    free(found);
    free(stored.bytes - 1);
}

static void test_every_element_arrives_in_the_type_asked_for(void **state)
{
    (void)state;
    static const enum element_type from[] = {ELEMENT_F32, ELEMENT_F16, ELEMENT_BF16};
    static const enum element_type to[] = {ELEMENT_F32, ELEMENT_F16, ELEMENT_BF16, ELEMENT_F64};
    struct backend *backend;
    assert_int_equal(backend_cpu_create(1, &backend).code, STATUS_OK);
    for (size_t f = 0; f < sizeof from / sizeof *from; f++)
        for (size_t t = 0; t < sizeof to / sizeof *to; t++) check(backend, from[f], to[t], f == 1 ? LARGE : 1000);
    check(backend, ELEMENT_F32, ELEMENT_BF16, 1);
    check(backend, ELEMENT_F32, ELEMENT_F32, LARGE);
    backend->interface->destroy(backend);
}

static void test_floats_of_a_source(void **state)
{
    (void)state;
    struct stored stored = store(ELEMENT_BF16, 1000);
    struct shape shape = {1, {1000}};
    float values[1000];
    struct weight_source source = {give, &stored};
    assert_int_equal(weight_source_read(source, "weight", &shape, values).code, STATUS_OK);
    for (int i = 0; i < 1000; i++)
        assert_true(values[i] == float_from_bfloat16(bfloat16_from_float((float)value_of(i))));
    assert_int_equal(weight_source_read(source, "other", &shape, values).code, STATUS_BAD_INPUT);
    free(stored.bytes - 1);
}

/* ---- what is no number ---- */

/* Loads one value among others, at a place that one of several threads reads, and checks the message. */
static void expect_refused(struct backend *backend, enum element_type from, enum element_type to, double value,
                           int64_t place, const char *message)
{
    struct stored stored = store(from, LARGE);
    struct weight_set *set;
    struct shape shape = {1, {LARGE}};
    char expected[120];
    void *memory;
    convert_from_double(from, stored.bytes + (size_t)place * element_size(from), &value, 1);
    set = weight_set_create(backend, (struct weight_source){give, &stored});
    status result = weight_set_get(set, "weight", &shape, to, &memory);
    snprintf(expected, sizeof expected, "tensor weight holds %s, at element %lld", message, (long long)place);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, expected))
        fail_msg("from type %d to %d: code %d, \"%s\"; expected \"%s\"", from, to, result.code, result.message,
                 expected);
    assert_int_equal(weight_set_bytes(set), 0);
    weight_set_destroy(set);
    free(stored.bytes - 1);
}

static void test_what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char never[] = "an infinity or NaN";
    struct backend *backend;
    assert_int_equal(backend_cpu_create(1, &backend).code, STATUS_OK);
    expect_refused(backend, ELEMENT_F32, ELEMENT_F32, NAN, 0, never);
    expect_refused(backend, ELEMENT_F32, ELEMENT_BF16, INFINITY, LARGE - 1, never);
    expect_refused(backend, ELEMENT_F32, ELEMENT_F16, -INFINITY, 1234567, never);
    expect_refused(backend, ELEMENT_F32, ELEMENT_F64, NAN, 262144, never);
    expect_refused(backend, ELEMENT_F16, ELEMENT_F32, NAN, 255, never);
    expect_refused(backend, ELEMENT_F16, ELEMENT_F16, INFINITY, 256, never);
    expect_refused(backend, ELEMENT_BF16, ELEMENT_BF16, NAN, 65536, never);
    expect_refused(backend, ELEMENT_F32, ELEMENT_F16, 1e6, 77, "1e+06");
    expect_refused(backend, ELEMENT_BF16, ELEMENT_F16, 65536.0, 77, "65536");
    backend->interface->destroy(backend);
}

static status fail_late(const void *context, int64_t first, int64_t count, void *elements)
{
    (void)context;
    if (first + count > LARGE / 2) return status_error(STATUS_BAD_INPUT, "the file ends at element %d", LARGE / 2);
    memset(elements, 0, (size_t)count * sizeof(float));
    return status_ok();
}

static status give_half(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    (void)context, (void)name, (void)shape;
    const struct weight_elements elements = {ELEMENT_F32, fail_late, NULL};
    return sink.take(sink.context, &elements);
}

static void test_a_file_that_ends_early(void **state)
{
    (void)state;
    struct backend *backend;
    struct weight_set *set;
    struct shape shape = {1, {LARGE}};
    void *memory;
    assert_int_equal(backend_cpu_create(1, &backend).code, STATUS_OK);
    set = weight_set_create(backend, (struct weight_source){give_half, NULL});
    status result = weight_set_get(set, "weight", &shape, ELEMENT_BF16, &memory);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "the file ends at element"));
    weight_set_destroy(set);
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_arrives_in_the_type_asked_for),
        cmocka_unit_test(test_floats_of_a_source),
        cmocka_unit_test(test_what_is_no_number_is_refused),
        cmocka_unit_test(test_a_file_that_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
