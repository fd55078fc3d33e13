/* What is taken for a message, and how versions and replies are told. */
#include "engine/protocol/message.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static enum status_code parse(const char *text, size_t length)
{
    cJSON *message;
    status result = message_parse(text, length, &message);
    assert_true((message != NULL) == (result.code == STATUS_OK));
    cJSON_Delete(message);
    return result.code;
}

static void only_whole_objects_are_messages(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"type\":\"x\"}", 12), STATUS_OK);
    const char *const bad[] = {"",
                               "[]",
                               "1",
                               "{",
                               "{}{}",
                               "{} x",
                               "{\"a\":1,\"a\":2}",
                               "{\"a\":\"\xff\"}",
                               "{\"a\":\"\\u0000\"}",
                               "nul",
                               "{\"a\":1e999}",
                               "{\"a\":NaN}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse(bad[i], strlen(bad[i])) == STATUS_OK) fail_msg("accepted: %s", bad[i]);
    assert_int_equal(parse("{}\0{}", 5), STATUS_BAD_INPUT);
    char deep[4000];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    assert_int_equal(parse(deep, sizeof deep), STATUS_BAD_INPUT);
}

static void values_of_a_wrong_kind_fall_back(void **state)
{
    (void)state;
    cJSON *message;
    const char *text = "{\"n\":2.5,\"i\":7,\"t\":\"word\",\"b\":true,\"z\":null}";
    assert_int_equal(message_parse(text, strlen(text), &message).code, STATUS_OK);
    assert_true(json_get_number(message, "n", 0) == 2.5);
    assert_true(json_get_number(message, "t", -1) == -1);
    assert_int_equal(json_get_integer_in(message, "i", 0, 10, -1), 7);
    assert_int_equal(json_get_integer_in(message, "i", 0, 6, -1), -1);
    assert_int_equal(json_get_integer_in(message, "n", 0, 10, -1), -1);
    assert_string_equal(json_get_text(message, "t", ""), "word");
    assert_string_equal(json_get_text(message, "i", "none"), "none");
    assert_string_equal(json_get_text(message, "z", "none"), "none");
    assert_true(json_get_flag(message, "b", false));
    assert_true(json_get_flag(message, "absent", true));
    cJSON_Delete(message);
}

static void numbers_that_are_not_finite_become_null(void **state)
{
    (void)state;
    cJSON *message = message_create("x");
    json_add_number(message, "a", NAN);
    json_add_number(message, "b", INFINITY);
    json_add_number(message, "c", 1);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(message, "a")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(message, "b")));
    assert_true(cJSON_IsNumber(cJSON_GetObjectItem(message, "c")));
    cJSON_Delete(message);
}

static status greet(const char *text)
{
    cJSON *hello;
    assert_int_equal(message_parse(text, strlen(text), &hello).code, STATUS_OK);
    status result = message_check_hello(hello, "this engine", "the client");
    cJSON_Delete(hello);
    return result;
}

static void version_ranges_must_overlap(void **state)
{
    (void)state;
    assert_int_equal(greet("{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1}").code, STATUS_OK);
    assert_int_equal(greet("{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":9,\"new\":[]}").code,
                     STATUS_OK);
    assert_int_equal(greet("{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":0,\"max\":1e300}").code, STATUS_OK);
    assert_int_equal(greet("{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":-1,\"max\":1}").code, STATUS_BAD_INPUT);
    status newer = greet("{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":2,\"max\":3}");
    assert_int_equal(newer.code, STATUS_BAD_INPUT);
    assert_string_equal(newer.message, "this engine speaks protocol 1 to 1, the client 2 to 3");
    assert_int_equal(greet("{\"type\":\"hello\",\"name\":\"alignprop\"}").code, STATUS_BAD_INPUT);
    assert_int_equal(greet("{\"type\":\"hello\",\"name\":\"other\",\"min\":1,\"max\":1}").code, STATUS_BAD_INPUT);
    assert_int_equal(greet("{\"type\":\"pause\",\"id\":1}").code, STATUS_BAD_INPUT);
}

static void a_reply_says_how_it_went(void **state)
{
    (void)state;
    cJSON *good = message_reply(7, status_ok());
    cJSON *bad = message_reply(8, status_error(STATUS_BAD_INPUT, "no such key"));
    char *good_text = cJSON_PrintUnformatted(good), *bad_text = cJSON_PrintUnformatted(bad);
    assert_string_equal(good_text, "{\"type\":\"reply\",\"re\":7,\"ok\":true}");
    assert_string_equal(bad_text, "{\"type\":\"reply\",\"re\":8,\"ok\":false,\"code\":3,\"error\":\"no such key\"}");
    cJSON_free(good_text);
    cJSON_free(bad_text);
    cJSON_Delete(good);
    cJSON_Delete(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_objects_are_messages),
        cmocka_unit_test(values_of_a_wrong_kind_fall_back),
        cmocka_unit_test(numbers_that_are_not_finite_become_null),
        cmocka_unit_test(version_ranges_must_overlap),
        cmocka_unit_test(a_reply_says_how_it_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
