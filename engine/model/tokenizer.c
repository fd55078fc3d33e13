#include "engine/model/tokenizer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/config.h"
#include "engine/model/unicode.h"
#include "engine/model/vocabulary.h"

enum { TEXT_LIMIT = 1 << 16, FILE_LIMIT = 64 << 20, SPECIAL_COUNT = 4, SPECIAL_LIMIT = 64 };

enum special_kind { SPECIAL_BEGIN, SPECIAL_END, SPECIAL_UNKNOWN, SPECIAL_PADDING };

static const struct {
    const char *key, *content;
} special_defaults[SPECIAL_COUNT] = {
    [SPECIAL_BEGIN] = {"bos_token", "<|startoftext|>"},
    [SPECIAL_END] = {"eos_token", "<|endoftext|>"},
    [SPECIAL_UNKNOWN] = {"unk_token", "<|endoftext|>"},
    [SPECIAL_PADDING] = {"pad_token", "<|endoftext|>"},
};

/* A token that is found in the text itself before it is split into words. */
struct special_token {
    uint32_t codes[SPECIAL_LIMIT];
    size_t length;
    int32_t id;
    bool normalized; /* looked for in the normalised text; else in the text as given */
};

struct tokenizer {
    struct vocabulary *vocabulary;
    struct special_token specials[SPECIAL_COUNT];
    struct tokenizer_facts facts;
};

/* ---- normalising ---- */

/* Form C, runs of blanks to one space, lower case. `output` has room for UNICODE_LONGEST_DECOMPOSITION * count. */
static size_t normalize(const uint32_t *codes, size_t count, uint32_t *scratch, uint32_t *output)
{
    size_t composed = unicode_compose(codes, count, scratch), length = 0;
    for (size_t i = 0; i < composed; i++) {
        if (!unicode_is_space(scratch[i])) {
            uint32_t lower[UNICODE_LONGEST_LOWER];
            int longer = unicode_to_lower(scratch[i], lower);
            for (int j = 0; j < longer; j++) output[length++] = lower[j];
        } else if (i == 0 || !unicode_is_space(scratch[i - 1])) {
            output[length++] = ' ';
        }
    }
    return length;
}

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
    for (size_t i = 0; i < count; i++) bytes += (size_t)unicode_encode(codes[i], encoding->word + bytes);
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

/* The longest special token of that kind at codes[0], or NULL. */
static const struct special_token *special_at(const struct tokenizer *tokenizer, const uint32_t *codes, size_t count,
                                              bool normalized)
{
    const struct special_token *best = NULL;
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        const struct special_token *special = &tokenizer->specials[i];
        if (special->normalized != normalized || special->length > count) continue;
        if (memcmp(codes, special->codes, special->length * sizeof codes[0]) != 0) continue;
        if (!best || special->length > best->length) best = special;
    }
    return best;
}

typedef void (*segment_encoder)(struct encoding *, const uint32_t *, size_t);

/* Emits the special tokens and hands what lies between them to `encode`. */
static void split_specials(struct encoding *encoding, const uint32_t *codes, size_t count, bool normalized,
                           segment_encoder encode)
{
    size_t start = 0;
    for (size_t i = 0; i < count && !encoding->cut;) {
        const struct special_token *special = special_at(encoding->tokenizer, codes + i, count - i, normalized);
        if (!special) {
            i++;
            continue;
        }
        if (i > start) encode(encoding, codes + start, i - start);
        emit(encoding, special->id);
        start = i += special->length;
    }
    if (start < count && !encoding->cut) encode(encoding, codes + start, count - start);
}

static void encode_segment(struct encoding *encoding, const uint32_t *codes, size_t count)
{
    size_t length = normalize(codes, count, encoding->scratch, encoding->normal);
    split_specials(encoding, encoding->normal, length, true, encode_words);
}

