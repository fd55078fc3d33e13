/* A tokenizer's files, and a text for it: the text stands before the first line break, then tokenizer.json,
 * tokenizer_config.json, special_tokens_map.json and added_tokens.json with NUL between them. */
#include "engine/model/tokenizer.h"
#include "tests/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* The next of the files that NUL separates, or NULL behind the last. */
static char *next_file(const uint8_t **data, size_t *size)
{
    if (*size == 0) return NULL;
    const uint8_t *end = memchr(*data, '\0', *size);
    size_t length = end ? (size_t)(end - *data) : *size, taken = end ? length + 1 : length;
    char *file = copy(*data, length);
    *data += taken;
    *size -= taken;
    return file;
}

static void check_ids(const struct tokenizer *tokenizer, const int32_t *ids, int count)
{
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] > tokenizer_facts(tokenizer)->highest) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { FILES = 4, LENGTH = 16 };
    const uint8_t *end = memchr(data, '\n', size);
    if (!end) return 0;
    const uint8_t *rest = end + 1;
    size_t rest_size = size - (size_t)(end - data) - 1;
    char *text = copy(data, (size_t)(end - data)), *files[FILES];
    for (int i = 0; i < FILES; i++) files[i] = next_file(&rest, &rest_size);
    const struct tokenizer_texts texts = {
        .combined = files[0], .settings = files[1], .special_tokens_map = files[2], .added_tokens = files[3]};
    struct tokenizer *tokenizer;
    if (tokenizer_parse(&texts, "fuzz", &tokenizer).code == STATUS_OK) {
        int32_t ids[LENGTH];
        if (tokenizer_encode(tokenizer, text, ids, LENGTH, NULL).code == STATUS_OK) check_ids(tokenizer, ids, LENGTH);
        if (tokenizer_encode_prompt(tokenizer, text, ids, LENGTH, NULL).code == STATUS_OK)
            check_ids(tokenizer, ids, LENGTH);
        tokenizer_close(tokenizer);
    }
    for (int i = 0; i < FILES; i++) free(files[i]);
    free(text);
    return 0;
}
