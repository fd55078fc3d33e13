/* Which texts are JSON, how deep, and that printed numbers read back the same. */
#include "engine/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static status parse(const char *text, cJSON **value)
{
    return json_parse(text, strlen(text), "x.json", value);
}

static void assert_refused(const char *text, size_t length, const char *message)
{
    cJSON *value;
    status result = json_parse(text, length, "x.json", &value);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_null(value);
    assert_non_null(strstr(result.message, "x.json: "));
    if (!strstr(result.message, message)) fail_msg("expected \"%s\" in: %s", message, result.message);
}

static void wrong_texts_are_refused(void **state)
{
    (void)state;
    const char *const cases[][2] = {
        {"", "the text ends where a value is expected"},
        {"{} x", "line 1, column 4: something follows"},
        {"{\"a\":1,\n\"a\":2}", "duplicate key \"a\""},
        {"[1,]", "expected a value"},
        {"{\"a\":1,}", "expected a key"},
        {"[01]", "expected ',' or ']'"},
        {"[1.]", "digits are missing"},
        {"[.5]", "expected a value"},
        {"[+1]", "expected a value"},
        {"[1e]", "exponent"},
        {"[-]", "needs digits"},
        {"[NaN]", "expected a value"},
        {"[nul]", "expected a value"},
        {"[1e400]", "too large"},
        {"{\"k\":1e400}", "key \"k\""},
        {"\"\\u0000\"", "NUL"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\x\"", "unknown escape"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"a\nb\"", "control character"},
        {"\"abc", "ends inside a string"},
        {"\"\xC0\x80\"", "not UTF-8"},
        {"{\"a\" 1}", "expected ':'"},
        {"{a:1}", "expected a key"},
        {"[1 2]", "expected ',' or ']'"},
        {"[1}", "expected ',' or ']'"},
        {"{\"a\":\n[true,\n  falsch]}", "line 3, column 3"},
        {"/* c */ {}", "expected a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    assert_refused("{}\0{}", 5, "something follows");
    assert_refused("\"a\0b\"", 5, "control character");
    /* A case-sensitive reader sees two keys here. */
    cJSON *value;
    assert_int_equal(parse("{\"a\":1,\"A\":2}", &value).code, STATUS_OK);
    cJSON_Delete(value);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[4 * JSON_DEPTH_LIMIT];
    memset(text, '[', sizeof text);
    assert_refused(text, sizeof text, "nested too deeply");
    memset(text, '[', JSON_DEPTH_LIMIT);
    memset(text + JSON_DEPTH_LIMIT, ']', JSON_DEPTH_LIMIT);
    cJSON *value;
    assert_int_equal(json_parse(text, 2 * JSON_DEPTH_LIMIT, "x.json", &value).code, STATUS_OK);
    cJSON_Delete(value);
}

static void members_are_read_with_their_range(void **state)
{
    (void)state;
    cJSON *value;
    assert_int_equal(parse("{\"sampler\":{\"steps\":20.5,\"eta\":0.25,\"name\":\"ddin\",\"big\":9007199254740994},"
                           "\"list\":[{\"a\":1},2],\"none\":null}",
                           &value)
                         .code,
                     STATUS_OK);
    struct json_object root, sampler, element;
    assert_int_equal(json_root("x.json", value, &root).code, STATUS_OK);
    assert_int_equal(json_child(&root, "sampler", &sampler).code, STATUS_OK);
    int steps;
    double eta;
    assert_string_equal(json_int(&sampler, "steps", 1, 1000, &steps).message,
                        "x.json: sampler.steps: expected a whole number from 1 to 1000, found 20.5");
    int64_t big;
    assert_int_equal(json_integer(&sampler, "big", 0, INT64_MAX, &big).code, STATUS_BAD_INPUT);
    assert_int_equal(json_number(&sampler, "eta", 0, 1, &eta).code, STATUS_OK);
    assert_true(eta == 0.25);
    assert_int_equal(json_number(&sampler, "Eta", 0, 1, &eta).code, STATUS_BAD_INPUT);
    const char *const names[] = {"ddim", "euler"};
    int index;
    assert_non_null(strstr(json_choice(&sampler, "name", names, 2, &index).message, "did you mean \"ddim\""));
    assert_int_equal(json_element(&root, "list", 0, &element).code, STATUS_OK);
    assert_string_equal(element.path, "list[0]");
    assert_string_equal(json_element(&root, "list", 1, &element).message,
                        "x.json: list[1]: expected an object, found 2");
    int number = 0;
    assert_int_equal(json_int_or(&root, "none", 0, 9, 7, &number).code, STATUS_OK);
    assert_int_equal(number, 7);
    cJSON_Delete(value);
}

static void printing_is_exact(void **state)
{
    (void)state;
    cJSON *value;
    const char *text = "{\"a\":[0.1,1e-08,0.30000000000000004,true,null,\"\xC3\xBC\"],\"b\":{}}";
    assert_int_equal(parse(text, &value).code, STATUS_OK);
    char *printed = json_print(value, false);
    assert_string_equal(printed, text);
    free(printed);
    cJSON_Delete(value);
}

static void pythons_numbers_are_words(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": -Infinity, \"b\": [NaN, Infinity], \"c\": \"NaN \\\" Infinity\", \"d\": 1e300}";
    cJSON *value;
    assert_int_equal(json_parse_python(text, strlen(text), "x.json", &value).code, STATUS_OK);
    char *printed = cJSON_PrintUnformatted(value);
    assert_string_equal(printed,
                        "{\"a\":\"-Infinity\",\"b\":[\"NaN\",\"Infinity\"],\"c\":\"NaN \\\" Infinity\",\"d\":1e+300}");
    cJSON_free(printed);
    cJSON_Delete(value);
    static const char *const wrong[] = {
        "{NaN: 1}", "[NaN Infinity]", "[nan]",        "[--Infinity]", "[Infinity1]", "{\"a\": NaN, \"a\": 1}",
        "[1e400]",  "[-NaN]",         "[NaN, 1e400]", "NaN Infinity"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        status result = json_parse_python(wrong[i], strlen(wrong[i]), "x.json", &value);
        if (result.code != STATUS_BAD_INPUT) fail_msg("%s is taken", wrong[i]);
        assert_null(value);
    }
}

static void byte_order_marks_are_skipped(void **state)
{
    (void)state;
    char path[] = "/tmp/json-test-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    static const char good[] = "\xEF\xBB\xBF{\"a\": 1}", twice[] = "\xEF\xBB\xBF\xEF\xBB\xBF{}",
                      late[] = "\xEF\xBB\xBF{\"a\":\n x}";
    cJSON *value;
    assert_int_equal(write(file, good, sizeof good - 1), sizeof good - 1);
    assert_int_equal(json_read_file(path, 100, &value).code, STATUS_OK);
    assert_true(cJSON_GetObjectItemCaseSensitive(value, "a")->valuedouble == 1.0);
    cJSON_Delete(value);
    assert_int_equal(pwrite(file, twice, sizeof twice - 1, 0), sizeof twice - 1);
    assert_int_equal(json_read_file(path, 100, &value).code, STATUS_BAD_INPUT);
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, late, sizeof late - 1, 0), sizeof late - 1);
    status result = json_read_python_file(path, 100, &value);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "line 2, column 2")); /* places count without the mark */
    assert_int_equal(json_parse(good, sizeof good - 1, "message", &value).code, STATUS_BAD_INPUT);
    close(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_texts_are_refused),           cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(members_are_read_with_their_range), cmocka_unit_test(printing_is_exact),
        cmocka_unit_test(pythons_numbers_are_words),         cmocka_unit_test(byte_order_marks_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
