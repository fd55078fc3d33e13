/* Hash tables of tokens and merges, read from vocab.json and merges.txt or from tokenizer.json. */
#include "engine/model/vocabulary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/base/text.h"
#include "engine/model/unicode.h"

enum { BYTES = 256, MAXIMUM_TOKEN_BYTES = 1024, FIRST_STAND_IN = 256 };

struct token {
    const char *name; /* NULL: an empty slot */
    int32_t id;
};

struct merge {
    int32_t left, right; /* left VOCABULARY_NO_TOKEN: an empty slot */
    int32_t rank, merged;
};

struct vocabulary {
    char *names; /* every token's name */
    size_t names_used, names_room;
    struct token *tokens; /* hash tables of a power of two of slots, at most half full */
    struct merge *merges;
    size_t token_slots, merge_slots;
    int32_t highest_id, token_count;
    int merge_count;
    int32_t byte_id[BYTES], byte_end_id[BYTES];
};

/* ---- tokens ---- */

static uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

static size_t slots_for(size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count) slots *= 2;
    return slots;
}

/* The slot that holds the name, or the empty one where it belongs. */
static struct token *token_slot(const struct vocabulary *vocabulary, const char *name)
{
    size_t mask = vocabulary->token_slots - 1, slot = hash_bytes(name, strlen(name)) & mask;
    while (vocabulary->tokens[slot].name && strcmp(vocabulary->tokens[slot].name, name) != 0) slot = (slot + 1) & mask;
    return &vocabulary->tokens[slot];
}

int32_t vocabulary_find(const struct vocabulary *vocabulary, const char *name)
{
    const struct token *token = token_slot(vocabulary, name);
    return token->name ? token->id : VOCABULARY_NO_TOKEN;
}

/* Adds a token; the name is copied. False where the name is there already. */
static bool add_token(struct vocabulary *vocabulary, const char *name, int32_t id)
{
    struct token *token = token_slot(vocabulary, name);
    if (token->name) return false;
    size_t length = strlen(name) + 1;
    char *copy = vocabulary->names + vocabulary->names_used;
    memcpy(copy, name, length);
    vocabulary->names_used += length;
    *token = (struct token){copy, id};
    vocabulary->token_count++;
    if (id > vocabulary->highest_id) vocabulary->highest_id = id;
    return true;
}

static status reserve_tokens(struct vocabulary *vocabulary, size_t count, size_t name_bytes)
{
    vocabulary->token_slots = slots_for(count);
    vocabulary->tokens = calloc(vocabulary->token_slots, sizeof vocabulary->tokens[0]);
    vocabulary->names = malloc(name_bytes + 1);
    vocabulary->names_room = name_bytes;
    if (!vocabulary->tokens || !vocabulary->names)
        return status_error(STATUS_NO_MEMORY, "no memory for a vocabulary of %zu tokens", count);
    return status_ok();
}

static status read_tokens(struct vocabulary *vocabulary, const cJSON *tokens, const char *origin)
{
    size_t count = 0, name_bytes = 0;
    const cJSON *token;
    cJSON_ArrayForEach(token, tokens)
    {
        count++;
        name_bytes += strlen(token->string) + 1;
    }
    TRY(reserve_tokens(vocabulary, count, name_bytes));
    cJSON_ArrayForEach(token, tokens)
    {
        double id = cJSON_IsNumber(token) ? token->valuedouble : -1.0;
        if (!(id >= 0.0 && id <= VOCABULARY_MAXIMUM_ID) || id != floor(id))
            return status_error(STATUS_BAD_INPUT, "%s: the id of token \"%.60s\" is no integer from 0 to %d", origin,
                                token->string, VOCABULARY_MAXIMUM_ID);
        if (!add_token(vocabulary, token->string, (int32_t)id))
            return status_error(STATUS_BAD_INPUT, "%s: token \"%.60s\" stands twice", origin, token->string);
    }
    return status_ok();
}

/* ---- merges ---- */

static struct merge *merge_slot(const struct vocabulary *vocabulary, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t mask = vocabulary->merge_slots - 1, slot = (size_t)((key * 0x9E3779B97F4A7C15u) >> 20) & mask;
    while (vocabulary->merges[slot].left != VOCABULARY_NO_TOKEN &&
           (vocabulary->merges[slot].left != left || vocabulary->merges[slot].right != right))
        slot = (slot + 1) & mask;
    return &vocabulary->merges[slot];
}

