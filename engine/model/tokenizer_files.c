/* Reading a tokenizer's files.
 *
 * Which file holds goes by transformers' rules (PreTrainedTokenizerBase._from_pretrained): where tokenizer_config.json
 * lists the added tokens under added_tokens_decoder, it speaks for itself; else special_tokens_map.json goes before it,
 * and the added tokens are those of added_tokens.json and tokenizer.json. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/model/config.h"
#include "engine/model/config_keys.h"
#include "engine/model/tokenizer_internal.h"

enum { FILE_LIMIT = 64 << 20, TOKEN_BYTES_LIMIT = 1024, ADDED_LIMIT = 100000 };

struct tokenizer_files {
    const char *label;
    const char *merges;
    struct config vocabulary, combined, settings, map, added; /* root NULL: absent */
    bool listed;                                              /* `settings` lists the added tokens */
};

/* What a file says of a token. */
struct token_rules {
    const char *content;
    bool normalized, single_word;
    int64_t id; /* as the file numbers it; -1: it does not */
};

struct token_list {
    struct token_rules *tokens;
    int count, room;
};

/* ---- descriptions of tokens ---- */

/* A token's content, or an object with content and rules. A special token is looked for in the text as given unless the
 * rules say otherwise. lstrip and rstrip say which blanks go with a token, and blanks give no tokens of their own. */
static bool read_rules(const cJSON *value, bool special, struct token_rules *rules)
{
    bool object = cJSON_IsObject(value);
    const cJSON *content = object ? cJSON_GetObjectItemCaseSensitive(value, "content") : value;
    if (!cJSON_IsString(content) || content->valuestring[0] == '\0') return false;
    special = object ? json_get_flag(value, "special", special) : special;
    *rules = (struct token_rules){.content = content->valuestring,
                                  .normalized = object ? json_get_flag(value, "normalized", !special) : !special,
                                  .single_word = object && json_get_flag(value, "single_word", false),
                                  .id = -1};
    return true;
}

static status check_length(const char *origin, const struct token_rules *rules)
{
    if (strlen(rules->content) <= TOKEN_BYTES_LIMIT) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: the token \"%.40s...\" is longer than %d bytes", origin, rules->content,
                        TOKEN_BYTES_LIMIT);
}

/* ---- special tokens ---- */

/* In the order in which transformers adds them. */
enum special_kind {
    SPECIAL_BEGIN,
    SPECIAL_END,
    SPECIAL_UNKNOWN,
    SPECIAL_SEPARATOR,
    SPECIAL_PADDING,
    SPECIAL_CLASS,
    SPECIAL_MASK,
    SPECIAL_COUNT
};

static const struct {
    const char *key, *content; /* content NULL: none unless the files name one */
    bool required;             /* in the vocabulary or among the added tokens */
} specials[SPECIAL_COUNT] = {
    [SPECIAL_BEGIN] = {"bos_token", "<|startoftext|>", true},
    [SPECIAL_END] = {"eos_token", "<|endoftext|>", true},
    [SPECIAL_UNKNOWN] = {"unk_token", "<|endoftext|>", true},
    [SPECIAL_SEPARATOR] = {"sep_token", NULL, false},
    [SPECIAL_PADDING] = {"pad_token", "<|endoftext|>", false},
    [SPECIAL_CLASS] = {"cls_token", NULL, false},
    [SPECIAL_MASK] = {"mask_token", NULL, false},
};

/* The file that has the word on `key`; NULL where none names it. */
static const struct config *holder(const struct tokenizer_files *files, const char *key)
{
    if (!files->listed && files->map.root && config_find(&files->map, key)) return &files->map;
    return files->settings.root && config_find(&files->settings, key) ? &files->settings : NULL;
}

static status read_special(const struct tokenizer_files *files, enum special_kind kind, struct token_rules *rules)
{
    const char *key = specials[kind].key;
    const struct config *config = holder(files, key);
    *rules = (struct token_rules){.content = specials[kind].content, .id = -1};
    if (!config) return status_ok();
    if (!read_rules(config_find(config, key), true, rules))
        return config_wrong(config, key, "a token or an object with its content");
    return check_length(config->path, rules);
}

