/* Splits a text into added tokens and words, and words into byte pairs by the vocabulary's merges. */
#include "engine/model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/text.h"
#include "engine/model/text_normal.h"
#include "engine/model/tokenizer_internal.h"

enum { TEXT_LIMIT = 1 << 16 };

/* ---- splitting and encoding ---- */

struct encoding {
    const struct tokenizer *tokenizer;
    int32_t *ids;
    int count, room;
    bool cut;
    uint32_t *scratch, *normal; /* room for a whole text, normalised */
    unsigned char *word;        /* bytes of the longest word */
    int32_t *word_ids;
    void *workspace;
};

static void emit(struct encoding *encoding, int32_t id)
{
    if (encoding->count == encoding->room)
        encoding->cut = true;
    else
        encoding->ids[encoding->count++] = id;
}

static void encode_word(struct encoding *encoding, const uint32_t *codes, size_t count)
{
    size_t bytes = 0;
    if (encoding->cut) return;
    for (size_t i = 0; i < count; i++) bytes += text_write_code_point(codes[i], (char *)encoding->word + bytes);
    size_t tokens = vocabulary_encode_word(encoding->tokenizer->vocabulary, encoding->word, bytes,
                                           encoding->tokenizer->facts.unknown, encoding->workspace, encoding->word_ids);
    for (size_t i = 0; i < tokens; i++) emit(encoding, encoding->word_ids[i]);
}

static bool begins_with(const uint32_t *codes, size_t count, const char *text)
{
    size_t i = 0;
    for (; text[i]; i++)
        if (i == count || codes[i] != (unsigned char)text[i]) return false;
    return true;
}

static bool is_sign(uint32_t code)
{
    return !unicode_is_space(code) && !unicode_is_letter(code) && !unicode_is_number(code);
}

/* Length of the word that begins at codes[0], which is no space: an English ending after an apostrophe, a run of
 * letters, one number, or a run of signs. */
static size_t word_length(const uint32_t *codes, size_t count)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (begins_with(codes, count, endings[i])) return strlen(endings[i]);
    size_t length = 1;
    if (unicode_is_number(codes[0])) return 1;
    if (unicode_is_letter(codes[0])) {
        while (length < count && unicode_is_letter(codes[length])) length++;
        return length;
    }
    while (length < count && is_sign(codes[length])) length++;
    return length;
}

/* The splitting pattern knows these two by name. Where they are not found as special tokens, their brackets are words
 * of their own, apart from signs that follow. */
static size_t bracketed_length(const uint32_t *codes, size_t count)
{
    if (begins_with(codes, count, "<|startoftext|>")) return strlen("<|startoftext|>");
    if (begins_with(codes, count, "<|endoftext|>")) return strlen("<|endoftext|>");
    return 0;
}

static void encode_words(struct encoding *encoding, const uint32_t *codes, size_t count)
{
    for (size_t i = 0; i < count && !encoding->cut;) {
        if (unicode_is_space(codes[i])) {
            i++;
            continue;
        }
        size_t bracketed = bracketed_length(codes + i, count - i);
        if (bracketed) {
            encode_word(encoding, codes + i, 2);
            encode_word(encoding, codes + i + 2, bracketed - 4);
            encode_word(encoding, codes + i + bracketed - 2, 2);
            i += bracketed;
            continue;
        }
        size_t length = word_length(codes + i, count - i);
        encode_word(encoding, codes + i, length);
        i += length;
    }
}

/* Whether words end on both sides of codes[start .. end). */
static bool stands_alone(const uint32_t *codes, size_t count, size_t start, size_t end)
{
    return (start == 0 || !unicode_is_word(codes[start - 1])) && (end == count || !unicode_is_word(codes[end]));
}

typedef void (*segment_encoder)(struct encoding *, const uint32_t *, size_t);

/* Emits the added tokens of that kind and hands what lies between them to `encode`. The leftmost goes first, of those
 * the longest; one that ought to stand alone and does not is text, and so is a shorter one inside it. */
static void split_added(struct encoding *encoding, const uint32_t *codes, size_t count, bool normalized,
                        segment_encoder encode)
{
    size_t start = 0;
    for (size_t i = 0; i < count && !encoding->cut;) {
        const struct added_token *token =
            added_tokens_at(&encoding->tokenizer->added, codes + i, count - i, normalized);
        if (!token) {
            i++;
            continue;
        }
        size_t end = i + token->length;
        if (!token->single_word || stands_alone(codes, count, i, end)) {
            if (i > start) encode(encoding, codes + start, i - start);
            emit(encoding, token->id);
            start = end;
        }
        i = end;
    }
    if (start < count && !encoding->cut) encode(encoding, codes + start, count - start);
}

static void encode_segment(struct encoding *encoding, const uint32_t *codes, size_t count)
{
    size_t length = text_normalize(codes, count, encoding->scratch, encoding->normal);
    split_added(encoding, encoding->normal, length, true, encode_words);
}

static void encode_text(struct encoding *encoding, const char *text, size_t bytes, void *memory)
{
    size_t longest = UNICODE_LONGEST_DECOMPOSITION * bytes; /* code points of the normalised text */
    uint32_t *codes = memory;
    encoding->scratch = codes + bytes;
    encoding->normal = encoding->scratch + longest;
    encoding->word_ids = (int32_t *)(encoding->normal + longest);
    encoding->workspace = encoding->word_ids + 4 * longest;
    encoding->word = (unsigned char *)encoding->workspace + vocabulary_workspace(4 * longest);
    split_added(encoding, codes, unicode_decode(text, bytes, codes), false, encode_segment);
}

