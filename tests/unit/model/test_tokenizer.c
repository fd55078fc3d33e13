/* The tokenizer gives exactly the ids of transformers' CLIPTokenizer (tests/oracle/make_tokenizer_goldens.py), and
 * refuses files that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/config.h"
#include "engine/model/tokenizer.h"
#include "model_runner.h"

enum { LENGTH = 77, END = 49407 };

static const char *vocabulary_folder;
static struct config golden;
static char *merges;

static int read_files(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    size_t length;
    assert_success(path_format(path, "%s/merges.txt", vocabulary_folder));
    assert_success(file_read(path, 1 << 22, &merges, &length));
    return 0;
}

static int free_files(void **state)
{
    (void)state;
    free(merges);
    return 0;
}

static void check_ids(const struct tokenizer *tokenizer, const char *text, const cJSON *expected, int count)
{
    int32_t ids[LENGTH];
    assert_success(tokenizer_encode(tokenizer, text, ids, LENGTH, NULL));
    const cJSON *id = expected->child;
    for (int i = 0; i < count; i++) {
        int wanted = id ? (int)id->valuedouble : END;
        if (ids[i] != wanted) fail_msg("token %d of \"%s\" is %d; expected %d", i, text, ids[i], wanted);
        id = id ? id->next : NULL;
    }
}

static void test_full_ids(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    const cJSON *row;
    assert_success(tokenizer_open(vocabulary_folder, &tokenizer));
    cJSON_ArrayForEach(row, config_find(&golden, "full"))
        check_ids(tokenizer, row->child->valuestring, row->child->next, LENGTH);
    tokenizer_close(tokenizer);
}

static uint64_t hash_ids(const int32_t *ids, int count)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a over the ids as little-endian bytes */
    for (int i = 0; i < count; i++)
        for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ ((uint32_t)ids[i] >> shift & 255u)) * 1099511628211u;
    return hash;
}

static void test_thousands_of_texts(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    const cJSON *row;
    int count = 0;
    assert_success(tokenizer_open(vocabulary_folder, &tokenizer));
    cJSON_ArrayForEach(row, config_find(&golden, "hashed"))
    {
        int32_t ids[LENGTH];
        char found[17];
        assert_success(tokenizer_encode(tokenizer, row->child->valuestring, ids, LENGTH, NULL));
        snprintf(found, sizeof found, "%016llx", (unsigned long long)hash_ids(ids, LENGTH));
        if (strcmp(found, row->child->next->valuestring) != 0)
            fail_msg("other ids for \"%s\"", row->child->valuestring);
        count++;
    }
    assert_true(count >= 2000);
    tokenizer_close(tokenizer);
}

static void test_other_settings(void **state)
{
    (void)state;
    const cJSON *variant, *row;
    int count = 0;
    cJSON_ArrayForEach(variant, config_find(&golden, "variants"))
    {
        struct tokenizer *tokenizer;
        const struct tokenizer_texts texts = {
            .merges = merges, .settings = cJSON_GetObjectItemCaseSensitive(variant, "settings")->valuestring};
        assert_success(tokenizer_parse(&texts, "FOLDER", &tokenizer));
        cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(variant, "full"))
            check_ids(tokenizer, row->child->valuestring, row->child->next, cJSON_GetArraySize(row->child->next));
        tokenizer_close(tokenizer);
        count++;
    }
    assert_int_equal(count, 4);
}