static bool is_special_content(const struct tokenizer_files *files, const char *content)
{
    struct token_rules rules;
    for (int kind = 0; kind < SPECIAL_COUNT; kind++)
        if (read_special(files, (enum special_kind)kind, &rules).code == STATUS_OK && rules.content &&
            strcmp(rules.content, content) == 0)
            return true;
    const cJSON *extra, *list = files->settings.root ? config_find(&files->settings, "extra_special_tokens") : NULL;
    if (!list && files->settings.root) list = config_find(&files->settings, "additional_special_tokens");
    cJSON_ArrayForEach(extra,
                       list) if (read_rules(extra, true, &rules) && strcmp(rules.content, content) == 0) return true;
    return false;
}

/* ---- the list of added tokens ---- */

/* Of two with the same number the later one holds. */
static void list_token(struct token_list *list, const struct token_rules *rules)
{
    for (int i = 0; i < list->count; i++)
        if (list->tokens[i].id == rules->id) {
            list->tokens[i] = *rules;
            return;
        }
    list->tokens = memory_grow(list->tokens, list->count, &list->room, sizeof list->tokens[0]);
    list->tokens[list->count++] = *rules;
}

static bool read_id(const cJSON *number, int64_t *id)
{
    double value = cJSON_IsNumber(number) ? number->valuedouble : -1.0;
    if (!(value >= 0.0 && value <= VOCABULARY_MAXIMUM_ID) || value != floor(value)) return false;
    *id = (int64_t)value;
    return true;
}

static bool read_id_text(const char *text, int64_t *id)
{
    return text_to_int64(text, id) && *id >= 0 && *id <= VOCABULARY_MAXIMUM_ID;
}

/* added_tokens_decoder: an object of ids and descriptions. */
static status list_decoder(const struct config *settings, struct token_list *list)
{
    static const char key[] = "added_tokens_decoder", expected[] = "an object of ids and tokens with their content";
    const cJSON *decoder = config_find(settings, key), *item;
    if (!cJSON_IsObject(decoder)) return config_wrong(settings, key, expected);
    cJSON_ArrayForEach(item, decoder)
    {
        struct token_rules rules;
        if (!cJSON_IsObject(item) || !read_rules(item, false, &rules) || !read_id_text(item->string, &rules.id))
            return config_wrong(settings, key, expected);
        TRY(check_length(settings->path, &rules));
        list_token(list, &rules);
    }
    return status_ok();
}

/* added_tokens.json: an object of tokens and ids. */
static status list_added_file(const struct tokenizer_files *files, struct token_list *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, files->added.root)
    {
        struct token_rules rules = {.content = item->string, .normalized = !is_special_content(files, item->string)};
        if (item->string[0] == '\0' || !read_id(item, &rules.id))
            return status_error(STATUS_BAD_INPUT, "%s: the id of token \"%.60s\" is no integer from 0 to %d",
                                files->added.path, item->string, VOCABULARY_MAXIMUM_ID);
        TRY(check_length(files->added.path, &rules));
        list_token(list, &rules);
    }
    return status_ok();
}

/* added_tokens of tokenizer.json: descriptions with ids. */
static status list_combined(const struct config *combined, struct token_list *list)
{
    static const char key[] = "added_tokens", expected[] = "a list of tokens with id and content";
    const cJSON *tokens = config_find(combined, key), *item;
    if (tokens && !cJSON_IsArray(tokens)) return config_wrong(combined, key, expected);
    cJSON_ArrayForEach(item, tokens)
    {
        struct token_rules rules;
        if (!cJSON_IsObject(item) || !read_rules(item, false, &rules) ||
            !read_id(cJSON_GetObjectItemCaseSensitive(item, "id"), &rules.id))
            return config_wrong(combined, key, expected);
        TRY(check_length(combined->path, &rules));
        list_token(list, &rules);
    }
    return status_ok();
}

