/* A tokenizer.json, and a text for it: the text stands before the first line break. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    if (!end) return 0;
    char *text = copy(data, (size_t)(end - data));
    char *combined = copy(end + 1, size - (size_t)(end - data) - 1);
    struct tokenizer_texts texts = {.combined = combined};
    struct tokenizer *tokenizer;
    if (tokenizer_parse(&texts, "fuzz", &tokenizer).code == STATUS_OK) {
        int32_t ids[16];
        if (tokenizer_encode(tokenizer, text, ids, 16, NULL).code == STATUS_OK) {
            for (int i = 0; i < 16; i++) {
                if (ids[i] < 0 || ids[i] > tokenizer_facts(tokenizer)->highest) abort();
            }
        }
        tokenizer_close(tokenizer);
    }
    free(text);
    free(combined);
    return 0;
}