static void test_facts_and_cutting(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    int32_t ids[8];
    bool cut;
    assert_success(tokenizer_open(vocabulary_folder, &tokenizer));
    const struct tokenizer_facts *facts = tokenizer_facts(tokenizer);
    assert_int_equal(facts->begin, 49406);
    assert_int_equal(facts->end, 49407);
    assert_int_equal(facts->padding, 49407);
    assert_int_equal(facts->highest, 49407);
    assert_int_equal(facts->maximum_length, 77);
    assert_success(tokenizer_encode(tokenizer, "one two three four five six", ids, 8, &cut));
    assert_false(cut);
    assert_int_equal(ids[7], 49407);
    assert_success(tokenizer_encode(tokenizer, "one two three four five six seven", ids, 8, &cut));
    assert_true(cut);
    assert_int_equal(ids[7], 49407);
    assert_success(tokenizer_encode(tokenizer, "\xff\xfe\xc0 bad \xe2\x82", ids, 8, &cut)); /* no UTF-8: no crash */
    char *long_text = malloc((1 << 16) + 2);
    memset(long_text, 'a', (1 << 16) + 1);
    long_text[(1 << 16) + 1] = '\0';
    assert_int_equal(tokenizer_encode(tokenizer, long_text, ids, 8, &cut).code, STATUS_BAD_INPUT);
    free(long_text);
    tokenizer_close(tokenizer);
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const struct {
        struct tokenizer_texts texts;
        const char *message;
    } cases[] = {
        {{.merges = NULL}, "FOLDER: has neither merges.txt nor tokenizer.json"},
        {{.merges = "a b c\n"}, "FOLDER: merge 1 is \"a b c\""},
        {{.merges = "#version\na b\nc\n"}, "FOLDER: merge 2 is \"c\""},
        {{.merges = "a b\nab d</w>\nxy z\n"}, "merge 3 needs the token \"xy\""},
        {{.vocabulary = "[]", .merges = ""}, "FOLDER/vocab.json"},
        {{.vocabulary = "{\"a\":1.5}", .merges = ""}, "id of token \"a\""},
        {{.vocabulary = "{\"a\":-1}", .merges = ""}, "id of token \"a\""},
        {{.vocabulary = "{\"a\":\"1\"}", .merges = ""}, "id of token \"a\""},
        {{.vocabulary = "{\"a\":1,\"a\":2}", .merges = ""}, "FOLDER/vocab.json"},
        {{.vocabulary = "{\"a\":1}", .merges = ""}, "bos_token is \"<|startoftext|>\", which the vocabulary lacks"},
        {{.vocabulary = "{\"a\":1,\"b\":2}", .merges = "a b\n"}, "merge 1 needs the token \"ab\""},
        {{.merges = "", .settings = "{"}, "FOLDER/tokenizer_config.json"},
        {{.merges = "", .settings = "{\"bos_token\":7}"}, "bos_token is 7"},
        {{.merges = "", .settings = "{\"bos_token\":\"none\"}"}, "bos_token is \"none\", which"},
        {{.merges = "", .settings = "{\"model_max_length\":1}"}, "model_max_length is 1"},
        {{.merges = "", .settings = "{\"tokenizer_class\":\"T5Tokenizer\"}"}, "tokenizer_class is \"T5Tokenizer\""},
        {{.merges = "", .settings = "{\"do_lower_case\":false}"}, "do_lower_case is false"},
        {{.combined = "{}"}, "FOLDER/tokenizer.json: model is missing"},
        {{.combined = "{\"model\":{\"type\":\"Unigram\"}}"}, "type is \"Unigram\""},
        {{.combined = "{\"model\":{\"type\":\"BPE\"}}"}, "vocab is missing"},
        {{.combined = "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}"}, "merge 1 is no pair"},
        {{.combined = "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"ab\"]}}"}, "merge 1 is \"ab\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tokenizer *tokenizer;
        status result = tokenizer_parse(&cases[i].texts, "FOLDER", &tokenizer);
        if (result.code != STATUS_BAD_INPUT || !strstr(result.message, cases[i].message))
            fail_msg("case %zu: code %d, \"%s\"; expected \"%s\"", i, result.code, result.message, cases[i].message);
        assert_null(tokenizer);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_ids),       cmocka_unit_test(test_thousands_of_texts),
        cmocka_unit_test(test_other_settings), cmocka_unit_test(test_facts_and_cutting),
        cmocka_unit_test(test_wrong_files),
    };
    if (argc != 3 || config_open(argv[1], &golden).code != STATUS_OK) {
        fprintf(stderr, "usage: %s GOLDEN_FILE VOCABULARY_FOLDER\n", argv[0]);
        return 2;
    }
    vocabulary_folder = argv[2];
    int failures = cmocka_run_group_tests(tests, read_files, free_files);
    config_close(&golden);
    return failures;
}