static int compare_ids(const void *left, const void *right)
{
    const struct token_rules *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static status list_added(const struct tokenizer_files *files, struct token_list *list)
{
    if (files->listed) {
        TRY(list_decoder(&files->settings, list));
    } else {
        TRY(list_added_file(files, list));
        if (files->combined.root) TRY(list_combined(&files->combined, list));
    }
    if (list->count > ADDED_LIMIT)
        return status_error(STATUS_BAD_INPUT, "%s: has %d added tokens; at most %d are read", files->label, list->count,
                            ADDED_LIMIT);
    if (list->count) qsort(list->tokens, (size_t)list->count, sizeof list->tokens[0], compare_ids);
    return status_ok();
}

/* ---- adding ---- */

/* A token of the vocabulary keeps its id; a new one gets the next that is free. */
static int32_t id_for(const struct tokenizer *tokenizer, const char *content)
{
    int32_t id = vocabulary_find(tokenizer->vocabulary, content);
    const struct added_token *same = added_tokens_find(&tokenizer->added, content);
    if (id != VOCABULARY_NO_TOKEN || same) return same ? same->id : id;
    int32_t next = vocabulary_count(tokenizer->vocabulary);
    for (int i = 0; i < tokenizer->added.count; i++)
        if (tokenizer->added.tokens[i].id >= next) next = tokenizer->added.tokens[i].id + 1;
    return next;
}

static status add(struct tokenizer *tokenizer, const char *label, const struct token_rules *rules)
{
    int32_t id = id_for(tokenizer, rules->content);
    if (rules->id >= 0 && rules->id != id)
        return status_error(STATUS_BAD_INPUT, "%s: the added token \"%.60s\" has the id %lld; expected %d, %s", label,
                            rules->content, (long long)rules->id, (int)id,
                            vocabulary_find(tokenizer->vocabulary, rules->content) == id
                                ? "which the vocabulary gives it"
                                : "the next that is free");
    if (id > tokenizer->facts.highest) tokenizer->facts.highest = id;
    added_tokens_add(&tokenizer->added, rules->content, id, rules->normalized, rules->single_word);
    return status_ok();
}

/* Special tokens count as the list describes them, where it does. */
static status add_unless_listed(struct tokenizer *tokenizer, const struct tokenizer_files *files,
                                const struct token_list *list, const struct token_rules *rules)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->tokens[i].content, rules->content) == 0) return status_ok();
    return add(tokenizer, files->label, rules);
}

static status add_specials(struct tokenizer *tokenizer, const struct tokenizer_files *files,
                           const struct token_list *list)
{
    int32_t ids[SPECIAL_COUNT];
    for (int kind = 0; kind < SPECIAL_COUNT; kind++) {
        struct token_rules rules;
        TRY(read_special(files, (enum special_kind)kind, &rules));
        if (!rules.content) continue;
        if (specials[kind].required && vocabulary_find(tokenizer->vocabulary, rules.content) == VOCABULARY_NO_TOKEN &&
            !added_tokens_find(&tokenizer->added, rules.content))
            return status_error(STATUS_BAD_INPUT, "%s: %s is \"%s\", which the vocabulary lacks", files->label,
                                specials[kind].key, rules.content);
        TRY(add_unless_listed(tokenizer, files, list, &rules));
        ids[kind] = added_tokens_find(&tokenizer->added, rules.content)->id;
    }
    tokenizer->facts.begin = ids[SPECIAL_BEGIN];
    tokenizer->facts.end = ids[SPECIAL_END];
    tokenizer->facts.unknown = ids[SPECIAL_UNKNOWN];
    tokenizer->facts.padding = ids[SPECIAL_PADDING];
    return status_ok();
}

static bool is_standard(const char *key)
{
    for (int kind = 0; kind < SPECIAL_COUNT; kind++)
        if (strcmp(specials[kind].key, key) == 0) return true;
    return false;
}

/* Whatever else a file calls "SOMETHING_token" is a special token too. */
static status add_named(struct tokenizer *tokenizer, const struct tokenizer_files *files, const struct token_list *list,
                        const struct config *config)
{
    static const char ending[] = "_token";
    const cJSON *item;
    if (!config->root) return status_ok();
    cJSON_ArrayForEach(item, config->root)
    {
        struct token_rules rules;
        size_t length = strlen(item->string);
        bool named = length >= sizeof ending && strcmp(item->string + length - (sizeof ending - 1), ending) == 0;
        if (!named || is_standard(item->string) || holder(files, item->string) != config) continue;
        if (!read_rules(item, true, &rules)) continue;
        TRY(check_length(config->path, &rules));
        TRY(add_unless_listed(tokenizer, files, list, &rules));
    }
    return status_ok();
}

