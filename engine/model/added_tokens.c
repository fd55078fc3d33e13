/* Added tokens kept by their first byte and length, so that the longest one at a place is found. */
#include "engine/model/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/text_normal.h"

static struct added_token *find(const struct added_tokens *added, const char *content)
{
    for (int i = 0; i < added->count; i++)
        if (strcmp(added->tokens[i].content, content) == 0) return &added->tokens[i];
    return NULL;
}

const struct added_token *added_tokens_find(const struct added_tokens *added, const char *content)
{
    return find(added, content);
}

/* Fills codes and length from the content. */
static void fill_codes(struct added_token *token)
{
    size_t bytes = strlen(token->content), longest = UNICODE_LONGEST_DECOMPOSITION * bytes;
    uint32_t *codes = memory_take(bytes + 2 * longest, sizeof codes[0]);
    token->length = unicode_decode(token->content, bytes, codes);
    if (token->normalized) {
        uint32_t *normal = codes + bytes + longest;
        token->length = text_normalize(codes, token->length, codes + bytes, normal);
        memmove(codes, normal, token->length * sizeof codes[0]);
    }
    token->codes = codes;
}

static void clear(struct added_token *token)
{
    free(token->content);
    free(token->codes);
}

void added_tokens_add(struct added_tokens *added, const char *content, int32_t id, bool normalized, bool single_word)
{
    struct added_token token = {
        .content = memory_copy_text(content), .id = id, .normalized = normalized, .single_word = single_word};
    fill_codes(&token);
    struct added_token *same = find(added, content);
    if (same) {
        clear(same);
        *same = token;
    } else {
        added->tokens = memory_grow(added->tokens, added->count, &added->room, sizeof added->tokens[0]);
        added->tokens[added->count++] = token;
    }
}

struct place {
    uint32_t first;
    size_t length;
    int index;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    if (a->length != b->length) return a->length > b->length ? -1 : 1;
    return b->index - a->index; /* of two that read the same, the later one */
}

void added_tokens_sort(struct added_tokens *added)
{
    struct place *places = memory_take((size_t)added->count, sizeof places[0]);
    added->order = memory_resize(added->order, (size_t)added->count, sizeof added->order[0]);
    for (int i = 0; i < added->count; i++)
        places[i] = (struct place){added->tokens[i].codes[0], added->tokens[i].length, i};
    qsort(places, (size_t)added->count, sizeof places[0], compare_places);
    for (int i = 0; i < added->count; i++) added->order[i] = places[i].index;
    free(places);
}

void added_tokens_clear(struct added_tokens *added)
{
    for (int i = 0; i < added->count; i++) clear(&added->tokens[i]);
    free(added->tokens);
    free(added->order);
    *added = (struct added_tokens){0};
}

/* Place in `order` of the first token that begins with `code`, or of the next greater one. */
static int first_with(const struct added_tokens *added, uint32_t code)
{
    int low = 0, high = added->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (added->tokens[added->order[middle]].codes[0] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct added_token *added_tokens_at(const struct added_tokens *added, const uint32_t *codes, size_t count,
                                          bool normalized)
{
    for (int i = first_with(added, codes[0]); i < added->count; i++) {
        const struct added_token *token = &added->tokens[added->order[i]];
        if (token->codes[0] != codes[0]) break;
        if (token->normalized == normalized && token->length <= count &&
            memcmp(codes, token->codes, token->length * sizeof codes[0]) == 0)
            return token;
    }
    return NULL;
}
