/* Every rule of the safetensors format, broken once; and what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/files.h"
#include "engine/model/safetensors.h"
#include "kernels/convert.h"

/* A file image: length, header, `data_bytes` of counting bytes. Caller frees. */
static unsigned char *image(const char *header, size_t data_bytes, size_t *size)
{
    size_t length = strlen(header);
    *size = 8 + length + data_bytes;
    unsigned char *bytes = malloc(*size);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data_bytes; i++) bytes[8 + length + i] = (unsigned char)i;
    return bytes;
}

static status parse(const char *header, size_t data_bytes)
{
    size_t size;
    unsigned char *bytes = image(header, data_bytes, &size);
    struct safetensors *file;
    status result = safetensors_parse(bytes, size, "FILE", &file);
    if (result.code == STATUS_OK)
        safetensors_close(file);
    else
        assert_null(file);
    free(bytes);
    return result;
}

static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
    } cases[] = {
        {"{}", 0},
        {"{}      ", 0},
        {"{ \"a\" :\t{\"dtype\":\"F32\",\n\"shape\":[2, 1],\"data_offsets\":[0,8]}}  ", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]}}", 0},
        {"{\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[2,10]},"
         "\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]},"
         "\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]},\"__metadata__\":{\"k\":\"v\"}}",
         10},
        {"{\"\\u00e9\\ud83d\\ude00\\\"\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        status result = parse(cases[i].header, cases[i].bytes);
        if (result.code != STATUS_OK) fail_msg("%s: %s", cases[i].header, result.message);
    }
}