static status add_extra(struct tokenizer *tokenizer, const struct tokenizer_files *files, const struct token_list *list,
                        const struct config *config)
{
    static const char *const keys[] = {"extra_special_tokens", "additional_special_tokens"};
    if (!config->root) return status_ok();
    for (int i = 0; i < 2; i++) {
        const cJSON *tokens = config_find(config, keys[i]), *item;
        if (!tokens) continue;
        cJSON_ArrayForEach(item, tokens)
        {
            struct token_rules rules;
            if (!read_rules(item, true, &rules)) return config_wrong(config, keys[i], "a list of tokens");
            TRY(check_length(config->path, &rules));
            TRY(add_unless_listed(tokenizer, files, list, &rules));
        }
        if (cJSON_GetArraySize(tokens) > 0) break; /* the second name is the older one of the first */
    }
    return status_ok();
}

static status add_all(struct tokenizer *tokenizer, const struct tokenizer_files *files, const struct token_list *list)
{
    static const struct config nothing;
    const struct config *map = files->listed ? &nothing : &files->map;
    for (int i = 0; i < list->count; i++) TRY(add(tokenizer, files->label, &list->tokens[i]));
    TRY(add_specials(tokenizer, files, list));
    TRY(add_named(tokenizer, files, list, &files->settings));
    TRY(add_named(tokenizer, files, list, map));
    TRY(add_extra(tokenizer, files, list, &files->settings));
    TRY(add_extra(tokenizer, files, list, map));
    added_tokens_sort(&tokenizer->added);
    return status_ok();
}

static status read_added(struct tokenizer *tokenizer, const struct tokenizer_files *files)
{
    struct token_list list = {0};
    tokenizer->facts.highest = vocabulary_highest_id(tokenizer->vocabulary);
    status result = list_added(files, &list);
    if (result.code == STATUS_OK) result = add_all(tokenizer, files, &list);
    free(list.tokens);
    return result;
}

/* ---- settings ---- */

static status read_settings(struct tokenizer *tokenizer, const struct tokenizer_files *files)
{
    static const char *const classes[] = {"CLIPTokenizer", "CLIPTokenizerFast"};
    const struct config *settings = &files->settings;
    double length = INT_MAX;
    int class_index = 0;
    if (settings->root) {
        TRY(config_choice(settings, "tokenizer_class", classes, 2, &class_index));
        TRY(config_check_keys(settings, &tokenizer_keys));
        TRY(config_number(settings, "max_len", 2, 1e300, &length));          /* the older name */
        TRY(config_number(settings, "model_max_length", 2, 1e300, &length)); /* 1e30 stands for no limit */
    }
    tokenizer->facts.maximum_length = length > INT_MAX ? INT_MAX : (int)length;
    return files->map.root ? config_check_keys(&files->map, &special_tokens_keys) : status_ok();
}

/* tokenizer.json may say how to cut and pad; from the other side than the one supported counts only where the config
 * does not say. */
static status check_sides(const struct tokenizer_files *files)
{
    static const char *const keys[] = {"truncation", "padding"}, *const settings[] = {"truncation_side",
                                                                                      "padding_side"};
    for (int i = 0; i < 2 && files->combined.root; i++) {
        struct config section;
        if (!config_find(&files->combined, keys[i])) continue;
        if (files->settings.root && config_find(&files->settings, settings[i])) continue;
        TRY(config_section(&files->combined, keys[i], &section));
        TRY(config_only(&section, "direction", "\"Right\""));
    }
    return status_ok();
}

/* ---- the vocabulary ---- */

