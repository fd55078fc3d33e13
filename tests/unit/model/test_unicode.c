/* Classes, lower case and normalisation form C, against what Python's unicodedata says (noted at each example). */
#include "engine/model/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 6 };

static void characters_have_their_class(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        bool letter, number, word, space;
    } rows[] = {
        {'a', true, false, true, false},       {'7', false, true, true, false},
        {'_', false, false, true, false},      {' ', false, false, false, true},
        {'!', false, false, false, false},     {0xBD, false, true, false, false},
        {0x301, false, false, true, false},    {0x2167, false, true, true, false},
        {0x3042, true, false, true, false},    {0x24B6, false, false, true, false},
        {0x200D, false, false, true, false},   {0x3000, false, false, false, true},
        {0x1F600, false, false, false, false}, {0x378, false, false, false, false},
        {0x11F04, true, false, true, false}, /* Kawi letter A, of Unicode 15 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(unicode_is_letter(rows[i].code), rows[i].letter);
        assert_int_equal(unicode_is_number(rows[i].code), rows[i].number);
        assert_int_equal(unicode_is_word(rows[i].code), rows[i].word);
        assert_int_equal(unicode_is_space(rows[i].code), rows[i].space);
    }
}

static void capitals_have_their_lower_case(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {{'Q', 'q'},     {'q', 'q'},      {0xC9, 0xE9},       {0x3A3, 0x3C3},
                                        {0x1E9E, 0xDF}, {0x2126, 0x3C9}, {0x10400, 0x10428}, {0x65E5, 0x65E5}};
    uint32_t lower[UNICODE_LONGEST_LOWER];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(unicode_to_lower(pairs[i][0], lower), 1);
        assert_int_equal(lower[0], pairs[i][1]);
    }
    assert_int_equal(unicode_to_lower(0x130, lower), 2); /* "\u0130".lower() */
    assert_int_equal(lower[0], 'i');
    assert_int_equal(lower[1], 0x307);
}

/* unicodedata.normalize("NFC", ...) of each left side. */
static void form_c_is_that_of_unicode(void **state)
{
    (void)state;
    static const struct {
        uint32_t from[MOST], to[MOST];
    } rows[] = {
        {{'e', 0x301}, {0xE9}},
        {{0xE9}, {0xE9}},
        {{'a', 0x301, 0x323}, {0x1EA1, 0x301}}, /* marks are ordered by class first */
        {{'e', 0x302, 0x301, 'x'}, {0x1EBF, 'x'}},
        {{0x212B}, {0xC5}},                   /* the Angstrom sign is a letter */
        {{0x958}, {0x915, 0x93C}},            /* excluded from composition */
        {{0x1112, 0x1161, 0x11AB}, {0xD55C}}, /* Hangul, arithmetically */
        {{0xD558, 0x11AB}, {0xD55C}},
        {{0xAC00, 0x11A7, 'a'}, {0xAC00, 0x11A7, 'a'}}, /* no trailing consonant: joins nothing, and stays */
        {{0x11A7, 0x11A8}, {0x11A7, 0x11A8}},
        {{0x1F82}, {0x1F82}}, /* of four in full */
        {{0x301, 'e'}, {0x301, 'e'}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t output[MOST * UNICODE_LONGEST_DECOMPOSITION] = {0};
        size_t from = 0, to = 0;
        while (from < MOST && rows[i].from[from]) from++;
        while (to < MOST && rows[i].to[to]) to++;
        assert_int_equal(unicode_compose(rows[i].from, from, output), to);
        assert_memory_equal(output, rows[i].to, to * sizeof output[0]);
    }
}

/* A text of marks alone, each against the order: sorted in full it would take minutes. */
static void texts_made_to_be_slow_are_not(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    uint32_t *codes = malloc(COUNT * sizeof *codes),
             *output = malloc(COUNT * UNICODE_LONGEST_DECOMPOSITION * sizeof *output);
    assert_true(codes && output);
    for (size_t i = 0; i < COUNT; i++) codes[i] = i % 2 ? 0x327 : 0x301; /* classes 202 and 230 */
    assert_int_equal(unicode_compose(codes, COUNT, output), COUNT);
    free(codes);
    free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_their_class),
        cmocka_unit_test(capitals_have_their_lower_case),
        cmocka_unit_test(form_c_is_that_of_unicode),
        cmocka_unit_test(texts_made_to_be_slow_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
