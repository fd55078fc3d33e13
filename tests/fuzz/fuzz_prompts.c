/* A prompt list; the first byte chooses the format. */
#include "engine/base/text.h"
#include "engine/preset/prompts.h"
#include "tests/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"p.txt", "p.csv", "p.tsv", "p.json", "p.jsonl"};
    if (size == 0) return 0;
    struct prompt_list list = {0};
    const char *text = (const char *)data + 1;
    status result = prompt_list_parse(&list, text, size - 1, names[data[0] % 5], NULL);
    if ((result.code == STATUS_OK) != (list.count > 0) && result.code == STATUS_OK) abort();
    for (int i = 0; i < list.count; i++) {
        if (!text_is_utf8(list.texts[i], strlen(list.texts[i]), NULL)) abort();
    }
    prompt_list_clear(&list);
    return 0;
}
