/* Searches how many words of a prompt fit into the text encoder's places. */
#include "engine/model/prompt_fit.h"

#include "engine/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fitting {
    const struct model *model;
    const char *prompt;
    char *start;  /* room for any beginning of the prompt */
    int32_t *ids; /* context_length of them */
};

static status fits(struct fitting *fitting, size_t length, bool *whole)
{
    bool cut = false;
    memcpy(fitting->start, fitting->prompt, length);
    fitting->start[length] = '\0';
    TRY(model_tokenize(fitting->model, fitting->start, fitting->ids, &cut));
    *whole = !cut;
    return status_ok();
}

static bool is_inside_character(const char *text, size_t at)
{
    return ((unsigned char)text[at] & 0xC0u) == 0x80u;
}

/* Back to the beginning of the word that `at` stands in, if there is a blank before it. */
static size_t word_start(const char *text, size_t at)
{
    size_t start = at;
    if (!text[at] || text[at] == ' ') return at;
    while (start > 0 && text[start - 1] != ' ') start--;
    return start > 0 ? start : at;
}

/* Halves the range between a beginning that fits and one that does not. */
static status search(struct fitting *fitting, size_t length, size_t *read)
{
    size_t good = 0, bad = length;
    while (bad - good > 1) {
        size_t middle = good + (bad - good) / 2;
        while (middle > good && is_inside_character(fitting->prompt, middle)) middle--;
        if (middle == good) break;
        bool whole;
        TRY(fits(fitting, middle, &whole));
        if (whole) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    *read = word_start(fitting->prompt, good);
    return status_ok();
}

/* A token stands for one byte at least. */
static bool surely_fits(const struct model *model, const char *prompt)
{
    size_t length = strlen(prompt);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)prompt[i] >= 0x80) return false;
    return length + 2 <= (size_t)model_facts(model)->context_length;
}

status model_prompt_fit(const struct model *model, const char *prompt, size_t *read)
{
    size_t length = strlen(prompt);
    *read = length;
    if (surely_fits(model, prompt)) return status_ok();
    struct fitting fitting = {model, prompt, memory_take(length + 1, 1),
                              memory_take((size_t)model_facts(model)->context_length, sizeof *fitting.ids)};
    bool whole = true;
    status result = fits(&fitting, length, &whole);
    if (result.code == STATUS_OK && !whole) result = search(&fitting, length, read);
    free(fitting.start);
    free(fitting.ids);
    return result;
}

/* The first characters of a text, with "..." where there are more. */
static void shorten(const char *text, char shown[80])
{
    size_t length = strlen(text), limit = 60;
    while (*text == ' ') text++, length--;
    if (length <= limit) {
        snprintf(shown, 80, "%s", text);
        return;
    }
    while (is_inside_character(text, limit)) limit--;
    snprintf(shown, 80, "%.*s...", (int)limit, text);
}

status model_prompts_fit(const struct model *model, const char *place, const char *const *prompts, int count,
                         char message[PROMPT_FIT_MESSAGE])
{
    /* Of lists as large as presets may have, looking at all would take longer than the rest of the start. */
    enum { LOOKED_AT = 20000 };
    int cut = 0, first = -1;
    size_t first_read = 0;
    message[0] = '\0';
    for (int i = 0; i < count && i < LOOKED_AT; i++) {
        size_t read;
        TRY(model_prompt_fit(model, prompts[i], &read));
        if (!prompts[i][read]) continue;
        if (cut++ == 0) first = i, first_read = read;
    }
    if (cut == 0) return status_ok();
    char rest[80], index[24] = "", others[60] = "";
    shorten(prompts[first] + first_read, rest);
    if (count > 1) snprintf(index, sizeof index, "[%d]", first);
    if (cut > 1)
        snprintf(others, sizeof others, ", and so on in %s%d more prompt%s", count > LOOKED_AT ? "at least " : "",
                 cut - 1, cut == 2 ? "" : "s");
    snprintf(message, PROMPT_FIT_MESSAGE, "%s%s: the model reads %d tokens of a prompt; cut off: \"%s\"%s", place,
             index, model_facts(model)->context_length - 2, rest, others);
    return status_ok();
}
