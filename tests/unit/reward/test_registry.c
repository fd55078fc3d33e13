/* The table of rewards, and what is said about wrong parameters. */
#include "kernels/backend.h"
#include "reward_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect_error(const char *name, const char *params, const char *part)
{
    status result = try_reward(name, params);
    if (result.code != STATUS_BAD_INPUT || strstr(result.message, part) == NULL)
        fail_msg("%s %s: expected bad input with \"%s\", got code %d: %s", name, params != NULL ? params : "", part,
                 result.code, result.message);
}

static void test_every_row_is_complete(void **state)
{
    (void)state;
    for (int i = 0; reward_kind_at(i) != NULL; i++) {
        const struct reward_kind *kind = reward_kind_at(i);
        assert_ptr_equal(reward_kind_find(kind->name), kind);
        assert_true(kind->low < kind->high);
        assert_true(strlen(kind->measures) > 0 && strlen(kind->source) > 0);
        for (int k = 0; k < kind->parameter_count; k++) {
            const struct reward_parameter *parameter = &kind->parameters[k];
            bool number = parameter->kind == PARAMETER_NUMBER || parameter->kind == PARAMETER_INTEGER;
            if (number) assert_true(parameter->low <= parameter->fallback && parameter->fallback <= parameter->high);
        }
    }
    assert_non_null(reward_kind_at(0));
    assert_null(reward_kind_at(-1));
    assert_null(reward_kind_find("beauty"));
}

static void test_wrong_names(void **state)
{
    (void)state;
    expect_error("colourfulness", NULL, "did you mean \"colorfulness\"");
    expect_error("sharpnes", NULL, "did you mean \"sharpness\"");
    expect_error("beauty", NULL, "there are jpeg, ");
    expect_error("jpeg", "{\"qualtiy\": 90}", "did you mean \"quality\"");
    expect_error("count", "{\"object\": \"cat\", \"zzz\": 1}", "it has object, target, beyond, overlap, model");
    expect_error("symmetry", "{\"axis\": 1}", "no parameters");
}

static void test_wrong_values(void **state)
{
    (void)state;
    expect_error("jpeg", "{\"quality\": 0}", "quality is 0 but must be a whole number from 1 to 100");
    expect_error("jpeg", "{\"quality\": 101}", "from 1 to 100");
    expect_error("jpeg", "{\"quality\": 90.5}", "whole number");
    expect_error("jpeg", "{\"quality\": \"95\"}", "must be a whole number");
    expect_error("jpeg", "[]", "params must be an object");
    expect_error("color", NULL, "needs the parameter color");
    expect_error("color", "{\"color\": \"red\"}", "such as \"#ff8000\", not red");
    expect_error("color", "{\"color\": \"#12345g\"}", "#ff8000");
    expect_error("color", "{\"color\": 3}", "#ff8000");
    expect_error("count", "{\"target\": 2}", "needs the parameter object");
    expect_error("count", "{\"object\": \"  \"}", "not empty");
    expect_error("count", "{\"object\": \"cat\", \"target\": 11}", "from 1 to 10");
    expect_error("count", "{\"object\": \"cat\", \"overlap\": 1.5}", "from 0.05 to 0.95");
    expect_error("remove", "{\"object\": null}", "needs the parameter object");
}

static void test_wrong_models(void **state)
{
    (void)state;
    expect_error("clip", "{\"model\": \"nowhere\"}", "there is no CLIP model \"nowhere\"");
    expect_error("clip", "{\"model\": \"detector-gelu\"}", "expected: CLIP model");
    expect_error("clip", "{\"model\": \"aesthetic\"}", "config.json");
    expect_error("count", "{\"object\": \"cat\", \"model\": \"clip-gelu\"}", "holds: CLIP model");
    expect_error("aesthetic", NULL, "rewards/aesthetic");
    expect_error("aesthetic", "{\"model\": \"clip-gelu/model.safetensors\"}", "layers.N.weight");
    expect_error("count", "{\"object\": \"cat\", \"target\": 10, \"beyond\": 10, \"model\": \"detector-gelu\"}",
                 "boxes, but 20 are looked at");
}

/* Without a name the first model of the right class in the search paths is taken. */
static void test_models_are_found_by_class(void **state)
{
    (void)state;
    assert_success(try_reward("clip", NULL));
    assert_success(try_reward("remove", "{\"object\": \"cat\"}"));
}

static void test_clip_needs_a_prompt(void **state)
{
    (void)state;
    struct backend *backend;
    assert_success(backend_reference_create(&backend));
    struct reward *reward = make_reward("clip", "{\"model\": \"clip-gelu\"}");
    double pixels[16 * 16 * 3] = {0}, score;
    status result = reward_score_exactly(reward, backend, pixels, 1, 16, 16, NULL, &score, NULL);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "prompt"));
    reward_destroy(reward);
    backend->interface->destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row_is_complete),
                                       cmocka_unit_test(test_wrong_names),
                                       cmocka_unit_test(test_wrong_values),
                                       cmocka_unit_test(test_wrong_models),
                                       cmocka_unit_test(test_models_are_found_by_class),
                                       cmocka_unit_test(test_clip_needs_a_prompt)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
