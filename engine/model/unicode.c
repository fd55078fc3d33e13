/* Classes of characters, lower case, UTF-8 and normalisation form C, for the tokenizer. */
#include "engine/model/unicode.h"

#include "kernels/readable.h"

#include <string.h>
#include <utf8proc.h>

/* Whether the general category of `code` is one of first..last, in the order of utf8proc's enumeration. */
static bool is_of(uint32_t code, utf8proc_category_t first, utf8proc_category_t last)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category >= first && category <= last;
}

bool unicode_is_letter(uint32_t code)
{
    return is_of(code, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}

bool unicode_is_number(uint32_t code)
{
    return is_of(code, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

/* The alphabetic characters that no category tells. */
static bool is_circled_letter(uint32_t code)
{
    return (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
           (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
}

bool unicode_is_word(uint32_t code)
{
    bool joiner = code == 0x200C || code == 0x200D;
    return is_of(code, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) ||
           is_of(code, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PC) || is_circled_letter(code) || joiner;
}

bool unicode_is_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
           code == 0x3000;
}

int unicode_to_lower(uint32_t code, uint32_t lower[UNICODE_LONGEST_LOWER])
{
    if (code == 0x130) { /* capital I with dot above: i and the dot */
        lower[0] = 'i';
        lower[1] = 0x307;
        return 2;
    }
    lower[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}

static int combining_class(int32_t code)
{
    return utf8proc_get_property(code)->combining_class;
}

static size_t decompose(uint32_t code, int32_t *output)
{
    int boundary = 0;
    utf8proc_ssize_t length = utf8proc_decompose_char((utf8proc_int32_t)code, output, UNICODE_LONGEST_DECOMPOSITION,
                                                      UTF8PROC_DECOMPOSE, &boundary);
    if (length >= 1 && length <= UNICODE_LONGEST_DECOMPOSITION) return (size_t)length;
    output[0] = (int32_t)code;
    return 1;
}

/* Sorts each run of combining marks by class, equal ones keeping their order. A run is short, except in texts made to
 * be slow: those are cut into runs of at most 64 marks, beyond any writing (Unicode Standard Annex 15 allows 30). */
static void order_marks(int32_t *codes, size_t count)
{
    enum { LONGEST_RUN = 64 };
    size_t run = 0;
    for (size_t i = 0; i < count; i++) {
        int class = combining_class(codes[i]);
        if (class == 0 || i - run >= LONGEST_RUN) {
            run = i + (class == 0);
            continue;
        }
        int32_t mark = codes[i];
        size_t j = i;
        for (; j > run && combining_class(codes[j - 1]) > class; j--) codes[j] = codes[j - 1];
        codes[j] = mark;
    }
}

/* Joins what canonical composition joins. U+11A7 begins a piece of its own: utf8proc 2.8 takes it for the trailing
 * consonant that a Hangul syllable has none of, and drops it; in Unicode it joins nothing. */
static size_t join(int32_t *codes, size_t count)
{
    enum { NO_TRAILING = 0x11A7 };
    size_t joined = 0;
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && codes[end] != NO_TRAILING; end++) continue;
        utf8proc_ssize_t length = utf8proc_normalize_utf32(codes + begin, (utf8proc_ssize_t)(end - begin),
                                                           UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        memmove(codes + joined, codes + begin, (size_t)length * sizeof codes[0]);
        joined += (size_t)length;
    }
    return joined;
}

size_t unicode_compose(const uint32_t *codes, size_t count, uint32_t *output)
{
    int32_t *decomposed = (int32_t *)output;
    size_t length = 0;
    for (size_t i = 0; i < count; i++) length += decompose(codes[i], decomposed + length);
    order_marks(decomposed, length);
    return join(decomposed, length);
}

size_t unicode_decode(const char *text, size_t length, uint32_t *codes)
{
    size_t count = 0;
    for (size_t i = 0; i < length;) {
        size_t step = readable_code_point(text + i, length - i, &codes[count]);
        if (step == 0) codes[count] = 0xFFFD;
        count++;
        i += step ? step : 1;
    }
    return count;
}