#define TENSOR(name, shape, begin, end)                                                                                \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_every_rule_broken_once(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
        const char *message; /* what the message must say */
    } cases[] = {
        {"", 0, "'{' as the first byte"},
        {" {}", 0, "'{' as the first byte"},
        {"[]", 0, "'{' as the first byte"},
        {"{}x", 0, "line 1, column 3: something follows the value"},
        {"{", 0, "expected a key in double quotes"},
        {"{\"a\"", 0, "expected ':'"},
        {"{\"a", 0, "ends inside a string"},
        {"{a:1}", 0, "expected a key in double quotes"},
        {"{\"a\":1}", 0, "'{' of a tensor"},
        {"{" TENSOR("a", "[1]", 0, 4) ",}", 4, "expected a key in double quotes"},
        {"{" TENSOR("a", "[1]", 0, 4) TENSOR("b", "[1]", 4, 8) "}", 8, "expected ',' or '}'"},
        {"{\"\xff\":1}", 0, "not UTF-8"},
        {"{\"\xc0\x80\":1}", 0, "not UTF-8"},
        {"{\"\xed\xa0\x80\":1}", 0, "not UTF-8"},
        {"{\"a\nb\":1}", 0, "control character"},
        {"{\"a\\u001bb\":1}", 0, "control character"},
        {"{\"a\\u0000b\":1}", 0, "the NUL character"},
        {"{\"a\\ud800b\":1}", 0, "surrogate"},
        {"{\"a\\udc00b\":1}", 0, "surrogate"},
        {"{\"a\\ud800\\u0041\":1}", 0, "surrogate"},
        {"{\"a\\u00g0\":1}", 0, "hexadecimal"},
        {"{\"a\\x\":1}", 0, "escape"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype \"F31\""},
        {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name of a dtype"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a has no dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "a has no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "a has no data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "duplicate key dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "the key \"x\""},
        {"{" TENSOR("a", "[-1]", 0, 4) "}", 4, "non-negative"},
        {"{" TENSOR("a", "[1.0]", 0, 4) "}", 4, "',' or ']'"},
        {"{" TENSOR("a", "[01]", 0, 4) "}", 4, "expected ',' or ']'"},
        {"{" TENSOR("a", "[9223372036854775808]", 0, 4) "}", 4, "below 2^63"},
        {"{" TENSOR("a", "[4294967296,4294967296]", 0, 0) "}", 0, "beyond 2^63"},
        {"{" TENSOR("a", "[4611686018427387904]", 0, 0) "}", 0, "beyond 2^63"},
        {"{" TENSOR("a", "[4294967296,4294967296,0]", 0, 0) "}", 0, "beyond 2^63"},
        {"{" TENSOR("a", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "dimensions"},
        {"{" TENSOR("a", "[2]", 0, 4) "}", 4, "needs 8 bytes"},
        {"{" TENSOR("a", "[1]", 4, 0) "}", 4, "needs 4 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "','"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "']'"},
        {"{" TENSOR("a", "[1]", 0, 4) "," TENSOR("b", "[1]", 2, 6) "}", 6, "overlaps"},
        {"{" TENSOR("a", "[1]", 0, 4) "," TENSOR("b", "[1]", 0, 4) "}", 4, "overlaps"},
        {"{" TENSOR("a", "[1]", 4, 8) "}", 8, "hole"},
        {"{" TENSOR("a", "[1]", 0, 4) "," TENSOR("b", "[1]", 8, 12) "}", 12, "hole"},
        {"{" TENSOR("a", "[1]", 0, 4) "}", 5, "the file has 5 data bytes"},
        {"{" TENSOR("a", "[1]", 0, 4) "}", 3, "truncated"},
        {"{}", 1, "the file has 1 data bytes"},
        {"{" TENSOR("a", "[1]", 0, 4) "," TENSOR("a", "[1]", 4, 8) "}", 8, "duplicate key a"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key __metadata__"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "only strings"},
        {"{\"__metadata__\":{\"k\":{}}}", 0, "only strings"},
        {"{\"__metadata__\":[]}", 0, "'{' of __metadata__"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "duplicate key \"k\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        status result = parse(cases[i].header, cases[i].bytes);
        if (result.code != STATUS_BAD_INPUT || !strstr(result.message, cases[i].message) ||
            strncmp(result.message, "FILE: ", 6) != 0)
            fail_msg("%s: code %d, \"%s\"; expected \"%s\"", cases[i].header, result.code, result.message,
                     cases[i].message);
    }
}

static void test_header_length(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *message;
    } cases[] = {{100000001, "at most 100000000"},
                 {UINT64_MAX, "at most"},
                 {UINT64_MAX - 7, "at most"},
                 {100000000, "truncated"},
                 {3, "truncated"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        for (int j = 0; j < 8; j++) bytes[j] = (unsigned char)(cases[i].length >> (8 * j));
        struct safetensors *file;
        status result = safetensors_parse(bytes, sizeof bytes, "FILE", &file);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
        assert_non_null(strstr(result.message, cases[i].message));
    }
    for (size_t size = 0; size < 8; size++) {
        struct safetensors *file;
        assert_int_equal(safetensors_parse("\0\0\0\0\0\0\0", size, "FILE", &file).code, STATUS_BAD_INPUT);
    }
}

static void test_half_precision_is_exact(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        uint16_t bits = (uint16_t)half;
        float value;
        convert_to_float(ELEMENT_F16, &value, &bits, 1);
        int exponent = (int)(half >> 10 & 31), mantissa = (int)(half & 1023);
        double expected = exponent == 0    ? ldexp(mantissa, -24)
                          : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                           : ldexp(1024 + mantissa, exponent - 25);
        if (isnan(expected)) {
            assert_true(isnan(value));
            continue;
        }
        assert_true((double)value == (half & 0x8000 ? -expected : expected));
        assert_true(!!signbit(value) == !!(half & 0x8000));
        assert_int_equal(half_from_float(value), half);
    }
    assert_int_equal(half_from_float(65520.0f), 0x7C00); /* half way to 65536 */
    assert_int_equal(half_from_float(65519.0f), 0x7BFF);
    assert_int_equal(half_from_float(1.00048828125f), 0x3C00); /* a tie goes to even */
    assert_int_equal(half_from_float(1.00146484375f), 0x3C02);
    assert_int_equal(half_from_float(0x1p-25f), 0x0000);
    assert_int_equal(half_from_float(0x1.8p-25f), 0x0001);
}

/* ---- files ---- */

static char folder[] = "/tmp/safetensors-test-XXXXXX";

static char *in_folder(const char *name)
{
    static char path[4][300];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return directory_remove(folder).code;
}

static const float numbers[6] = {0.0f, -1.5f, 2.0f, 1e-20f, 3e20f, 5.0f};
static const uint16_t halves[2] = {0x3C00, 0xC000}; /* 1, -2 in binary16 */
static const uint16_t brains[2] = {0x3F80, 0xC000}; /* 1, -2 in bfloat16 */
static const int64_t positions[3] = {0, 1, 76};

static status write_example(const char *path)
{
    const struct safetensors_item items[] = {
        {"z.weight", SAFETENSORS_F32, 2, {2, 3}, numbers}, {"half", SAFETENSORS_F16, 1, {2}, halves},
        {"brain", SAFETENSORS_BF16, 1, {2}, brains},       {"position_ids", SAFETENSORS_I64, 2, {1, 3}, positions},
        {"alpha", SAFETENSORS_F32, 0, {0}, &numbers[5]},   {"empty", SAFETENSORS_F32, 2, {0, 3}, NULL},
    };
    const struct safetensors_text metadata[] = {{"ss_steps", "30"}, {"preset", "{\"name\":\n\"\xc3\xa9\"}"}};
    return safetensors_write(path, items, 6, metadata, 2);
}

static void test_written_reads_back(void **state)
{
    (void)state;
    const char *path = in_folder("a.safetensors");
    assert_int_equal(write_example(path).code, STATUS_OK);
    assert_int_equal(write_example(path).code, STATUS_OK); /* over itself */
    struct safetensors *file;
    status result = safetensors_open(path, &file);
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
    assert_int_equal(safetensors_count(file), 6);
    assert_string_equal(safetensors_entry_at(file, 0)->name, "alpha");
    assert_string_equal(safetensors_metadata(file, "ss_steps"), "30");
    assert_string_equal(safetensors_metadata(file, "preset"), "{\"name\":\n\"\xc3\xa9\"}");
    assert_null(safetensors_metadata(file, "none"));
    assert_null(safetensors_find(file, "none"));

    float values[6];
    const struct shape matrix = {2, {2, 3}}, two = {1, {2}}, one = {1, {1}}, wrong = {2, {3, 2}}, row = {2, {1, 3}};
    assert_int_equal(safetensors_read(file, "z.weight", &matrix, values).code, STATUS_OK);
    assert_memory_equal(values, numbers, sizeof numbers);
    assert_int_equal(safetensors_read(file, "half", &two, values).code, STATUS_OK);
    assert_true(values[0] == 1.0f && values[1] == -2.0f);
    assert_int_equal(safetensors_read(file, "brain", &two, values).code, STATUS_OK);
    assert_true(values[0] == 1.0f && values[1] == -2.0f);
    assert_int_equal(safetensors_read(file, "position_ids", &row, values).code, STATUS_OK);
    assert_true(values[2] == 76.0f);
    assert_int_equal(safetensors_read(file, "alpha", &one, values).code, STATUS_OK);
    assert_true(values[0] == 5.0f);

    result = safetensors_read(file, "z.weight", &wrong, values);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "a.safetensors: tensor z.weight has shape [2, 3]; expected [3, 2]"));
    result = safetensors_read(file, "missing", &wrong, values);
    assert_non_null(strstr(result.message, "a.safetensors: has no tensor missing; expected one of shape [3, 2]"));
    safetensors_close(file);

    struct name_list names;
    assert_int_equal(directory_list(folder, &names).code, STATUS_OK);
    assert_int_equal(names.count, 1); /* no temporary file is left */
    name_list_clear(&names);
}