static status encode_text(struct encoding *encoding, const char *text, size_t bytes, void *memory)
{
    size_t longest = UNICODE_LONGEST_DECOMPOSITION * bytes; /* code points of the normalised text */
    uint32_t *codes = memory;
    encoding->scratch = codes + bytes;
    encoding->normal = encoding->scratch + longest;
    encoding->word_ids = (int32_t *)(encoding->normal + longest);
    encoding->workspace = encoding->word_ids + 4 * longest;
    encoding->word = (unsigned char *)encoding->workspace + vocabulary_workspace(4 * longest);
    split_specials(encoding, codes, unicode_decode(text, bytes, codes), false, encode_segment);
    return status_ok();
}

/* Bytes of memory for a text of `bytes` bytes: see encode_text. */
static size_t encoding_memory(size_t bytes)
{
    size_t longest = UNICODE_LONGEST_DECOMPOSITION * bytes;
    return (bytes + 2 * longest + 4 * longest) * sizeof(uint32_t) + vocabulary_workspace(4 * longest) + 4 * longest;
}

status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int length, bool *cut)
{
    size_t bytes = strlen(text);
    if (bytes > TEXT_LIMIT)
        return status_error(STATUS_BAD_INPUT, "a text of %zu bytes is too long; at most %d are allowed", bytes,
                            TEXT_LIMIT);
    void *memory = malloc(encoding_memory(bytes) + 1);
    if (!memory) return status_error(STATUS_NO_MEMORY, "no memory to encode a text of %zu bytes", bytes);
    struct encoding encoding = {.tokenizer = tokenizer, .ids = ids, .count = 1, .room = length - 1};
    ids[0] = tokenizer->facts.begin;
    status result = encode_text(&encoding, text, bytes, memory);
    free(memory);
    ids[encoding.count++] = tokenizer->facts.end;
    while (encoding.count < length) ids[encoding.count++] = tokenizer->facts.padding;
    if (cut) *cut = encoding.cut;
    return result;
}

/* ---- reading the files ---- */

struct tokenizer_files {
    const char *label;
    struct config vocabulary, combined, settings, map; /* root NULL: absent */
};

static bool config_text(const struct config *config, const char *key)
{
    return config->root && cJSON_GetObjectItemCaseSensitive(config->root, key) != NULL;
}

/* A token's flags, where `object` describes the token. */
static status read_flags(const char *origin, const cJSON *object, bool *normalized)
{
    static const char *const unsupported[] = {"lstrip", "rstrip", "single_word"};
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, unsupported[i])))
            return status_error(STATUS_BAD_INPUT,
                                "%s: a special token has %s true; expected false (nothing else is "
                                "supported)",
                                origin, unsupported[i]);
    const cJSON *flag = cJSON_GetObjectItemCaseSensitive(object, "normalized");
    if (flag) *normalized = cJSON_IsTrue(flag);
    return status_ok();
}

/* Flags from a list or map of token descriptions, for the one with this content. */
static status find_flags(const char *origin, const cJSON *descriptions, const char *content, bool *normalized)
{
    const cJSON *description;
    cJSON_ArrayForEach(description, descriptions)
    {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(description, "content");
        if (cJSON_IsString(text) && strcmp(text->valuestring, content) == 0)
            return read_flags(origin, description, normalized);
    }
    return status_ok();
}

static status read_special(const struct tokenizer_files *files, enum special_kind kind, const char **content,
                           bool *normalized)
{
    const char *key = special_defaults[kind].key;
    const struct config *config = config_text(&files->settings, key) ? &files->settings
                                  : config_text(&files->map, key)    ? &files->map
                                                                     : NULL;
    const cJSON *value = config ? config_find(config, key) : NULL;
    *content = special_defaults[kind].content;
    *normalized = false;
    if (value) {
        const cJSON *text = cJSON_IsObject(value) ? cJSON_GetObjectItemCaseSensitive(value, "content") : value;
        if (!cJSON_IsString(text)) return config_wrong(config, key, "a token or an object with its content");
        *content = text->valuestring;
        if (cJSON_IsObject(value)) return read_flags(config->path, value, normalized);
    }
    if (files->settings.root)
        TRY(find_flags(files->settings.path, config_find(&files->settings, "added_tokens_decoder"), *content,
                       normalized));
    if (files->combined.root)
        TRY(find_flags(files->combined.path, config_find(&files->combined, "added_tokens"), *content, normalized));
    return status_ok();
}

