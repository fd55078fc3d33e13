/* Every format of prompt lists, and what is said of wrong ones. */
#include "engine/preset/prompts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_prompts(const char *name, const char *text, const char *const *expected, int count)
{
    struct prompt_list list = {0};
    assert_string_equal(prompt_list_parse(&list, text, strlen(text), name, NULL).message, "");
    assert_int_equal(list.count, count);
    for (int i = 0; i < count; i++) assert_string_equal(list.texts[i], expected[i]);
    prompt_list_clear(&list);
}

static void assert_wrong(const char *name, const char *text, size_t length, const char *message)
{
    struct prompt_list list = {0};
    status result = prompt_list_parse(&list, text, length, name, NULL);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    if (!strstr(result.message, message)) fail_msg("expected \"%s\" in: %s", message, result.message);
    prompt_list_clear(&list);
}

static void every_format_is_read(void **state)
{
    (void)state;
    const char *const expected[] = {"a cat", "two dogs, one hat", "caf\xC3\xA9"};
    assert_prompts("p.txt", "\xEF\xBB\xBF# list\n\na cat\r\n  two dogs, one hat  \ncaf\xC3\xA9", expected, 3);
    assert_prompts("p.csv", "id,Prompt\n1,a cat\n2,\"two dogs, one hat\"\n3,caf\xC3\xA9\n", expected, 3);
    assert_prompts("p.tsv", "Prompt\tCategory\na cat\tx\ntwo dogs, one hat\ty\r\ncaf\xC3\xA9\tz", expected, 3);
    assert_prompts("p.json", "[\"a cat\", {\"prompt\": \"two dogs, one hat\"}, \"caf\\u00e9\"]", expected, 3);
    assert_prompts("p.jsonl", "{\"prompt\":\"a cat\",\"n\":1}\n\n\"two dogs, one hat\"\n{\"prompt\":\"caf\xC3\xA9\"}\n",
                   expected, 3);
}

static void csv_quotes_follow_the_standard(void **state)
{
    (void)state;
    const char *const expected[] = {"say \"hi\"", "two\nlines", "last"};
    assert_prompts("p.csv", "text,caption\nx,\"say \"\"hi\"\"\"\ny,\"two\nlines\"\n\n,last\n", expected, 3);
}

static void tables_of_tabs_are_quoted_as_programs_write_them(void **state)
{
    (void)state;
    const char *const expected[] = {"cats, \"big\", blue", "dogs", "two\nlines", "a\ttab", "last"};
    assert_prompts("p.tsv",
                   "id\tprompt\r\n1\t\"cats, \"\"big\"\", blue\"\r\n2\tdogs\r\n3\t\"two\r\nlines\"\r\n4\t\"a\ttab\"\r\n"
                   "5\t\"last\"",
                   expected, 5);
    /* A text's own quotes stay. */
    const char *const own[] = {"\"big\" cats", "\"open", "say \"hi\""};
    assert_prompts("p.tsv", "prompt\tn\n\"big\" cats\t1\n\"open\t2\nsay \"hi\"\t3\n", own, 3);
}

static void objects_have_the_columns_of_tables(void **state)
{
    (void)state;
    const char *const expected[] = {"a cat", "a dog", "a bird", "a fish"};
    assert_prompts("metadata.jsonl",
                   "{\"file_name\":\"1.png\",\"text\":\"a cat\"}\n{\"caption\":\"a dog\",\"text\":\"no\"}\r\n"
                   "{\"TEXT\":\"a bird\"}\n{\"text\":\"no\",\"prompt\":\"a fish\",\"caption\":\"no\"}\n",
                   expected, 4);
    assert_prompts("p.json",
                   "[{\"text\":\"a cat\"},{\"Caption\":\"a dog\"},{\"prompt\":null,\"text\":\"a bird\"},\"a fish\"]",
                   expected, 4);
}

static void flags_are_cut(void **state)
{
    (void)state;
    struct prompt_list list = {0};
    int cut = 0;
    const char *text = "a cat --w 512 --h 512 --d 42\na dog -- no flag\na --b c\nx --n ugly, bad --s 20\n";
    assert_string_equal(prompt_list_parse(&list, text, strlen(text), "p.txt", &cut).message, "");
    assert_int_equal(cut, 2);
    assert_string_equal(list.texts[0], "a cat");
    assert_string_equal(list.texts[1], "a dog -- no flag");
    assert_string_equal(list.texts[2], "a --b c");
    assert_string_equal(list.texts[3], "x");
    prompt_list_clear(&list);
}

static void wrong_files_are_refused(void **state)
{
    (void)state;
    assert_wrong("p.txt", "# nothing\n\n", 11, "no prompt in it");
    assert_wrong("p.txt", "good\n\xFF\n", 7, "line 2: not UTF-8");
    assert_wrong("p.txt", "good\na\0b\n", 9, "line 2: control character 0x00");
    assert_wrong("p.txt", "good\n\x1B[2J\n", 10, "line 2: control character 0x1b");
    assert_wrong("p.csv", "a,b\n1,2\n", 8, "a column \"prompt\"");
    assert_wrong("p.csv", "prompt\n\"open\nx\n", 15, "line 2: a quote");
    assert_wrong("p.json", "{\"prompt\":\"a\"}", 14, "expected a list");
    assert_wrong("p.json", "[1]", 3, "[0]: expected a text");
    assert_wrong("p.jsonl", "{\"prompt\":\"a\"}\n{\"prompt\":3}", 27, "line 2: expected a text");
    assert_wrong("p.jsonl", "{\"prompt\":\"a\"}\n{", 16, "line 2: line 1, column 2");
    assert_wrong("p.jsonl", "{\"captions\":\"a\"}", 16, "line 1: expected a text, or an object with a text \"prompt\"");
    assert_int_equal(prompt_check("caf\xE9 cat", 8, "--prompt").code, STATUS_BAD_INPUT);
    assert_non_null(strstr(prompt_check("caf\xE9 cat", 8, "--prompt").message, "not UTF-8: byte 0xe9 at place 4"));
    char *long_line = malloc(PROMPT_LENGTH_LIMIT + 1);
    memset(long_line, 'x', PROMPT_LENGTH_LIMIT + 1);
    assert_wrong("p.txt", long_line, PROMPT_LENGTH_LIMIT + 1, "4001 bytes");
    free(long_line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_read),
        cmocka_unit_test(csv_quotes_follow_the_standard),
        cmocka_unit_test(tables_of_tabs_are_quoted_as_programs_write_them),
        cmocka_unit_test(objects_have_the_columns_of_tables),
        cmocka_unit_test(flags_are_cut),
        cmocka_unit_test(wrong_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
