/* A sealed object tells every change of what it says, and none of how it is laid out. */
#include "engine/base/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cJSON *parsed(const char *text)
{
    cJSON *value;
    assert_string_equal(json_parse(text, strlen(text), "test", &value).message, "");
    return value;
}

static void the_seal_is_the_hash_of_the_other_members(void **state)
{
    (void)state;
    cJSON *object = parsed("{\"a\": 1, \"b\": [true, \"x\"]}");
    seal_add(object);
    /* printf '{"a":1,"b":[true,"x"]}' | sha256sum */
    assert_string_equal(cJSON_GetObjectItem(object, "seal")->valuestring,
                        "sha256:63e8063d9dc6f0fd5a24b4706818a165fd57c3531b74466cf5dea62bff09b0b6");
    cJSON_Delete(object);
}

static status check(const char *text, bool *sealed)
{
    cJSON *object = parsed(text);
    status result = seal_take(object, "file.json", sealed);
    assert_null(cJSON_GetObjectItem(object, "seal"));
    cJSON_Delete(object);
    return result;
}

#define SEALED(members)                                                                                                \
    "{" members ",\"seal\":\"sha256:63e8063d9dc6f0fd5a24b4706818a165fd57c3531b74466cf5dea62bff09b0b6\"}"

static void a_change_is_told_and_a_layout_is_not(void **state)
{
    (void)state;
    bool sealed;
    assert_string_equal(check(SEALED("\"a\":1,\"b\":[true,\"x\"]"), &sealed).message, "");
    assert_true(sealed);
    assert_string_equal(check(SEALED(" \"a\" : 1.0 ,\n\"b\":[true,\t\"\\u0078\"]"), &sealed).message, "");
    const char *const changed[] = {SEALED("\"a\":2,\"b\":[true,\"x\"]"),
                                   SEALED("\"a\":1,\"b\":[true,\"y\"]"),
                                   SEALED("\"a\":1,\"b\":[true,\"x\"],\"c\":null"),
                                   SEALED("\"b\":[true,\"x\"]"),
                                   "{\"a\":1,\"seal\":7}",
                                   "{\"a\":1,\"seal\":\"sha256:\"}"};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        status result = check(changed[i], &sealed);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
        assert_non_null(strstr(result.message, "file.json: was changed"));
    }
    assert_string_equal(check("{\"a\":1}", &sealed).message, "");
    assert_false(sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seal_is_the_hash_of_the_other_members),
        cmocka_unit_test(a_change_is_told_and_a_layout_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