static status reserve_merges(struct vocabulary *vocabulary, size_t count)
{
    vocabulary->merge_slots = slots_for(count);
    vocabulary->merges = malloc(vocabulary->merge_slots * sizeof vocabulary->merges[0]);
    if (!vocabulary->merges) return status_error(STATUS_NO_MEMORY, "no memory for %zu merges", count);
    for (size_t i = 0; i < vocabulary->merge_slots; i++) vocabulary->merges[i].left = VOCABULARY_NO_TOKEN;
    return status_ok();
}

/* `number` counts merges from 1, as messages and ranks do. With `grow`, the merged token gets the next id. */
static status add_merge(struct vocabulary *vocabulary, const char *left, const char *right, int number, bool grow,
                        const char *origin)
{
    char merged[2 * MAXIMUM_TOKEN_BYTES];
    int32_t left_id = vocabulary_find(vocabulary, left), right_id = vocabulary_find(vocabulary, right);
    snprintf(merged, sizeof merged, "%s%s", left, right);
    if (grow && left_id != VOCABULARY_NO_TOKEN && right_id != VOCABULARY_NO_TOKEN)
        add_token(vocabulary, merged, vocabulary->highest_id + 1);
    int32_t merged_id = vocabulary_find(vocabulary, merged);
    const char *absent = left_id == VOCABULARY_NO_TOKEN     ? left
                         : right_id == VOCABULARY_NO_TOKEN  ? right
                         : merged_id == VOCABULARY_NO_TOKEN ? merged
                                                            : NULL;
    if (absent)
        return status_error(STATUS_BAD_INPUT, "%s: merge %d needs the token \"%.60s\", which the vocabulary lacks",
                            origin, number, absent);
    struct merge *slot = merge_slot(vocabulary, left_id, right_id);
    if (slot->left == VOCABULARY_NO_TOKEN) *slot = (struct merge){left_id, right_id, number, merged_id};
    vocabulary->merge_count = number;
    return status_ok();
}

/* Splits "LEFT RIGHT" of `length` bytes at its only space and adds the merge. */
static status add_merge_line(struct vocabulary *vocabulary, const char *line, size_t length, int number, bool grow,
                             const char *origin)
{
    char left[MAXIMUM_TOKEN_BYTES];
    if (length > 0 && line[length - 1] == '\r') length--;
    const char *space = memchr(line, ' ', length);
    if (!space || space == line || space + 1 == line + length || length >= sizeof left ||
        memchr(space + 1, ' ', length - (size_t)(space + 1 - line)))
        return status_error(STATUS_BAD_INPUT, "%s: merge %d is \"%.*s\"; expected two tokens and a space between them",
                            origin, number, (int)min_size(length, 60), line);
    memcpy(left, line, length);
    left[length] = '\0';
    left[space - line] = '\0';
    return add_merge(vocabulary, left, left + (space - line) + 1, number, grow, origin);
}

static const char *end_of_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end : line + strlen(line);
}

static size_t count_lines(const char *text)
{
    size_t count = 1;
    for (; *text; text++) count += *text == '\n';
    return count;
}

static status read_merge_text(struct vocabulary *vocabulary, const char *text, bool grow, const char *origin)
{
    TRY(reserve_merges(vocabulary, count_lines(text)));
    int number = 0;
    if (strncmp(text, "#version", 8) == 0) {
        text = end_of_line(text);
        if (*text) text++;
    }
    while (*text) {
        const char *end = end_of_line(text);
        if (end != text) TRY(add_merge_line(vocabulary, text, (size_t)(end - text), ++number, grow, origin));
        text = *end ? end + 1 : end;
    }
    return status_ok();
}

static status read_merge_list(struct vocabulary *vocabulary, const cJSON *list, const char *origin)
{
    TRY(reserve_merges(vocabulary, (size_t)cJSON_GetArraySize(list)));
    int number = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        number++;
        if (cJSON_IsString(item)) {
            TRY(add_merge_line(vocabulary, item->valuestring, strlen(item->valuestring), number, false, origin));
            continue;
        }
        const cJSON *left = cJSON_GetArrayItem(item, 0), *right = cJSON_GetArrayItem(item, 1);
        if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 || !cJSON_IsString(left) || !cJSON_IsString(right) ||
            strlen(left->valuestring) + strlen(right->valuestring) >= MAXIMUM_TOKEN_BYTES)
            return status_error(STATUS_BAD_INPUT, "%s: merge %d is no pair of tokens", origin, number);
        TRY(add_merge(vocabulary, left->valuestring, right->valuestring, number, false, origin));
    }
    return status_ok();
}

/* ---- bytes as characters ---- */