/* Bytes of memory for a text of `bytes` bytes: see encode_text. */
static size_t encoding_memory(size_t bytes)
{
    size_t longest = UNICODE_LONGEST_DECOMPOSITION * bytes;
    return (bytes + 2 * longest + 4 * longest) * sizeof(uint32_t) + vocabulary_workspace(4 * longest) + 4 * longest;
}

static status no_memory(size_t bytes)
{
    return status_error(STATUS_NO_MEMORY, "no memory to encode a text of %zu bytes", bytes);
}

/* Ids of the text alone, `*count` of them, at most `room`; `*cut` where there were more. */
static status encode_alone(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int room, int *count,
                           bool *cut)
{
    size_t bytes = strlen(text);
    if (bytes > TEXT_LIMIT)
        return status_error(STATUS_BAD_INPUT, "a text of %zu bytes is too long; at most %d are allowed", bytes,
                            TEXT_LIMIT);
    void *memory = malloc(encoding_memory(bytes) + 1);
    if (!memory) return no_memory(bytes);
    struct encoding encoding = {.tokenizer = tokenizer, .ids = ids, .room = room};
    encode_text(&encoding, text, bytes, memory);
    free(memory);
    *count = encoding.count;
    *cut = encoding.cut;
    return status_ok();
}

status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int length, bool *cut)
{
    int count;
    bool too_long;
    TRY(encode_alone(tokenizer, text, ids + 1, length - 2, &count, &too_long));
    ids[0] = tokenizer->facts.begin;
    ids[++count] = tokenizer->facts.end;
    while (++count < length) ids[count] = tokenizer->facts.padding;
    if (cut) *cut = too_long;
    return status_ok();
}

/* ---- learned tokens of several vectors ---- */

/* The token that goes on where `token` ends: "NAME_1" after "NAME", "NAME_2" after that. */
static const struct added_token *further_token(const struct added_tokens *added, const struct added_token *token,
                                               int number)
{
    struct text name = {0};
    text_append(&name, "%s_%d", token->content, number);
    const struct added_token *further = name.data ? added_tokens_find(added, name.data) : NULL;
    text_clear(&name);
    return further;
}

static bool has_id(const int32_t *ids, int count, int32_t id)
{
    for (int i = 0; i < count; i++)
        if (ids[i] == id) return true;
    return false;
}

/* Puts "NAME NAME_1 NAME_2" in place of every NAME. */
static void write_out(const struct added_tokens *added, const struct added_token *token, struct text *prompt)
{
    struct text longer = {0};
    const char *rest = prompt->data, *place;
    while ((place = strstr(rest, token->content)) != NULL) {
        text_append_bytes(&longer, rest, (size_t)(place - rest));
        text_append(&longer, "%s", token->content);
        const struct added_token *further;
        for (int number = 1; (further = further_token(added, token, number)) != NULL; number++)
            text_append(&longer, " %s", further->content);
        rest = place + strlen(token->content);
    }
    text_append(&longer, "%s", rest);
    text_clear(prompt);
    *prompt = longer;
}

static void write_out_all(const struct tokenizer *tokenizer, const int32_t *ids, int count, struct text *prompt)
{
    const struct added_tokens *added = &tokenizer->added;
    for (int i = 0; i < added->count; i++) {
        const struct added_token *token = &added->tokens[i];
        if (has_id(ids, count, token->id) && further_token(added, token, 1)) write_out(added, token, prompt);
    }
}

/* As the pipelines of the diffusers library do before they tokenize. */
static status expand(const struct tokenizer *tokenizer, const char *text, struct text *prompt)
{
    int room = (int)(UNICODE_LONGEST_DECOMPOSITION * 4 * strlen(text)) + 1, count;
    bool cut;
    int32_t *ids = malloc((size_t)room * sizeof ids[0]);
    if (!ids) return no_memory(strlen(text));
    status result = encode_alone(tokenizer, text, ids, room, &count, &cut);
    text_append(prompt, "%s", text);
    if (result.code == STATUS_OK) write_out_all(tokenizer, ids, count, prompt);
    free(ids);
    return result;
}

static bool has_several_vectors(const struct added_tokens *added)
{
    for (int i = 0; i < added->count; i++)
        if (further_token(added, &added->tokens[i], 1)) return true;
    return false;
}

status tokenizer_encode_prompt(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int length, bool *cut)
{
    if (strlen(text) > TEXT_LIMIT || !has_several_vectors(&tokenizer->added))
        return tokenizer_encode(tokenizer, text, ids, length, cut);
    struct text prompt = {0};
    status result = expand(tokenizer, text, &prompt);
    if (result.code == STATUS_OK) result = tokenizer_encode(tokenizer, prompt.data, ids, length, cut);
    text_clear(&prompt);
    return result;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (!tokenizer) return;
    vocabulary_destroy(tokenizer->vocabulary);
    added_tokens_clear(&tokenizer->added);
    free(tokenizer);
}

const struct tokenizer_facts *tokenizer_facts(const struct tokenizer *tokenizer)
{
    return &tokenizer->facts;
}

const struct remarks *tokenizer_remarks(const struct tokenizer *tokenizer)
{
    return &tokenizer->remarks;
}