static void test_writer_refuses(void **state)
{
    (void)state;
    const struct safetensors_item twice[] = {{"a", SAFETENSORS_F32, 1, {1}, numbers},
                                             {"a", SAFETENSORS_F32, 1, {1}, numbers}};
    const struct safetensors_item reserved[] = {{"__metadata__", SAFETENSORS_F32, 1, {1}, numbers}};
    const struct safetensors_text latin[] = {{"k", "\xe9"}};
    const char *path = in_folder("refused.safetensors");
    assert_int_equal(safetensors_write(path, twice, 2, NULL, 0).code, STATUS_BAD_INPUT);
    assert_int_equal(safetensors_write(path, reserved, 1, NULL, 0).code, STATUS_BAD_INPUT);
    assert_int_equal(safetensors_write(path, twice, 1, latin, 1).code, STATUS_BAD_INPUT);
    assert_int_not_equal(access(path, F_OK), 0);
    status result = safetensors_write(in_folder("none/a.safetensors"), twice, 1, NULL, 0);
    assert_int_equal(result.code, STATUS_FAILED);
    assert_non_null(strstr(result.message, "none/a.safetensors"));
}

static void test_unopenable(void **state)
{
    (void)state;
    struct safetensors *file;
    status result = safetensors_open(in_folder("absent.safetensors"), &file);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "absent.safetensors"));
    assert_int_equal(safetensors_open(folder, &file).code, STATUS_BAD_INPUT);
    assert_int_equal(file_write_atomic(in_folder("empty.safetensors"), "", 0).code, STATUS_OK);
    result = safetensors_open(in_folder("empty.safetensors"), &file);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "empty"));
}

