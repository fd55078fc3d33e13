/* Numbers, escapes, readable text, UTF-8, nearest names, and SHA-256's published values. */
#include "engine/base/sha256.h"
#include "engine/base/text.h"
#include "kernels/readable.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void numbers_read_back_exactly(void **state)
{
    (void)state;
    const double values[] = {0.1, 1.0 / 3.0, 1e-8, 9007199254740993.0, 1.7976931348623157e308, 5e-324, -0.0, 100};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct text text = {0};
        text_append_json_number(&text, values[i]);
        double back = strtod(text.data, NULL);
        assert_memory_equal(&back, &values[i], sizeof back);
        text_clear(&text);
    }
    struct text text = {0};
    text_append_json_number(&text, 0.001);
    text_append_json_number(&text, NAN);
    text_append_json_number(&text, INFINITY);
    assert_string_equal(text.data, "0.001nullnull");
    text_clear(&text);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    struct text text = {0};
    text_append_json_string(&text, "a\"b\\c\n\x01ü");
    assert_string_equal(text.data, "\"a\\\"b\\\\c\\n\\u0001ü\"");
    text_clear(&text);
    /* DEL, CSI of C1, RIGHT-TO-LEFT OVERRIDE, LINE SEPARATOR, and a byte that is no UTF-8. */
    text_append_json_string(&text, "\x7F\xC2\x9B\xE2\x80\xAE\xE2\x80\xA8\xE9😀");
    assert_string_equal(text.data, "\"\\u007f\\u009b\\u202e\\u2028\xEF\xBF\xBD😀\"");
    text_clear(&text);
}

static void what_people_read_holds_no_controls(void **state)
{
    (void)state;
    static const struct {
        const char *given, *shown;
    } cases[] = {
        {"plain ü € 😀", "plain ü € 😀"},
        {"\x1B[31mred\a\r\x7F", "\\x1b[31mred\\x07\\r\\x7f"},
        {"a\tb\nc", "a\tb\nc"},
        {"\xC2\x85\xC2\x9B", "\\u0085\\u009b"},
        {"\xC2\xA0", "\xC2\xA0"},
        {"\xD8\x9C\xE2\x80\x8E\xE2\x80\x8F", "\\u061c\\u200e\\u200f"},
        {"\xE2\x80\xA9\xE2\x80\xAA\xE2\x80\xAE\xE2\x81\xA6\xE2\x81\xA9", "\\u2029\\u202a\\u202e\\u2066\\u2069"},
        {"caf\xE9 \x9B", "caf\\xe9 \\x9b"},
        {"half \xE2\x82", "half \\xe2\\x82"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text = {0};
        text_append_readable(&text, cases[i].given, strlen(cases[i].given), "\n\t");
        assert_string_equal(text.data, cases[i].shown);
        text_clear(&text);
    }
    char small[8];
    readable_copy(small, sizeof small, "ab\x1B\n€");
    assert_string_equal(small, "ab\\x1b"); /* the new line's escape no longer fits */
}

static void messages_hold_no_controls(void **state)
{
    (void)state;
    status result = status_error(STATUS_BAD_INPUT, "%s: key \"%s\"", "a\x1B]0;b\a.json", "x\xC2\x9By\n");
    assert_string_equal(result.message, "a\\x1b]0;b\\x07.json: key \"x\\u009by\\n\"");
    result = status_context(result, "\xE2\x80\xAE%s", "c");
    assert_string_equal(result.message, "\\u202ec: a\\x1b]0;b\\x07.json: key \"x\\u009by\\n\"");
    char many[400];
    memset(many, '\a', sizeof many);
    many[sizeof many - 1] = '\0';
    result = status_error(STATUS_FAILED, "%s", many);
    assert_true(strlen(result.message) < sizeof result.message);
    assert_null(strchr(result.message, '\a'));
    assert_string_equal(result.message + strlen(result.message) - 4, "\\x07");
}

static void utf8_is_checked(void **state)
{
    (void)state;
    size_t bad = 99;
    assert_true(text_is_utf8("aü€😀", strlen("aü€😀"), &bad));
    assert_false(text_is_utf8("ab\xC0\x80", 4, &bad));
    assert_int_equal(bad, 2);
    assert_false(text_is_utf8("\xED\xA0\x80", 3, &bad));
    assert_false(text_is_utf8("\xF4\x90\x80\x80", 4, &bad));
    assert_false(text_is_utf8("\xE2\x82", 2, &bad));
    assert_false(text_is_utf8("\x80", 1, &bad));
}

static void readings_are_strict(void **state)
{
    (void)state;
    double number;
    int64_t integer;
    uint64_t natural;
    assert_true(text_to_double("-1.5e3", &number));
    assert_true(number == -1500);
    assert_false(text_to_double("1.5x", &number));
    assert_false(text_to_double(" 1", &number));
    assert_false(text_to_double("0x10", &number));
    assert_false(text_to_double("nan", &number));
    assert_false(text_to_double("1e999", &number));
    assert_false(text_to_double("", &number));
    assert_true(text_to_int64("-9223372036854775808", &integer));
    assert_false(text_to_int64("9223372036854775808", &integer));
    assert_false(text_to_int64("1-", &integer));
    assert_true(text_to_uint64("18446744073709551615", &natural));
    assert_true(natural == UINT64_MAX);
    assert_false(text_to_uint64("18446744073709551616", &natural));
    assert_false(text_to_uint64("-1", &natural));
}

static void nearest_name_is_found(void **state)
{
    (void)state;
    const char *const names[] = {"guidance", "steps", "width", "learning_rate"};
    assert_string_equal(text_nearest("guidence", names, 4), "guidance");
    assert_string_equal(text_nearest("STEP", names, 4), "steps");
    assert_string_equal(text_nearest("lerning-rate", names, 4), "learning_rate");
    assert_null(text_nearest("zebra", names, 4));
    assert_null(text_nearest("", names, 4));
}

/* The examples of FIPS 180-4, and one that ends at each edge of the padding. */
static void sha256_gives_the_published_values(void **state)
{
    (void)state;
    const struct {
        const char *text, *digits;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sha256 hash;
        char digits[65];
        sha256_begin(&hash);
        for (const char *p = cases[i].text; *p; p++) sha256_add(&hash, p, 1);
        sha256_end(&hash, digits);
        assert_string_equal(digits, cases[i].digits);
    }
    struct sha256 hash;
    char digits[65], block[1000];
    memset(block, 'a', sizeof block);
    sha256_begin(&hash);
    for (int i = 0; i < 1000; i++) sha256_add(&hash, block, sizeof block);
    sha256_end(&hash, digits);
    assert_string_equal(digits, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_read_back_exactly),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(readings_are_strict),
        cmocka_unit_test(nearest_name_is_found),
        cmocka_unit_test(sha256_gives_the_published_values),
        cmocka_unit_test(what_people_read_holds_no_controls),
        cmocka_unit_test(messages_hold_no_controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
