/* The files beside the vocabulary are read as transformers' CLIPTokenizer reads them
 * (tests/oracle/make_tokenizer_file_goldens.py), and files that contradict each other are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/config.h"
#include "engine/model/tokenizer.h"
#include "model_runner.h"

enum { LENGTH = 20 };

static struct config golden;

static const char *file_of(const cJSON *entry, const char *name)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(entry, "files");
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(files, name);
    return file ? file->valuestring : NULL;
}

static const char *merges_text(void)
{
    return config_find(&golden, "merges")->valuestring;
}

typedef status (*encoder)(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int length, bool *cut);

static void check_texts(const cJSON *entry, const char *key, const struct tokenizer *tokenizer, encoder encode)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(entry, key))
    {
        const char *text = row->child->valuestring;
        int32_t ids[LENGTH];
        assert_success(encode(tokenizer, text, ids, LENGTH, NULL));
        const cJSON *id = row->child->next->child;
        for (int i = 0; i < LENGTH; i++, id = id->next)
            if (ids[i] != (int)id->valuedouble)
                fail_msg("%s: token %d of \"%s\" is %d; expected %g",
                         cJSON_GetObjectItemCaseSensitive(entry, "name")->valuestring, i, text, ids[i],
                         id->valuedouble);
    }
}

static void test_files(void **state)
{
    (void)state;
    const cJSON *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, config_find(&golden, "cases"))
    {
        struct tokenizer *tokenizer;
        const struct tokenizer_texts texts = {.merges = merges_text(),
                                              .combined = file_of(entry, "tokenizer.json"),
                                              .settings = file_of(entry, "tokenizer_config.json"),
                                              .special_tokens_map = file_of(entry, "special_tokens_map.json"),
                                              .added_tokens = file_of(entry, "added_tokens.json")};
        status result =
            tokenizer_parse(&texts, cJSON_GetObjectItemCaseSensitive(entry, "name")->valuestring, &tokenizer);
        assert_string_equal(result.message, "");
        assert_int_equal(tokenizer_facts(tokenizer)->highest,
                         cJSON_GetObjectItemCaseSensitive(entry, "highest")->valuedouble);
        assert_int_equal(tokenizer_remarks(tokenizer)->count, 0);
        check_texts(entry, "texts", tokenizer, tokenizer_encode);
        check_texts(entry, "prompts", tokenizer, tokenizer_encode_prompt);
        tokenizer_close(tokenizer);
        count++;
    }
    assert_true(count >= 23);
}

static void test_byte_order_marks(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    char *merges = NULL;
    assert_true(asprintf(&merges, "\xEF\xBB\xBF%s", merges_text()) > 0);
    const struct tokenizer_texts texts = {.merges = merges,
                                          .settings = "\xEF\xBB\xBF{\"pad_token\": \"!\", \"model_max_length\": 9}"};
    assert_success(tokenizer_parse(&texts, "FOLDER", &tokenizer));
    assert_int_equal(tokenizer_facts(tokenizer)->padding, 0);
    assert_int_equal(tokenizer_facts(tokenizer)->highest, 522);
    assert_int_equal(tokenizer_facts(tokenizer)->maximum_length, 9);
    tokenizer_close(tokenizer);
    free(merges);
}

static void expect(const struct tokenizer_texts *texts, const char *message)
{
    struct tokenizer *tokenizer;
    status result = tokenizer_parse(texts, "FOLDER", &tokenizer);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, message))
        fail_msg("code %d, \"%s\"; expected \"%s\"", result.code, result.message, message);
    assert_null(tokenizer);
}

static void test_contradictions(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *added, *combined, *message;
    } rows[] = {
        {NULL, "{\"<cat>\": 530}", NULL,
         "the added token \"<cat>\" has the id 530; expected 523, the next that is free"},
        {NULL, "{\"cat</w>\": 3}", NULL, "has the id 3; expected 513, which the vocabulary gives it"},
        {NULL, "{\"<cat>\": -1}", NULL, "FOLDER/added_tokens.json: the id of token \"<cat>\""},
        {NULL, "{\"<cat>\": \"523\"}", NULL, "the id of token \"<cat>\""},
        {NULL, "{\"\": 523}", NULL, "the id of token \"\""},
        {NULL, "[]", NULL, "FOLDER/added_tokens.json"},
        {"{\"added_tokens_decoder\": []}", NULL, NULL, "added_tokens_decoder is []"},
        {"{\"added_tokens_decoder\": {\"x\": {\"content\": \"<cat>\"}}}", NULL, NULL, "added_tokens_decoder is"},
        {"{\"added_tokens_decoder\": {\"523\": \"<cat>\"}}", NULL, NULL, "added_tokens_decoder is"},
        {"{\"added_tokens_decoder\": {\"524\": {\"content\": \"<cat>\"}}}", NULL, NULL, "expected 523"},
        {"{\"extra_special_tokens\": [7]}", NULL, NULL, "extra_special_tokens is [7]"},
        {"{\"padding_side\": \"left\"}", NULL, NULL, "padding_side is \"left\"; expected \"right\""},
        {"{\"truncation_side\": \"left\"}", NULL, NULL, "truncation_side is \"left\""},
        {"{\"split_special_tokens\": true}", NULL, NULL, "split_special_tokens is true"},
        {NULL, NULL, "{\"padding\": {\"direction\": \"Left\"}}", "direction is \"Left\""},
        {NULL, NULL, "{\"added_tokens\": [{\"id\": 523}]}", "added_tokens is"},
        {NULL, NULL, "{\"added_tokens\": {}}", "added_tokens is {}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tokenizer_texts texts = {.merges = merges_text(),
                                              .settings = rows[i].settings,
                                              .added_tokens = rows[i].added,
                                              .combined = rows[i].combined};
        expect(&texts, rows[i].message);
    }
}

static void test_unknown_keys(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    const struct tokenizer_texts texts = {.merges = merges_text(),
                                          .settings =
                                              "{\"frobnicate\": 1, \"do_other\": true, \"image_token\": \"<i>\"}",
                                          .special_tokens_map = "{\"pad_tokens\": \"!\"}"};
    assert_success(tokenizer_parse(&texts, "FOLDER", &tokenizer));
    const struct remarks *remarks = tokenizer_remarks(tokenizer);
    assert_int_equal(remarks->count, 2);
    assert_string_equal(remarks->lines[0],
                        "FOLDER/tokenizer_config.json: passes over keys that are not known: frobnicate, do_other");
    assert_string_equal(remarks->lines[1],
                        "FOLDER/special_tokens_map.json: passes over a key that is not known: pad_tokens");
    tokenizer_close(tokenizer);
}

/* merges.txt that ends early, at a line's end or within a line, with the vocabulary beside it. */
static void test_cut_merges(void **state)
{
    (void)state;
    static const char vocabulary[] = "{\"a\":0,\"b\":1,\"c\":2,\"a</w>\":3,\"ab\":4,\"abc\":5,\"ca\":6,"
                                     "\"<|startoftext|>\":7,\"<|endoftext|>\":8}";
    struct tokenizer *tokenizer;
    struct tokenizer_texts texts = {.vocabulary = vocabulary, .merges = "#version: 0.2\na b\nab c\nc a\n"};
    assert_success(tokenizer_parse(&texts, "FOLDER", &tokenizer));
    tokenizer_close(tokenizer);
    texts.merges = "#version: 0.2\na b\nab c\n";
    expect(&texts, "FOLDER: merges.txt has 2 merges; expected 3, for vocab.json has 1 tokens more, such as \"ca\"");
    texts.merges = "#version: 0.2\na b\n";
    expect(&texts, "merges.txt has 1 merges; expected 3, for vocab.json has 2 tokens more, such as \"abc\"");
    texts.merges = "";
    expect(&texts, "merges.txt has 0 merges; expected 3");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),          cmocka_unit_test(test_byte_order_marks),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_cut_merges),
    };
    if (argc != 2 || config_open(argv[1], &golden).code != STATUS_OK) {
        fprintf(stderr, "usage: %s GOLDEN_FILE\n", argv[0]);
        return 2;
    }
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    config_close(&golden);
    return failures;
}
