/* Where the machine has no more memory: small pieces end the process with a message, what is read reports it. */
#include "engine/base/memory.h"

#include "engine/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void pieces_are_zero_and_keep_what_they_hold(void **state)
{
    (void)state;
    int *numbers = memory_take(3, sizeof *numbers);
    for (int i = 0; i < 3; i++) assert_int_equal(numbers[i], 0);
    numbers[2] = 7;
    numbers = memory_resize(numbers, 1000, sizeof *numbers);
    assert_int_equal(numbers[2], 7);
    free(numbers);
    free(memory_take(0, sizeof *numbers));
    int *list = NULL, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        list = memory_grow(list, i, &capacity, sizeof *list);
        list[i] = i;
    }
    assert_true(capacity >= 1000 && capacity < 2100);
    for (int i = 0; i < 1000; i++) assert_int_equal(list[i], i);
    free(list);
}

static void texts_are_copied(void **state)
{
    (void)state;
    char *whole = memory_copy_text("a cat"), *part = memory_copy_part("a cat", 3),
         *short_one = memory_copy_part("a", 9);
    assert_string_equal(whole, "a cat");
    assert_string_equal(part, "a c");
    assert_string_equal(short_one, "a");
    free(whole);
    free(part);
    free(short_one);
}

/* What a child that runs out of memory says on stderr, and how it ends. */
static int outcome_of(void (*act)(void), char *said, size_t size)
{
    int message[2];
    assert_int_equal(pipe(message), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(message[1], STDERR_FILENO);
        act();
        _exit(77);
    }
    close(message[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(message[0], said + length, size - 1 - length)) > 0;) length += (size_t)got;
    said[length] = '\0';
    close(message[0]);
    int outcome;
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_true(WIFEXITED(outcome));
    return WEXITSTATUS(outcome);
}

static void say_restored(void)
{
    if (write(STDERR_FILENO, "restored\n", 9) != 9) _exit(78);
}

static void take_too_much(void)
{
    free(memory_take(SIZE_MAX / 4, 1));
}

static void take_a_product_that_overflows(void)
{
    free(memory_take(SIZE_MAX / 2, 16));
}

static void resize_to_an_overflow(void)
{
    memory_on_exhaustion(say_restored);
    free(memory_resize(NULL, SIZE_MAX / 2, 16));
}

static void the_lack_of_a_small_piece_ends_the_process(void **state)
{
    (void)state;
    char said[300];
    assert_int_equal(outcome_of(take_too_much, said, sizeof said), STATUS_FAILED);
    assert_non_null(strstr(said, "alignprop: out of memory (4611686018427387903 bytes more were needed)\n"));
    assert_int_equal(outcome_of(take_a_product_that_overflows, said, sizeof said), STATUS_FAILED);
    assert_non_null(strstr(said, "alignprop: out of memory"));
    assert_int_equal(outcome_of(resize_to_an_overflow, said, sizeof said), STATUS_FAILED);
    char *restored = strstr(said, "restored\n"), *message = strstr(said, "alignprop: out of memory");
    assert_true(restored && message && restored < message);
    assert_null(strstr(restored + 1, "restored"));
}

/* ---- allocations that fail from a number on, of cJSON's ---- */

static cJSON_Hooks installed;
static size_t left_over;

static void *scarce(size_t bytes)
{
    if (left_over == 0) return NULL;
    left_over--;
    return malloc(bytes);
}

static void what_is_parsed_reports_the_lack(void **state)
{
    (void)state;
    static const char text[] = "{\"one\": [1, 2, {\"three\": \"four\"}]}";
    installed = (cJSON_Hooks){scarce, free};
    cJSON_InitHooks(&installed);
    status result = status_ok();
    for (size_t enough = 0; enough < 100; enough++) {
        cJSON *value = NULL;
        left_over = enough;
        result = json_parse(text, strlen(text), "a.json", &value);
        assert_true((result.code == STATUS_OK) == (value != NULL));
        cJSON_Delete(value);
        if (result.code == STATUS_OK) break;
        assert_int_equal(result.code, STATUS_NO_MEMORY);
        assert_string_equal(result.message, "a.json: no memory to read it");
    }
    assert_int_equal(result.code, STATUS_OK);
    json_set_up();
    cJSON *built = cJSON_CreateObject();
    assert_non_null(cJSON_AddStringToObject(built, "key", "value"));
    cJSON_Delete(built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zero_and_keep_what_they_hold),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(the_lack_of_a_small_piece_ends_the_process),
        cmocka_unit_test(what_is_parsed_reports_the_lack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