/* Id of a special token: of the vocabulary, or of the list of added tokens. */
static int32_t special_id(const struct tokenizer *tokenizer, const struct tokenizer_files *files, const char *content)
{
    int32_t id = vocabulary_find(tokenizer->vocabulary, content);
    const cJSON *token;
    if (id != VOCABULARY_NO_TOKEN || !files->combined.root) return id;
    cJSON_ArrayForEach(token, config_find(&files->combined, "added_tokens"))
    {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(token, "content");
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(token, "id");
        if (cJSON_IsString(text) && cJSON_IsNumber(number) && strcmp(text->valuestring, content) == 0 &&
            number->valuedouble >= 0 && number->valuedouble <= VOCABULARY_MAXIMUM_ID)
            return (int32_t)number->valuedouble;
    }
    return VOCABULARY_NO_TOKEN;
}

static status fill_special(struct tokenizer *tokenizer, const struct tokenizer_files *files, enum special_kind kind)
{
    const char *content;
    struct special_token *special = &tokenizer->specials[kind];
    TRY(read_special(files, kind, &content, &special->normalized));
    size_t bytes = strlen(content);
    if (bytes == 0 || bytes > SPECIAL_LIMIT / UNICODE_LONGEST_DECOMPOSITION)
        return status_error(STATUS_BAD_INPUT, "%s: %s is \"%.40s\"; expected a token of 1 to %d bytes", files->label,
                            special_defaults[kind].key, content, SPECIAL_LIMIT / UNICODE_LONGEST_DECOMPOSITION);
    special->id = special_id(tokenizer, files, content);
    if (special->id == VOCABULARY_NO_TOKEN)
        return status_error(STATUS_BAD_INPUT, "%s: %s is \"%s\", which the vocabulary lacks", files->label,
                            special_defaults[kind].key, content);
    uint32_t codes[SPECIAL_LIMIT], scratch[SPECIAL_LIMIT];
    special->length = unicode_decode(content, bytes, codes);
    memcpy(special->codes, codes, sizeof codes);
    if (special->normalized) special->length = normalize(codes, special->length, scratch, special->codes);
    if (special->id > tokenizer->facts.highest) tokenizer->facts.highest = special->id;
    return status_ok();
}

/* Where two descriptions are of the same token, the later one holds, as in the transformers library. */
static void settle_specials(struct special_token specials[SPECIAL_COUNT])
{
    for (int i = 0; i < SPECIAL_COUNT; i++)
        for (int j = i + 1; j < SPECIAL_COUNT; j++)
            if (specials[i].id == specials[j].id) specials[i] = specials[j];
}

static status read_settings(struct tokenizer *tokenizer, const struct tokenizer_files *files)
{
    static const char *const classes[] = {"CLIPTokenizer", "CLIPTokenizerFast"};
    const struct config *settings = &files->settings;
    double length = INT_MAX;
    int class_index = 0;
    tokenizer->facts.highest = vocabulary_highest_id(tokenizer->vocabulary);
    for (int kind = 0; kind < SPECIAL_COUNT; kind++) TRY(fill_special(tokenizer, files, (enum special_kind)kind));
    settle_specials(tokenizer->specials);
    tokenizer->facts.begin = tokenizer->specials[SPECIAL_BEGIN].id;
    tokenizer->facts.end = tokenizer->specials[SPECIAL_END].id;
    tokenizer->facts.unknown = tokenizer->specials[SPECIAL_UNKNOWN].id;
    tokenizer->facts.padding = tokenizer->specials[SPECIAL_PADDING].id;
    if (settings->root) {
        TRY(config_choice(settings, "tokenizer_class", classes, 2, &class_index));
        TRY(config_only(settings, "do_lower_case", "true"));
        TRY(config_only(settings, "add_prefix_space", "false"));
        TRY(config_number(settings, "model_max_length", 2, 1e300, &length)); /* 1e30 stands for no limit */
    }
    tokenizer->facts.maximum_length = length > INT_MAX ? INT_MAX : (int)length;
    return status_ok();
}

