/* Looks characters up in unicode_tables.c; decodes UTF-8 and composes to normalisation form C. */
#include "engine/model/unicode.h"

#include <stdlib.h>
#include <string.h>

static bool in_ranges(const struct unicode_range *ranges, int count, uint32_t code)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && code >= ranges[low].first;
}

bool unicode_is_letter(uint32_t code)
{
    return in_ranges(unicode_letters, unicode_letters_count, code);
}

bool unicode_is_number(uint32_t code)
{
    return in_ranges(unicode_numbers, unicode_numbers_count, code);
}

bool unicode_is_word(uint32_t code)
{
    return in_ranges(unicode_words, unicode_words_count, code);
}

bool unicode_is_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
           code == 0x3000;
}

int unicode_to_lower(uint32_t code, uint32_t lower[UNICODE_LONGEST_LOWER])
{
    lower[0] = code;
    if (code == 0x130) { /* capital I with dot above: i and the dot */
        lower[0] = 'i';
        lower[1] = 0x307;
        return 2;
    }
    int low = 0, high = unicode_lower_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (code > unicode_lower[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == unicode_lower_count) return 1;
    const struct unicode_case *run = &unicode_lower[low];
    if (code >= run->first && (code - run->first) % run->step == 0)
        lower[0] = (uint32_t)((int64_t)code + run->difference);
    return 1;
}

static uint32_t combining_class(uint32_t code)
{
    int low = 0, high = unicode_combining_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (code > unicode_combining[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < unicode_combining_count && code >= unicode_combining[low].first ? unicode_combining[low].value : 0;
}

/* Hangul syllables are arithmetic: The Unicode Standard, section 3.12. */
enum {
    HANGUL_SYLLABLE = 0xAC00,
    HANGUL_LEADING = 0x1100,
    HANGUL_VOWEL = 0x1161,
    HANGUL_TRAILING = 0x11A7,
    HANGUL_LEADINGS = 19,
    HANGUL_VOWELS = 21,
    HANGUL_TRAILINGS = 28,
    HANGUL_SYLLABLES = HANGUL_LEADINGS * HANGUL_VOWELS * HANGUL_TRAILINGS
};

static const struct unicode_decomposition *decomposition_of(uint32_t code)
{
    int low = 0, high = unicode_decompositions_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (code > unicode_decompositions[middle].code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < unicode_decompositions_count && unicode_decompositions[low].code == code ? &unicode_decompositions[low]
                                                                                          : NULL;
}

static size_t decompose(uint32_t code, uint32_t *output)
{
    if (code >= HANGUL_SYLLABLE && code < HANGUL_SYLLABLE + HANGUL_SYLLABLES) {
        uint32_t index = code - HANGUL_SYLLABLE, trailing = index % HANGUL_TRAILINGS;
        output[0] = HANGUL_LEADING + index / (HANGUL_VOWELS * HANGUL_TRAILINGS);
        output[1] = HANGUL_VOWEL + index / HANGUL_TRAILINGS % HANGUL_VOWELS;
        output[2] = HANGUL_TRAILING + trailing;
        return trailing ? 3 : 2;
    }
    const struct unicode_decomposition *step = decomposition_of(code);
    if (!step) {
        output[0] = code;
        return 1;
    }
    /* Only the first of a pair decomposes further. */
    size_t count = decompose(step->first, output);
    if (step->second) output[count++] = step->second;
    return count;
}

static int compare_compositions(const void *a, const void *b)
{
    const struct unicode_composition *first = a, *second = b;
    if (first->first != second->first) return first->first < second->first ? -1 : 1;
    return first->second < second->second ? -1 : first->second > second->second;
}

/* The character that `first` and `second` join to, or 0. */
static uint32_t composition_of(uint32_t first, uint32_t second)
{
    if (first >= HANGUL_LEADING && first < HANGUL_LEADING + HANGUL_LEADINGS && second >= HANGUL_VOWEL &&
        second < HANGUL_VOWEL + HANGUL_VOWELS)
        return HANGUL_SYLLABLE +
               ((first - HANGUL_LEADING) * HANGUL_VOWELS + (second - HANGUL_VOWEL)) * HANGUL_TRAILINGS;
    if (first >= HANGUL_SYLLABLE && first < HANGUL_SYLLABLE + HANGUL_SYLLABLES &&
        (first - HANGUL_SYLLABLE) % HANGUL_TRAILINGS == 0 && second > HANGUL_TRAILING &&
        second < HANGUL_TRAILING + HANGUL_TRAILINGS)
        return first + second - HANGUL_TRAILING;
    const struct unicode_composition key = {first, second, 0};
    const struct unicode_composition *pair = bsearch(&key, unicode_compositions, (size_t)unicode_compositions_count,
                                                     sizeof unicode_compositions[0], compare_compositions);
    return pair ? pair->code : 0;
}

/* Sorts each run of combining marks by class, equal ones keeping their order. A run is short, except in texts made to
 * be slow: those are cut into runs of at most 64 marks, beyond any writing (Unicode Standard Annex 15 allows 30). */
static void order_marks(uint32_t *codes, size_t count)
{
    enum { LONGEST_RUN = 64 };
    size_t run = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t class = combining_class(codes[i]);
        if (class == 0 || i - run >= LONGEST_RUN) {
            run = i + (class == 0);
            continue;
        }
        uint32_t mark = codes[i];
        size_t j = i;
        for (; j > run && combining_class(codes[j - 1]) > class; j--) codes[j] = codes[j - 1];
        codes[j] = mark;
    }
}

size_t unicode_compose(const uint32_t *codes, size_t count, uint32_t *output)
{
    size_t decomposed = 0, composed = 0;
    for (size_t i = 0; i < count; i++) decomposed += decompose(codes[i], output + decomposed);
    order_marks(output, decomposed);
    size_t starter = SIZE_MAX; /* index of the character that marks may join */
    uint32_t last_class = 0;
    for (size_t i = 0; i < decomposed; i++) {
        uint32_t code = output[i], class = combining_class(code);
        bool adjacent = starter != SIZE_MAX && starter + 1 == composed;
        if (starter != SIZE_MAX && (adjacent || last_class < class)) {
            uint32_t joined = composition_of(output[starter], code);
            if (joined) {
                output[starter] = joined;
                continue;
            }
        }
        if (class == 0) starter = composed;
        last_class = class;
        output[composed++] = code;
    }
    return composed;
}

/* Length of the UTF-8 sequence at `text` (at most `room` bytes), or 0 where it is none. */
static size_t sequence_length(const unsigned char *text, size_t room)
{
    if (text[0] < 0x80) return 1;
    size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4 || length > room) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xED && text[1] > 0x9F, beyond = text[0] == 0xF4 && text[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : length;
}

size_t unicode_decode(const char *text, size_t length, uint32_t *codes)
{
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t count = 0;
    for (size_t i = 0; i < length;) {
        size_t step = sequence_length(bytes + i, length - i);
        uint32_t code = step ? bytes[i] & lead_bits[step] : 0xFFFD;
        for (size_t j = 1; j < step; j++) code = code << 6 | (bytes[i + j] & 0x3Fu);
        codes[count++] = code;
        i += step ? step : 1;
    }
    return count;
}

int unicode_encode(uint32_t code, unsigned char utf8[4])
{
    if (code < 0x80) {
        utf8[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        utf8[0] = (unsigned char)(0xC0 | code >> 6);
        utf8[1] = (unsigned char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        utf8[0] = (unsigned char)(0xE0 | code >> 12);
        utf8[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        utf8[2] = (unsigned char)(0x80 | (code & 0x3F));
        return 3;
    }
    utf8[0] = (unsigned char)(0xF0 | code >> 18);
    utf8[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
    utf8[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
    utf8[3] = (unsigned char)(0x80 | (code & 0x3F));
    return 4;
}