/* Printable bytes of Latin-1 stand for themselves, the others for characters from U+0100 on, in their order. */
static void stand_ins(uint32_t code_of_byte[BYTES])
{
    uint32_t next = FIRST_STAND_IN;
    for (uint32_t byte = 0; byte < BYTES; byte++) {
        bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
        code_of_byte[byte] = printable ? byte : next++;
    }
}

static void byte_name(uint32_t code, bool at_end, char name[16])
{
    char utf8[4];
    int length = (int)text_write_code_point(code, utf8);
    snprintf(name, 16, "%.*s%s", length, utf8, at_end ? "</w>" : "");
}

static void find_bytes(struct vocabulary *vocabulary)
{
    uint32_t codes[BYTES];
    char name[16];
    stand_ins(codes);
    for (int byte = 0; byte < BYTES; byte++) {
        byte_name(codes[byte], false, name);
        vocabulary->byte_id[byte] = vocabulary_find(vocabulary, name);
        byte_name(codes[byte], true, name);
        vocabulary->byte_end_id[byte] = vocabulary_find(vocabulary, name);
    }
}

/* The first 512 tokens of CLIP's rule: printable bytes first, then those with stand-ins; each group twice. */
static void add_byte_tokens(struct vocabulary *vocabulary)
{
    uint32_t codes[BYTES];
    char name[16];
    stand_ins(codes);
    for (int at_end = 0; at_end < 2; at_end++)
        for (int stand_in = 0; stand_in < 2; stand_in++)
            for (int byte = 0; byte < BYTES; byte++)
                if ((codes[byte] >= FIRST_STAND_IN) == stand_in) {
                    byte_name(codes[byte], at_end, name);
                    add_token(vocabulary, name, vocabulary->highest_id + 1);
                }
}

static status derive(struct vocabulary *vocabulary, const char *merge_text, const char *origin)
{
    /* A merged name is no longer than its line, and the bytes' names are shorter than 8 each. */
    TRY(reserve_tokens(vocabulary, 2 * BYTES + count_lines(merge_text) + 2, strlen(merge_text) + 2 * BYTES * 8 + 64));
    add_byte_tokens(vocabulary);
    TRY(read_merge_text(vocabulary, merge_text, true, origin));
    add_token(vocabulary, "<|startoftext|>", vocabulary->highest_id + 1);
    add_token(vocabulary, "<|endoftext|>", vocabulary->highest_id + 1);
    return status_ok();
}

static status fill(struct vocabulary *vocabulary, const cJSON *tokens, const char *merge_text, const cJSON *merge_list,
                   const char *origin)
{
    if (!tokens) return derive(vocabulary, merge_text, origin);
    TRY(read_tokens(vocabulary, tokens, origin));
    if (merge_text) return read_merge_text(vocabulary, merge_text, false, origin);
    return read_merge_list(vocabulary, merge_list, origin);
}

status vocabulary_create(const cJSON *tokens, const char *merge_text, const cJSON *merge_list, const char *origin,
                         struct vocabulary **vocabulary)
{
    *vocabulary = memory_take(1, sizeof **vocabulary);
    (*vocabulary)->highest_id = -1;
    status result = fill(*vocabulary, tokens, merge_text, merge_list, origin);
    if (result.code == STATUS_OK) {
        find_bytes(*vocabulary);
        return result;
    }
    vocabulary_destroy(*vocabulary);
    *vocabulary = NULL;
    return result;
}

void vocabulary_destroy(struct vocabulary *vocabulary)
{
    if (!vocabulary) return;
    free(vocabulary->names);
    free(vocabulary->tokens);
    free(vocabulary->merges);
    free(vocabulary);
}

int32_t vocabulary_byte(const struct vocabulary *vocabulary, unsigned char byte, bool at_end)
{
    return at_end ? vocabulary->byte_end_id[byte] : vocabulary->byte_id[byte];
}

int32_t vocabulary_highest_id(const struct vocabulary *vocabulary)
{
    return vocabulary->highest_id;
}

int32_t vocabulary_count(const struct vocabulary *vocabulary)
{
    return vocabulary->token_count;
}

int vocabulary_merges(const struct vocabulary *vocabulary)
{
    return vocabulary->merge_count;
}

/* One character, with or without the mark of a word's end. */
static bool is_character(const char *name)
{
    size_t length = strlen(name), ending = strlen("</w>");
    if (length > ending && strcmp(name + length - ending, "</w>") == 0) length -= ending;
    for (size_t i = 1; i < length; i++)
        if (((unsigned char)name[i] & 0xC0) != 0x80) return false;
    return true;
}