static status load_vocabulary(struct tokenizer *tokenizer, const struct tokenizer_files *files, const char *merges)
{
    if (merges) return vocabulary_create(files->vocabulary.root, merges, NULL, files->label, &tokenizer->vocabulary);
    if (!files->combined.root)
        return status_error(STATUS_BAD_INPUT, "%s: has neither merges.txt nor tokenizer.json", files->label);
    struct config model;
    TRY(config_section(&files->combined, "model", &model));
    TRY(config_only(&model, "type", "\"BPE\""));
    TRY(config_only(&model, "end_of_word_suffix", "\"</w>\""));
    const cJSON *tokens = config_find(&model, "vocab"), *list = config_find(&model, "merges");
    if (!cJSON_IsObject(tokens)) return config_wrong(&model, "vocab", "an object of tokens and ids");
    if (!cJSON_IsArray(list)) return config_wrong(&model, "merges", "a list of pairs");
    return vocabulary_create(tokens, NULL, list, files->combined.path, &tokenizer->vocabulary);
}

/* Parses `text`, the file `name`, unless it is NULL. */
static status parse_file(const char *text, const char *label, const char *name, struct config *config)
{
    char path[PATH_SIZE];
    if (!text) return status_ok();
    TRY(path_format(path, "%s/%s", label, name));
    return config_parse(text, strlen(text), path, config);
}

static status parse_all(const struct tokenizer_texts *texts, struct tokenizer_files *files, struct tokenizer *tokenizer)
{
    TRY(parse_file(texts->vocabulary, files->label, "vocab.json", &files->vocabulary));
    if (!texts->merges) TRY(parse_file(texts->combined, files->label, "tokenizer.json", &files->combined));
    TRY(parse_file(texts->settings, files->label, "tokenizer_config.json", &files->settings));
    TRY(parse_file(texts->special_tokens_map, files->label, "special_tokens_map.json", &files->map));
    TRY(load_vocabulary(tokenizer, files, texts->merges));
    return read_settings(tokenizer, files);
}

status tokenizer_parse(const struct tokenizer_texts *texts, const char *label, struct tokenizer **tokenizer)
{
    struct tokenizer_files files = {.label = label};
    *tokenizer = calloc(1, sizeof **tokenizer);
    if (!*tokenizer) return status_error(STATUS_NO_MEMORY, "%s: no memory for a tokenizer", label);
    status result = parse_all(texts, &files, *tokenizer);
    config_close(&files.vocabulary);
    config_close(&files.combined);
    config_close(&files.settings);
    config_close(&files.map);
    if (result.code != STATUS_OK) {
        tokenizer_close(*tokenizer);
        *tokenizer = NULL;
    }
    return result;
}

/* Reads the file into `*text`, or leaves NULL where there is none. */
static status read_optional(const char *folder, const char *name, char **text)
{
    char path[PATH_SIZE];
    size_t length;
    TRY(path_format(path, "%s/%s", folder, name));
    if (!path_is_file(path)) return status_ok();
    TRY(file_read(path, FILE_LIMIT, text, &length));
    if (strlen(*text) != length) return status_error(STATUS_BAD_INPUT, "%s: holds a NUL byte", path);
    return status_ok();
}

status tokenizer_open(const char *folder, struct tokenizer **tokenizer)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json"};
    enum { COUNT = sizeof names / sizeof names[0] };
    char *texts[COUNT] = {NULL};
    status result = status_ok();
    *tokenizer = NULL;
    for (int i = 0; i < COUNT && result.code == STATUS_OK; i++) result = read_optional(folder, names[i], &texts[i]);
    if (result.code == STATUS_OK) {
        const struct tokenizer_texts files = {.vocabulary = texts[0],
                                              .merges = texts[1],
                                              .combined = texts[2],
                                              .settings = texts[3],
                                              .special_tokens_map = texts[4]};
        result = tokenizer_parse(&files, folder, tokenizer);
    }
    for (int i = 0; i < COUNT; i++) free(texts[i]);
    return result;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (!tokenizer) return;
    vocabulary_destroy(tokenizer->vocabulary);
    free(tokenizer);
}

const struct tokenizer_facts *tokenizer_facts(const struct tokenizer *tokenizer)
{
    return &tokenizer->facts;
}