static status load_vocabulary(struct tokenizer *tokenizer, const struct tokenizer_files *files)
{
    if (files->merges) {
        tokenizer->facts.derived = files->vocabulary.root == NULL;
        return vocabulary_create(files->vocabulary.root, files->merges, NULL, files->label, &tokenizer->vocabulary);
    }
    if (!files->combined.root)
        return status_error(STATUS_BAD_INPUT, "%s: has neither merges.txt nor tokenizer.json", files->label);
    struct config model;
    TRY(config_section(&files->combined, "model", &model));
    TRY(config_check_keys(&model, &tokenizer_model_keys));
    const cJSON *tokens = config_find(&model, "vocab"), *list = config_find(&model, "merges");
    if (!cJSON_IsObject(tokens)) return config_wrong(&model, "vocab", "an object of tokens and ids");
    if (!cJSON_IsArray(list)) return config_wrong(&model, "merges", "a list of pairs");
    return vocabulary_create(tokens, NULL, list, files->combined.path, &tokenizer->vocabulary);
}

static bool is_added(const void *context, const char *name)
{
    return added_tokens_find(context, name) != NULL;
}

/* A file of merges that was cut leaves tokens of vocab.json that nothing makes. */
static status check_merges(const struct tokenizer *tokenizer, const struct tokenizer_files *files)
{
    if (!files->merges || tokenizer->facts.derived) return status_ok();
    const char *first;
    int unmade = vocabulary_unmade(tokenizer->vocabulary, is_added, &tokenizer->added, &first);
    if (unmade == 0) return status_ok();
    int merges = vocabulary_merges(tokenizer->vocabulary);
    return status_error(STATUS_BAD_INPUT,
                        "%s: merges.txt has %d merges; expected %d, for vocab.json has %d tokens more, such as "
                        "\"%.40s\", that no merge makes (is the file cut?)",
                        files->label, merges, merges + unmade, unmade, first);
}

/* ---- all of them ---- */

/* Parses `text`, the file `name`, unless it is NULL. */
static status parse_file(const char *text, const struct tokenizer_files *files, const char *name,
                         struct tokenizer *tokenizer, struct config *config)
{
    char path[PATH_SIZE];
    if (!text) return status_ok();
    TRY(path_format(path, "%s/%s", files->label, name));
    TRY(config_parse(text, strlen(text), path, config));
    config->remarks = &tokenizer->remarks;
    return status_ok();
}

static status parse_all(const struct tokenizer_texts *texts, struct tokenizer_files *files, struct tokenizer *tokenizer)
{
    TRY(parse_file(texts->vocabulary, files, "vocab.json", tokenizer, &files->vocabulary));
    TRY(parse_file(texts->combined, files, "tokenizer.json", tokenizer, &files->combined));
    TRY(parse_file(texts->settings, files, "tokenizer_config.json", tokenizer, &files->settings));
    TRY(parse_file(texts->special_tokens_map, files, "special_tokens_map.json", tokenizer, &files->map));
    TRY(parse_file(texts->added_tokens, files, "added_tokens.json", tokenizer, &files->added));
    files->listed = files->settings.root && config_find(&files->settings, "added_tokens_decoder") != NULL;
    TRY(load_vocabulary(tokenizer, files));
    TRY(read_settings(tokenizer, files));
    TRY(check_sides(files));
    TRY(read_added(tokenizer, files));
    return check_merges(tokenizer, files);
}

status tokenizer_parse(const struct tokenizer_texts *texts, const char *label, struct tokenizer **tokenizer)
{
    size_t merges_length = texts->merges ? strlen(texts->merges) : 0;
    struct tokenizer_files files = {.label = label};
    if (texts->merges) files.merges = json_skip_mark(texts->merges, &merges_length);
    *tokenizer = memory_take(1, sizeof **tokenizer);
    status result = parse_all(texts, &files, *tokenizer);
    config_close(&files.vocabulary);
    config_close(&files.combined);
    config_close(&files.settings);
    config_close(&files.map);
    config_close(&files.added);
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
    static const char *const names[] = {
        "vocab.json",       "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json"};
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
                                              .special_tokens_map = texts[4],
                                              .added_tokens = texts[5]};
        result = tokenizer_parse(&files, folder, tokenizer);
    }
    for (int i = 0; i < COUNT; i++) free(texts[i]);
    return result;
}