int vocabulary_unmade(const struct vocabulary *vocabulary, bool (*is_known)(const void *context, const char *name),
                      const void *context, const char **first)
{
    int count = 0;
    int32_t first_id = vocabulary->highest_id;
    bool *made = memory_take((size_t)vocabulary->highest_id + 1, sizeof made[0]);
    *first = NULL;
    for (size_t i = 0; i < vocabulary->merge_slots; i++)
        if (vocabulary->merges[i].left != VOCABULARY_NO_TOKEN) made[vocabulary->merges[i].merged] = true;
    for (size_t i = 0; i < vocabulary->token_slots; i++) {
        const struct token *token = &vocabulary->tokens[i];
        if (!token->name || made[token->id] || is_character(token->name) || is_known(context, token->name)) continue;
        count++;
        if (token->id <= first_id) {
            first_id = token->id;
            *first = token->name;
        }
    }
    free(made);
    return count;
}

/* ---- merging a word ---- */

/* The word as a linked list of tokens. */
struct symbol {
    int32_t id;             /* VOCABULARY_NO_TOKEN: merged into its left neighbour */
    int32_t previous, next; /* -1: none */
};

/* A pair that may merge; stale when either side has changed since. */
struct candidate {
    int32_t rank, position; /* of the left symbol */
    int32_t left, right, merged;
};

struct merging {
    const struct vocabulary *vocabulary;
    struct symbol *symbols;
    struct candidate *heap; /* the best candidate first */
    size_t heap_count;
};

size_t vocabulary_workspace(size_t length)
{
    /* Each merge makes at most two new candidates. */
    return length * sizeof(struct symbol) + 3 * length * sizeof(struct candidate);
}

static bool better(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

static void push(struct merging *merging, struct candidate candidate)
{
    size_t place = merging->heap_count++;
    while (place > 0 && better(&candidate, &merging->heap[(place - 1) / 2])) {
        merging->heap[place] = merging->heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    merging->heap[place] = candidate;
}

static struct candidate pop(struct merging *merging)
{
    struct candidate best = merging->heap[0], last = merging->heap[--merging->heap_count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= merging->heap_count) break;
        if (child + 1 < merging->heap_count && better(&merging->heap[child + 1], &merging->heap[child])) child++;
        if (!better(&merging->heap[child], &last)) break;
        merging->heap[place] = merging->heap[child];
        place = child;
    }
    merging->heap[place] = last;
    return best;
}

/* Adds the pair that begins at `position` if it can merge. */
static void consider(struct merging *merging, int32_t position)
{
    if (position < 0 || merging->symbols[position].next < 0) return;
    int32_t left = merging->symbols[position].id, right = merging->symbols[merging->symbols[position].next].id;
    if (left == VOCABULARY_NO_TOKEN || right == VOCABULARY_NO_TOKEN) return;
    const struct merge *merge = merge_slot(merging->vocabulary, left, right);
    if (merge->left == VOCABULARY_NO_TOKEN) return;
    push(merging, (struct candidate){merge->rank, position, left, right, merge->merged});
}

static void apply(struct merging *merging, const struct candidate *candidate)
{
    struct symbol *left = &merging->symbols[candidate->position];
    if (left->id != candidate->left || left->next < 0) return;
    struct symbol *right = &merging->symbols[left->next];
    if (right->id != candidate->right) return;
    left->id = candidate->merged;
    right->id = VOCABULARY_NO_TOKEN;
    left->next = right->next;
    if (left->next >= 0) merging->symbols[left->next].previous = candidate->position;
    consider(merging, left->previous);
    consider(merging, candidate->position);
}

size_t vocabulary_encode_word(const struct vocabulary *vocabulary, const unsigned char *word, size_t length,
                              int32_t unknown, void *workspace, int32_t *ids)
{
    struct merging merging = {.vocabulary = vocabulary, .symbols = workspace};
    merging.heap = (struct candidate *)(merging.symbols + length);
    for (size_t i = 0; i < length; i++) {
        int32_t id = vocabulary_byte(vocabulary, word[i], i + 1 == length);
        merging.symbols[i] = (struct symbol){.id = id == VOCABULARY_NO_TOKEN ? unknown : id,
                                             .previous = (int32_t)i - 1,
                                             .next = i + 1 < length ? (int32_t)i + 1 : -1};
    }
    for (size_t i = 0; i + 1 < length; i++) consider(&merging, (int32_t)i);
    while (merging.heap_count > 0) {
        struct candidate best = pop(&merging);
        apply(&merging, &best);
    }
    size_t count = 0;
    for (int32_t i = 0; i >= 0; i = merging.symbols[i].next) ids[count++] = merging.symbols[i].id;
    return count;
}