static void test_every_truncation_is_noticed(void **state)
{
    (void)state;
    const char *path = in_folder("whole.safetensors");
    assert_int_equal(write_example(path).code, STATUS_OK);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &length).code, STATUS_OK);
    for (size_t size = 0; size < length; size++) {
        struct safetensors *file;
        assert_int_equal(safetensors_parse(bytes, size, "FILE", &file).code, STATUS_BAD_INPUT);
    }
    free(bytes);
}

static void write_index(const char *text)
{
    assert_int_equal(file_write_atomic(in_folder("m.safetensors.index.json"), text, strlen(text)).code, STATUS_OK);
}

static void test_shards(void **state)
{
    (void)state;
    const struct safetensors_item first[] = {{"a", SAFETENSORS_F32, 1, {2}, numbers}};
    const struct safetensors_item second[] = {{"b", SAFETENSORS_F32, 1, {1}, &numbers[1]},
                                              {"a", SAFETENSORS_F32, 1, {2}, numbers}};
    assert_int_equal(safetensors_write(in_folder("1.safetensors"), first, 1, NULL, 0).code, STATUS_OK);
    assert_int_equal(safetensors_write(in_folder("2.safetensors"), second, 1, NULL, 0).code, STATUS_OK);
    assert_int_equal(safetensors_write(in_folder("3.safetensors"), second, 2, NULL, 0).code, STATUS_OK);
    struct tensor_files *files;
    write_index("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
    status result = tensor_files_open(in_folder("m.safetensors.index.json"), &files);
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
    assert_int_equal(tensor_files_count(files), 2);
    const struct shape one = {1, {1}};
    float value;
    struct weight_source source = tensor_files_source(files);
    assert_int_equal(weight_source_read(source, "b", &one, &value).code, STATUS_OK);
    assert_true(value == -1.5f);
    result = weight_source_read(source, "a", &one, &value);
    assert_non_null(strstr(result.message, "1.safetensors: tensor a has shape [2]; expected [1]"));
    result = weight_source_read(source, "c", &one, &value);
    assert_non_null(strstr(result.message, "has no tensor c"));
    tensor_files_close(files);

    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}}", "tensor a is in two shards"},
        {"{\"weight_map\":{\"a\":\"2.safetensors\"}}", "has no tensor a"},
        {"{\"weight_map\":{\"a\":\"4.safetensors\"}}", "4.safetensors"},
        {"{\"weight_map\":{\"a\":\"../1.safetensors\"}}", "the same folder"},
        {"{\"weight_map\":{\"a\":1}}", "the same folder"},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}}", "duplicate key"},
        {"{\"weight_map\":[]}", "weight_map"},
        {"{}", "weight_map"},
        {"{} x", "index.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_index(cases[i].text);
        result = tensor_files_open(in_folder("m.safetensors.index.json"), &files);
        if (result.code != STATUS_BAD_INPUT || !strstr(result.message, cases[i].message))
            fail_msg("%s: %s", cases[i].text, result.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_every_rule_broken_once),
        cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_half_precision_is_exact),
        cmocka_unit_test(test_written_reads_back),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_unopenable),
        cmocka_unit_test(test_every_truncation_is_noticed),
        cmocka_unit_test(test_shards),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
